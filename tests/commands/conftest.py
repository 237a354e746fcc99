"""What the tests of commands share: the command as a user runs it, and frames as cameras send them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from imagebus.codec import CONTENT_TYPE, META_CONTENT_TYPE
from imagebus.outgoing import dead_letter
from imagebus.record import Record
from tests.broker import Put, frame_put, plain_frame
from tests.conftest import IMAGEBUS

Result = subprocess.CompletedProcess[str]
Command = Callable[..., Result]
TYPE = ("content-type", CONTENT_TYPE.encode())
META_TYPE = ("content-type", META_CONTENT_TYPE.encode())


@pytest.fixture
def imagebus(kafka: str) -> Command:
    """Run the command to its end: ``imagebus("show", "TOPIC")``."""

    def run(*words: object, kafka: str = kafka, within_s: float = 60) -> Result:
        command = [str(IMAGEBUS), *map(str, words), "--kafka", kafka]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=within_s, stdin=subprocess.DEVNULL
        )

    return run


def hop(kind: str, stage: str = "", topic: str = "T") -> dict[str, Any]:
    """Return a hop of a trail."""
    return {
        "stage": stage or kind,
        "kind": kind,
        "version": "1",
        "topic": topic,
        "received_ns": 1,
        "published_ns": 2,
    }


def sent(sequence: int = 0, partition: int = 0, age_s: float = 0.0, **changes: Any) -> Put:
    """Return a frame's record as the library's writers send it, captured now or that long ago."""
    changes.setdefault("captured_ns", time.time_ns() - int(age_s * 1e9) + sequence * 1_000_000)
    one = frame_put(plain_frame(sequence, **changes), partition)
    return Put(one.value, one.key, one.timestamp_ms, partition, [TYPE])


def meta_sent(sequence: int = 0, partition: int = 0, age_s: float = 0.0, **changes: Any) -> Put:
    """Return the record beside it in META."""
    one = sent(sequence, partition, age_s, **changes)
    frame = msgpack.unpackb(one.value or b"") | {"image": b""}
    return Put(msgpack.packb(frame), one.key, one.timestamp_ms, partition, [META_TYPE])


def letter(topic: str, group: str, reason: str = "error", **changes: Any) -> Put:
    """Return a dead letter as a filter would have sent it."""
    one = sent(**changes) if changes.get("value") is None else Put(changes["value"], b"door")
    record = Record(topic, 0, 7, one.timestamp_ms, one.key, one.value, tuple(one.headers))  # type: ignore[arg-type]
    out = dead_letter(record, reason=reason, error="ValueError: no", stage="stage", group=group)
    return Put(out.value, out.key, out.timestamp_ms, 0, out.headers)


def said(result: Result, status: int = 0) -> list[str]:
    """Return the lines of standard output of a command that ended as it should."""
    assert result.returncode == status, result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout.splitlines()
