"""What a service has written to its log since this start, ready for a terminal."""

from __future__ import annotations

from pathlib import Path

from imagebus.launch.service import STARTED
from imagebus.text import printable

MOST_BYTES = 16_384


class Log:
    """One service's log, from its present end on.

    Args:
        file: need not be there yet; may be rotated at any time.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._beginning = self._shown = self._size()
        self._last = ""

    def new(self) -> list[str]:
        """Return the whole lines that were added since the last call; of equal ones in a row the first."""
        text = self._read(self._shown).rpartition(b"\n")[0]
        if not text:
            return []
        self._shown = (self._shown if self._shown <= self._size() else 0) + len(text) + 1
        lines = _distinct(text, self._last)
        self._last = lines[-1] if lines else self._last
        return lines

    def since_the_beginning(self) -> list[str]:
        """Return the lines of this start; of equal ones in a row the first."""
        return _distinct(self._read(self._beginning)[-MOST_BYTES:])

    def rest(self) -> list[str]:
        """Return those lines of this start that ``new`` has not returned yet."""
        return _distinct(self._read(self._shown)[-MOST_BYTES:], self._last)

    def _read(self, start: int) -> bytes:
        if not self._file.is_file():
            return b""
        with self._file.open("rb") as file:
            file.seek(start if start <= self._size() else 0)
            return file.read()

    def _size(self) -> int:
        return self._file.stat().st_size if self._file.is_file() else 0


def _distinct(text: bytes, last: str = "") -> list[str]:
    """Leave out repeated lines, empty ones and those that only say when the service was started."""
    found: list[str] = []
    for line in text.decode("utf-8", "replace").splitlines():
        shown = printable(line)
        if shown.strip() and not shown.startswith(STARTED) and shown != (found[-1] if found else last):
            found.append(shown)
    return found
