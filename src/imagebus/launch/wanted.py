"""Whether a start is still wanted, or was stopped meanwhile."""

from __future__ import annotations

from pathlib import Path

from imagebus.errors import ImagebusError
from imagebus.launch import stop_request


class StoppedError(ImagebusError):
    """stop.sh was called while the start was under way."""


class Wanted:
    """Tells requests to stop that came since the start began.

    Args:
        data: the folder that is started from.
        before: the newest request when the start began; None where it begins now.
    """

    def __init__(self, data: Path, before: str | None = None) -> None:
        self._data = data
        self._before = stop_request.newest(data) if before is None else before

    def check(self) -> None:
        """Go on only while nobody asked to stop since.

        Raises:
            StoppedError: somebody did.
        """
        if stop_request.newest(self._data) != self._before:
            raise StoppedError("stopped meanwhile")
