"""A picture of any shape in the model's square, and boxes back out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from detector import Pixels
from opencv_pixels import resized_planes

Boxes = np.ndarray[Any, np.dtype[np.float32]]
"""(n, 4): left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a picture lies in the model's input: at its top left, whole, in its own proportions.

    What the picture leaves free has the grey that the model was trained with.
    """

    picture_width: int
    picture_height: int
    width: int
    """Of the picture inside the model's input."""
    height: int

    @classmethod
    def fit(cls, picture_width: int, picture_height: int, input_width: int, input_height: int) -> Letterbox:
        """Scale a picture so that it just fits."""
        scale = min(input_width / picture_width, input_height / picture_height)
        return cls(
            picture_width,
            picture_height,
            max(1, min(input_width, round(picture_width * scale))),
            max(1, min(input_height, round(picture_height * scale))),
        )

    def place(self, pixels: Pixels, planes: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        """Write the picture into ``planes``, (3, height, width), in place; the rest of it stays grey."""
        for plane, colour in zip(planes, resized_planes(pixels, self.width, self.height), strict=True):
            plane[: self.height, : self.width] = colour

    def into(self, boxes: Boxes) -> Boxes:
        """Map boxes of the picture to the model's input."""
        return boxes * self._scale()

    def out_of(self, boxes: Boxes) -> Boxes:
        """Map boxes of the model's input to the picture; edges may lie outside it."""
        return boxes / self._scale()

    def _scale(self) -> Boxes:
        x, y = self.width / self.picture_width, self.height / self.picture_height
        return np.array([x, y, x, y], np.float32)
