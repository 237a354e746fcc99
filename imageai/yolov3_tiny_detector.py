"""YOLOv3-tiny (Redmon and Farhadi 2018, arXiv 1804.02767), converted by ``darknet_weights``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from box_selection import Rows, corners
from letterbox import Boxes
from yolo_detector import YoloDetector

from imagebus.errors import ModelError
from imagebus.fetch import Report, locked

STRIDES = (32, 16)
ANCHORS_A_CELL = 3
CONVERSION = 1
"""Counts changes of the conversion: what an earlier one made is not used."""


class Yolov3TinyDetector(YoloDetector):
    """Runs the converted network, which decodes its boxes itself."""

    kind = "YOLOv3-tiny"
    grey = 127.5
    centred = True  # as Darknet's letterbox_image does

    @classmethod
    def places(cls, width: int, height: int) -> int:
        """Count three anchors for each cell of both grids."""
        return sum(ANCHORS_A_CELL * (width // stride) * (height // stride) for stride in STRIDES)

    def boxes(self, rows: Rows, places: np.ndarray[Any, Any]) -> Boxes:
        """Take centres and sizes as they are: pixels of the input."""
        return corners(rows[:, :2], rows[:, 2:4])


def converted(weights: Path, report: Report) -> Path:
    """Return the ONNX file made from the weights, which lies beside them; made now if it is not there.

    Raises:
        ModelError: the weights are not those of YOLOv3-tiny, or the file cannot be written.
        FetchError: nor can the folder.
    """
    target = weights.with_name(f"{weights.stem}.converted-{CONVERSION}.onnx")
    if target.exists():
        return target
    with locked(target, report):
        if not target.exists():
            report(f"converting {weights.name} to ONNX")
            _convert(weights, target)
    return target


def _convert(weights: Path, target: Path) -> None:
    from darknet_weights import convert  # takes 0.3 s to import, and is needed once

    part = target.with_name(target.name + ".part")
    try:
        part.write_bytes(convert(weights))
        part.replace(target)
    except OSError as error:
        raise ModelError(f"cannot write {target}: {error.strerror}") from error
