"""``imagebus dlq show``: dead letters one by one."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from imagebus.bus import Bus, Place, Survey
from imagebus.columns import clock, cut
from imagebus.commands.show import MOST_PICTURES, NEWEST, RangeOptions, check, edges_of, in_range, places_of
from imagebus.dead_letter import Letter, letter_of
from imagebus.in_order import in_order
from imagebus.log import say
from imagebus.options import Field
from imagebus.record import Record
from imagebus.saved import Folder
from imagebus.seen import Seen, see
from imagebus.topics import dead_letters_of

ABOUT = """\
Print a line for each dead letter: when it died, why, in which stage, and what it was. --from and --until are
times of death. Without them: the newest ten.
"""


class ShowOptions(RangeOptions):
    """The options of ``imagebus dlq show``."""

    group: str = Field("", description="only dead letters of this group")
    reason: str = Field("", description="only those with this reason")


def main(argv: Sequence[str]) -> int:
    """Print the dead letters."""
    options = ShowOptions.parse(argv, "imagebus dlq show", ABOUT)
    bus = Bus(options.kafka, options.kafka_config)
    topic = dead_letters_of(options.topic.removesuffix(dead_letters_of("")))
    places = places_of(topic, bus.topics(), options.kafka)
    folder = Folder(options.save) if options.save else None
    with bus.survey() as survey:
        for record in _letters(survey, places, options):
            letter, seen = letter_of(record), see(record)
            where = f"  {folder.keep(seen)}" if folder else ""
            say(json.dumps(_plain(letter, seen)) if options.as_json else _line(letter, seen) + where)
        check(survey)
    return 0


def _letters(survey: Survey, places: list[Place], options: ShowOptions) -> Iterable[Record]:
    edges = edges_of(survey, places)
    if options.from_ms is not None or options.until_ms is not None:
        found = in_range(survey, options, edges, MOST_PICTURES)
        return itertools.islice(_of_interest(found, options), options.count)
    if options.group or options.reason:
        return deque(_of_interest(_all(survey, edges), options), options.count or NEWEST)
    return in_range(survey, options, edges, MOST_PICTURES)


def _all(survey: Survey, edges: Mapping[Place, tuple[int, int]]) -> Iterator[Record]:
    begin = {place: low for place, (low, _) in edges.items()}
    return in_order(survey, begin, {place: high for place, (_, high) in edges.items()}, MOST_PICTURES)


def _of_interest(records: Iterable[Record], options: ShowOptions) -> Iterator[Record]:
    for record in records:
        letter = letter_of(record)
        if options.group in ("", letter.group) and options.reason in ("", letter.reason):
            yield record


def _line(letter: Letter, seen: Seen) -> str:
    what = cut(seen.source, 40) + (f" #{seen.frame.sequence}" if seen.frame else " no frame")
    captured = f"captured {clock(letter.captured_ms)}" if letter.captured_ms >= 0 else "without a time"
    why = f"{cut(letter.reason, 20)} in {cut(letter.stage, 40)}: {cut(letter.error, 160)}"
    return f"{clock(letter.died_ms)}  {what.strip()}  {captured}  {letter.size} B  {why}"


def _plain(letter: Letter, seen: Seen) -> dict[str, Any]:
    return {"dead_letter": asdict(letter), "record": seen.plain}
