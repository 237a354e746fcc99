"""Where a group begins to read that never read before."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator

from imagebus.connection import Offsets
from imagebus.connection import Start as Resolve

LATEST = "latest"
EARLIEST = "earliest"


def parse(value: str | int) -> str | int:
    """Return ``latest``, ``earliest``, or Unix milliseconds from an ISO 8601 time (local without a zone)."""
    if isinstance(value, int) or value in (LATEST, EARLIEST):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("latest, earliest or a time like 2026-11-21T14:00:00+01:00 is wanted") from None
    return int(moment.astimezone().timestamp() * 1000)


Start = Annotated[str | int, BeforeValidator(parse)]


def resolver(start: str | int) -> Resolve:
    """Return how the offset to begin at is found in a partition."""

    def resolve(log: Offsets, partition: int) -> int:
        if isinstance(start, int):
            return log.at(partition, start)
        low, high = log.edges(partition)
        return low if start == EARLIEST else high

    return resolve
