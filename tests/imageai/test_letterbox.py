"""Pictures of any shape into the model's input, and boxes back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from letterbox import MOST_ENLARGED, Letterbox

sides = st.integers(1, 5000)
inputs = st.sampled_from([(416, 416), (640, 640), (640, 384)])


@given(sides, sides, inputs)
def test_a_picture_of_any_shape_fits_and_touches_two_sides_unless_it_is_small(
    width: int, height: int, size: tuple[int, int]
) -> None:
    fitted = Letterbox.fit((width, height), size)
    assert 1 <= fitted.width <= size[0]
    assert 1 <= fitted.height <= size[1]
    small = width * MOST_ENLARGED < size[0] and height * MOST_ENLARGED < size[1]
    assert small or fitted.width == size[0] or fitted.height == size[1]


@given(sides, sides, inputs)
def test_proportions_are_kept_to_the_pixel(width: int, height: int, size: tuple[int, int]) -> None:
    fitted = Letterbox.fit((width, height), size)
    scale = min(size[0] / width, size[1] / height, MOST_ENLARGED)
    assert abs(fitted.width - width * scale) <= max(0.5, 1 - width * scale) + 1e-6
    assert abs(fitted.height - height * scale) <= max(0.5, 1 - height * scale) + 1e-6


@given(sides, sides, inputs, st.booleans(), st.data())
def test_a_box_comes_back_from_where_it_was_put(
    width: int, height: int, size: tuple[int, int], centred: bool, data: st.DataObject
) -> None:
    across = st.floats(0, width, width=32)
    down = st.floats(0, height, width=32)
    box = np.array([[data.draw(s) for s in (across, down, across, down)]], np.float32)
    fitted = Letterbox.fit((width, height), size, centred=centred)
    inside = fitted.into(box)
    assert fitted.left <= inside[:, 0::2].min()
    assert fitted.top <= inside[:, 1::2].min()
    assert inside[:, 0::2].max() <= fitted.left + fitted.width * 1.001
    assert inside[:, 1::2].max() <= fitted.top + fitted.height * 1.001
    pixel_of_input = max(width / fitted.width, height / fitted.height)
    np.testing.assert_allclose(fitted.out_of(inside), box, rtol=1e-5, atol=1e-3 * pixel_of_input)


@given(st.integers(1, 700), st.integers(1, 700), st.booleans())
def test_the_picture_lies_where_it_belongs_and_the_rest_stays_grey(
    width: int, height: int, centred: bool
) -> None:
    planes = np.full((3, 416, 416), 114, np.float32)
    fitted = Letterbox.fit((width, height), (416, 416), centred=centred)
    fitted.place(np.full((height, width, 3), [10, 20, 30], np.uint8), planes)
    for plane, colour in zip(planes, (10, 20, 30), strict=True):
        rows, columns = np.nonzero(plane == colour)
        assert len(rows) == fitted.width * fitted.height
        assert (plane == 114).sum() == plane.size - len(rows)
        left, right = columns.min(), 416 - 1 - columns.max()
        top, bottom = rows.min(), 416 - 1 - rows.max()
        if centred:
            assert 0 <= right - left <= 1
            assert 0 <= bottom - top <= 1
        else:
            assert (left, top) == (0, 0)
