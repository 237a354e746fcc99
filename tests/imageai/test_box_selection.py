"""Of many overlapping boxes the strongest of each class stays."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from box_selection import candidates, corners, overlaps, strongest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

some = st.integers(0, 40)


def kept(boxes: list[list[float]], classes: list[int], confidences: list[float]) -> list[int]:
    return strongest(np.array(boxes, np.float32), np.array(classes), np.array(confidences, np.float32))


def test_the_weaker_of_two_boxes_of_one_class_goes() -> None:
    assert kept([[0, 0, 10, 10], [1, 0, 11, 10]], [0, 0], [0.5, 0.9]) == [1]


def test_boxes_of_different_classes_stay() -> None:
    assert kept([[0, 0, 10, 10], [1, 0, 11, 10]], [0, 1], [0.5, 0.9]) == [1, 0]


def test_boxes_that_hardly_overlap_stay() -> None:
    assert kept([[0, 0, 10, 10], [6, 0, 16, 10]], [0, 0], [0.9, 0.5]) == [0, 1]


def test_what_a_suppressed_box_overlaps_stays() -> None:
    assert kept([[0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]], [0, 0, 0], [0.9, 0.8, 0.7]) == [0, 2]


def test_at_most_a_hundred_stay_and_they_are_the_surest() -> None:
    boxes = [[20.0 * i, 0, 20.0 * i + 10, 10] for i in range(150)]
    assert kept(boxes, [0] * 150, [i / 150 for i in range(150)]) == list(range(149, 49, -1))


def test_nothing_found_is_nothing_kept() -> None:
    assert strongest(np.zeros((0, 4), np.float32), np.zeros(0, int), np.zeros(0, np.float32)) == []


@given(
    st.lists(st.tuples(some, some, st.integers(1, 20), st.integers(1, 20), st.integers(0, 2)), max_size=30)
)
def test_it_agrees_with_the_definition(found: list[tuple[int, int, int, int, int]]) -> None:
    boxes = [[x, y, x + w, y + h] for x, y, w, h, _ in found]
    confidences = [1 - i / 100 for i in range(len(found))]
    expected: list[int] = []
    for i, box in enumerate(boxes):
        rivals = [j for j in expected if found[j][4] == found[i][4]]
        if all(overlap(box, boxes[j]) <= 0.45 for j in rivals):
            expected.append(i)
    order = np.array(boxes, np.float32).reshape(-1, 4)
    classes = np.array([f[4] for f in found], int)
    assert strongest(order, classes, np.array(confidences, np.float32)) == expected


def overlap(one: list[int], other: list[int]) -> float:
    """Count pixels."""
    first, second = (set(product(range(b[0], b[2]), range(b[1], b[3]))) for b in (one, other))
    return len(first & second) / len(first | second)


def test_overlap_is_intersection_over_union() -> None:
    box = np.array([0, 0, 10, 10], np.float32)
    others = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 4]], np.float32)
    assert overlaps(box, others) == pytest.approx([1, 1 / 3, 0, 0.04])


@given(arrays.arrays(np.float32, (20, 8), elements=st.floats(0, 1, width=32)), st.floats(0.01, 1))
def test_every_class_that_reaches_the_threshold_is_a_candidate(
    rows: np.ndarray[tuple[int, int], np.dtype[np.float32]], threshold: float
) -> None:
    places, classes, confidences = candidates(rows, threshold)
    expected = {(p, c) for p, c in np.ndindex(20, 3) if rows[p, 4] * rows[p, 5 + c] >= threshold}
    assert set(zip(places.tolist(), classes.tolist(), strict=True)) == expected
    assert (confidences >= threshold).all()


def test_corners_are_half_a_size_from_the_centre() -> None:
    centres, sizes = np.array([[10, 20]], np.float32), np.array([[4, 6]], np.float32)
    assert corners(centres, sizes).tolist() == [[8, 17, 12, 23]]
