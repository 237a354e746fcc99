"""YOLOX (Ge et al. 2021, arXiv 2107.08430) from its own ONNX export."""

from __future__ import annotations

from typing import Any

import numpy as np
from box_selection import Rows, corners
from letterbox import Boxes
from onnx_model import OnnxModel
from yolo_detector import YoloDetector

from imagebus.errors import ModelError
from imagebus.frame import Model

STRIDES = (8, 16, 32)
LARGEST_LOGARITHM = 10.0
"""exp(10) cells are more than any picture has; decoded sizes, in pixels, are beyond it."""


class YoloxDetector(YoloDetector):
    """Runs an export made without decoding: centres count from their cell, sizes are logarithms, in cells."""

    kind = "YOLOX"
    grey = 114.0

    def __init__(self, network: OnnxModel, model: Model, threshold: float) -> None:
        self._cells, self._strides = _grid(network.width, network.height)
        super().__init__(network, model, threshold)

    @classmethod
    def places(cls, width: int, height: int) -> int:
        """Count the cells of all three grids."""
        return sum((width // stride) * (height // stride) for stride in STRIDES)

    def check(self, rows: Rows) -> None:
        """Refuse an export that decodes its boxes itself."""
        if (largest := float(rows[:, 2:4].max())) > LARGEST_LOGARITHM:
            raise ModelError(
                f"{self.model.name} gives sizes up to {largest:.0f}, which are decoded already: "
                "export it without decoding (YOLOX's default)"
            )

    def boxes(self, rows: Rows, places: np.ndarray[Any, Any]) -> Boxes:
        """Decode as the paper's section 2.3 does: one box a cell, no anchors."""
        strides = self._strides[places]
        centres = (rows[:, :2] + self._cells[places]) * strides
        return corners(centres, np.exp(rows[:, 2:4]) * strides)


def _grid(width: int, height: int) -> tuple[Rows, Rows]:
    """Return each cell's column and row, (places, 2), and its stride, (places, 1)."""
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack((columns, rows), axis=-1).reshape(-1, 2))
        strides.append(np.full((rows.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)
