"""What a group's commit carries beside its offset: whose log it counts, since when, and how records ended."""

from __future__ import annotations

from typing import Literal

import msgspec

from imagebus.connection import Position
from imagebus.moment import Range

OUTPUT = "output"
FILTERED = "filtered"
DEAD = "dead"
EXPIRED = "expired"
SKIPPED_STALE = "skipped.stale"
"""Older than ``--freshness`` allows, and not the newest of its source."""
SKIPPED_SUPERSEDED = "skipped.superseded"
"""With ``--freshness latest``: a newer one of its source was there."""
SKIPPED_OUTSIDE = "skipped.outside"
"""Of a bounded run: captured before ``--from`` or not before ``--until``."""
SKIPPED_OTHER_GROUP = "skipped.other-group"
"""A dead letter that was sent again, for another group."""

OUTCOMES = (
    OUTPUT,
    FILTERED,
    DEAD,
    EXPIRED,
    SKIPPED_STALE,
    SKIPPED_SUPERSEDED,
    SKIPPED_OUTSIDE,
    SKIPPED_OTHER_GROUP,
)


class Commit(msgspec.Struct, frozen=True, omit_defaults=True):
    """The metadata of a committed offset, at most a few hundred of the 4,096 bytes that Kafka allows.

    ``begin`` is the offset that counting began at, ``counts`` the records of [begin, offset) by outcome,
    ``log`` the id of the topic (a topic deleted and made again has another), ``topic`` where the group
    writes, ``partitions`` how many the topic had when the group began with this one. Of a bounded run,
    ``end`` is the offset at which it ends and ``range`` the capture times that it is of (Unix ms, None where
    there is no bound): whoever goes on with it keeps to them, also if told "five minutes ago" once more.
    Logs have gaps: offset - begin is the sum of the counts and ``gaps``.
    """

    begin: int = msgspec.field(name="from")
    counts: dict[str, int] = {}
    gaps: int = 0
    topic: str = ""
    log: str = ""
    end: int | None = None
    range: Range = (None, None)
    partitions: int = 0
    v: Literal[1] = 1

    def at(self, offset: int) -> Position:
        """Return the position that carries this."""
        return Position(offset, _encoder.encode(self).decode())


def read(position: Position) -> Commit:
    """Return what a position carries; one of another client, or of a version unlike ours, counts anew."""
    return _known(position) or Commit(position.offset)


def is_known(position: Position) -> bool:
    """Whether a position carries counts that add up to it."""
    return _known(position) is not None


def carried(position: Position) -> Commit | None:
    """Return what a position carries, also where it does not add up; None where it is none of ours."""
    try:
        return _decoder.decode(position.metadata)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _known(position: Position) -> Commit | None:
    found = carried(position)
    if found is None or min(found.begin, found.gaps, *found.counts.values()) < 0:
        return None
    adds_up = found.begin + sum(found.counts.values()) + found.gaps == position.offset
    return found if adds_up else None


def counts_of(position: Position) -> dict[str, int]:
    """Return the outcomes that a commit carries, by name."""
    return read(position).counts


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Commit)
