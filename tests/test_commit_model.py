"""Nothing is committed that is not safe: any order of acknowledgements, kills, rebalances, holds and gaps."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from imagebus import commit
from imagebus.errors import ImagebusError
from tests.commit_model import Broker, Worker, check_commit

PARTITIONS, WORKERS = 3, 2
partitions = st.integers(0, PARTITIONS - 1)
workers = st.integers(0, WORKERS - 1)
numbers = st.integers(0, 200)
few = st.integers(0, 6)
DOES = ["pass", "pass", "drop", "double", "fail", "hold", "hold", "release", "junk"]


class Commits(RuleBasedStateMachine):
    """Two workers of one group on three partitions."""

    @initialize(
        flags=st.sampled_from(
            [("--freshness", "all"), ("--freshness", "all", "--batch", "4"), ("--freshness", "latest")]
        )
    )
    def begin(self, flags: tuple[str, ...]) -> None:
        self.flags = flags
        self.broker = Broker(PARTITIONS)
        self.workers = [Worker(self.broker, *flags) for _ in range(WORKERS)]
        self.doubted: list[tuple[Worker, int]] = []
        """Partitions that somebody has lost and does not know yet."""
        for partition in range(PARTITIONS):
            self.broker.give(partition, self.workers[partition % WORKERS])

    @rule(
        partition=partitions,
        does=st.lists(st.sampled_from(DOES), max_size=8),
        gap=st.sampled_from([0, 0, 1, 3]),
    )
    def produce(self, partition: int, does: list[str], gap: int) -> None:
        for do in does:
            self.broker.produce(partition, do, gap, time.time_ns())

    @rule(number=workers, reads=few, is_due=st.booleans(), again=st.sampled_from([0, 0, 0, 2]))
    def step(self, number: int, reads: int, is_due: bool, again: int) -> None:
        worker = self.workers[number]
        try:
            worker.step(reads, is_due=is_due, again=again)
        except ImagebusError:  # too many failures in a row: it ends, as `run` does, and is started again
            worker.runner._finish(worker)
            self._replace(number)

    @rule(number=workers, order=st.lists(numbers, max_size=12))
    def acknowledge(self, number: int, order: list[int]) -> None:
        worker = self.workers[number]
        for one in order:
            if worker.on_its_way:
                worker.acknowledge(one)

    @rule(number=workers, which=numbers)
    def refuse(self, number: int, which: int) -> None:
        """The broker refuses one output for its own sake, and takes all others."""
        worker = self.workers[number]
        worker.refuse(which)
        while worker.on_its_way:
            worker.acknowledge(0)

    @rule(count=few)
    def commits_arrive(self, count: int) -> None:
        self.broker.arrive(count)

    @rule(number=workers, is_answered=st.booleans())
    def broker_goes_or_comes(self, number: int, is_answered: bool) -> None:
        self.workers[number].is_answered = is_answered

    @rule(partition=partitions, to=workers, arrives=st.booleans())
    def rebalance(self, partition: int, to: int, arrives: bool) -> None:
        owner, _ = self.broker.owners[partition]
        before = len(self.broker.asked)
        owner.revoke(partition)
        if arrives:
            self.broker.arrive(len(self.broker.asked))
        else:
            del self.broker.asked[before:]
        self.broker.give(partition, self.workers[to])

    @rule(partition=partitions)
    def session_ends(self, partition: int) -> None:
        """Somebody was silent for too long: the other one has the partition, and the first works on."""
        owner, _ = self.broker.owners[partition]
        other = self.workers[1 - self.workers.index(owner)]
        if (other, partition) not in self.doubted:
            self.doubted.append((owner, partition))
            self.broker.give(partition, other)

    @precondition(lambda self: self.doubted)
    @rule()
    def hears_of_its_loss(self) -> None:
        worker, partition = self.doubted.pop(0)
        worker.lose(partition)

    @rule(number=workers, stored=st.lists(st.booleans(), max_size=20), commits=few)
    def kill(self, number: int, stored: list[bool], commits: int) -> None:
        worker = self.workers[number]
        for sent, is_stored in zip(worker.on_its_way, stored, strict=False):
            if is_stored:
                self.broker.store(sent)
        self.broker.arrive(commits)
        self.broker.asked = [one for one in self.broker.asked if one[0] is not worker]
        self._replace(number)

    @rule(number=workers)
    def terminate(self, number: int) -> None:
        self.workers[number].stop()
        self.broker.arrive(len(self.broker.asked))
        self._replace(number)

    def _replace(self, number: int) -> None:
        old = self.workers[number]
        new = self.workers[number] = Worker(self.broker, *self.flags)
        self.doubted = [one for one in self.doubted if one[0] is not old]
        for partition, (owner, _) in list(self.broker.owners.items()):
            if owner is old:
                self.broker.give(partition, new)

    @rule(partition=partitions, low=few)
    def retention(self, partition: int, low: int) -> None:
        """Now and then, a record or two before anybody read them."""
        if low == 6:
            self.broker.retain(partition, self.broker.commits[partition].offset + 2)

    @invariant()
    def everything_below_a_commit_has_its_outcome(self) -> None:
        for partition, position in getattr(self, "broker", Broker(0)).commits.items():
            check_commit(self.broker, partition, position)

    def teardown(self) -> None:
        """Let one worker finish everything."""
        if not hasattr(self, "broker"):
            return
        self.doubted = []
        last = Worker(self.broker, *self.flags)
        self.broker.asked = []
        for partition in range(PARTITIONS):
            self.broker.produce(partition, "release", 0, time.time_ns())
            self.broker.give(partition, last)
        for turn in range(400):
            if turn % 20 == 19:
                self.broker.produce(turn % PARTITIONS, "release", 0, time.time_ns())
            last.step(100, is_due=True)
            while last.on_its_way:
                last.acknowledge(0)
            self.broker.arrive(len(self.broker.asked))
            if [p.offset for p in self.broker.commits.values()] == self.broker.ends:
                break
        assert [p.offset for p in self.broker.commits.values()] == self.broker.ends
        for partition, position in self.broker.commits.items():
            check_commit(self.broker, partition, position)
        counted = sum(sum(commit.counts_of(one).values()) for one in self.broker.commits.values())
        assert counted >= self.broker.produced, "every record has an outcome, expired gaps come on top"
        event(f"repeated: {min(9, sum(count > 1 for count in self.broker.copies.values()))}")


TestCommits = Commits.TestCase
TestCommits.settings = settings(
    max_examples=80,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


class ManyCommits(Commits):
    """The same, for longer."""


TestManyCommits = pytest.mark.slow(pytest.mark.timeout(1800)(ManyCommits.TestCase))
TestManyCommits.settings = settings(TestCommits.settings, max_examples=1500, stateful_step_count=100)
