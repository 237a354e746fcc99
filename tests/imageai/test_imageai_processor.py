"""The filter: what it adds to a frame, what it leaves alone, and how it fails."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from coco_labels import COCO_LABELS
from imageaiProcessor import ImageaiProcessor

from imagebus import codec, jpeg
from imagebus.errors import ModelError
from imagebus.frame import Detection, Frame
from imagebus.testing import MemoryBus, make_frame, run_filter
from tests.imageai.networks import CELLS, constant, for_any_number

PROGRAM = Path(__file__).parents[2] / "imageai" / "imageaiProcessor.py"


@pytest.fixture
def dog(assets: Path) -> Frame:
    image = (assets / "demo-images" / "dog.jpg").read_bytes()
    return make_frame(image=jpeg.upright(image))


def test_the_finds_go_beside_the_picture_which_stays_as_it_is(dog: Frame, yolox: str) -> None:
    [frame] = run_filter(ImageaiProcessor, [dog], "--model", yolox)
    assert frame.image == dog.image
    assert frame.identity == dog.identity
    assert {"dog", "bicycle"} <= {detection.label for detection in frame.detections}
    assert all(detection.confidence >= 0.25 for detection in frame.detections)
    [found] = [detection for detection in frame.detections if detection.label == "dog"]
    left, top, right, bottom = found.box
    assert abs(left - 130) < 40
    assert abs(top - 220) < 40
    assert abs(right - 310) < 40
    assert abs(bottom - 540) < 40


def test_the_trail_says_what_looked_and_for_what(dog: Frame, yolox: str) -> None:
    [frame] = run_filter(ImageaiProcessor, [dog], "--model", yolox, "--confidence", "0.4", "-n", "eye")
    hop = frame.trail[-1]
    assert (hop.stage, hop.kind, hop.topic) == ("eye", "imageaiProcessor", "IMAGEAI_FRAME")
    assert hop.searched == COCO_LABELS
    assert hop.threshold == 0.4
    assert hop.model is not None
    assert hop.model.digest == hashlib.sha256(Path(yolox).read_bytes()).hexdigest()
    assert frame.searched_for(["person", "toothbrush"])


def test_the_fallback_is_named_where_it_runs(dog: Frame) -> None:
    [frame] = run_filter(ImageaiProcessor, [dog], "--model", "yolov3-tiny")
    assert "dog" in {detection.label for detection in frame.detections}
    hop = frame.trail[-1]
    assert hop.model is not None
    assert hop.model.name == "yolov3-tiny"
    assert hop.model.digest.startswith("dccea06f59b7")


def test_detections_that_are_there_stay_in_front(yolox: str, dog: Frame) -> None:
    earlier = Detection("face", 0.9, (1, 2, 3, 4), track="7", attributes={"faces.identity": "Ada"})
    frame = dog.with_detections([earlier])
    [found] = run_filter(ImageaiProcessor, [frame], "--model", yolox)
    assert found.detections[0] == earlier
    assert "dog" in {detection.label for detection in found.detections[1:]}


def test_a_grey_picture_of_a_single_pixel_goes_through(yolox: str) -> None:
    [frame] = run_filter(ImageaiProcessor, [make_frame(width=1, height=1)], "--model", yolox)
    assert frame.detections == ()


def test_draw_burns_boxes_in_and_nothing_else(dog: Frame, yolox: str) -> None:
    [frame] = run_filter(ImageaiProcessor, [dog], "--model", yolox, "--draw")
    changed = np.abs(frame.pixels().astype(int) - dog.pixels().astype(int)).max(axis=2) > 60
    for left, top, right, bottom in (detection.box for detection in frame.detections):
        assert changed[top, left:right].mean() > 0.5
        assert changed[top:bottom, left].mean() > 0.5
    assert changed.mean() < 0.1
    boxes = np.zeros(changed.shape, bool)
    for left, top, right, bottom in (detection.box for detection in frame.detections):
        boxes[max(0, top - 40) : bottom + 40, max(0, left - 40) : right + 200] = True
    assert not changed[~boxes].any()


def test_draw_makes_any_name_harmless(yolox: str, dog: Frame) -> None:
    frame = dog.with_detections([Detection("каска\x1b[2J\n", 0.9, (700, 500, 768, 576))])
    [found] = run_filter(ImageaiProcessor, [frame], "--model", yolox, "--draw")
    assert found.detections[0].label == "каска\x1b[2J\n"


def test_a_damaged_picture_is_a_dead_letter_and_the_next_one_goes_through(dog: Frame, yolox: str) -> None:
    damaged = dog.image[: len(dog.image) // 2] + b"\xff\xd9"
    bus = MemoryBus()
    bus.put(make_frame(image=damaged, sequence=0), "SOURCE_FRAME")
    bus.put(make_frame(sequence=1), "SOURCE_FRAME")
    options = ImageaiProcessor.Options.parse(
        ["--model", yolox, "--freshness", "all", "--start", "earliest", "--quiet"]
    )
    bus.run(ImageaiProcessor(options))
    [dead] = bus.log["SOURCE_FRAME.DLQ"]
    assert ("imagebus.reason", b"picture") in dead.headers
    [passed] = bus.log["IMAGEAI_FRAME"]
    assert codec.decode(passed.value or b"").sequence == 1


def through_in_batches(frames: list[Frame], *flags: str) -> MemoryBus:
    bus = MemoryBus()
    for frame in frames:
        bus.put(frame, "SOURCE_FRAME")
    always = ["--freshness", "all", "--start", "earliest", "--quiet", "--batch", str(len(frames))]
    bus.run(ImageaiProcessor(ImageaiProcessor.Options.parse([*always, *flags])))
    return bus


@pytest.mark.parametrize("which", ["one at a time", "any number"])
def test_a_batch_of_unlike_pictures_gives_each_the_finds_that_it_has_alone(
    dog: Frame, yolox: str, tmp_path: Path, which: str
) -> None:
    model = yolox if which == "one at a time" else str(for_any_number(Path(yolox), tmp_path / "any.onnx"))
    small = make_frame(image=jpeg.encode(np.ascontiguousarray(dog.pixels()[::2, ::3])), sequence=1)
    frames = [dog, small, make_frame(sequence=2)]
    alone = run_filter(ImageaiProcessor, frames, "--model", model)
    bus = through_in_batches(frames, "--model", model)
    beside = [codec.decode_meta(record.value or b"") for record in bus.log["IMAGEAI_FRAME.META"]]
    together = [codec.decode(record.value or b"") for record in bus.log["IMAGEAI_FRAME"]]
    assert [frame.identity for frame in together] == [frame.identity for frame in frames]
    assert [frame.detections for frame in beside] == [frame.detections for frame in together]
    assert len(together[0].detections) >= 2
    assert together[2].detections == ()
    for one, other in zip(alone, together, strict=True):
        assert [(d.label, d.box) for d in one.detections] == [(d.label, d.box) for d in other.detections]
        assert [d.confidence for d in one.detections] == pytest.approx(
            [d.confidence for d in other.detections], abs=1e-4
        )
        assert one.trail[-1].searched == other.trail[-1].searched == COCO_LABELS


@pytest.mark.parametrize("flags", [(), ("--draw",)])
def test_a_damaged_picture_spoils_none_of_its_batch(dog: Frame, yolox: str, flags: tuple[str, ...]) -> None:
    damaged = msgspec.structs.replace(dog, image=dog.image[: len(dog.image) // 2] + b"\xff\xd9", sequence=1)
    bus = through_in_batches([dog, damaged, make_frame(sequence=2)], "--model", yolox, *flags)
    [dead] = bus.log["SOURCE_FRAME.DLQ"]
    assert dead.header("imagebus.reason") == "picture"
    passed = [codec.decode(record.value or b"") for record in bus.log["IMAGEAI_FRAME"]]
    assert [frame.sequence for frame in passed] == [0, 2]
    assert "dog" in {detection.label for detection in passed[0].detections}


def test_a_model_that_fails_ends_the_service_and_no_frame_is_lost(tmp_path: Path) -> None:
    rows = np.zeros((1, CELLS, 85), np.float32)
    rows[0, 0, 4] = np.nan
    bus = MemoryBus()
    bus.put(make_frame(), "SOURCE_FRAME")
    model = str(constant(tmp_path / "nan.onnx", rows))
    options = ImageaiProcessor.Options.parse(
        ["--model", model, "--freshness", "all", "--start", "earliest", "--quiet"]
    )
    with pytest.raises(ModelError):
        bus.run(ImageaiProcessor(options))
    assert bus.log.get("SOURCE_FRAME.DLQ", []) == []
    assert [position.offset for position in bus.commits.values()] == [0]


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ("--confidence 0", "--confidence: Input should be greater than 0"),
        ("--confidence 1.5", "--confidence: Input should be less than or equal to 1"),
        ("--confidence nan", "--confidence: Input should be"),
        ("--model nowhere.onnx", "--model: a file, or one of auto, yolox-nano, yolov3-tiny is wanted"),
    ],
)
def test_a_wrong_flag_ends_it_with_one_line(flags: str, complaint: str) -> None:
    ran = subprocess.run([sys.executable, PROGRAM, *flags.split()], capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert complaint in ran.stderr
