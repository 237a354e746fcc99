"""The supervisor and its end, on small programs of our own: what runs, what is restarted, what is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagebus.errors import ConfigurationError, ImagebusError
from imagebus.kafka.process import Process
from imagebus.kafka.state import State
from imagebus.launch.services import Service
from imagebus.launch.stop import stop
from imagebus.launch.supervisor import Supervisor
from imagebus.launch.watching import Watching
from tests.programs import wait_for

FOR_EVER = "import time; time.sleep(1000)"
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(1000)
"""
SAYS_WHEN = """
import os, pathlib, signal, sys, time
def end(*_):
    pathlib.Path(os.environ["WHEN"]).write_text(str(time.time_ns()))  # an orphan can print nothing
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(1000)
"""


def service(name: str, code: str = FOR_EVER, rank: int = 1, **environment: str) -> Service:
    return Service(name, rank, [sys.executable, "-c", code], dict(environment))


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder with a name that is long and odd."""
    folder = tmp_path / 'it\'s "a" #folder ;with %(odd)s %% naïve names' / ("long" * 30)
    folder.mkdir(parents=True)
    before = os.environ.get("IMAGEBUS_DATA")
    os.environ["IMAGEBUS_DATA"] = str(folder)
    yield folder
    stop(folder)
    os.environ.pop("IMAGEBUS_DATA") if before is None else os.environ.update(IMAGEBUS_DATA=before)


def started(data: Path, *services: Service) -> Supervisor:
    supervisor = Supervisor(data)
    supervisor.start(services)
    wait_for(lambda: set(supervisor.running()) == {s.name for s in services}, "all services run")
    return supervisor


def wait_until_ready(supervisor: Supervisor, *names: str) -> None:
    """Wait until these have said that their signals are handled."""
    logs = [supervisor.log_of(name) for name in names]
    wait_for(lambda: all("ready" in log.read_text() for log in logs), f"ready: {names}")


def test_services_run_whatever_the_folder_is_called_and_stop_leaves_none(data: Path) -> None:
    supervisor = started(data, service("a"), service("b", rank=2), service("producer-1", rank=3))
    wait_for(supervisor.states, "the supervisor answers")
    assert set(supervisor.states()) == {"a", "b", "producer-1"}
    processes = [supervisor.process, *supervisor.running().values()]
    assert stop(data)
    assert [process for process in processes if process and process.alive()] == []
    assert not stop(data), "nothing is left to stop"


def test_a_service_that_is_killed_is_started_again(data: Path) -> None:
    supervisor = started(data, service("a"))
    first = supervisor.running()["a"]
    first.send(signal.SIGKILL)
    wait_for(lambda: supervisor.running().get("a", first) != first, "another process")


def test_a_camera_that_came_to_its_end_is_left_alone(data: Path) -> None:
    supervisor = Supervisor(data)
    supervisor.start([service("producer-1", "import time; time.sleep(4)")])
    wait_for(lambda: supervisor.states().get("producer-1", {}).get("statename") == "EXITED", "its end")
    time.sleep(2)
    assert supervisor.running() == {}


def look_until_it_fails(watching: Watching) -> ImagebusError:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            watching.look("")
        except ImagebusError as error:
            return error
        time.sleep(0.2)
    raise AssertionError("nothing failed in 60 s")


@pytest.mark.parametrize("name", ["producer-1", "redaction"])
def test_one_that_refuses_its_settings_is_blamed_with_its_own_status_and_not_tried_again(
    data: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    supervisor = Supervisor(data)
    refusing = [service(name, "print('no such thing', flush=True); raise SystemExit(2)")]
    watching = Watching(supervisor, refusing)
    supervisor.start(refusing)
    error = look_until_it_fails(watching)
    assert isinstance(error, ConfigurationError)
    assert str(error).startswith(f"{name} ended with exit status 2")
    assert capfd.readouterr().err.count("no such thing") == 1, "whether as news or as the end of its log"
    time.sleep(3)
    assert supervisor.log_of(name).read_text().count("no such thing") == 1


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("raise SystemExit(1)", "exit status 1"),
        ("import os; os.kill(os.getpid(), 9)", "terminated by SIGKILL"),
    ],
)
def test_one_that_crashes_on_and_on_is_started_again_and_then_blamed(
    data: Path, capfd: pytest.CaptureFixture[str], end: str, said: str
) -> None:
    supervisor = Supervisor(data)
    crashing = [service("redaction", f"print('oh', flush=True); {end}")]
    watching = Watching(supervisor, crashing)
    supervisor.start(crashing)
    error = look_until_it_fails(watching)
    assert f"redaction ends again and again, last: {said};" in str(error)
    assert watching.restarted() == ["redaction"]
    assert supervisor.log_of("redaction").read_text().count("oh") > 1
    assert capfd.readouterr().err.count("| oh") == 1, "the same line is shown once"


def test_what_a_camera_says_is_passed_on_once_while_it_is_waited_for(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    supervisor = Supervisor(data)
    (data / "logs").mkdir()
    supervisor.log_of("producer-1").write_text("of last time\n")
    silent = [service("producer-1", "print('no answer\\n' * 3, flush=True); import time; time.sleep(1000)")]
    watching = Watching(supervisor, silent)
    supervisor.start(silent)
    wait_for(lambda: "no answer" in supervisor.log_of("producer-1").read_text(), "it speaks")
    for _ in range(3):
        watching.look("")
    said = capfd.readouterr().err
    assert said.count("producer-1: no answer") == 1
    assert "last time" not in said


def test_each_start_is_dated_in_the_log(data: Path) -> None:
    dated = re.compile(r"^--- started \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$", re.MULTILINE)
    log = started(data, service("a")).log_of("a")
    wait_for(lambda: len(dated.findall(log.read_text())) == 1, "a date")
    stop(data)
    started(data, service("a"))
    wait_for(lambda: len(dated.findall(log.read_text())) == 2, "another date")


def test_the_addresses_of_cameras_are_kept_no_longer_than_anything_runs(data: Path) -> None:
    started(data, service("producer-1", IMAGEBUS_ADDRESS="rtsp://user:geheim@host"))
    stop(data)
    assert [file for file in data.rglob("*") if file.is_file() and b"geheim" in file.read_bytes()] == []


def test_orphans_of_a_killed_supervisor_are_stopped(data: Path) -> None:
    supervisor = started(data, service("a"), service("b"))
    orphans = supervisor.running()
    assert supervisor.process
    supervisor.process.send(signal.SIGKILL)
    wait_for(lambda: supervisor.process is None, "the supervisor is gone")
    assert all(process.alive() for process in orphans.values())
    assert stop(data)
    assert not any(process.alive() for process in orphans.values())
    assert not stop(data)


@pytest.mark.slow
def test_one_that_ignores_the_request_is_killed(data: Path) -> None:
    supervisor = started(data, service("a", STUBBORN), service("b"))
    stubborn = supervisor.running()["a"]
    wait_until_ready(supervisor, "a")
    assert stop(data)
    assert not stubborn.alive()


def test_nothing_else_is_stopped_not_even_the_same_program_or_a_later_process_of_that_id(data: Path) -> None:
    supervisor = started(data, service("a"))
    other = subprocess.Popen([sys.executable, "-c", FOR_EVER])
    try:
        noted = data / "run" / "processes" / "a"
        stop(data)
        now = Process.of(other.pid)
        noted.write_text(f'{{"pid": {now.pid}, "started": {now.started - 1}}}')
        assert not stop(data)
        assert supervisor.running() == {}
        assert now.alive()
    finally:
        other.kill()
        other.wait()


def test_a_broker_that_is_started_by_hand_after_a_run_is_none_of_it(data: Path) -> None:
    started(data, service("broker"))
    assert stop(data)
    folder = data / "kafka" / "broker"
    folder.mkdir(parents=True)
    by_hand = subprocess.Popen([sys.executable, "-c", FOR_EVER])
    try:
        State(Process.of(by_hand.pid), 9092).write(folder)
        assert not stop(data)
        assert by_hand.poll() is None
    finally:
        by_hand.kill()
        by_hand.wait()


def test_a_secret_is_in_no_file_that_others_can_read_and_in_no_command_line(data: Path) -> None:
    supervisor = started(data, service("producer-1", IMAGEBUS_ADDRESS="rtsp://user:geheim@host"))
    for file in data.rglob("*"):
        if file.is_file() and b"geheim" in file.read_bytes():
            assert file.stat().st_mode & 0o077 == 0, file
            assert file.name == "services.json"
    assert supervisor.process
    for process in (supervisor.process, supervisor.running()["producer-1"]):
        assert b"geheim" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert (data / "run").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("orphaned", [False, True])
def test_the_last_started_stop_first(data: Path, orphaned: bool) -> None:
    names = ("broker", "page", "producer-1")
    when = {name: data / f"{name}-ended" for name in names}
    services = [service(name, SAYS_WHEN, rank, WHEN=str(when[name])) for rank, name in enumerate(names)]
    supervisor = started(data, *services)
    wait_until_ready(supervisor, *names)
    if orphaned:
        assert supervisor.process
        supervisor.process.send(signal.SIGKILL)
        wait_for(lambda: supervisor.process is None, "the supervisor is gone")
    assert stop(data)
    ended = {name: int(file.read_text()) for name, file in when.items()}
    assert sorted(ended, key=ended.__getitem__) == ["producer-1", "page", "broker"]


@pytest.mark.parametrize(
    "note", ["", "[]", "garb\0age", "3", "null", '{"pid": 1}', '{"pid": "1", "started": true}', "[" * 100_000]
)
def test_a_spoilt_note_is_none_and_is_told_of_once(
    tmp_path: Path, note: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run" / "processes").mkdir(parents=True)
    notes = ("supervisor.json", "processes/b", *["services.json"] * (note != "[]"))
    for name in notes:
        (tmp_path / "run" / name).write_text(note)
    supervisor = Supervisor(tmp_path)
    for _ in range(2):
        assert supervisor.process is None
        assert supervisor.running() == {}
        assert supervisor.services() == []
    said = capfd.readouterr().err.splitlines()
    assert len(said) == len(notes), said
    assert all("taken for none" in line for line in said)


def test_what_has_a_note_is_stopped_where_others_are_spoilt(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    supervisor = started(data, service("a"), service("b"))
    assert supervisor.process
    supervisor.process.send(signal.SIGKILL)
    left = supervisor.running()["a"]
    other = supervisor.running()["b"]
    notes = [data / "run" / name for name in ("supervisor.json", "services.json", "processes/b")]
    for file in notes:
        file.write_bytes(b"")
    try:
        assert stop(data)
        assert not left.alive()
        assert other.alive()
    finally:
        other.send(signal.SIGKILL)
    said = [line for line in capfd.readouterr().err.splitlines() if "stopping:" not in line]
    assert len(said) == 3, said
    assert all("taken for none" in line for line in said)
    started(data, service("a"))  # and what was spoilt is no hindrance


def test_a_supervisor_that_shuts_down_has_no_states_to_tell(data: Path) -> None:
    supervisor = started(data, service("a", STUBBORN))
    wait_for(supervisor.states, "the supervisor answers")
    wait_until_ready(supervisor, "a")
    assert supervisor.ask_to_stop()
    wait_for(lambda: supervisor.states() == {}, "it shuts down")
    supervisor.running()["a"].send(signal.SIGKILL)


def test_a_supervisor_whose_note_is_spoilt_is_found_by_its_answer(data: Path) -> None:
    supervisor = started(data, service("a"))
    wait_for(supervisor.states, "the supervisor answers")
    processes = [supervisor.process, supervisor.running()["a"]]
    (data / "run" / "supervisor.json").write_bytes(b"")
    assert stop(data)
    assert [process for process in processes if process is None or process.alive()] == []
