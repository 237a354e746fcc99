"""What both models find in labelled pictures, through the filter and through Kafka."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from box_mapping import search
from imageaiProcessor import ImageaiProcessor
from model_choice import open_detector

from imagebus import codec, jpeg
from imagebus.bus import Bus
from imagebus.camera import CameraPublisher
from imagebus.frame import Frame
from imagebus.testing import make_frame, run_filter
from tests.imageai.average_precision import Labelled
from tests.programs import IMAGEAI, running

EVERYTHING = ("--confidence", "0.001")
LEAST_AP50 = {"yolov3-tiny": 0.43, "yolox": 0.50}


@pytest.fixture(scope="module")
def labelled(coco_val: Path) -> Labelled:
    return Labelled(coco_val)


@pytest.fixture(scope="module", params=LEAST_AP50)
def model(request: pytest.FixtureRequest, yolox: str) -> tuple[str, float]:
    """What to pass as --model, and the AP50 that it must reach."""
    return yolox if request.param == "yolox" else request.param, LEAST_AP50[request.param]


def by_picture(labelled: Labelled, frames: list[Frame]) -> dict[int, Frame]:
    numbers = list(labelled.images)
    return {numbers[frame.sequence]: frame for frame in frames}


def test_the_models_find_what_they_should(labelled: Labelled, model: tuple[str, float]) -> None:
    name, least = model
    pictures = [
        make_frame(image=jpeg.clean(path.read_bytes()), sequence=number)
        for number, path in enumerate(labelled.images.values())
    ]
    frames = run_filter(ImageaiProcessor, pictures, *EVERYTHING, "--model", name)
    assert [frame.image for frame in frames] == [frame.image for frame in pictures]
    found = {number: frame.detections for number, frame in by_picture(labelled, frames).items()}
    _, ap50 = labelled.score(found)
    assert ap50 >= least


def test_decoding_no_larger_than_the_model_sees_costs_no_accuracy(
    labelled: Labelled, model: tuple[str, float]
) -> None:
    scale = 2.5
    detector = open_detector(model[0], threshold=0.001)
    whole, reduced = {}, {}
    for number, path in labelled.images.items():
        large = cv2.resize(
            jpeg.decode(path.read_bytes()), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC
        )
        frame = make_frame(image=jpeg.encode(np.asarray(large, np.uint8), 95))
        size = (frame.width, frame.height)
        small = frame.pixels(*detector.useful_size(*size))
        assert small.shape[1] == -(-frame.width // 2)
        [whole[number]] = search(detector, [frame.pixels()], [size])
        [reduced[number]] = search(detector, [small], [size])
    whole_ap, _ = labelled.score(whole, scale)
    reduced_ap, _ = labelled.score(reduced, scale)
    assert reduced_ap == pytest.approx(whole_ap, abs=0.01)


@pytest.mark.e2e
def test_the_models_find_as_much_through_kafka(
    labelled: Labelled, model: tuple[str, float], kafka: str, tmp_path: Path
) -> None:
    name, least = model
    source, target = f"AP_{Path(name).stem}", f"AP_{Path(name).stem}_FOUND"
    bus = Bus(kafka)
    for topic in (source, target):
        bus.ensure_topic(topic)
    deadline = time.monotonic() + 120
    while target not in bus.topics() and time.monotonic() < deadline:
        time.sleep(0.05)
    tail = bus.tail()
    tail.follow({(target, partition) for partition in range(bus.topics()[target])})
    camera = CameraPublisher(bus, source, "coco", live=False)
    for path in labelled.images.values():
        camera.publish(path.read_bytes())
    assert camera.close(30) == 0
    flags = ["-i", source, "-t", target, "--kafka", kafka, *EVERYTHING]
    flags += ["--model", name, "--start", "earliest", "--freshness", "all", "--quiet"]
    frames: list[Frame] = []
    with running(tmp_path, IMAGEAI, *flags) as program:
        while len(frames) < len(labelled.images) and time.monotonic() < deadline:
            assert program.alive, f"it ended before it had seen all pictures: {program.err.decode()}"
            frames += [codec.decode(record.value or b"") for record in tail.read(1.0)]
        assert program.ends(signal.SIGTERM) == 0
    tail.close()
    assert sorted(frame.sequence for frame in frames) == list(range(len(labelled.images)))
    found = {number: frame.detections for number, frame in by_picture(labelled, frames).items()}
    _, ap50 = labelled.score(found)
    assert ap50 >= least
