"""Pictures written to a folder: every name safe, nothing ever overwritten."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from imagebus.errors import ImagebusError
from imagebus.seen import Seen

UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
MOST_NAME = 60
MOST_OF_A_NAME = 1000
"""So many files may want the same name before we give up."""


class Folder:
    """A folder that takes pictures, each with a JSON file beside it.

    A name is made of capture time, source, sequence and place in the log, so files sort by time:
    ``20261121T140000.123Z_door_17_0-4711.jpg``. What is no frame is kept as its bytes, ``.bin``.

    Raises:
        ImagebusError: the folder cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImagebusError(f"--save {path}: {error.strerror}") from error

    def keep(self, seen: Seen) -> Path:
        """Write a picture and its facts; return the picture's path.

        The very picture saved before is not written again.

        Raises:
            ImagebusError: there is no room, or no right to write.
        """
        data = seen.frame.image if seen.frame else seen.record.value or b""
        stem, kind = _stem(seen), "jpg" if seen.frame else "bin"
        try:
            path = self._write_new(stem, kind, data)
            facts = json.dumps(seen.plain, indent=1).encode()
            self._write(path.with_suffix(".json"), facts)
        except OSError as error:
            raise ImagebusError(f"--save {self._path}: {error.strerror}") from error
        return path

    def _write_new(self, stem: str, kind: str, data: bytes) -> Path:
        for number in range(1, MOST_OF_A_NAME):
            path = self._path / f"{stem}{'' if number == 1 else f'_{number}'}.{kind}"
            if self._write(path, data) or _holds(path, data):
                return path
        raise ImagebusError(f"--save {self._path}: {stem}.{kind} is there {MOST_OF_A_NAME} times")

    def _write(self, path: Path, data: bytes) -> bool:
        """Write a file that is not there yet; false where it is."""
        try:
            with path.open("xb") as file:  # never through a link, never over another file
                try:
                    file.write(data)
                    file.flush()
                except BaseException:
                    with suppress(OSError):
                        path.unlink()
                    raise
        except FileExistsError:
            return False
        return True


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data


def _stem(seen: Seen) -> str:
    record = seen.record
    parts = [_stamp(record.timestamp_ms), _safe(seen.source)]
    if seen.frame:
        parts.append(str(seen.frame.sequence))
    return "_".join([*parts, f"{record.partition}-{record.offset}"])


def _stamp(timestamp_ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return str(timestamp_ms)
    return f"{moment:%Y%m%dT%H%M%S}.{timestamp_ms % 1000:03d}Z"


def _safe(name: str) -> str:
    """Return the name in letters, digits, _ and -: no dots, no slashes, nothing long."""
    return UNSAFE.sub("-", name)[:MOST_NAME].strip("-") or "unnamed"
