"""stop.sh while a start is under way: whatever it does just then, it gives up."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from imagebus.kafka.probe import free_port
from imagebus.launch import stop_request
from imagebus.launch.progress import Step, run
from imagebus.launch.supervisor import Supervisor
from imagebus.launch.wanted import StoppedError, Wanted
from imagebus.launch.watching import Watching

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    stop_request.make_room(folder)
    return folder


def test_only_a_request_since_the_start_began_counts(data: Path) -> None:
    Wanted(data).check()
    stop_request.leave(data)
    wanted = Wanted(data)
    wanted.check()
    stop_request.leave(data)
    with pytest.raises(StoppedError, match=r"^stopped meanwhile$"):
        wanted.check()
    Wanted(data).check()


def test_nothing_is_left_where_nothing_was_ever_started(tmp_path: Path) -> None:
    assert not stop_request.leave(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_installation_ends_with_what_it_runs(data: Path) -> None:
    wanted = Wanted(data)
    stop_request.leave(data)
    began = time.monotonic()
    with pytest.raises(StoppedError):
        run([Step("long", [sys.executable, "-c", "import time; time.sleep(60)"])], wanted.check)
    assert time.monotonic() - began < 30


def test_the_wait_for_pictures_ends_and_blames_nobody(data: Path) -> None:
    watching = Watching(Supervisor(data), [], Wanted(data))
    stop_request.leave(data)
    with pytest.raises(StoppedError):
        watching.look("")


def test_a_start_that_was_still_installing_starts_nothing(data: Path) -> None:
    before = stop_request.newest(data)
    stop_request.leave(data)
    ports = ["--port", str(free_port()), "--kafka-port", str(free_port())]
    done = subprocess.run(
        [sys.executable, "-m", "imagebus.launch.start", "--data", data, *ports],
        env={**os.environ, stop_request.BEFORE: before},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "run.sh: stopped meanwhile\n")
    assert Supervisor(data).process is None


def test_stop_waits_for_a_start_under_way_to_give_up(data: Path) -> None:
    wanted = Wanted(data)
    handle = os.open(data / "run", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)  # as a start holds it
    gave_up: list[float] = []

    def give_up() -> None:
        while not gave_up:
            try:
                wanted.check()
            except StoppedError:
                time.sleep(1)
                gave_up.append(time.monotonic())
                os.close(handle)
            time.sleep(0.05)

    thread = threading.Thread(target=give_up)
    thread.start()
    command = [sys.executable, "-m", "imagebus.launch.stop", "--data", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    thread.join(5)
    assert done.returncode == 0, done.stderr
    assert gave_up, "stop ended before the start did"
    assert done.stderr == "a start is under way; waiting until it gives up\n"


def test_stop_leaves_its_request_before_anything_is_installed(data: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", ROOT / "stop.sh", ROOT / "src", tmp_path], check=True)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    shell = [str(tmp_path / "stop.sh"), "--data", str(data)]
    done = subprocess.run(shell, capture_output=True, text=True, env=environment, timeout=30, check=True)
    assert "nothing is installed here, so nothing runs; if run.sh is installing now" in done.stdout
    assert stop_request.newest(data) != ""
