"""Boxes found in shortened pixels are boxes of the stored picture, and always legal ones."""

from __future__ import annotations

import numpy as np
import pytest
from box_mapping import stored_box
from hypothesis import example, given
from hypothesis import strategies as st

from imagebus import jpeg

sides = st.integers(1, 5000)
edges = st.floats(allow_nan=False, allow_infinity=True)


@given(st.tuples(edges, edges, edges, edges), sides, sides, st.sampled_from([1, 2, 4, 8]))
@example((-5.0, -5.0, -1.0, -1.0), 10, 10, 1)
@example((1e30, 1e30, 1e31, 1e31), 10, 10, 8)
@example((7.0, 7.0, 3.0, 3.0), 10, 10, 1)
def test_every_box_lies_in_the_picture_and_has_an_area(
    box: tuple[float, float, float, float], width: int, height: int, factor: int
) -> None:
    seen = -(-width // factor), -(-height // factor)
    left, top, right, bottom = stored_box(box, seen, (width, height))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_a_shortened_box_is_scaled_by_halves_not_by_the_ratio_of_rounded_sizes(factor: int) -> None:
    width, height = 1281, 721
    seen = -(-width // factor), -(-height // factor)
    box = (10 / factor, 20 / factor, 1200 / factor, 700 / factor)
    assert stored_box(box, seen, (width, height)) == (10, 20, 1200, 700)


def test_edges_go_to_the_nearest_pixel() -> None:
    assert stored_box((1.4, 1.6, 5.4, 5.6), (10, 10), (10, 10)) == (1, 2, 5, 6)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (641, 479), (1283, 717), (333, 1999)])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_what_the_decoder_shortened_is_where_the_box_says(width: int, height: int, factor: int) -> None:
    """A white block in a black picture, decoded small, is found again in the stored picture."""
    left, top, right, bottom = 64, 96, 256, 352
    picture = np.zeros((height, width, 3), np.uint8)
    picture[top:bottom, left:right] = 255
    small = jpeg.decode(jpeg.encode(picture, 95), -(-width // factor), -(-height // factor))
    assert small.shape[:2] == (-(-height // factor), -(-width // factor))
    rows, columns = np.nonzero(small[:, :, 0] > 127)
    seen = tuple(float(edge) for edge in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    assert len(seen) == 4
    box = stored_box(seen, (small.shape[1], small.shape[0]), (width, height))
    assert box == (left, top, right, bottom)
