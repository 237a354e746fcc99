"""Searches the topics in which a group leaves evidence of what became of its records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec

from imagebus import outcomes
from imagebus.account.evidence import KINDS, PUBLISHED, Evidence
from imagebus.account.subject import Subject
from imagebus.bus import Bus, LogReader
from imagebus.commit import DEAD, OUTPUT
from imagebus.errors import BusError, FrameError
from imagebus.outgoing import GROUP, LOG, OFFSET, PARTITION, TOPIC
from imagebus.record import Record
from imagebus.topics import MAX_AHEAD_MS, META_SETTINGS, OUTCOMES, dead_letters_of, meta_of

MOST_DIGITS = 19
"""Of an offset, which is below 2 to the 63rd."""
RECORD_BYTES = 70
"""What a record takes on the broker's disk beside its key, value and headers."""
NOTED = tuple(kind for kind in KINDS if kind not in PUBLISHED)
"""What leaves no record of its own."""
Found = tuple[int, int, str, int]


@dataclass(slots=True)
class Source:
    """A topic that holds evidence.

    Attributes:
        exists: whether there is one of that name.
        cut: how many records are gone from its partitions' beginnings.
        kept_bytes: of the fullest partition that was cut.
        retention_ms, retention_bytes: its settings; -1 is without limit.
    """

    topic: str
    kinds: tuple[str, ...]
    exists: bool = False
    cut: int = 0
    kept_bytes: int = 0
    retention_ms: int = -1
    retention_bytes: int = -1

    def may_have_lost(self, timestamp_ms: int, now_ms: int) -> bool:
        """Whether its retention may have removed the evidence of a record by now."""
        if not self.cut:
            return False
        by_age = 0 <= self.retention_ms < now_ms - timestamp_ms
        return by_age or 0 <= self.retention_bytes <= self.kept_bytes


def search(bus: Bus, of: Subject) -> tuple[dict[int, Evidence], list[Source]]:
    """Return the evidence by partition, and the topics that were searched for it."""
    evidence = {number: Evidence(part.first, part.end) for number, part in of.parts.items()}
    sources = [Source(meta_of(topic), (OUTPUT,)) for topic in of.outputs]
    sources += [Source(dead_letters_of(of.input), (DEAD,)), Source(OUTCOMES, NOTED)]
    there = bus.topics()
    since_ms = _first_ms(bus, of) - _most_ahead_ms(bus, of.input)
    for source in sources:
        source.exists = source.topic in there
        if source.exists:
            _settings(bus, source)
            with bus.log(source.topic) as log:
                _search_one(log, source, of, evidence, since_ms)
    return evidence, sources


def _settings(bus: Bus, source: Source) -> None:
    try:
        found = bus.settings_of(source.topic)
    except BusError:  # no right to look: then those that we make topics with
        found = META_SETTINGS
    source.retention_ms = int(found.get("retention.ms", -1))
    source.retention_bytes = int(found.get("retention.bytes", -1))


def _first_ms(bus: Bus, of: Subject) -> int:
    """Return the least capture time of the first records, Unix ms; 0 where there are none."""
    with bus.log(of.input) as log:
        ranges = ({number: (part.first, part.end)} for number, part in of.parts.items())
        first = [record for one in ranges if (record := next(log.read(one), None))]
    return max(0, min((record.timestamp_ms for record in first), default=0))


def _most_ahead_ms(bus: Bus, topic: str) -> int:
    """Return how far ahead of the broker's clock a record of the topic may be stamped."""
    try:
        allowed = int(bus.settings_of(topic).get("message.timestamp.after.max.ms", MAX_AHEAD_MS))
    except BusError:  # no right to look
        allowed = MAX_AHEAD_MS
    return max(MAX_AHEAD_MS, allowed)  # at least: clocks of cameras and filters differ


def _search_one(
    log: LogReader, source: Source, of: Subject, evidence: dict[int, Evidence], since_ms: int
) -> None:
    edges = log.edges()
    is_output = OUTPUT in source.kinds
    # What is not an output is stamped with the time at which it was written, never before its record came.
    begin = {} if is_output or since_ms < 0 else log.since(since_ms)
    ranges = {number: (max(low, begin.get(number, low)), high) for number, (low, high) in edges.items()}
    kept = dict.fromkeys(edges, 0)
    find = _notes if source.topic == OUTCOMES else _published
    for record in log.read(ranges):
        kept[record.partition] += RECORD_BYTES + len(record.value or b"") + len(record.key or b"")
        for partition, offset, kind, at_ns in find(record, of):
            if partition in evidence:
                evidence[partition].add(offset, kind, at_ns)
    for number, (low, _) in log.edges().items():  # read again: retention may have cut it meanwhile
        source.cut += low
        source.kept_bytes = max(source.kept_bytes, kept.get(number, 0) if low else 0)


def _published(record: Record, of: Subject) -> Iterator[Found]:
    """Yield what an output or a dead letter says in its headers."""
    said = dict(record.headers)
    if said.get(GROUP) != of.group.encode() or said.get(TOPIC) != of.input.encode():
        return
    if of.log and said.get(LOG, of.log.encode()) != of.log.encode():
        return  # of a topic of this name that was deleted
    try:
        partition, offset = _number(said[PARTITION]), _number(said[OFFSET])
    except (KeyError, ValueError):
        return
    if record.topic == dead_letters_of(of.input):
        yield partition, offset, DEAD, record.timestamp_ms * 1_000_000
    else:
        yield partition, offset, OUTPUT, _received_ns(record)


def _number(text: bytes | None) -> int:
    """Return what a header says in decimal; whoever may write to the topic may have written anything."""
    if text is None or not 0 < len(text) <= MOST_DIGITS or not text.isdigit():
        raise ValueError(f"no number: {text!r}")
    return int(text)


def _received_ns(record: Record) -> int:
    """Return when the group took up the record that this came of."""
    try:
        return _decoder.decode(record.value or b"").trail[-1].received_ns
    except (msgspec.MsgspecError, ValueError, RecursionError, IndexError):
        return max(0, record.timestamp_ms) * 1_000_000


def _notes(record: Record, of: Subject) -> Iterator[Found]:
    """Yield what a note of outcomes says."""
    if record.key != of.group.encode():
        return
    try:
        note = outcomes.decode(record.value or b"")
    except FrameError:
        return
    if (note.group, note.topic) != (of.group, of.input) or (note.log and of.log and note.log != of.log):
        return
    part, reached = of.parts.get(note.partition), -1
    for first, last, kind in note.runs:
        if not reached < first <= last:
            return  # no note of ours: each run of those begins behind the one before
        reached = last
        if part and kind in NOTED:
            # Of what lies beyond the commit, one record stands for all.
            for offset in range(max(first, part.first), min(last, part.end) + 1):
                yield note.partition, offset, kind, record.timestamp_ms * 1_000_000


class _Hop(msgspec.Struct):
    received_ns: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Trail(msgspec.Struct):
    trail: list[_Hop]


_decoder = msgspec.msgpack.Decoder(_Trail)
