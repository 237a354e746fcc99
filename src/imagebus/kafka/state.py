"""The note of which process is a folder's broker, and on which port."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from imagebus.errors import ImagebusError
from imagebus.kafka.process import Process
from imagebus.log import warn

NAME = "broker.json"
MAX_PORT = 65535


@dataclass(frozen=True)
class State:
    """What was started; whether it still runs is asked of the process."""

    process: Process
    port: int

    def write(self, folder: Path) -> None:
        """Keep it, in one step that also a power cut leaves whole.

        Raises:
            ImagebusError: it can't be written.
        """
        note = {"pid": self.process.pid, "started": self.process.started, "port": self.port}
        fresh = folder / f"{NAME}.part"
        try:
            with fresh.open("w") as file:
                file.write(json.dumps(note))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(folder / NAME)
        except OSError as error:
            raise ImagebusError(f"can't write the broker's note: {error}") from error


def read(folder: Path) -> State | None:
    """Return what was kept, None where nothing was; a note that can't be understood is told of and is none.

    Raises:
        ImagebusError: there is a note, and it can't be read.
    """
    try:
        kept = json.loads((folder / NAME).read_bytes())
        process = Process(_natural(kept, "pid"), _natural(kept, "started"))
        return State(process, _natural(kept, "port", MAX_PORT))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ImagebusError(f"can't read the broker's note: {error}; move it away") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        warn(f"{folder / NAME} is no note of a broker ({error!r}); taken for none")
        return None


def _natural(kept: Any, key: str, most: float = inf) -> int:
    value = kept[key]
    if type(value) is not int or not 0 <= value <= most:  # True is an int, too
        raise TypeError(f"{key} is {value!r:.40}")
    return value


def forget(folder: Path) -> None:
    """Throw the note away."""
    (folder / NAME).unlink(missing_ok=True)
