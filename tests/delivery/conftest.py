"""What the tests of delivery share: programs that end with the test, and short sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.broker import Reader
from tests.programs import SCRIPTED, Program

Run = Callable[..., Program]


@pytest.fixture
def run(tmp_path: Path, kafka: str) -> Iterator[Run]:
    """Start filters for one test: ``run("-i", "IN", "-t", "OUT", script=REDACTION)``."""
    programs: list[Program] = []

    def start(*arguments: object, script: Path = SCRIPTED, kafka: str = kafka, **environment: str) -> Program:
        folder = tmp_path / f"program{len(programs)}"
        program = Program(folder, script, "--kafka", kafka, *arguments, **environment)
        programs.append(program)
        return program

    yield start
    for program in programs:
        if program.alive:
            program.kill()


@pytest.fixture
def short_session(tmp_path: Path) -> Path:
    """Client properties with which the group notices a dead member soon."""
    path = tmp_path / "short-session.properties"
    path.write_text("session.timeout.ms=1500\nheartbeat.interval.ms=300\n")
    return path


@pytest.fixture
def outcome(kafka: str) -> Iterator[Callable[[str], Reader]]:
    """Read what filters write: ``outcome("OUT").read()``, also before the topic is there."""
    readers: list[Reader] = []

    def read(topic: str) -> Reader:
        readers.append(Reader(kafka, topic))
        return readers[-1]

    yield read
    for reader in readers:
        reader.close()
