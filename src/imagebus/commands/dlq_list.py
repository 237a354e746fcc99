"""``imagebus dlq list``: dead letters counted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

from imagebus.bus import Bus, Place, Survey
from imagebus.columns import age_s, cut, left, span
from imagebus.commands.show import AnyTopic, check, edges_of, places_of
from imagebus.dead_letter import letter_of
from imagebus.errors import BusError
from imagebus.log import say
from imagebus.options import BusOptions, Field, Positional
from imagebus.replayed import Replayed
from imagebus.topics import dead_letters_of, meta_of

MOST_GROUPS = 100
"""Of so many groups, what was sent again is looked up."""
HEAD = f"  {'COUNT':>7} {'SENT AGAIN':>10}  {'NEWEST':<9} {'REASON':<13} STAGE and GROUP"


class ListOptions(BusOptions):
    """The options of ``imagebus dlq list``."""

    topic: Positional[AnyTopic] = Field(description="topic that was read, or its TOPIC.DLQ")
    as_json: bool = Field(False, validation_alias="json", description="print one JSON object a line")


@dataclass(slots=True)
class Kind:
    """Dead letters that have reason, group and stage in common; ``newest_ms`` is when the last one died."""

    reason: str
    group: str
    stage: str
    count: int = 0
    sent_again: int = 0
    newest_ms: int = 0


def main(argv: Sequence[str]) -> int:
    """Print the counts."""
    options = ListOptions.parse(
        argv, "imagebus dlq list", "Count the dead letters of a topic by reason, stage and group."
    )
    bus = Bus(options.kafka, options.kafka_config)
    there = bus.topics()
    topic = options.topic.removesuffix(dead_letters_of(""))
    names = [name for name in (dead_letters_of(topic), dead_letters_of(meta_of(topic))) if name in there]
    if not names:
        if topic not in there:
            raise BusError(f"there is no topic {topic} on {options.kafka}")
        if not options.as_json:
            say(f"no dead letters of {topic}")
        return 0
    with bus.survey() as survey:
        for name in names:
            kinds = _count(bus, survey, places_of(name, there, options.kafka))
            check(survey)
            for line in _as_json(name, kinds) if options.as_json else _as_table(name, kinds):
                say(line)
    return 0


def _count(bus: Bus, survey: Survey, places: list[Place]) -> list[Kind]:
    kinds: dict[tuple[str, str, str], Kind] = {}
    replayed: dict[str, Replayed | None] = {}
    for record in survey.read(edges_of(survey, places), inf):
        letter = letter_of(record)
        name = (letter.reason, letter.group, letter.stage)
        kind = kinds.setdefault(name, Kind(*name))
        kind.count += 1
        kind.newest_ms = max(kind.newest_ms, letter.died_ms)
        if letter.group not in replayed and len(replayed) < MOST_GROUPS:
            replayed[letter.group] = _replayed(bus, letter.group, record.topic)
        marks = replayed.get(letter.group)
        kind.sent_again += marks is not None and (letter.partition, letter.offset) in marks
    return sorted(kinds.values(), key=lambda kind: -kind.count)


def _replayed(bus: Bus, group: str, topic: str) -> Replayed | None:
    try:
        return Replayed(bus, group, topic)
    except BusError:
        return None  # no right to see that group, or no name that Kafka takes


def _as_json(topic: str, kinds: list[Kind]) -> Iterator[str]:
    for kind in kinds:
        yield json.dumps(
            {
                "topic": topic,
                "reason": kind.reason,
                "stage": kind.stage,
                "group": kind.group,
                "count": kind.count,
                "sent_again": kind.sent_again,
                "newest_ms": kind.newest_ms,
            }
        )


def _as_table(topic: str, kinds: list[Kind]) -> Iterator[str]:
    yield f"{topic}: {sum(kind.count for kind in kinds)} dead letters"
    if kinds:
        yield HEAD
    for kind in kinds:
        figures = f"{kind.count:>7} {kind.sent_again or '-':>10}  {left(span(age_s(kind.newest_ms)), 9)}"
        yield f"  {figures} {left(kind.reason, 13)} {cut(kind.stage, 35)}"
        yield f"  {'':>43}{cut(kind.group, 120)}"
