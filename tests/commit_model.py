"""A broker and workers under control: acknowledgements in any order, kills and rebalances at any instant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from imagebus import commit, outcomes
from imagebus.commit import DEAD, OUTPUT, Commit
from imagebus.connection import Acknowledged, Assigned, Listener, Position, Start
from imagebus.errors import FrameError
from imagebus.outgoing import GROUP, OFFSET, PARTITION
from imagebus.record import Headers, Outgoing, Record
from imagebus.runner import Runner
from imagebus.topics import OUTCOMES, dead_letters_of, meta_of
from tests.broker import frame_put, plain_frame
from tests.filters.every_outcome import EveryOutcome

IN, OUT, THE_GROUP, LOG = "IN", "OUT", "group", "log"
Place = tuple[int, int]


@dataclass(eq=False)
class Sent:
    """One record on its way to the broker; ``terms`` tells which term of each partition it was sent in."""

    topic: str
    value: bytes | None
    headers: Headers
    acknowledged: Acknowledged
    terms: dict[int, int]

    def speaks_of(self) -> Iterator[tuple[Place, str]]:
        """Yield the records that it is evidence of, and their outcome; a frame alone is half of one."""
        if self.topic == OUTCOMES:
            note = outcomes.decode(self.value or b"")
            for first, last, outcome in note.runs:
                assert outcome not in (OUTPUT, DEAD, commit.EXPIRED), (
                    "these leave a record of their own, or none"
                )
                yield from (((note.partition, offset), outcome) for offset in range(first, last + 1))
            return
        said = dict(self.headers)
        assert said[GROUP] == THE_GROUP.encode()
        kind = {OUT: "frame", meta_of(OUT): OUTPUT, dead_letters_of(IN): DEAD}[self.topic]
        yield (int(said[PARTITION]), int(said[OFFSET])), kind


class Broker:
    """What survives: the input, what was stored, and the commits that arrived."""

    def __init__(self, partitions: int) -> None:
        self.logs: list[dict[int, Record]] = [{} for _ in range(partitions)]
        self.ends = [0] * partitions
        self.lows = [0] * partitions
        self.produced = 0
        start = Commit(0, topic=OUT, log=LOG).at(0)
        self.commits: dict[int, Position] = dict.fromkeys(range(partitions), start)
        self.asked: list[tuple[Worker, int, int, Position]] = []
        """Commits on their way: by whom, of which term and partition."""
        self.owners: dict[int, tuple[Worker, int]] = {}
        self.evidence: dict[Place, set[str]] = defaultdict(set)
        self.copies: dict[Place, int] = defaultdict(int)

    def produce(self, partition: int, do: str, gap: int, captured_ns: int) -> None:
        """Append a frame, after so many offsets without a record."""
        offset = self.ends[partition] + gap
        frame = plain_frame(self.produced, f"cam{self.produced % 2}", attributes={"test.do": do})
        one = frame_put({**frame, "captured_ns": captured_ns})
        value = b"no frame" if do == "junk" else one.value
        at_ms = captured_ns // 1_000_000
        self.logs[partition][offset] = Record(IN, partition, offset, at_ms, one.key, value)
        self.ends[partition] = offset + 1
        self.produced += 1

    def retain(self, partition: int, low: int) -> None:
        """Forget the records below an offset."""
        self.lows[partition] = max(self.lows[partition], min(low, self.ends[partition]))

    def store(self, sent: Sent) -> None:
        """Keep a record: from now on nothing loses it."""
        for place, kind in sent.speaks_of():
            self.evidence[place].add(kind)
            self.copies[place] += kind in (OUTPUT, DEAD)

    def give(self, partition: int, worker: Worker) -> None:
        """Make somebody the owner, who begins at the last commit that arrived."""
        worker.terms[partition] = term = worker.terms.get(partition, 0) + 1
        self.owners[partition] = (worker, term)
        worker.begin(partition)

    def renew(self, partition: int, worker: Worker) -> None:
        """Have who reads a partition begin anew with it: in a term of its own, with outcomes of its own."""
        old, new = (worker, worker.terms[partition]), (worker, worker.terms[partition] + 1)
        worker.terms[partition] += 1
        if self.owners[partition] == old:
            self.owners[partition] = new
            self.asked = [
                (*new, at, position) if (by, term, at) == (*old, partition) else (by, term, at, position)
                for by, term, at, position in self.asked
            ]

    def arrive(self, count: int) -> None:
        """Let the first of the commits that are on their way arrive; those of former owners are refused."""
        for worker, term, partition, position in self.asked[:count]:
            if self.owners[partition] == (worker, term):
                self.commits[partition] = position
        del self.asked[:count]


@dataclass
class Known:
    """What one worker knows of one record in one term."""

    open: int = 0
    refused: bool = False
    sent: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)


class Worker:
    """One process: the real runner, delivery, ledgers and filter on connections that do as they are told."""

    def __init__(self, broker: Broker, *flags: str) -> None:
        self.broker = broker
        self.terms: dict[int, int] = {}
        self.began: dict[int, int] = {}
        self.next: dict[int, int] = {}
        self.on_its_way: list[Sent] = []
        self.answers: list[tuple[Sent, Exception | None]] = []
        self.known: dict[tuple[int, Place], Known] = defaultdict(Known)
        self.reads = 0
        self.is_answered = True
        fixed = ("-i", IN, "-t", OUT, "-n", "model", "--group", THE_GROUP, "-q", "--start", "earliest")
        self.filter = EveryOutcome(EveryOutcome.Options.parse([*fixed, *flags]))
        self.filter.start()
        self.runner = Runner(self.filter, self)

    # What the runner sees as its connection ------------------------------------------------------

    away = False

    def topics(self) -> dict[str, int]:
        return {IN: len(self.broker.logs)}

    def ensure_topic(self, topic: str, settings: Mapping[str, str] = {}, partitions: int = -1) -> None:
        """Every topic is there."""

    def publisher(self) -> Worker:
        return self

    def subscriber(
        self, topic: str, group: str, start: Start, listener: Listener, *, bounded: bool = False
    ) -> Worker:
        raise AssertionError("the model itself gives partitions")

    def send(self, record: Outgoing, acknowledged: Acknowledged) -> None:
        sent = Sent(record.topic, record.value, record.headers, acknowledged, dict(self.terms))
        self.on_its_way.append(sent)
        for (partition, offset), kind in sent.speaks_of():
            known = self.known[sent.terms[partition], (partition, offset)]
            known.open += kind in ("frame", OUTPUT)
            known.sent.add(kind)
            # A dead letter may be of an output that was refused, perhaps in an earlier term.
            noted, rest = known.sent - {"frame", OUTPUT, DEAD}, known.sent - {DEAD}
            assert offset in self.broker.logs[partition], "a note of an offset without a record"
            assert not noted or len(rest) == 1, f"{partition}@{offset} has several outcomes: {known}"

    def poll(self, timeout_s: float = 0.0) -> None:
        while self.answers:
            sent, error = self.answers.pop(0)
            for (partition, offset), kind in sent.speaks_of():
                known = self.known[sent.terms[partition], (partition, offset)]
                known.open -= kind in ("frame", OUTPUT)
                known.refused |= error is not None
                if error is None:
                    known.done.add(kind)
            sent.acknowledged(error)

    def flush(self, timeout_s: float) -> int:
        self.poll()
        while self.on_its_way and self.is_answered:
            self.acknowledge(0)
            self.poll()
        return len(self.on_its_way)

    @property
    def pending(self) -> int:
        return len(self.on_its_way) + len(self.answers)

    def read(self, limit: int, timeout_s: float) -> list[Record]:
        records: list[Record] = []
        for partition in list(self.next):
            if self.next[partition] < self.broker.lows[partition]:
                self.runner.lost([partition])
                self.broker.renew(partition, self)
                self.begin(partition)
            ahead = range(self.next[partition], self.broker.ends[partition])
            log = self.broker.logs[partition]
            found = [log[offset] for offset in ahead if offset in log][
                : min(limit - len(records), self.reads)
            ]
            if found:
                self.next[partition] = found[-1].offset + 1
                self.reads -= len(found)
                records += found
        return records

    def listen(self) -> list[Record]:
        return []

    def commit(self, positions: Mapping[int, Position]) -> None:
        for partition, position in positions.items():
            self.check(partition, position)
            self.broker.asked.append((self, self.terms[partition], partition, position))

    def commit_and_wait(self, positions: Mapping[int, Position]) -> None:
        self.commit(positions)

    def positions(self) -> dict[int, Position | None]:
        return dict(self.broker.commits)

    def ends(self) -> dict[int, int]:
        return {partition: self.broker.ends[partition] for partition in self.next}

    def close(self) -> None:
        """Leave the group; the model gives the partitions on."""

    # What the model does with it -----------------------------------------------------------------

    def begin(self, partition: int) -> None:
        position, low = self.broker.commits[partition], self.broker.lows[partition]
        self.began[partition] = self.next[partition] = max(position.offset, low)
        self.runner.assigned([Assigned(partition, position, low)])

    def answer(self, number: int) -> None:
        """Have the broker take one of the records on their way; a negative number refuses one."""
        if number < 0:
            self.refuse(number)
        elif self.on_its_way:
            self.acknowledge(number)

    def acknowledge(self, number: int) -> None:
        sent = self.on_its_way.pop(number % len(self.on_its_way))
        self.broker.store(sent)
        self.answers.append((sent, None))

    def refuse(self, number: int) -> None:
        refusable = [sent for sent in self.on_its_way if sent.topic in (OUT, meta_of(OUT))]
        if refusable:
            sent = refusable[number % len(refusable)]
            self.on_its_way.remove(sent)
            self.answers.append((sent, FrameError("too large", "refused")))

    def step(self, reads: int, *, is_due: bool, again: int = 0) -> None:
        """Go round the loop once, as ``Runner.run`` does; ``again`` offsets are fetched once more."""
        self.reads = reads
        self.next = {number: max(self.began[number], at - again) for number, at in self.next.items()}
        if is_due:
            self.runner._delivery._commit_due = 0.0  # time passes
        self.runner._step(self)

    def revoke(self, partition: int) -> None:
        """Have it let go of a partition in order."""
        positions = self.runner.revoked([partition])
        self.next.pop(partition, None)
        self.commit(positions)

    def lose(self, partition: int) -> None:
        """Have it know that somebody else has a partition."""
        self.next.pop(partition, None)
        self.runner.lost([partition])

    def stop(self) -> None:
        """Have it end in order: SIGTERM."""
        self.runner._catch_up(self.runner._delivery.partitions)
        self.runner._finish(self)

    def check(self, partition: int, position: Position) -> None:
        """See that nothing below a commit is open: read in this term, and held back, or not acknowledged."""
        broker = self.broker
        for offset in range(self.began[partition], position.offset):
            if offset in broker.logs[partition]:
                known = self.known[self.terms[partition], (partition, offset)]
                is_open = known.open or (DEAD not in known.done if known.refused else not known.done)
                assert not is_open, (
                    f"{partition}@{offset} is open below the commit at {position.offset}: {known}"
                )
        check_commit(broker, partition, position)


def check_commit(broker: Broker, partition: int, position: Position) -> None:
    """See that a commit counts just what lies below it, and that the broker holds evidence of all of it."""
    of, log, low = commit.read(position), broker.logs[partition], broker.lows[partition]
    assert of.begin == 0
    assert sum(of.counts.values()) + of.gaps == position.offset
    there = [offset for offset in log if offset < position.offset]
    expired = of.counts.get(commit.EXPIRED, 0)
    assert expired <= low
    gaps = position.offset - len(there)
    assert of.gaps == gaps if not expired else gaps - expired <= of.gaps <= gaps
    proven = [broker.evidence[partition, offset] - {"frame"} for offset in there]
    without = sum(1 for kinds in proven if not kinds)
    assert without <= expired, (
        f"{without} records below {position.offset} have no evidence, {expired} expired"
    )
    for kind, count in of.counts.items():
        if kind != commit.EXPIRED:
            surely, perhaps = (sum(1 for kinds in proven if test(kinds, kind)) for test in (_only, _also))
            assert surely - expired <= count <= perhaps, f"{count} {kind}, evidence of {surely} to {perhaps}"


def _only(kinds: Iterable[str], kind: str) -> bool:
    return set(kinds) == {kind}


def _also(kinds: Iterable[str], kind: str) -> bool:
    return kind in kinds
