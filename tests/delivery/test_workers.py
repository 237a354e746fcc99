"""Workers: a parent that keeps them, and a group whose members come, go, are killed and are stopped."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgpack
import pytest

from tests.broker import Commits, committed, frame_put, fresh, make_topic, plain_frame, put
from tests.delivery.conftest import Run
from tests.delivery.sources import Account, Place, Published, Sources, places
from tests.delivery.stage import Outcome, counts, every_frame, group
from tests.programs import ROOT, Program, wait_for

pytestmark = pytest.mark.kafka
WORKER = ROOT / "tests" / "filters" / "worker.py"
PARTITIONS = 4
SETTLE_S = 0.1
"""What a stopped process had handed to the kernel still reaches the broker."""

NewStage = Callable[..., "Stage"]


class Stage:
    """One stage on topics of its own, whose members are killed soon after they fall silent."""

    def __init__(self, kafka: str, run: Run, written: Outcome, *flags: object) -> None:
        self.kafka = kafka
        self.topic = make_topic(kafka, fresh("in"), PARTITIONS)
        self.out = make_topic(kafka, fresh("out"), PARTITIONS)
        self.group = group(self.topic, self.out)
        self.written = written(self.out)
        self._run = run
        self._flags = every_frame(self.topic, self.out, *flags)

    def begin(self, *flags: object) -> Program:
        return self._run(*self._flags, *flags, script=WORKER)

    def put(self, count: int) -> None:
        frames = [plain_frame(n, source=f"cam{n % 12}") for n in range(count)]
        put(self.kafka, self.topic, [frame_put(frame, n % PARTITIONS) for n, frame in enumerate(frames)])

    def sources(self, per_s: float, does: Callable[[int], str] = lambda _: "pass") -> Sources:
        return Sources(self.kafka, self.topic, count=12, partitions=PARTITIONS, per_s=per_s, does=does)

    def done(self) -> int:
        """Count the records below the commits."""
        return sum(p.offset for p in committed(self.kafka, self.group, self.topic, PARTITIONS).values())

    def wait_done(self, count: int, within_s: float = 60.0) -> None:
        wait_for(lambda: self.done() >= count, f"{count} frames committed", within_s, 0.1)

    def published(self) -> list[Published]:
        return [Published(record) for record in self.written.read()]

    def processes(self) -> set[int]:
        """Return every process that has published something."""
        return {one.pid for one in self.published()}

    def account(self) -> Account:
        return Account(self.kafka, self.group, self.topic, self.out, PARTITIONS)


@pytest.fixture
def stage(kafka: str, run: Run, outcome: Outcome, tmp_path: Path) -> NewStage:
    """Make a stage: ``stage("--delay-ms", 3)``; who is silent for ``session_s`` loses its partitions."""

    def make(*flags: object, session_s: float = 1.5) -> Stage:
        path = tmp_path / "session.properties"
        path.write_text(f"session.timeout.ms={session_s * 1000:.0f}\nheartbeat.interval.ms=300\n")
        return Stage(kafka, run, outcome, "--kafka-config", path, *flags)

    return make


def children(program: Program) -> list[int]:
    """Return the workers of a program, by process id."""
    tasks = Path(f"/proc/{program.process.pid}/task")
    found = []
    for task in tasks.iterdir():
        with suppress(FileNotFoundError):  # that thread has just ended
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def does(n: int) -> str:
    return "drop" if n % 10 == 3 else "fail" if n % 47 == 5 else "pass"


def test_workers_share_the_frames_and_end_with_their_parent(stage: NewStage) -> None:
    here = stage(session_s=10)
    parent = here.begin("--workers", 3)
    sources = here.sources(200)
    wait_for(lambda: len(here.processes()) == 3, "frames of each", 60, every_s=0.3)
    workers = children(parent)
    fed = sources.stop()
    here.wait_done(len(fed))

    busy_s, began = parent.cpu_s, time.monotonic()
    time.sleep(2)
    assert parent.cpu_s - busy_s <= 0.01 * (time.monotonic() - began), "the parent only waits"
    assert parent.peak_mb < 30, "it has loaded nothing of its workers"
    assert parent.ends(signal.SIGTERM) == 0
    assert all(map(gone, workers))
    account = here.account()
    account.check(fed)
    assert here.processes() == set(workers)
    lines = parent.out.decode().splitlines()
    assert len(lines) == len(fed) + account.repeats
    assert all(line.startswith("cam") and line.count(" | ") == 1 for line in lines)


def test_workers_that_leave_and_join_in_order_repeat_nothing_also_in_batches(stage: NewStage) -> None:
    here = stage("--batch", 8, "--batch-wait", 0.05, "--delay-ms", 1, "--quiet", session_s=10)
    parent = here.begin("--workers", 2)
    sources = here.sources(150)
    here.wait_done(200)
    for _ in range(2):
        before, done = children(parent), here.done()
        os.kill(before[0], signal.SIGTERM)  # it leaves in order, and another comes in its place
        wait_for(lambda before=before: len(set(children(parent)) - set(before)) == 1, "a new one")  # type: ignore[misc]
        here.wait_done(done + 200)
    fed = sources.stop()
    here.wait_done(len(fed))
    assert parent.ends(signal.SIGTERM) == 0
    assert parent.err.count(b"ended with status 0; starting it again") == 2
    account = here.account()
    account.check(fed)
    assert len(account.frames) == len(account.metas) == len(fed), "nothing is repeated"
    assert 1 < max(one.batch for one in account.published) <= 8


def test_a_killed_worker_is_started_again_and_a_killed_parent_ends_its_workers_in_order(
    stage: NewStage,
) -> None:
    here = stage("--quiet", session_s=6)
    parent = here.begin("--workers", 2)
    sources = here.sources(150, does)
    here.wait_done(200)
    first, second = children(parent)
    os.kill(first, signal.SIGKILL)
    parent.says("was ended by SIGKILL; starting it again in 0.5 s")
    wait_for(lambda: len(set(children(parent)) - {first}) == 2, "another in its place")
    here.wait_done(here.done() + 200)

    # Nobody is left to end the workers, so they do it themselves, in order.
    workers = children(parent)
    assert second in workers
    parent.kill()
    wait_for(lambda: all(map(gone, workers)), "the workers to end")
    assert parent.err.count(b"the parent is gone; stopping") == 2
    before = {one.place for one in here.published() if one.pid in workers}
    last = here.begin()
    fed = sources.stop()
    here.wait_done(len(fed))
    assert last.ends(signal.SIGTERM) == 0
    here.account().check(fed)
    by_last = {one.place for one in here.published() if one.pid == last.process.pid}
    assert not before & by_last, "what they had published was committed"


def test_a_bounded_run_of_workers_ends_by_itself_under_one_name(stage: NewStage) -> None:
    here = stage("--delay-ms", 3, "--quiet")
    here.put(900)
    parent = here.begin("--workers", 2, "--from=-1h")
    wait_for(lambda: len(here.written.read()) > 100, "the first frames", 60)
    os.kill(children(parent)[0], signal.SIGKILL)
    assert parent.ends(within_s=90) == 0
    frames = [msgpack.unpackb(record.value or b"") for record in here.written.read()]
    assert {frame["sequence"] for frame in frames} == set(range(900))
    assert len({frame["run"] for frame in frames}) == 1, "a worker that comes later is of the same run"
    assert len(set(places(here.written.records))) == 900


class Watch:
    """Looks at a group's commits all the time: none may ever go back."""

    def __init__(self, here: Stage) -> None:
        self._commits = Commits(here.kafka, here.group, here.topic, PARTITIONS)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.went_back: list[tuple[int, int, int]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._commits.close()

    def _run(self) -> None:
        seen: dict[int, int] = {}
        while not self._over.wait(0.02):
            for partition, position in self._commits.now().items():
                if position.offset < seen.get(partition, 0):
                    self.went_back.append((partition, seen[partition], position.offset))
                seen[partition] = position.offset


def uncommitted(here: Stage, pid: int) -> set[Place]:
    """Return what a process has published beyond the commits."""
    positions = committed(here.kafka, here.group, here.topic, PARTITIONS)
    mine = [one.place for one in here.published() if one.pid == pid]
    return {(partition, offset) for partition, offset in mine if offset >= positions[partition].offset}


@pytest.mark.parametrize(
    "waiting", [0, pytest.param(4000, marks=pytest.mark.slow)], ids=["up to date", "far behind"]
)
def test_a_process_stopped_for_longer_than_its_session_commits_nothing_and_joins_again(
    stage: NewStage, waiting: int
) -> None:
    here = stage("--delay-ms", 4, "--quiet")
    if waiting:
        here.put(waiting)
    sources = here.sources(100)
    stopped, other = here.begin(), here.begin()
    pid = stopped.process.pid
    wait_for(lambda: len(here.processes()) == 2, "frames of both", 60, every_s=0.2)
    with Watch(here) as watch:
        stopped.signal(signal.SIGSTOP)
        time.sleep(SETTLE_S)
        in_flight, behind = uncommitted(here, pid), len(here.published())
        taken_over: set[int] = set()

        def has_all() -> bool:
            taken_over.update(one.place[0] for one in here.published()[behind:] if one.pid != pid)
            return len(taken_over) == PARTITIONS

        wait_for(has_all, "the other to have all", 60, 0.2)
        before_ns = time.time_ns()
        stopped.signal(signal.SIGCONT)
        behind = len(here.published())
        wait_for(
            lambda: any(one.pid == pid for one in here.published()[behind + 20 :]), "its return", 60, 0.2
        )
        fed = sources.stop()
        here.wait_done(len(fed) + waiting)
    assert [stopped.ends(signal.SIGTERM), other.ends(signal.SIGTERM)] == [0, 0]
    assert watch.went_back == []

    published = sorted(here.published(), key=lambda one: one.at_ns)
    firsts: dict[Place, Published] = {}
    again = [one for one in published if firsts.setdefault(one.place, one) is not one]
    late = [one for one in again if one.pid == pid and one.at_ns > before_ns and firsts[one.place].pid != pid]
    assert len(late) <= 3, "but for what it had in work, it repeats nothing of the other's"
    repeated = {one.place for one in again if one.pid != pid and firsts[one.place].pid == pid}
    print(f"in flight {len(in_flight)}, repeated {len(repeated)}, late {len(late)}")
    assert len(repeated - in_flight) <= 10, "the other repeats what was in flight"
    if not waiting:
        here.account().check(fed)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("rounds", "every_s"), [(4, 2.0), pytest.param(36, 5.0, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_a_storm_of_rebalances_loses_nothing_and_keeps_the_order_of_every_source(
    stage: NewStage,
    record_property: Callable[[str, object], None],
    rounds: int,
    every_s: float,
) -> None:
    here = stage("--delay-ms", 2, "--quiet")
    sources = here.sources(120, does)
    alive = [here.begin() for _ in range(3)]
    every = list(alive)
    try:
        wait_for(lambda: here.done() > 0, "the first commits", every_s=0.1)
        progress = [here.done()]
        for _ in range(rounds):
            time.sleep(every_s)
            alive.pop(0).kill()
            alive.append(here.begin())
            every.append(alive[-1])
            progress.append(here.done())
    finally:
        fed = sources.stop()
    here.wait_done(len(fed), 120)
    assert [program.ends(signal.SIGTERM) for program in alive] == [0, 0, 0]

    account = here.account()
    account.check(fed)
    found = Counter(does(n) for n in range(len(fed)))
    totals = counts(here.kafka, here.topic, here.out, PARTITIONS)
    assert totals == {"output": found["pass"], "filtered": found["drop"], "dead": found["fail"]}
    record_property("frames", len(fed))
    record_property("repeats", account.repeats)
    print(f"{len(fed)} frames, {account.repeats} repeats, progress {progress}")
    assert progress[-1] > progress[0], "frames were processed while members came and went"
    assert all(b"Traceback" not in program.err for program in every)
