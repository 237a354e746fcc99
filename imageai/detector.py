"""What every detector offers, whatever runs behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from imagebus.frame import Model

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
"""(height, width, 3), BGR."""


@dataclass(frozen=True, slots=True)
class Found:
    """One object: ``box`` is (left, top, right, bottom) in pixels of the picture that was searched.

    The edges are not rounded and may lie outside the picture.
    """

    label: str
    confidence: float
    box: tuple[float, float, float, float]


class Detector(Protocol):
    """Finds objects in pictures. One instance serves one thread."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that it looks for, found or not."""

    @property
    def model(self) -> Model:
        """Name the model, with the SHA-256 of its weights."""

    @property
    def threshold(self) -> float:
        """The least confidence that it reports."""

    def useful_size(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Tell how large a picture of this size must be decoded, at least, to lose nothing."""

    def detect(self, batch: Sequence[Pixels]) -> list[list[Found]]:
        """Search each picture: at most 100 objects each, the surest first.

        Raises:
            ModelError: the model cannot be run.
        """
