"""What all YOLO networks share: a letterboxed picture in, rows of places out, the strongest boxes kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from box_selection import Rows, candidates, strongest
from coco_labels import COCO_LABELS
from detector import Found, Pixels
from letterbox import Boxes, Letterbox
from onnx_model import OnnxModel

from imagebus.errors import ModelError
from imagebus.frame import Model


class YoloDetector:
    """A ``Detector`` over a network trained on COCO; what differs between networks is overridden.

    Args:
        network: takes BGR planes, 0..255; gives (batch, places, 5 + 80) with scores already 0..1.
        model: its name and the digest of its weights.
        threshold: the least confidence to report, 0..1; confidence is objectness times class score.

    Raises:
        ModelError: the network is of another kind.
    """

    kind = "YOLO"
    labels = COCO_LABELS
    grey = 0.0
    """What fills the input beside the picture, 0..255."""
    centred = False
    """Whether the picture lies in the middle of the input, or at its top left."""

    def __init__(self, network: OnnxModel, model: Model, threshold: float) -> None:
        self.model = model
        self.threshold = threshold
        self._network = network
        rows = network.run(self._empty(1))
        wanted = (1, self.places(network.width, network.height), 5 + len(self.labels))
        if rows.shape != wanted:
            raise ModelError(
                f"{network.path}: its output is {rows.shape}, for {self.kind} it would be {wanted}"
            )
        self.check(rows[0])

    @classmethod
    def places(cls, width: int, height: int) -> int:
        """Count the places that the network reports on, for an input of this size."""
        raise NotImplementedError

    def boxes(self, rows: Rows, places: np.ndarray[Any, Any]) -> Boxes:
        """Turn rows, which are of these places, into boxes in pixels of the input."""
        raise NotImplementedError

    def check(self, rows: Rows) -> None:
        """Refuse a network of another kind by what it says of an empty picture.

        Raises:
            ModelError: these rows cannot be what this backend decodes.
        """

    def useful_size(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Tell the size at which the network sees a picture of this size."""
        fitted = self._fit(width_px, height_px)
        return min(fitted.width, width_px), min(fitted.height, height_px)

    def detect(self, batch: Sequence[Pixels]) -> list[list[Found]]:
        """Search each picture; see ``Detector``."""
        boxes = [self._fit(pixels.shape[1], pixels.shape[0]) for pixels in batch]
        planes = self._empty(len(batch))
        for pixels, letterbox, plane in zip(batch, boxes, planes, strict=True):
            letterbox.place(pixels, plane)
        return [
            self._found(rows, letterbox)
            for rows, letterbox in zip(self._network.run(planes), boxes, strict=True)
        ]

    def _found(self, rows: Rows, letterbox: Letterbox) -> list[Found]:
        if not np.isfinite(rows).all():
            raise ModelError(f"{self.model.name} gave values that are no numbers: nothing can be trusted")
        places, classes, confidences = candidates(rows, self.threshold)
        inside = self.boxes(rows[places], places)
        kept = strongest(inside, classes, confidences)
        return [
            Found(self.labels[label], confidence, tuple(box))
            for label, confidence, box in zip(
                classes[kept].tolist(),
                confidences[kept].tolist(),
                letterbox.out_of(inside[kept]).tolist(),
                strict=True,
            )
        ]

    def _fit(self, width_px: int, height_px: int) -> Letterbox:
        inside = (self._network.width, self._network.height)
        return Letterbox.fit((width_px, height_px), inside, centred=self.centred)

    def _empty(self, count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.full((count, 3, self._network.height, self._network.width), self.grey, np.float32)
