"""Pictures written to a folder: every name safe, nothing ever overwritten."""

from __future__ import annotations

import json
import os
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

        The very picture saved before, with the same facts, is not written again.

        Raises:
            ImagebusError: there is no room, or no right to write.
        """
        data = seen.frame.image if seen.frame else seen.record.value or b""
        facts = json.dumps(seen.plain, indent=1).encode()
        try:
            return self._write_new(_stem(seen), {"jpg" if seen.frame else "bin": data, "json": facts})
        except OSError as error:
            raise ImagebusError(f"--save {self._path}: {error.strerror}") from error

    def _write_new(self, stem: str, content: dict[str, bytes]) -> Path:
        """Write files under one stem, by ending; return the path of the first."""
        for number in range(1, MOST_OF_A_NAME):
            name = stem if number == 1 else f"{stem}_{number}"
            files = {self._path / f"{name}.{ending}": data for ending, data in content.items()}
            if not all(_holds(path, data) for path, data in files.items() if os.path.lexists(path)):
                continue
            if all(self._write(path, data) or _holds(path, data) for path, data in files.items()):
                return next(iter(files))
        raise ImagebusError(f"--save {self._path}: {stem} is there {MOST_OF_A_NAME} times")

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
