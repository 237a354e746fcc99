"""Records of all partitions merged by time, with no more than a few of them in memory."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from math import inf
from operator import attrgetter

from imagebus.bus import Place, Survey
from imagebus.ending import Ending
from imagebus.record import Record

MOST = 200
FAR_MS = 2**60
by_time = attrgetter("timestamp_ms", "partition", "offset")


def in_order(
    survey: Survey,
    begin: Mapping[Place, int],
    end: Mapping[Place, int],
    most: int = MOST,
    until_ms: int | None = None,
) -> Iterator[Record]:
    """Yield the records from ``begin`` to before ``end`` of each place by capture time.

    They are read in slices of time. Where a clock was ahead, or very many came at once, the order within
    that stretch is only nearly that of time.

    Args:
        most: so many records are held in memory, nearly.
        until_ms: what was captured later is not wanted: a place is read no further than any such is expected.
    """
    endings = {place: Ending(until_ms) for place in begin}
    at = {place: min(first, end[place]) for place, first in begin.items() if place in end}
    time_ms, step_ms = _first_ms(survey, at, end), 1000
    while any(at[place] < end[place] for place in at):
        if _count(at, end) <= most or time_ms + step_ms > FAR_MS:
            until = {place: end[place] for place in at}
        else:
            found = survey.since(at, time_ms + step_ms)
            until = {place: min(max(found.get(place, 0), at[place]), end[place]) for place in at}
        count = _count(at, until)
        if count > most and step_ms > 1:
            step_ms = max(1, step_ms // 4)
            continue
        time_ms += step_ms
        if count < most // 4:
            step_ms *= 2
        over = yield from _slice(survey, at, until, most, endings)
        at = {place: end[place] if place in over else until[place] for place in at}


def _count(begin: Mapping[Place, int], end: Mapping[Place, int]) -> int:
    return sum(end[place] - begin[place] for place in begin)


def _first_ms(survey: Survey, at: Mapping[Place, int], end: Mapping[Place, int]) -> int:
    first = {place: (offset, offset + 1) for place, offset in at.items() if offset < end[place]}
    return max(0, min((record.timestamp_ms for record in survey.read(first, inf)), default=0))


def _slice(
    survey: Survey,
    begin: Mapping[Place, int],
    end: Mapping[Place, int],
    most: int,
    endings: Mapping[Place, Ending],
) -> Generator[Record, None, set[Place]]:
    """Yield a slice, in pieces where it is too large to be sorted as a whole; return which are over."""
    at, over = dict(begin), set[Place]()
    while open_places := [place for place in at if at[place] < end[place] and place not in over]:
        share = max(1, most // len(open_places))
        piece = {place: (at[place], min(at[place] + share, end[place])) for place in open_places}
        found = list(survey.read(piece, inf))
        for record in found:
            if endings[place := (record.topic, record.partition)].is_reached(record.key, record.timestamp_ms):
                over.add(place)
        yield from sorted(found, key=by_time)
        at |= {place: until for place, (_, until) in piece.items()}
    return over
