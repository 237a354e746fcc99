"""A picture of any shape in the model's square, and boxes back out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from detector import Pixels
from opencv_pixels import resized_planes

Boxes = np.ndarray[Any, np.dtype[np.float32]]
"""(n, 4): left, top, right, bottom."""
Size = tuple[int, int]


MOST_ENLARGED = 1.5
"""Networks find little in pictures that are blown up further: of 40 frames of a man at 176x144, YOLOv3-tiny
finds him in 17 when they fill its 416 pixels, and in all 40 at one and a half times their size."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a picture lies in the model's input: whole, in its own proportions, hardly enlarged.

    What the picture leaves free has the grey that the model was trained with.
    """

    picture_width: int
    picture_height: int
    width: int
    """Of the picture inside the model's input."""
    height: int
    left: int = 0
    """Of the picture's corner inside the model's input."""
    top: int = 0

    @classmethod
    def fit(cls, picture: Size, inside: Size, *, centred: bool = False) -> Letterbox:
        """Scale a picture so that it just fits, and put it in the middle or at the top left.

        ``picture`` and ``inside`` are (width, height) of the picture and of the model's input, in pixels.
        """
        scale = min(inside[0] / picture[0], inside[1] / picture[1], MOST_ENLARGED)
        width = max(1, min(inside[0], round(picture[0] * scale)))
        height = max(1, min(inside[1], round(picture[1] * scale)))
        left, top = ((inside[0] - width) // 2, (inside[1] - height) // 2) if centred else (0, 0)
        return cls(*picture, width, height, left, top)

    def place(self, pixels: Pixels, planes: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        """Write the picture into ``planes``, (3, height, width), in place; the rest of it stays grey."""
        for plane, colour in zip(planes, resized_planes(pixels, self.width, self.height), strict=True):
            plane[self.top : self.top + self.height, self.left : self.left + self.width] = colour

    def into(self, boxes: Boxes) -> Boxes:
        """Map boxes of the picture to the model's input."""
        return boxes * self._scale() + self._corner()

    def out_of(self, boxes: Boxes) -> Boxes:
        """Map boxes of the model's input to the picture; edges may lie outside it."""
        return (boxes - self._corner()) / self._scale()

    def _scale(self) -> Boxes:
        x, y = self.width / self.picture_width, self.height / self.picture_height
        return np.array([x, y, x, y], np.float32)

    def _corner(self) -> Boxes:
        return np.array([self.left, self.top, self.left, self.top], np.float32)
