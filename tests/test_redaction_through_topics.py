"""Real people on real topics: none of their pixels survives, and nothing else is touched."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import msgpack
import numpy as np
import pytest

from imagebus import jpeg
from imagebus.bus import Bus
from imagebus.camera import CameraPublisher
from tests.broker import Identity, Reader, fresh
from tests.programs import IMAGEAI, REDACTION, ROOT, running, wait_for

sys.path.append(str(ROOT / "imageai"))
from blackout import grown

pytestmark = [pytest.mark.kafka, pytest.mark.e2e]
FRAMES = 290
FIRST_S, EVERY = 12, 2
"""From here on somebody is nearly always in the hall."""


def pictures(video: Path) -> Iterator[bytes]:
    with av.open(str(video)) as container:
        container.seek(FIRST_S * av.time_base)
        for number, frame in enumerate(container.decode(video=0)):
            if number % EVERY == 0:
                yield jpeg.encode(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8), 85)


def publish(kafka: str, topic: str, video: Path) -> int:
    camera = CameraPublisher(Bus(kafka), topic, "hall", live=False)
    for _, picture in zip(range(FRAMES), pictures(video), strict=False):
        camera.publish(picture)
    assert camera.close(60) == 0
    return camera.published


def by_identity(reader: Reader) -> dict[Identity, dict[str, Any]]:
    frames = [msgpack.unpackb(record.value or b"") for record in reader.read()]
    found = {(one["source"], one["epoch"], one["sequence"]): one for one in frames}
    assert len(found) == len(frames), "no picture twice"
    return found


def outside(shape: tuple[int, ...], boxes: list[list[int]]) -> np.ndarray[Any, Any]:
    mask = np.ones(shape[:2], bool)
    for box in boxes:
        left, top, right, bottom = grown(tuple(box))  # type: ignore[arg-type]
        mask[top:bottom, left:right] = False
    return mask


@pytest.mark.timeout(170)
def test_every_pixel_of_every_person_is_black_and_the_rest_is_as_it_was(
    kafka: str, tmp_path: Path, assets: Path, models: Path
) -> None:
    source, found, redacted = fresh("SOURCE"), fresh("IMAGEAI"), fresh("REDACTION")
    count = publish(kafka, source, assets / "videos" / "hall-people-one-by-one.mp4")
    common = ("--kafka", kafka, "--freshness", "all", "--start", "earliest", "-q")
    detector = ("-i", source, "-t", found, "--model", models / "yolox_nano.onnx", *common)
    seen, black = Reader(kafka, found), Reader(kafka, redacted)
    with (
        running(tmp_path / "detector", IMAGEAI, *detector) as first,
        running(tmp_path / "redaction", REDACTION, "-i", found, "-t", redacted, *common) as second,
    ):
        wait_for(lambda: len(black.read()) >= count, "all frames at the end", within_s=120, every_s=0.5)
        assert [first.ends(signal.SIGTERM), second.ends(signal.SIGTERM)] == [0, 0]

    before, after = by_identity(seen), by_identity(black)
    assert set(before) == set(after)
    assert len(before) == count == FRAMES
    with_people, worst, drift = 0, 0, 0.0
    for identity, frame in before.items():
        people = [d["box"] for d in frame["detections"] if d["label"] == "person"]
        old, new = jpeg.decode(frame["image"]), jpeg.decode(after[identity]["image"])
        if not people:
            assert after[identity]["image"] == frame["image"]
            continue
        with_people += 1
        worst = max(worst, *(int(new[top:bottom, left:right].max()) for left, top, right, bottom in people))
        rest = outside(old.shape, people)
        if rest.any():
            drift = max(drift, float(np.abs(old.astype(int) - new)[rest].mean()))
    print(f"{with_people} of {count} frames with people, brightest {worst}, largest mean change {drift:.2f}")
    assert with_people >= 200
    assert worst <= 8
    assert drift <= 3
    seen.close()
    black.close()
