"""Real people in a real video, through producer, detector and redaction as programs on a real broker."""

import io
import time
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from PIL import Image

from tests.broker import fresh, read_all
from tests.programs import IMAGEAI, REDACTION, ROOT, running, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.timeout(300)]

PRODUCER = ROOT / "producer" / "producer.py"
ENOUGH = 200
MCU_PX = 16
Frames = dict[tuple[str, str, int], dict[str, Any]]


def frames(kafka: str, topic: str) -> Frames:
    """Read a topic with a plain client and the plain msgpack package."""
    maps = [msgpack.unpackb(record.value or b"") for record in read_all(kafka, topic)]
    found = {(one["source"], one["epoch"], one["sequence"]): one for one in maps}
    assert len(found) == len(maps), "a frame is there twice"
    return found


def pixels(frame: dict[str, Any]) -> np.ndarray:
    """Decode as everybody does, with smoothed colour: (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(frame["image"])).convert("RGB")).astype(int)


def people(frame: dict[str, Any]) -> list[list[int]]:
    return [found["box"] for found in frame["detections"] if found["label"] == "person"]


@pytest.fixture(scope="module")
def stages(kafka: str, assets: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Frames]:
    """Return the frames of all three topics, after a video with people went through."""
    folder = tmp_path_factory.mktemp("chain")
    source, found, redacted = fresh("SOURCE"), fresh("FOUND"), fresh("REDACTED")
    bus = ("--kafka", kafka, "-q")
    every = (*bus, "--freshness", "all")
    model = models / "yolox_nano.onnx"
    video = assets / "videos" / "hall-people-one-by-one.mp4"
    camera = (video, "-f", "2", "-t", source, "-n", "hall", "--speed", "4", *bus)
    with (
        running(folder / "redaction", REDACTION, "-i", found, "-t", redacted, *every),
        running(folder / "detector", IMAGEAI, "-i", source, "-t", found, "--model", model, *every),
        running(folder / "producer", PRODUCER, *camera) as producer,
    ):
        assert producer.ends(within_s=150) == 0
        sent = len(read_all(kafka, source))
        wait_for(lambda: len(read_all(kafka, redacted)) >= sent, "all frames redacted", 120, every_s=1)
        time.sleep(0.5)  # one frame too many would come now
        return [frames(kafka, topic) for topic in (source, found, redacted)]


def test_no_frame_is_missing_at_any_stage(stages: list[Frames]) -> None:
    source, found, redacted = stages
    assert len(source) == 697  # every second of 1394
    assert set(source) == set(found) == set(redacted)


def test_the_detector_passes_the_cameras_bytes_on(stages: list[Frames]) -> None:
    source, found, _ = stages
    assert all(found[identity]["image"] == source[identity]["image"] for identity in source)


def test_every_pixel_of_every_person_is_black_and_the_rest_is_as_it_was(stages: list[Frames]) -> None:
    _, found, redacted = stages
    with_people = {identity: frame for identity, frame in found.items() if people(frame)}
    assert len(with_people) >= ENOUGH
    for identity, frame in with_people.items():
        before, after = pixels(frame), pixels(redacted[identity])
        outside = np.ones(before.shape[:2], bool)
        for left, top, right, bottom in people(frame):
            assert after[top:bottom, left:right].max() <= 8, identity
            grown = [left // MCU_PX, top // MCU_PX, -(-right // MCU_PX), -(-bottom // MCU_PX)]
            x0, y0, x1, y1 = (edge * MCU_PX for edge in grown)
            outside[y0:y1, x0:x1] = False
        if outside.any():
            assert np.abs(before - after)[outside].mean() <= 3, identity


def test_a_frame_without_people_keeps_its_bytes(stages: list[Frames]) -> None:
    _, found, redacted = stages
    without = [identity for identity, frame in found.items() if not people(frame)]
    assert without
    assert all(redacted[identity]["image"] == found[identity]["image"] for identity in without)
