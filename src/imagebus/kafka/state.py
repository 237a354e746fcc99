"""The note of which process is a folder's broker, and on which port."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from imagebus.kafka.process import Process

NAME = "broker.json"


@dataclass(frozen=True)
class State:
    """What was started; whether it still runs is asked of the process."""

    process: Process
    port: int

    def write(self, folder: Path) -> None:
        """Keep it, in one step."""
        fresh = folder / f"{NAME}.part"
        fresh.write_text(
            json.dumps({"pid": self.process.pid, "started": self.process.started, "port": self.port})
        )
        fresh.rename(folder / NAME)


def read(folder: Path) -> State | None:
    """Return what was kept, None where nothing was."""
    try:
        kept = json.loads((folder / NAME).read_text())
    except FileNotFoundError:
        return None
    return State(Process(kept["pid"], kept["started"]), kept["port"])


def forget(folder: Path) -> None:
    """Throw the note away."""
    (folder / NAME).unlink(missing_ok=True)
