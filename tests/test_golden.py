"""The bytes of every released version are read and written as they were.

tests/golden/write.py made all but 0.1.0.first.hex, which is older.
"""

from __future__ import annotations

from pathlib import Path

import msgpack
import msgspec
import pytest

from imagebus import FrameError, codec, commit, outcomes
from imagebus.connection import Position
from imagebus.frame import Frame
from tests.golden.write import FOLDER, everything

FILES = sorted(FOLDER.glob("*.hex"))


def data_of(path: Path) -> bytes:
    return bytes.fromhex(path.read_text())


def decode(path: Path) -> Frame:
    return (codec.decode_meta if ".meta." in path.name else codec.decode)(data_of(path))


def test_there_are_golden_bytes_of_each_kind() -> None:
    assert {path.name for path in FILES} >= {f"0.1.0.{kind}.hex" for kind in ("frame", "meta", "least")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_golden_bytes_are_read_and_written_again_as_they_are(path: Path) -> None:
    assert codec.encode(decode(path)) == data_of(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_golden_bytes_say_to_a_plain_reader_what_they_say_to_us(path: Path) -> None:
    plain = msgpack.unpackb(data_of(path), strict_map_key=False, timestamp=3)
    frame = decode(path)
    for name in ("source", "epoch", "sequence", "run", "captured_ns", "width", "height", "image", "v"):
        assert plain[name] == getattr(frame, name)
    assert [one["box"] for one in plain["detections"]] == [list(one.box) for one in frame.detections]
    assert [one["stage"] for one in plain["trail"]] == [hop.stage for hop in frame.trail]
    assert {**plain["attributes"], "types.extension": 0} == {**frame.attributes, "types.extension": 0}


def test_the_golden_frame_holds_what_it_was_made_of() -> None:
    frame = decode(FOLDER / "0.1.0.frame.hex")
    made = msgspec.structs.replace(everything(), image=frame.image)  # another encoder, other bytes
    assert frame == made
    assert decode(FOLDER / "0.1.0.meta.hex") == msgspec.structs.replace(made, image=b"")


@pytest.mark.parametrize("version", [0, 2, 3])
def test_another_version_of_the_format_is_named_in_the_error(version: int) -> None:
    plain = msgpack.unpackb(data_of(FOLDER / "0.1.0.least.hex"))
    later = {**plain, "v": version, "picture": plain.pop("image"), "anything": ["new"]}
    for decode in (codec.decode, codec.decode_meta):
        with pytest.raises(FrameError, match=f"version {version}") as caught:
            decode(msgpack.packb(later))
        assert caught.value.reason == "undecodable"


COMMIT = '{"from":10,"counts":{"output":3,"skipped.stale":1},"gaps":1,"topic":"O","log":"abc","end":40,"x":1}'
NOTE = (
    b'{"group":"g","topic":"SOURCE_FRAME","partition":2,'
    b'"runs":[[1,4,"skipped.stale"],[5,5,"filtered"]],"log":"abc","v":1}'
)


def test_a_commit_of_0_1_0_is_read_with_its_counts_and_what_a_later_one_adds_is_ignored() -> None:
    found = commit.read(Position(15, COMMIT))
    assert commit.is_known(Position(15, COMMIT))
    assert (found.begin, found.counts, found.gaps) == (10, {"output": 3, "skipped.stale": 1}, 1)
    assert (found.topic, found.log, found.end) == ("O", "abc", 40)


def test_a_note_of_0_1_0_is_read_and_written_as_it_is() -> None:
    note = outcomes.decode(NOTE)
    assert note.runs == [(1, 4, "skipped.stale"), (5, 5, "filtered")]
    assert note.outgoing().value == NOTE
    assert outcomes.decode(NOTE[:-1] + b',"later":{}}') == note
    with pytest.raises(FrameError, match="version 1"):
        outcomes.decode(NOTE.replace(b'"v":1', b'"v":2'))
