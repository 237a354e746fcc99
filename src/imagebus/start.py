"""Where a group begins to read that never read before, and where a bounded run ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator

from imagebus import moment
from imagebus.commit import Commit
from imagebus.connection import Offsets, Position
from imagebus.moment import Range

LATEST = "latest"
EARLIEST = "earliest"


def parse(value: str | int) -> str | int:
    """Return ``latest``, ``earliest``, or Unix milliseconds.

    Raises:
        ValueError: it is none of these, or lies ahead.
    """
    if value in (LATEST, EARLIEST):
        return value
    try:
        found = moment.parse(value)
    except ValueError as error:
        raise ValueError(f"latest, earliest or {error}") from None
    if found > moment.now_ms():
        raise ValueError("latest, earliest or a time that is past is wanted")
    return found


def _moment(value: str | int | None) -> int | None:
    return None if value is None else moment.parse(value)


Start = Annotated[str | int, BeforeValidator(parse)]
Moment = Annotated[str | int | None, BeforeValidator(_moment)]


@dataclass(frozen=True, slots=True)
class Plan:
    """Finds where to begin in a partition, and the furthest that a bounded run may read.

    ``begin`` is ``latest``, ``earliest`` or Unix ms, ``bounded`` whether the run ends with what the log holds
    now, ``topic`` where the group writes, ``range`` the capture times that a bounded run was asked for.
    """

    begin: str | int
    bounded: bool = False
    topic: str = ""
    range: Range = (None, None)

    def __call__(self, log: Offsets, partition: int) -> Position:
        """Return the first position of a partition."""
        low, high = log.edges(partition)
        if isinstance(self.begin, int):
            begin = log.at(partition, self.begin)
        else:
            begin = low if self.begin == EARLIEST else high
        end = high if self.bounded else None
        return Commit(begin, topic=self.topic, log=log.id, end=end, range=self.range).at(begin)
