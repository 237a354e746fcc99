"""Walks a range of the input, record by record, and finds the outcome of each."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from imagebus.account.evidence import Evidence
from imagebus.account.subject import Part, Subject
from imagebus.bus import Bus, LogReader
from imagebus.ending import Ending
from imagebus.moment import within
from imagebus.record import Record

NO_EVIDENCE = "no evidence"


@dataclass(slots=True)
class Tally:
    """What the walk found in one partition.

    Attributes:
        walked: records.
        outcomes: records by their last outcome.
        rivals: of those with evidence of several outcomes, how many could have each.
        gaps: offsets without a record.
        cut: offsets that retention took during the walk.
        repeats: how many times records were published once more.
        several: records with evidence of several outcomes.
        without, without_ms: records without evidence: their offsets and capture times (Unix ms).
        beyond: records behind the commit that have evidence: they are in work.
    """

    walked: int = 0
    gaps: int = 0
    cut: int = 0
    repeats: int = 0
    several: int = 0
    beyond: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    rivals: Counter[str] = field(default_factory=Counter)
    without: array[int] = field(default_factory=lambda: array("q"))
    without_ms: array[int] = field(default_factory=lambda: array("q"))


@dataclass(frozen=True, slots=True)
class Named:
    """A frame by name, with its outcome; a record that is no frame has no source."""

    partition: int
    offset: int
    outcome: str
    source: str = ""
    epoch: str = ""
    sequence: int = -1


class Walk:
    """One walk over all partitions, one after the other; nothing is kept of a record but counts.

    Attributes:
        tallies: what was found so far, by partition.
    """

    def __init__(self, bus: Bus, of: Subject, evidence: dict[int, Evidence]) -> None:
        self._bus = bus
        self._of = of
        self._evidence = evidence
        self.tallies: dict[int, Tally] = {number: Tally() for number in of.parts}

    def frames(self, *, named: bool) -> Iterator[Named]:
        """Walk; yield every record by name, where that is wanted."""
        with self._bus.log(self._of.input) as log:
            for number, part in self._of.parts.items():
                yield from self._partition(log, part, self._evidence[number], named=named)

    def _partition(self, log: LogReader, part: Part, evidence: Evidence, *, named: bool) -> Iterator[Named]:
        tally = self.tallies[part.partition]
        ending, expected = Ending(self._of.span[1]), part.first
        for record in log.read({part.partition: (part.first, part.end)}):
            if ending.is_reached(record.key, record.timestamp_ms):
                break
            tally.cut += _cut(log, part, expected, record.offset)
            expected = record.offset + 1
            if not within(self._of.span, record.timestamp_ms):
                continue
            outcome = self._take(tally, evidence, record)
            if named:
                yield _named(record, outcome)
        if self._of.is_whole:
            tally.cut += _cut(log, part, expected, part.end)
            tally.gaps = part.end - part.first - tally.walked - tally.cut
        tally.beyond = len(evidence.beyond)

    def _take(self, tally: Tally, evidence: Evidence, record: Record) -> str:
        tally.walked += 1
        outcome = evidence.last(record.offset)
        if not outcome:
            tally.without.append(record.offset)
            tally.without_ms.append(record.timestamp_ms)
            return NO_EVIDENCE
        tally.outcomes[outcome] += 1
        tally.repeats += evidence.repeats(record.offset)
        if len(kinds := list(evidence.all(record.offset))) > 1:
            tally.several += 1
            tally.rivals.update(kinds)
        return outcome


def _cut(log: LogReader, part: Part, expected: int, found: int) -> int:
    """Return how many offsets retention took during the walk: no gaps, but no longer in the log."""
    if found <= expected + 1:  # nothing is missing, or one: the mark of a transaction
        return 0
    low, _ = log.edges()[part.partition]
    return max(0, min(low, found) - expected)


def _named(record: Record, outcome: str) -> Named:
    try:
        name = _decoder.decode(record.value or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Named(record.partition, record.offset, outcome)
    return Named(record.partition, record.offset, outcome, name.source, name.epoch, name.sequence)


class _Name(msgspec.Struct):
    source: str
    epoch: str
    sequence: int


_decoder = msgspec.msgpack.Decoder(_Name)
