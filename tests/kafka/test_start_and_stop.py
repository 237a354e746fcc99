"""`imagebus kafka start|stop|status` as a user types it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imagebus.kafka.probe import HOST, free_port
from imagebus.kafka.process import Process, die_with_parent
from imagebus.kafka.state import read

IMAGEBUS = Path(sys.executable).with_name("imagebus")
pytestmark = pytest.mark.kafka


class CommandLine:
    """Runs `imagebus kafka` for one folder and remembers nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"IMAGEBUS_KAFKA_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}

    def __call__(self, action: str, *flags: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [IMAGEBUS, "kafka", action, "--data", self.folder, *map(str, flags)],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    @property
    def process(self) -> Process:
        state = read(self.folder)
        assert state is not None
        return state.process


@pytest.fixture
def kafka_command(tmp_path: Path) -> Iterator[CommandLine]:
    command = CommandLine(tmp_path / "broker")
    yield command
    command("stop")


def test_start_returns_once_it_answers_and_stop_once_it_is_gone(kafka_command: CommandLine) -> None:
    port = free_port()

    started = kafka_command("start", "--port", port)
    answering = kafka_command("status")
    process = kafka_command.process
    stopped = kafka_command("stop")
    silent = kafka_command("status")

    assert (started.returncode, answering.returncode) == (0, 0)
    assert f"{HOST}:{port}" in started.stdout
    assert f"{HOST}:{port}" in answering.stdout
    assert (stopped.returncode, silent.returncode) == (0, 1)
    assert not process.alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port), 5)


def test_starting_twice_and_stopping_twice_do_no_harm(kafka_command: CommandLine) -> None:
    port = free_port()
    kafka_command("start", "--port", port)
    first = kafka_command.process

    again = kafka_command("start", "--port", port)

    assert again.returncode == 0
    assert "already running" in again.stdout
    assert kafka_command.process == first
    assert kafka_command("stop").returncode == 0
    second_stop = kafka_command("stop")
    assert second_stop.returncode == 0
    assert "no broker runs" in second_stop.stdout


def test_starting_again_on_another_port_is_refused(kafka_command: CommandLine) -> None:
    kafka_command("start", "--port", free_port())

    again = kafka_command("start", "--port", free_port())

    assert again.returncode == 2
    assert "--port" in again.stderr


@pytest.mark.parametrize("flag", ["--port", "--controller-port"])
def test_a_taken_port_is_one_line_that_names_it_and_the_flag(kafka_command: CommandLine, flag: str) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        flags = {"--port": free_port(), flag: port}

        started = kafka_command("start", *(word for pair in flags.items() for word in pair))

    assert started.returncode == 2
    [line] = started.stderr.splitlines()
    assert str(port) in line
    assert flag in line
    assert kafka_command("status").returncode == 1


def test_two_brokers_run_side_by_side_and_stop_ends_only_its_own(
    kafka_command: CommandLine, kafka: str, tmp_path: Path
) -> None:
    kafka_command("start", "--port", free_port())

    assert kafka_command("stop").returncode == 0

    with socket.create_connection((HOST, int(kafka.rpartition(":")[2])), 5):
        pass


def test_stop_never_ends_a_process_that_took_over_the_number(kafka_command: CommandLine) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        kafka_command.folder.mkdir()
        note = f'{{"pid": {bystander.pid}, "started": 1, "port": 9092}}'
        (kafka_command.folder / "broker.json").write_text(note)

        stopped = kafka_command("stop")

        assert stopped.returncode == 0
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_start_that_fails_shows_the_end_of_the_log(kafka_command: CommandLine) -> None:
    kafka_command.environment["IMAGEBUS_KAFKA_JAVA_OPTIONS"] = "-XX:NoSuchOption"

    started = kafka_command("start", "--port", free_port())

    assert started.returncode == 1
    assert "NoSuchOption" in started.stderr
    assert re.search(r"imagebus: the broker ended while it started", started.stderr)


@contextmanager
def foreground(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    command = [str(IMAGEBUS), "kafka", "start", "--foreground", f"--data={folder}", f"--port={port}"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent
    ) as supervised:
        try:
            yield supervised
        finally:
            supervised.kill()


def test_the_foreground_broker_ends_with_the_signal_it_is_handed(kafka_command: CommandLine) -> None:
    port = free_port()
    with foreground(kafka_command.folder, port) as supervised:
        assert supervised.stderr is not None
        lines = iter(supervised.stderr.readline, "")
        assert any(f"{HOST}:{port}" in line for line in lines)
        process = kafka_command.process

        supervised.send_signal(signal.SIGTERM)

        assert supervised.wait(30) == 128 + signal.SIGTERM
        assert not process.alive()


def test_the_foreground_broker_does_not_outlive_a_killed_parent(kafka_command: CommandLine) -> None:
    with foreground(kafka_command.folder, 0) as supervised:
        assert supervised.stderr is not None
        assert any("Kafka" in line for line in iter(supervised.stderr.readline, ""))
        process = kafka_command.process

        supervised.kill()

        assert process.wait_gone(30)


@pytest.mark.parametrize(
    "flags", [["--heap", "plenty"], ["--port", "70000"], ["--port", "x"]], ids=lambda flags: flags[-1]
)
def test_a_wrong_flag_is_named(kafka_command: CommandLine, flags: list[str]) -> None:
    started = kafka_command("start", *flags)

    assert started.returncode == 2
    assert flags[0] in started.stderr
    assert flags[1] in started.stderr
