"""The parent of workers by itself: no broker, workers that just end as they are told."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from imagebus import parent as program
from imagebus.errors import ConfigurationError
from imagebus.filter import FilterOptions
from imagebus.kafka.process import Process
from imagebus.parent import Ended
from imagebus.workers import port_of
from tests.programs import ROOT, Program, wait_for

FILTER = ROOT / "tests" / "filters" / "worker.py"

WORKER = """
import os, signal, sys, time
worker = os.environ["IMAGEBUS_WORKER"]
does, marks = sys.argv[1 + int(worker)], os.environ["MARKS"]
if does == "stuck":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(f"{marks}/{worker}", "a") as mark:
    mark.write("started\\n")
if does == "once":
    does = "0" if os.path.exists(f"{marks}/once") else "9"
    open(f"{marks}/once", "w").close()
if does in ("wait", "stuck"):
    time.sleep(60)
sys.exit(int(does))
"""

PRINTING = """
import sys
from imagebus import moment, workers
worker = workers.number()
if worker is None:
    workers.become_parent(3, bounded=True)
workers.attend(sys.exit)
for n in range(2000):
    print(f"<{worker}{'x' * 200}{worker}>")
print(f"present time {moment.now_ms()}")
"""


STUCK = """
import os, time
from imagebus import workers
if workers.number() is None:
    workers.become_parent(2, bounded=False)
workers.attend(lambda: None)
print(os.getpid(), flush=True)
time.sleep(60)
"""


class Parent(Program):
    """A parent of three workers, each of which does as one word says."""

    def __init__(self, folder: Path, kind: str, *does: object) -> None:
        script = folder / "worker.py"
        script.write_text(WORKER)
        self.marks = folder / "marks"
        self.marks.mkdir()
        command = (sys.executable, "-IS", script, *does)
        super().__init__(folder, Path(program.__file__), 3, kind, *command, MARKS=str(self.marks))

    def starts(self, worker: int) -> int:
        """Count the starts of a worker."""
        mark = self.marks / str(worker)
        return len(mark.read_text().split()) if mark.exists() else 0


def all_started(parent: Parent) -> bool:
    return all(parent.starts(worker) for worker in range(3))


def test_a_bounded_run_is_over_when_all_workers_are(tmp_path: Path) -> None:
    assert Parent(tmp_path, "bounded", 0, 0, 0).ends() == 0


def test_a_worker_that_refuses_its_options_ends_all_with_2(tmp_path: Path) -> None:
    parent = Parent(tmp_path, "live", "wait", 2, "wait")
    assert parent.ends() == 2
    assert parent.starts(1) == 1


def test_what_is_wrong_with_the_options_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "kafka.properties").write_text("session.timeout.ms=soon\n")
    flags = (
        "-i",
        "IN",
        "-t",
        "OUT",
        "-n",
        "f",
        "--workers",
        3,
        "--kafka-config",
        tmp_path / "kafka.properties",
    )
    program = Program(tmp_path, FILTER, *flags)
    assert program.ends() == 2
    assert program.err.count(b"\n") == 1
    assert b"session.timeout.ms" in program.err


def test_a_worker_that_ended_is_started_again_later_and_later(tmp_path: Path) -> None:
    parent = Parent(tmp_path, "live", "once", "wait", "wait")
    wait_for(lambda: parent.starts(0) >= 3 and all_started(parent), "worker 0 again and again")
    assert parent.ends(signal.SIGTERM) == 0
    said = parent.err.decode().splitlines()
    assert said[:2] == [
        "worker 0 ended with status 9; starting it again in 0.5 s",
        "worker 0 ended with status 0; starting it again in 1 s",
    ]
    assert [parent.starts(1), parent.starts(2)] == [1, 1]


def test_a_bounded_run_gives_up_on_a_worker_that_always_fails(tmp_path: Path) -> None:
    parent = Parent(tmp_path, "bounded", "wait", 1, 0)
    assert parent.ends() == 1
    assert [parent.starts(worker) for worker in range(3)] == [1, 4, 1]
    assert "giving up" in parent.err.decode()


def test_a_worker_that_a_nameless_signal_ended_is_told_of() -> None:
    assert str(Ended(3, -40, 1.0)) == "worker 3 was ended by signal 40"
    assert str(Ended(3, -9, 1.0)) == "worker 3 was ended by SIGKILL"


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_all_workers(tmp_path: Path, sign: signal.Signals) -> None:
    parent = Parent(tmp_path, "live", "wait", "wait", "wait")
    wait_for(lambda: all_started(parent), "all workers")
    assert parent.ends(sign) == 0
    assert parent.err == b""


@pytest.mark.slow
def test_a_worker_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    parent = Parent(tmp_path, "live", "wait", "stuck", "wait")
    wait_for(lambda: all_started(parent), "all workers")
    assert parent.ends(signal.SIGTERM) == 1
    assert parent.err.decode().splitlines() == [
        "worker 1 did not stop within 12 s; killing it",
        "worker 1 was ended by SIGKILL",
    ]


@pytest.mark.slow
def test_a_stuck_worker_does_not_outlive_its_parent_for_long(tmp_path: Path) -> None:
    script = tmp_path / "stuck.py"
    script.write_text(STUCK)
    parent = Program(tmp_path, script)
    wait_for(lambda: parent.out.count(b"\n") == 2, "both workers")
    parent.kill()
    workers = [Process.of(int(pid)) for pid in parent.out.split()]
    wait_for(lambda: not any(worker.alive() for worker in workers), "their end")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_lines_of_workers_stay_whole_and_their_present_time_is_one(tmp_path: Path, unbuffered: str) -> None:
    script = tmp_path / "printing.py"
    script.write_text(PRINTING)
    parent = Program(tmp_path, script, PYTHONUNBUFFERED=unbuffered)
    assert parent.ends() == 0
    lines = Counter(parent.out.decode().splitlines())
    [(present, _)] = [line for line in lines.items() if "present time" in line[0]]
    assert lines == {**{f"<{worker}{'x' * 200}{worker}>": 2000 for worker in range(3)}, present: 3}


def test_each_worker_serves_its_metrics_on_a_port_of_its_own() -> None:
    def options(port: int | None) -> FilterOptions:
        flags = [] if port is None else [f"--metrics-port={port}"]
        return FilterOptions.parse(["--topic=OUT", "--name=f", "--workers=3", *flags])

    assert [port_of(options(9100), worker) for worker in (None, 0, 1, 2)] == [9100, 9100, 9101, 9102]
    assert port_of(options(0), 2) == 0
    assert port_of(options(None), 2) is None
    with pytest.raises(ConfigurationError, match="65535"):
        port_of(options(65534), None)
