"""Pictures in a folder, each with its facts beside it."""

from __future__ import annotations

import json
from pathlib import Path

from imagebus import codec
from imagebus.record import Record
from imagebus.saved import Folder
from imagebus.seen import Seen, see
from imagebus.testing import make_frame

FRAME = codec.encode(make_frame())


def of_topic(topic: str, value: bytes = FRAME) -> Seen:
    return see(Record(topic, 0, 7, 1_790_000_000_000, b"camera", value))


def test_the_same_picture_of_two_topics_is_kept_twice_each_with_its_own_facts(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    kept = {topic: folder.keep(of_topic(topic)) for topic in ("A", "B")}

    for topic, path in kept.items():
        assert path.read_bytes() == make_frame().image
        assert json.loads(path.with_suffix(".json").read_text())["topic"] == topic
    assert len(list(tmp_path.iterdir())) == 4
    assert {topic: folder.keep(of_topic(topic)) for topic in ("A", "B")} == kept
    assert len(list(tmp_path.iterdir())) == 4


def test_facts_that_are_missing_are_written_and_strange_ones_are_left(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    path = folder.keep(of_topic("A"))
    beside = path.with_suffix(".json")
    beside.unlink()
    assert folder.keep(of_topic("A")) == path
    assert beside.is_file()

    path.unlink()
    beside.write_text("mine")
    other = folder.keep(of_topic("A"))
    assert other != path
    assert not path.exists()
    assert beside.read_text() == "mine"
    assert json.loads(other.with_suffix(".json").read_text())["topic"] == "A"


def test_what_is_no_frame_is_numbered_with_its_facts_too(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    paths = [folder.keep(of_topic(topic, b"broken")) for topic in "AB"]
    assert [path.suffix for path in paths] == [".bin", ".bin"]
    assert [json.loads(p.with_suffix(".json").read_text())["topic"] for p in paths] == ["A", "B"]
