"""All topics of a bus at one look: what they carry, how much, how fast, and who waits for what."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from imagebus import codec, commit, topic_class
from imagebus.bus import Bus, Place, Survey
from imagebus.connection import Position
from imagebus.errors import BusError
from imagebus.record import Record
from imagebus.replayed import MARKS
from imagebus.topics import dead_letters_of, meta_of

RATE_OVER_MS = 10_000
MOST_SAMPLED = 20_000
"""So many META records are read at most, of all topics together."""
MOST_OF_ONE = 500
WITHIN_S = 3.0
FRAMES, META, DEAD_LETTERS, OTHER, EMPTY = "frames", "meta", "dead letters", "other", "empty"
Edges = Mapping[Place, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class GroupView:
    """How far a group is: ``lag`` records of ``topic`` wait for it; a bounded run at its end ``is_over``."""

    group: str
    topic: str
    lag: int
    is_over: bool = False


@dataclass(slots=True)
class TopicView:
    """One topic.

    Attributes:
        carries: ``frames``, ``meta``, ``dead letters``, ``other`` or ``empty``.
        sources: names of the cameras seen lately.
        frames: records in the log.
        rate: frames a second over the last seconds.
        newest_ms: latest capture time, Unix ms; none where nothing is known.
        groups: those that read it, or its META.
        dead_letters: records in the log of dead letters.
        problem: why not all is known.
    """

    topic: str
    partitions: int
    carries: str = EMPTY
    topic_class: str = ""
    sources: set[str] = field(default_factory=set)
    frames: int = 0
    rate: float = 0.0
    newest_ms: int | None = None
    groups: list[GroupView] = field(default_factory=list)
    dead_letters: int = 0
    problem: str = ""


def look(bus: Bus) -> list[TopicView]:
    """Return every topic, by name.

    Raises:
        BusError: no answer in time, or no right to ask.
    """
    partitions = bus.topics()
    views = {topic: TopicView(topic, count) for topic, count in sorted(partitions.items())}
    with bus.survey() as survey:
        edges = survey.edges((topic, p) for topic, count in partitions.items() for p in range(count))
        newest = _newest(survey, edges)
        for view in views.values():
            _describe(view, edges, newest)
        classes = topic_class.with_origins({topic: view.topic_class for topic, view in views.items()})
        for topic, view in views.items():
            view.topic_class = classes[topic] if view.carries != OTHER else ""
        _measure(views, survey, edges)
        for topic, why in survey.refused.items():
            views[topic].problem = why
    _add_groups(views, bus, edges)
    return list(views.values())


def _newest(survey: Survey, edges: Edges) -> dict[Place, Record]:
    """Return the newest record of each place, as far as they are to be had in time."""
    wanted = {place: (high - 1, high) for place, (low, high) in edges.items() if high > low}
    return {(r.topic, r.partition): r for r in survey.read(wanted, WITHIN_S)}


def _describe(view: TopicView, edges: Edges, newest: Mapping[Place, Record]) -> None:
    """Add what the newest record of each partition says."""
    places = [(view.topic, p) for p in range(view.partitions)]
    held = [place for place in places if place in edges and edges[place][0] < edges[place][1]]
    view.frames = sum(edges[place][1] - edges[place][0] for place in held)
    records = [newest[place] for place in held if place in newest]
    if missing := len(held) - len(records):
        view.problem = f"the newest record of {missing} partitions is not to be had"
    view.newest_ms = max((record.timestamp_ms for record in records), default=None)
    view.carries = _carries(view.topic, records) if held else EMPTY
    view.topic_class = topic_class.class_of(newest.get(place) for place in held)
    view.sources = {_source(record) for record in records if record.key}


def _carries(topic: str, records: list[Record]) -> str:
    if topic.endswith(dead_letters_of("")):
        return DEAD_LETTERS
    types = {record.header("content-type") for record in records}
    if codec.CONTENT_TYPE in types:
        return FRAMES
    return META if codec.META_CONTENT_TYPE in types else OTHER


def _source(record: Record) -> str:
    key = record.key or b""
    if len(key) > codec.MAX_NAME_BYTES:  # no camera's; the log may be full of them
        return f"(a key of {len(key)} bytes)"
    return key.decode("utf-8", "replace")


def _measure(views: Mapping[str, TopicView], survey: Survey, edges: Edges) -> None:
    """Add sources and rates by the last records of META; without META, the rate by offsets alone."""
    watched = {t: _measured_by(t, views) for t, view in views.items() if view.carries in (FRAMES, META)}
    sampled = {meta for meta in watched.values() if meta}
    places = [p for p, (low, high) in edges.items() if p[0] in sampled and low < high]
    share = max(1, min(MOST_OF_ONE, MOST_SAMPLED // max(1, len(places))))
    ranges = {place: (max(edges[place][0], edges[place][1] - share), edges[place][1]) for place in places}
    stamps: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for record in survey.read(ranges, WITHIN_S):
        stamps[record.topic][_source(record)].append(record.timestamp_ms)
    now_ms = time.time_ns() // 1_000_000
    unsampled = [place for place in edges if watched.get(place[0], "-") == ""]
    since = survey.since(unsampled, now_ms - RATE_OVER_MS)
    for topic, meta in watched.items():
        view = views[topic]
        if meta:
            view.sources |= stamps[meta].keys()
            view.rate = sum(rate_of(found, now_ms) for found in stamps[meta].values())
        else:
            lately = sum(edges[place][1] - offset for place, offset in since.items() if place[0] == topic)
            view.rate = max(0, lately) * 1000 / RATE_OVER_MS


def _measured_by(topic: str, views: Mapping[str, TopicView]) -> str:
    """Return the META topic that tells of this one, empty where there is none."""
    meta = topic if views[topic].carries == META else meta_of(topic)
    return meta if meta in views and views[meta].carries == META else ""


def rate_of(stamps_ms: list[int], now_ms: int) -> float:
    """Return the frames a second of one source, by the capture times of its last frames.

    A clock that is ahead tells no age: then its newest frame is taken for fresh.
    """
    until_ms = max([now_ms, *stamps_ms])
    lately = [stamp for stamp in stamps_ms if stamp > until_ms - RATE_OVER_MS]
    if not lately:
        return 0.0
    all_there = len(lately) < len(stamps_ms)  # what was read reaches further back than what counts
    over_ms = RATE_OVER_MS if all_there else max(1000, until_ms - min(lately))
    return len(lately) * 1000 / over_ms


def _add_groups(views: Mapping[str, TopicView], bus: Bus, edges: Edges) -> None:
    """Add to each topic the groups that read it or its META, and its dead letters."""
    for group, positions in _positions(bus).items():
        for topic, places in positions.items():
            if topic not in views:
                continue
            base = topic_class.origin_of(topic) if topic.endswith(meta_of("")) else topic
            view = views.get(base, views[topic])
            view.groups.append(_group_view(group, topic, places, edges))
    for topic, view in views.items():
        view.groups.sort(key=lambda each: (each.is_over, each.group))
        of = {dead_letters_of(topic), dead_letters_of(meta_of(topic))}
        view.dead_letters = sum(views[name].frames for name in of if name in views)


def _positions(bus: Bus) -> dict[str, dict[str, dict[int, Position]]]:
    """Return the positions of every group that we may see."""

    def ask(group: str) -> dict[str, dict[int, Position]]:
        try:
            return bus.positions(group)
        except BusError:
            return {}  # a group of others, or one that is just going

    groups = [group for group in bus.groups() if not group.startswith(MARKS)]
    pool = ThreadPoolExecutor(16)
    try:
        return dict(zip(groups, pool.map(ask, groups), strict=True))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C waits for none of them


def _group_view(group: str, topic: str, places: Mapping[int, Position], edges: Edges) -> GroupView:
    lag, ends = 0, []
    for partition, position in places.items():
        low, high = edges.get((topic, partition), (0, 0))
        end = commit.read(position).end
        ends.append(end is not None and position.offset >= end)
        lag += max(0, (high if end is None else min(end, high)) - max(position.offset, low))
    return GroupView(group, topic, lag, bool(ends) and all(ends))
