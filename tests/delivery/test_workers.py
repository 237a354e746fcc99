"""Workers: a parent that keeps them, and a group whose members come, go, are killed and are stopped."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from imagebus.commit import counts_of
from tests.broker import committed, frame_put, fresh, make_topic, plain_frame, put
from tests.delivery.conftest import Run
from tests.delivery.sources import Account, Sources
from tests.programs import ROOT, Program, wait_for

pytestmark = pytest.mark.kafka
WORKER = ROOT / "tests" / "filters" / "worker.py"
PARTITIONS = 4


class Stage:
    """One stage on topics of its own."""

    def __init__(self, kafka: str, run: Run, *flags: object) -> None:
        self.kafka = kafka
        self.topic = make_topic(kafka, fresh("in"), PARTITIONS)
        self.out = make_topic(kafka, fresh("out"), PARTITIONS)
        self.group = f"imagebus.f.{self.topic}.{self.out}"
        self._run = run
        self._flags: tuple[object, ...] = (
            *("-i", self.topic, "-t", self.out, "-n", "f", "--freshness", "all", "--start", "earliest"),
            *flags,
        )

    def begin(self, *flags: object, **environment: str) -> Program:
        return self._run(*self._flags, *flags, script=WORKER, **environment)

    def put(self, first: int, count: int) -> None:
        frames = [plain_frame(n, source=f"cam{n % 12}") for n in range(first, first + count)]
        put(self.kafka, self.topic, [frame_put(frame, n % PARTITIONS) for n, frame in enumerate(frames)])

    def done(self) -> int:
        """Count the records below the commits."""
        return sum(p.offset for p in committed(self.kafka, self.group, self.topic, PARTITIONS).values())

    def wait_done(self, count: int, within_s: float = 60.0) -> None:
        wait_for(lambda: self.done() >= count, f"{count} frames committed", within_s, 0.1)

    def account(self) -> Account:
        return Account(self.kafka, self.group, self.topic, self.out, PARTITIONS)

    def sources(self, per_s: float, does: Callable[[int], str] = lambda _: "pass") -> Sources:
        return Sources(self.kafka, self.topic, count=12, partitions=PARTITIONS, per_s=per_s, does=does)


def children(program: Program) -> list[int]:
    """Return the workers of a program, by process id."""
    tasks = Path(f"/proc/{program.process.pid}/task")
    return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def pids_of(account: Account) -> Counter[int]:
    return Counter(one.pid for one in account.published)


def test_workers_share_the_frames_and_end_with_their_parent(kafka: str, run: Run) -> None:
    stage = Stage(kafka, run)
    parent = stage.begin("--workers", 3)
    wait_for(lambda: len(children(parent)) == 3, "three workers")
    wait_for(lambda: len(stage.account().positions) == PARTITIONS, "a group", every_s=0.2)
    sources = stage.sources(200)
    wait_for(lambda: len(pids_of(stage.account())) == 3, "frames of each", 60, every_s=0.5)
    workers = children(parent)
    fed = sources.stop()
    stage.wait_done(len(fed))

    busy_s, began = parent.cpu_s, time.monotonic()
    time.sleep(2)
    assert parent.cpu_s - busy_s <= 0.01 * (time.monotonic() - began) + 0.01, "the parent only waits"
    assert parent.ends(signal.SIGTERM) == 0
    assert all(map(gone, workers))
    account = stage.account()
    account.check(fed)
    assert account.repeats == 0
    assert set(pids_of(account)) == set(workers)
    # Nothing is written in pieces, between the lines of others.
    lines = parent.out.decode().splitlines()
    assert len(lines) == len(fed)
    assert all(line.startswith("cam") and line.count(" | ") == 1 for line in lines)


def does(n: int) -> str:
    return "drop" if n % 10 == 3 else "fail" if n % 47 == 5 else "pass"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("rounds", "every_s"), [(5, 3.0), pytest.param(36, 5.0, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_a_storm_of_rebalances_loses_nothing_and_keeps_the_order_of_every_source(
    kafka: str,
    run: Run,
    short_session: Path,
    record_property: Callable[[str, object], None],
    rounds: int,
    every_s: float,
) -> None:
    stage = Stage(kafka, run, "--kafka-config", short_session, "--delay-ms", 2, "--quiet")
    sources = stage.sources(120, does=does)
    alive = [stage.begin() for _ in range(3)]
    try:
        wait_for(lambda: stage.done() > 0, "the first commits", every_s=0.1)
        progress = [stage.done()]
        for _ in range(rounds):
            time.sleep(every_s)
            alive.pop(0).kill()
            alive.append(stage.begin())
            progress.append(stage.done())
    finally:
        fed = sources.stop()
    stage.wait_done(len(fed), 120)
    assert [program.ends(signal.SIGTERM) for program in alive] == [0, 0, 0]

    account = stage.account()
    account.check(fed)
    totals: Counter[str] = Counter()
    for position in account.positions.values():
        totals += Counter(counts_of(position))
    found = Counter(does(n) for n in range(len(fed)))
    assert totals == {"output": found["pass"], "filtered": found["drop"], "dead": found["fail"]}
    record_property("frames", len(fed))
    record_property("repeats", account.repeats)
    print(f"{len(fed)} frames, {account.repeats} repeats, progress {progress}")
    assert progress[-1] > progress[0], "frames were processed while members came and went"
    assert all(b"Traceback" not in program.err for program in alive)
