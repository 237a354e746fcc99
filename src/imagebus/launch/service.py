"""Become one service: note which process this is, then run its program in this very process.

``service.py FOLDER NAME``, started by the supervisor. What runs, and its environment with the addresses of
cameras, stands in FOLDER/services.json, which only its owner may read. Only the standard library is imported,
to be quick.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

STARTED = "--- started "
SHORT_S = 10.0
"""One that ran no longer than this waits before it runs again."""
PAUSE_S = 2.0


def main() -> None:
    """Note the process and replace it by the service's program."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    services = folder / "services.json"
    note = folder / "processes" / name
    again = _ran_shortly(note, services)
    _note(note)
    if again:
        time.sleep(PAUSE_S)
    service = json.loads(services.read_text("utf-8"))[name]
    print(f"{STARTED}{_now()}", flush=True)
    command = service["command"]
    os.execve(command[0], command, {**os.environ, **service["environment"]})


def _ran_shortly(note: Path, services: Path) -> bool:
    """Say whether this service was started a moment ago, in this run and not in the one before."""
    if not note.exists():
        return False
    noted = note.stat().st_mtime
    return noted > services.stat().st_mtime and time.time() - noted < SHORT_S


def _now() -> str:
    """Return the local time with its offset, as RFC 3339 writes it."""
    text = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return f"{text[:-2]}:{text[-2:]}"


def _note(file: Path) -> None:
    """Keep id and start time (field 22 of /proc/PID/stat): together they never mean another process."""
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    file.parent.mkdir(exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    with part.open("w") as fresh:
        fresh.write(json.dumps({"pid": os.getpid(), "started": started}))
        fresh.flush()
        os.fsync(fresh.fileno())  # else a power cut may leave an empty file under the final name
    part.rename(file)


if __name__ == "__main__":
    main()
