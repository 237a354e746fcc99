"""``imagebus show``: the frames of a topic."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from imagebus import topics
from imagebus.bus import Bus, Place, Survey
from imagebus.captured import CapturedOptions
from imagebus.ending import LATE_MS
from imagebus.errors import BrokerAwayError, BusError
from imagebus.in_order import in_order
from imagebus.log import say, warn
from imagebus.moment import within
from imagebus.options import Field, Positional
from imagebus.record import Record
from imagebus.saved import Folder
from imagebus.seen import see
from imagebus.topics import MAX_AHEAD_MS, meta_of

ABOUT = """\
Print a line for each frame of a topic: capture time, source, sequence, size, what was found, the stages it
passed. Without --from, --until and --follow: the newest ten.
"""
NEWEST = 10
LOOK_EVERY_S = 0.2
MOST_PICTURES = 50


def existing(name: str) -> str:
    """Return the name of a topic that may be longer than those we make: a derived one."""
    longest = len(topics.dead_letters_of(meta_of("")))
    topics.legal(name[:-longest] if len(name) > longest else name)
    topics.legal(name[-longest:])
    return name


AnyTopic = Annotated[str, AfterValidator(existing)]


class RangeOptions(CapturedOptions):
    """The options of commands that show a range of a topic."""

    topic: Positional[AnyTopic] = Field(description="topic to read")
    count: int | None = Field(
        None, ge=1, description="print at most so many; without --from and --until the newest"
    )
    save: Path | None = Field(None, description="write each picture to this folder, with a JSON file beside")
    as_json: bool = Field(False, validation_alias="json", description="print one JSON object a line")


class ShowOptions(RangeOptions):
    """The options of ``imagebus show``."""

    follow: bool = Field(False, description="go on with what comes, until Ctrl-C or --count")
    meta: bool = Field(False, description="read the topic's META only: no pictures, a hundredth of the bytes")


def main(argv: Sequence[str]) -> int:
    """Print the frames."""
    options = ShowOptions.parse(argv, "imagebus show", ABOUT)
    bus = Bus(options.kafka, options.kafka_config)
    folder = Folder(options.save) if options.save else None
    with bus.survey() as survey:
        for record in _records(survey, options, _places(bus, survey, options)):
            seen = see(record)
            where = f"  {folder.keep(seen)}" if folder else ""
            if not options.quiet:
                say(json.dumps(seen.plain) if options.as_json else seen.line + where)
        check(survey)
    return 0


def check(survey: Survey) -> None:
    """Raise where a topic was not to be read.

    Raises:
        BusError: it says why.
    """
    for why in survey.refused.values():
        raise BusError(why)


def _places(bus: Bus, survey: Survey, options: ShowOptions) -> list[Place]:
    """Return the partitions to read: of META where that is enough and there."""
    there = bus.topics()
    topic, meta = options.topic, meta_of(options.topic)
    if options.save and topic not in there and meta in there:
        raise BusError(f"{topic} has no pictures to save, only {meta}: without --save it is shown")
    if options.meta and meta not in there:
        raise BusError(f"there is no topic {meta} on {options.kafka}")
    if not options.save and meta in there and (options.meta or _has_any(survey, meta, there[meta])):
        topic = meta
    return places_of(topic, there, options.kafka)


def _has_any(survey: Survey, topic: str, partitions: int) -> bool:
    edges = survey.edges((topic, partition) for partition in range(partitions))
    return any(low < high for low, high in edges.values())


def places_of(topic: str, there: Mapping[str, int], kafka: str) -> list[Place]:
    """Return all partitions of a topic.

    Raises:
        BusError: there is no such topic.
    """
    if topic not in there:
        raise BusError(f"there is no topic {topic} on {kafka}")
    return [(topic, partition) for partition in range(there[topic])]


def _records(survey: Survey, options: ShowOptions, places: list[Place]) -> Iterator[Record]:
    most = MOST_PICTURES if options.save else 200
    edges = edges_of(survey, places)
    end = {place: high for place, (_, high) in edges.items()}
    found: Iterator[Record] = iter(())
    if not options.follow or options.from_ms is not None:
        found = in_range(survey, options, edges, most)
    if options.follow:
        found = itertools.chain(found, _followed(survey, end, most))
    return itertools.islice(found, options.count)


def edges_of(survey: Survey, places: list[Place]) -> dict[Place, tuple[int, int]]:
    """Return the ends of the log of each place.

    Raises:
        BusError: it may not be read.
    """
    edges = survey.edges(places)
    check(survey)
    return edges


def in_range(
    survey: Survey,
    options: RangeOptions,
    edges: Mapping[Place, tuple[int, int]],
    most: int,
    newest: int = NEWEST,
) -> Iterator[Record]:
    """Yield what the options ask for, by time; without a range the newest only."""
    end = {place: high for place, (_, high) in edges.items()}
    begin = {place: low for place, (low, _) in edges.items()}
    begin_ms, until_ms = options.from_ms, options.until_ms
    if begin_ms is None and until_ms is None:
        yield from _newest(survey, edges, options.count or newest, most)
        return
    if begin_ms is not None:
        begin |= survey.since(begin, begin_ms)
    if until_ms is not None:
        end |= survey.since(end, until_ms + MAX_AHEAD_MS + LATE_MS)
    for record in in_order(survey, begin, end, most, until_ms):
        if within((begin_ms, until_ms), record.timestamp_ms):
            yield record


def _newest(
    survey: Survey, edges: Mapping[Place, tuple[int, int]], count: int, most: int
) -> Iterator[Record]:
    """Yield the newest records; where offsets have none, it is looked further back until there are enough."""
    end = {place: high for place, (_, high) in edges.items()}
    begin = {place: max(low, high - count) for place, (low, high) in edges.items()}
    while True:
        newest: deque[tuple[Place, int]] = deque(maxlen=count)  # not the records: pictures are large
        found: Counter[Place] = Counter()
        for record in in_order(survey, begin, end, most):
            place = (record.topic, record.partition)
            newest.append((place, record.offset))
            found[place] += 1
        few = [place for place in begin if found[place] < count and begin[place] > edges[place][0]]
        if not few:
            break
        begin |= {place: max(edges[place][0], 4 * begin[place] - 3 * end[place]) for place in few}
    wanted = set(newest)
    first: dict[Place, int] = {}
    for place, offset in newest:
        first[place] = min(offset, first.get(place, offset))
    for record in in_order(survey, first, end, most):
        if ((record.topic, record.partition), record.offset) in wanted:
            yield record


def _followed(survey: Survey, at: dict[Place, int], most: int) -> Iterator[Record]:
    """Yield what comes from now on; an outage of the broker is waited out."""
    told = False
    while True:
        try:
            for place, (low, high) in survey.edges(at).items():
                begin = min(max(at[place], low), high)
                for first in range(begin, high, most):
                    for record in survey.read({place: (first, min(first + most, high))}, inf):
                        at[place] = record.offset + 1
                        yield record
                at[place] = high
            told = False
        except BrokerAwayError as error:
            if not told:
                warn(f"{error}; waiting for it")
            told = True
        time.sleep(LOOK_EVERY_S)
