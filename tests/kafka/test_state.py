"""The note of a folder's broker, whole or spoilt."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imagebus.cli import dispatch
from imagebus.errors import ImagebusError
from imagebus.kafka.process import Process
from imagebus.kafka.state import NAME, State, forget, read

SPOILT = [
    b"",
    b"[]",
    b"{}",
    b"null",
    b"7",
    b'{"pid": 1',
    b"\xff\x00garbage",
    b"[" * 100_000,
    b'{"pid": "self", "started": 1, "port": 9092}',
    b'{"pid": true, "started": 1, "port": 9092}',
    b'{"pid": -1, "started": 1, "port": 9092}',
    b'{"pid": 1, "started": 1.5, "port": 9092}',
    b'{"pid": 1, "started": 1, "port": null}',
    b'{"pid": 1, "started": 1, "port": 65536}',
]


def test_a_note_is_read_as_it_was_written_and_then_forgotten(tmp_path: Path) -> None:
    kept = State(Process.of(os.getpid()), 9092)
    State(Process(1, 2), 3).write(tmp_path)
    kept.write(tmp_path)
    assert read(tmp_path) == kept
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    forget(tmp_path)
    assert read(tmp_path) is None


@pytest.mark.parametrize("note", SPOILT, ids=lambda note: repr(note[:40]))
def test_a_spoilt_note_is_none_and_told_of_in_one_line(
    note: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / NAME).write_bytes(note)
    assert read(tmp_path) is None
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert str(tmp_path / NAME) in err


@pytest.mark.parametrize(("action", "status"), [("status", 1), ("stop", 0)])
def test_a_command_meets_a_spoilt_note_as_a_folder_without_a_broker(
    action: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / NAME).touch()
    assert dispatch(["kafka", action, "--data", str(tmp_path)]) == status
    assert capsys.readouterr().out == f"no broker runs in {tmp_path}\n"
    assert (tmp_path / NAME).exists() == (action == "status")


def test_a_note_that_cannot_be_read_or_written_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(ImagebusError, match=r"can't read the broker's note: .*move it away"):
        read(tmp_path)
    with pytest.raises(ImagebusError, match="can't write the broker's note"):
        State(Process(1, 2), 3).write(tmp_path)
