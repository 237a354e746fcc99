"""``imagebus topics``: what is on the bus."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from imagebus.bus import Bus
from imagebus.columns import age_s, cut, left, span
from imagebus.log import say, warn
from imagebus.options import BusOptions, Field
from imagebus.overview import DEAD_LETTERS, FRAMES, META, OTHER, GroupView, TopicView, look
from imagebus.topic_class import origin_of

ABOUT = """\
List the topics: class, sources, frames in the log, rate, age of the newest frame, dead letters, and how many
records each group has before it.

Class: redacted is what a redactor wrote and all that comes of it; clear is all else.
"""
NAME = 29
HEAD = f"{'TOPIC':<{NAME}} CLASS     FRAMES  SRC  RATE/s  NEWEST     DEAD"
MOST_GROUPS = 10


class TopicsOptions(BusOptions):
    """The options of ``imagebus topics``."""

    all: bool = Field(False, description="also META, dead letters and what carries no frames; every group")
    as_json: bool = Field(False, validation_alias="json", description="print one JSON object a topic")


def main(argv: Sequence[str]) -> int:
    """Print the table."""
    options = TopicsOptions.parse(argv, "imagebus topics", ABOUT)
    views = look(Bus(options.kafka, options.kafka_config))
    shown = views if options.all else list(_of_interest(views))
    if options.as_json:
        for view in shown:
            say(json.dumps(_plain(view)))
        return 0
    if shown:
        say(HEAD)
    for view in shown:
        for line in _lines(view, everything=options.all):
            say(line)
    if hidden := len(views) - len(shown):
        warn(f"{hidden} more topics (META, dead letters, other records): --all shows them")
    elif not views:
        warn(f"there is no topic on {options.kafka}")
    return 0


def _of_interest(views: Sequence[TopicView]) -> Iterator[TopicView]:
    there = {view.topic for view in views}
    for view in views:
        base = origin_of(view.topic)
        is_beside = view.topic != base and (base in there or view.carries == DEAD_LETTERS)
        if not is_beside and view.carries != OTHER and not view.topic.startswith("imagebus."):
            yield view


def _lines(view: TopicView, *, everything: bool) -> Iterator[str]:
    name = left(view.topic, NAME)
    if len(view.topic) > NAME:
        yield view.topic
        name = " " * NAME
    figures = f"{view.topic_class or '-':<8} {view.frames:>7} {_sources(view):>4} {_rate(view):>7}"
    newest = "-" if view.newest_ms is None else span(age_s(view.newest_ms))
    yield f"{name} {figures}  {newest:<9} {view.dead_letters or '-':>5}".rstrip()
    if view.problem:
        yield f"  not all is known: {cut(view.problem, 60)}"
    groups = view.groups if everything else [group for group in view.groups if not group.is_over]
    for group in groups if everything else groups[:MOST_GROUPS]:
        yield _group_line(group)
    if left_out := len(view.groups) - (len(view.groups) if everything else min(len(groups), MOST_GROUPS)):
        yield f"  {left_out} more groups (--all)"


def _sources(view: TopicView) -> str:
    return str(len(view.sources)) if view.sources and view.carries in (FRAMES, META) else "-"


def _rate(view: TopicView) -> str:
    if view.carries in (DEAD_LETTERS, OTHER):
        return "-"
    return f"{view.rate:.1f}"


def _group_line(group: GroupView) -> str:
    name = group.group + (" (META)" if group.topic.endswith(".META") else "")
    state = "done" if group.is_over else f"lag {group.lag}"
    return f"  {left(name, 62)} {state:>14}"


def _plain(view: TopicView) -> dict[str, object]:
    return {
        "topic": view.topic,
        "class": view.topic_class or None,
        "carries": view.carries,
        "partitions": view.partitions,
        "sources": sorted(view.sources),
        "frames": view.frames,
        "rate": round(view.rate, 3),
        "newest_ms": view.newest_ms,
        "dead_letters": view.dead_letters,
        "groups": [
            {"group": each.group, "topic": each.topic, "lag": each.lag, "done": each.is_over}
            for each in view.groups
        ],
        "problem": view.problem or None,
    }
