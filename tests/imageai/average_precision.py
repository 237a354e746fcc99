"""Average precision as COCO counts it, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from imagebus.frame import Detection


class Labelled:
    """Labelled pictures: ``images`` maps a picture's number to its file."""

    def __init__(self, folder: Path) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self._truth = COCO(str(folder / "instances.json"))
        self.images = {
            image["id"]: folder / "images" / image["file_name"] for image in self._truth.dataset["images"]
        }
        self._categories = {c["name"]: c["id"] for c in self._truth.dataset["categories"]}

    def score(self, found: Mapping[int, Iterable[Detection]], scale: float = 1.0) -> tuple[float, float]:
        """Return AP at IoU 0.50:0.95 and AP at 0.50; boxes are of pictures enlarged by ``scale``."""
        boxes: list[dict[str, Any]] = [
            {
                "image_id": number,
                "category_id": self._categories[detection.label],
                "score": detection.confidence,
                "bbox": _corner_and_size([edge / scale for edge in detection.box]),
            }
            for number, detections in found.items()
            for detection in detections
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(self._truth, self._truth.loadRes(boxes), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return float(evaluation.stats[0]), float(evaluation.stats[1])


def _corner_and_size(box: list[float]) -> list[float]:
    left, top, right, bottom = box
    return [left, top, right - left, bottom - top]
