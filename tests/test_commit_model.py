"""Nothing is committed that is not safe: any order of acknowledgements, kills, rebalances, holds and gaps."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from imagebus import commit
from imagebus.errors import ImagebusError
from tests.commit_model import Broker, Worker, check_commit

PARTITIONS, WORKERS = 3, 2
partitions = st.integers(0, PARTITIONS - 1)
workers = st.integers(0, WORKERS - 1)
few = st.integers(0, 6)
again = st.sampled_from([0, 0, 0, 2])
answers = st.lists(st.integers(-10, 100), max_size=8)
"""Which of the records on their way are acknowledged next; with a negative number one is refused."""
Turn = tuple[int, bool, int, list[int]]
turns = st.lists(st.tuples(st.integers(0, 20), st.booleans(), again, answers), min_size=2, max_size=12)
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
        does=st.lists(st.sampled_from(DOES), min_size=2, max_size=12),
        gap=st.sampled_from([0, 0, 1, 3]),
    )
    def produce(self, partition: int, does: list[str], gap: int) -> None:
        for do in does:
            self.broker.produce(partition, do, gap, time.time_ns())

    def work(self, number: int, turns: list[Turn]) -> None:
        """Have a worker go round its loop some times, and acknowledgements come in between."""
        for reads, is_due, fetched_again, answers in turns:
            worker = self.workers[number]
            for one in answers:
                worker.answer(one)
            try:
                worker.step(reads, is_due=is_due, again=fetched_again)
            except ImagebusError:  # too many failures in a row: it ends, as `run` does, and is started again
                worker.runner._finish(worker)
                self._replace(number)

    one_works = rule(number=st.just(0), turns=turns)(work)
    other_works = rule(number=st.just(1), turns=turns)(work)

    @rule(count=few, number=workers, is_answered=st.booleans())
    def commits_arrive(self, count: int, number: int, is_answered: bool) -> None:
        """Some do; and from now on a worker that waits for the broker is answered, or is not."""
        self.broker.arrive(count)
        self.workers[number].is_answered = is_answered

    @rule(partition=partitions, to=workers, arrives=st.booleans(), is_silent=st.booleans())
    def rebalance(self, partition: int, to: int, arrives: bool, is_silent: bool) -> None:
        owner, _ = self.broker.owners[partition]
        if is_silent:
            self._session_ends(partition, owner)
            return
        before = len(self.broker.asked)
        owner.revoke(partition)
        if arrives:
            self.broker.arrive(len(self.broker.asked))
        else:
            del self.broker.asked[before:]
        new = self.workers[to]
        if (new, partition) in self.doubted:  # who is given a partition anew, has heard of its loss by then
            self.doubted.remove((new, partition))
            new.lose(partition)
        self.broker.give(partition, new)

    def _session_ends(self, partition: int, owner: Worker) -> None:
        """Let the other one have the partition of somebody who was silent for too long, and works on."""
        other = self.workers[1 - self.workers.index(owner)]
        if (other, partition) not in self.doubted:
            self.doubted.append((owner, partition))
            self.broker.give(partition, other)

    @precondition(lambda self: self.doubted)
    @rule()
    def hears_of_its_loss(self) -> None:
        worker, partition = self.doubted.pop(0)
        worker.lose(partition)

    @rule(number=workers, stored=st.lists(st.booleans(), max_size=20), commits=few, is_killed=st.booleans())
    def end(self, number: int, stored: list[bool], commits: int, is_killed: bool) -> None:
        """Kill a worker, when some of what it sent is stored and some is not; or have it end in order."""
        worker = self.workers[number]
        if not is_killed:
            worker.stop()
            commits = len(self.broker.asked)
        for sent, is_stored in zip(worker.on_its_way, stored, strict=False):
            if is_stored:
                self.broker.store(sent)
        self.broker.arrive(commits)
        self.broker.asked = [one for one in self.broker.asked if one[0] is not worker]
        self._replace(number)

    def _replace(self, number: int) -> None:
        old = self.workers[number]
        new = self.workers[number] = Worker(self.broker, *self.flags)
        self.doubted = [one for one in self.doubted if one[0] is not old]
        for partition, (owner, _) in list(self.broker.owners.items()):
            if owner is old:
                self.broker.give(partition, new)

    @rule(partition=partitions, count=st.sampled_from([0, 0, 1, 3]))
    def retention(self, partition: int, count: int) -> None:
        """Remove records that nobody has committed yet."""
        if count:
            self.broker.retain(partition, self.broker.commits[partition].offset + count)

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
        for turn in range(400 + 3 * self.broker.produced):
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
    max_examples=120,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink a failure takes many minutes
)


class ManyCommits(Commits):
    """The same, for longer."""


TestManyCommits = pytest.mark.slow(pytest.mark.timeout(900)(ManyCommits.TestCase))
TestManyCommits.settings = settings(TestCommits.settings, max_examples=500, stateful_step_count=100)
