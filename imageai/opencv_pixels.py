"""The few things that OpenCV does to pixels here; the only module that imports it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from detector import Pixels

from imagebus.frame import Box

Plane = np.ndarray[Any, np.dtype[np.uint8]]
GREEN, BLACK = (0, 255, 0), (0, 0, 0)

cv2.setNumThreads(1)  # a resize takes less than waking another thread does


def resized_planes(pixels: Pixels, width_px: int, height_px: int) -> Sequence[Plane]:
    """Resize with linear interpolation, as the models were trained, and take the three colours apart."""
    resized = cv2.resize(pixels, (width_px, height_px), interpolation=cv2.INTER_LINEAR)
    planes: Any = cv2.split(resized)
    return tuple(planes)


def draw_boxes(pixels: Pixels, captions: Iterable[tuple[str, Box]]) -> None:
    """Draw boxes with their captions into the pixels, in place; lines are inside the boxes' edges."""
    thickness = max(1, round(min(pixels.shape[:2]) / 360))
    scale = thickness * 0.5
    for caption, (left, top, right, bottom) in captions:
        cv2.rectangle(pixels, (left, top), (right - 1, bottom - 1), GREEN, thickness)
        (_, height), below = cv2.getTextSize(caption, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
        foot = top - below if top >= height + below else top + height + below
        for colour, width in ((BLACK, 3 * thickness), (GREEN, thickness)):
            cv2.putText(
                pixels, caption, (left, foot), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, width, cv2.LINE_AA
            )
