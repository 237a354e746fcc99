"""YOLOv3-tiny as converted: several pictures at a time, each as if it were alone."""

from __future__ import annotations

from pathlib import Path

from model_choice import open_detector

from imagebus import jpeg


def test_a_batch_finds_what_each_picture_alone_finds(assets: Path) -> None:
    pictures = [
        jpeg.decode((assets / "demo-images" / name).read_bytes()) for name in ("dog.jpg", "person.jpg")
    ]
    detector = open_detector("yolov3-tiny", 0.25)
    alone = [detector.detect([picture])[0] for picture in pictures]
    together = detector.detect(pictures)
    assert [[found.label for found in picture] for picture in together] == [
        [found.label for found in picture] for picture in alone
    ]
    assert {"dog"} <= {found.label for found in together[0]}
    assert {"person", "horse"} <= {found.label for found in together[1]}
