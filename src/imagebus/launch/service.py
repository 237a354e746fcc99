"""Become one service: note which process this is, then run its program in this very process.

``service.py FOLDER NAME``, started by the supervisor. What runs, and its environment with the addresses of
cameras, stands in FOLDER/services.json, which only its owner may read. Only the standard library is imported,
to be quick.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Note the process and replace it by the service's program."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    service = json.loads((folder / "services.json").read_text("utf-8"))[name]
    _note(folder / "processes" / name)
    command = service["command"]
    os.execve(command[0], command, {**os.environ, **service["environment"]})


def _note(file: Path) -> None:
    """Keep id and start time (field 22 of /proc/PID/stat): together they never mean another process."""
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    file.parent.mkdir(exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.write_text(json.dumps({"pid": os.getpid(), "started": started}))
    part.rename(file)


if __name__ == "__main__":
    main()
