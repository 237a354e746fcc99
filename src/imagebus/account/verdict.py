"""Judges: whether commits, counts and evidence agree."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from imagebus.account.search import Source
from imagebus.account.subject import Part, Subject
from imagebus.account.walk import Tally
from imagebus.commit import EXPIRED
from imagebus.topics import OUTCOMES

NAMED = 10


class Verdict:
    """What was found, and whether it adds up.

    Attributes:
        faults: what is missing or contradicts, one line each.
        remarks: what a reader should know, and is no fault.
        unkept: records whose evidence retention may have removed by now, by partition.
    """

    def __init__(self, of: Subject, tallies: Mapping[int, Tally], sources: Sequence[Source]) -> None:
        self.subject = of
        self.tallies = tallies
        self.sources = sources
        self._now_ms = time.time_ns() // 1_000_000
        self.unkept: Counter[int] = Counter()
        self.remarks: list[str] = []
        parts = of.parts.values()
        self.faults = list(chain.from_iterable(self._judge(part, tallies[part.partition]) for part in parts))
        self._remark()

    @property
    def adds_up(self) -> bool:
        """Whether nothing is missing and nothing contradicts."""
        return not self.faults

    @property
    def counts(self) -> Counter[str]:
        """Return the counts of all commits together."""
        return sum((Counter(part.commit.counts) for part in self.subject.parts.values()), Counter())

    def gone(self, part: Part) -> int:
        """Return how many offsets below the commit are no longer in the log."""
        if not self.subject.is_whole:
            return 0
        before = max(0, min(part.first, part.offset) - part.commit.begin)
        return before + self.tallies[part.partition].cut

    def _judge(self, part: Part, tally: Tally) -> Iterator[str]:
        place = f"{self.subject.input}[{part.partition}]"
        if not part.is_counted:
            yield f"{place}: another client committed {part.offset}, without counts: nothing can be proven"
            return
        yield from self._commit_faults(place, part)
        if part.commit.log and self.subject.log and part.commit.log != self.subject.log:
            yield (
                f"{place}: the topic was deleted and made again since the commit at {part.offset}: what "
                "became of the old records can no longer be proven; the group begins anew when it next runs"
            )
            return
        if part.offset > part.high:
            yield f"{place}: the commit at {part.offset} lies beyond the end of the log at {part.high}"
            return
        deficits = Counter(part.commit.counts)
        if self.subject.is_whole:
            deficits.subtract(tally.outcomes)
            yield from self._count_faults(place, part, tally, deficits)
        yield from self._missing(place, part, tally, deficits)

    def _commit_faults(self, place: str, part: Part) -> Iterator[str]:
        of = part.commit
        counted = sum(of.counts.values()) + of.gaps
        if counted != part.offset - of.begin:
            yield (
                f"{place}: the commit at {part.offset} counts {counted} offsets from {of.begin} on, "
                f"and there are {part.offset - of.begin}"
            )
        if of.begin < 0:
            yield f"{place}: it counts from {of.begin} on: no offset is negative"
        yield from (
            f"{place}: {count} {kind}: no count is negative" for kind, count in of.counts.items() if count < 0
        )

    def _count_faults(self, place: str, part: Part, tally: Tally, deficits: Counter[str]) -> Iterator[str]:
        """Compare counts and evidence: of no outcome is there more evidence than was counted."""
        for kind, missing in sorted(deficits.items()):
            found, counted = tally.outcomes[kind], part.commit.counts.get(kind, 0)
            if missing < 0 and -missing <= tally.rivals[kind]:
                self.remarks.append(
                    f"{place}: {found} {kind} by the last evidence, {counted} counted: records with evidence "
                    "of several outcomes, written by workers that overlapped or whose clocks differ"
                )
            elif missing < 0:
                yield f"{place}: {found} records have evidence of {kind}, the commit counts {counted}"
        if tally.gaps > part.commit.gaps:
            yield f"{place}: {tally.gaps} offsets have no record, the commit counts {part.commit.gaps} gaps"
        if (expired := part.commit.counts.get(EXPIRED, 0)) > self.gone(part):
            yield f"{place}: {expired} expired, but only {self.gone(part)} offsets are no longer in the log"

    def _missing(self, place: str, part: Part, tally: Tally, deficits: Counter[str]) -> Iterator[str]:
        """Judge the records without evidence: whether retention may have removed it, or it never was."""
        suspects = [source for source in self.sources if any(deficits[kind] > 0 for kind in source.kinds)]
        lost = [
            offset
            for offset, timestamp_ms in zip(tally.without, tally.without_ms, strict=True)
            if not any(source.may_have_lost(timestamp_ms, self._now_ms) for source in suspects)
        ]
        self.unkept[part.partition] = len(tally.without) - len(lost)
        if lost:
            yield f"{place}: {len(lost)} records have no outcome: {_ranges(lost)}"
            yield from (why for source in suspects if (why := self._why(source)))

    def _why(self, source: Source) -> str:
        if not source.exists:
            told = " (no right to make it, or it was deleted)" if source.topic == OUTCOMES else " (deleted?)"
            return f"  there is no topic {source.topic}{told}: {' and '.join(source.kinds)} left no evidence"
        if source.cut:
            return (
                f"  {source.cut} records are gone from the beginning of {source.topic} before their time: "
                "removed by hand, or its retention was shorter before"
            )
        return ""

    def _remark(self) -> None:
        of = self.subject
        if unkept := self.unkept.total():
            self.remarks.append(
                f"{unkept} records are in the log, but the retention of the topics with their evidence has "
                "removed it by now: not lost, proven by the counts alone"
            )
        if several := sum(tally.several for tally in self.tallies.values()):
            self.remarks.append(f"{several} records have evidence of several outcomes: the last one counts")
        if of.uncommitted:
            numbers = ", ".join(map(str, of.uncommitted))
            self.remarks.append(f"the group has committed nothing of partition {numbers}")
        if not of.outputs:
            self.remarks.append("no commit says where the group writes: name the topic with --also")


def _ranges(offsets: Sequence[int]) -> str:
    """Write offsets as ``3-7, 9``, the first ones."""
    found: list[list[int]] = []
    for offset in offsets:
        if found and found[-1][1] == offset - 1:
            found[-1][1] = offset
        else:
            found.append([offset, offset])
    shown = [f"{a}" if a == b else f"{a}-{b}" for a, b in found[:NAMED]]
    return ", ".join(shown) + (" ..." if len(found) > NAMED else "")
