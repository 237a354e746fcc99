"""Pictures of any shape into the model's input, and boxes back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from letterbox import Letterbox

sides = st.integers(1, 5000)
inputs = st.sampled_from([(416, 416), (640, 640), (640, 384)])


@given(sides, sides, inputs)
def test_a_picture_of_any_shape_fits_and_touches_two_sides(
    width: int, height: int, size: tuple[int, int]
) -> None:
    fitted = Letterbox.fit(width, height, *size)
    assert 1 <= fitted.width <= size[0]
    assert 1 <= fitted.height <= size[1]
    assert fitted.width == size[0] or fitted.height == size[1]


@given(sides, sides, inputs)
def test_proportions_are_kept_to_the_pixel(width: int, height: int, size: tuple[int, int]) -> None:
    fitted = Letterbox.fit(width, height, *size)
    scale = min(size[0] / width, size[1] / height)
    assert abs(fitted.width - width * scale) <= max(0.5, 1 - width * scale) + 1e-6
    assert abs(fitted.height - height * scale) <= max(0.5, 1 - height * scale) + 1e-6


@given(sides, sides, inputs, st.data())
def test_a_box_comes_back_from_where_it_was_put(
    width: int, height: int, size: tuple[int, int], data: st.DataObject
) -> None:
    across = st.floats(0, width, width=32)
    down = st.floats(0, height, width=32)
    box = np.array([[data.draw(s) for s in (across, down, across, down)]], np.float32)
    fitted = Letterbox.fit(width, height, *size)
    inside = fitted.into(box)
    assert inside[:, 0::2].max() <= fitted.width * 1.001
    assert inside[:, 1::2].max() <= fitted.height * 1.001
    np.testing.assert_allclose(fitted.out_of(inside), box, rtol=1e-5, atol=1e-3)


@given(st.integers(1, 700), st.integers(1, 700))
def test_the_picture_lies_at_the_top_left_and_the_rest_stays_grey(width: int, height: int) -> None:
    colours = np.array([10, 20, 30], np.uint8)
    planes = np.full((3, 416, 416), 114, np.float32)
    fitted = Letterbox.fit(width, height, 416, 416)
    fitted.place(np.full((height, width, 3), colours), planes)
    for plane, colour in zip(planes, colours, strict=True):
        assert (plane[: fitted.height, : fitted.width] == colour).all()
        assert (plane[fitted.height :] == 114).all()
        assert (plane[:, fitted.width :] == 114).all()
