"""From what a YOLO network says of every place to the objects that are there."""

from __future__ import annotations

from typing import Any

import numpy as np
from letterbox import Boxes

Rows = np.ndarray[Any, np.dtype[np.float32]]
"""(places, 5 + classes): centre x, centre y, width, height, objectness, and a score for each class."""
Integers = np.ndarray[Any, np.dtype[np.intp]]

MOST_OBJECTS = 100
MOST_CANDIDATES = 10_000
"""Bounds the work at a threshold next to nothing."""
OVERLAP = 0.45


def candidates(rows: Rows, threshold: float) -> tuple[Integers, Integers, Rows]:
    """Pick every class of every place that reaches the threshold: places, classes and confidences."""
    near = np.flatnonzero(rows[:, 4] >= threshold)  # scores are at most 1: the others can't reach it
    scores = rows[near, 5:] * rows[near, 4:5]
    at, classes = np.nonzero(scores >= threshold)
    return near[at], classes, scores[at, classes]


def corners(centres: Rows, sizes: Rows) -> Boxes:
    """Turn centres (x, y) and sizes (width, height) into left, top, right, bottom."""
    return np.concatenate((centres - sizes / 2, centres + sizes / 2), axis=1)


def strongest(boxes: Boxes, classes: Integers, confidences: Rows) -> list[int]:
    """Suppress weaker boxes of the same class that overlap a stronger one; the strongest first.

    Greedy non-maximum suppression, class by class, at an intersection over union of 0.45; at most 100.
    """
    order = np.argsort(-confidences, kind="stable")[:MOST_CANDIDATES]
    kept: list[int] = []
    while order.size and len(kept) < MOST_OBJECTS:
        best, others = order[0], order[1:]
        kept.append(int(best))
        rival = (classes[others] == classes[best]) & (overlaps(boxes[best], boxes[others]) > OVERLAP)
        order = others[~rival]
    return kept


def overlaps(box: Boxes, others: Boxes) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the intersection over union of one box with each of the others; boxes have an area."""
    lengths = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.prod(np.maximum(lengths, 0), axis=1)
    both = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1)
    ratio: np.ndarray[Any, np.dtype[np.float32]] = shared / np.maximum(both - shared, 1e-9)
    return ratio
