"""YOLOX exports: which are taken, which refused, and what their rows mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from coco_labels import COCO_LABELS
from model_choice import open_detector

from imagebus.errors import ModelError
from tests.imageai.networks import CELLS, SIDE, constant

PICTURE = np.zeros((SIDE, SIDE, 3), np.uint8)


def nothing() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.zeros((1, CELLS, 85), np.float32)


def test_a_row_is_a_box_around_its_cell(tmp_path: Path) -> None:
    rows = nothing()
    cell = 64 + 1 * 4 + 2  # stride 16, row 1, column 2
    rows[0, cell, :4] = 0.5, 0.25, np.log(2), np.log(1.5)
    rows[0, cell, [4, 5 + COCO_LABELS.index("cup")]] = 0.8, 0.5
    detector = open_detector(str(constant(tmp_path / "one.onnx", rows)), 0.3)
    [[found]] = detector.detect([PICTURE])
    assert found.label == "cup"
    assert found.confidence == pytest.approx(0.4)
    assert found.box == pytest.approx((40 - 16, 20 - 12, 40 + 16, 20 + 12), abs=1e-4)


def test_boxes_are_those_of_each_picture_of_the_batch(tmp_path: Path) -> None:
    rows = nothing()
    rows[0, -1, [4, 5]] = 1.0
    detector = open_detector(str(constant(tmp_path / "one.onnx", rows)), 0.3)
    large = np.zeros((2 * SIDE, 2 * SIDE, 3), np.uint8)
    [[small_found], [large_found]] = detector.detect([PICTURE, large])
    assert small_found.box == pytest.approx((16, 16, 48, 48))
    assert large_found.box == pytest.approx((32, 32, 96, 96))


def test_two_labels_of_one_place_are_both_reported(tmp_path: Path) -> None:
    """A redaction of either must black it out."""
    rows = nothing()
    rows[0, 0, [4, 5, 6]] = 1.0, 0.6, 0.9
    detector = open_detector(str(constant(tmp_path / "one.onnx", rows)), 0.5)
    assert [found.label for found in detector.detect([PICTURE])[0]] == ["bicycle", "person"]


def test_below_the_threshold_nothing_is_reported(tmp_path: Path) -> None:
    rows = nothing()
    rows[0, 0, [4, 5]] = 0.7, 0.7
    assert open_detector(str(constant(tmp_path / "one.onnx", rows)), 0.5).detect([PICTURE]) == [[]]


def test_a_network_that_gives_no_numbers_stops_the_service(tmp_path: Path) -> None:
    """Not a fault of the frame, and never the same as nothing found."""
    rows = nothing()
    rows[0, 5, 4] = np.nan
    detector = open_detector(str(constant(tmp_path / "nan.onnx", rows)), 0.5)
    with pytest.raises(ModelError, match="no numbers"):
        detector.detect([PICTURE])


def test_an_export_that_decodes_its_boxes_is_refused(tmp_path: Path) -> None:
    rows = nothing()
    rows[:, :, :4] = 32
    with pytest.raises(ModelError, match="decoded already"):
        open_detector(str(constant(tmp_path / "decoded.onnx", rows)), 0.5)


@pytest.mark.parametrize("shape", [(1, CELLS, 6), (1, CELLS + 1, 85), (CELLS, 85)])
def test_a_network_with_another_output_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"for YOLOX it would be \(1, 84, 85\)"):
        open_detector(str(constant(tmp_path / "other.onnx", np.zeros(shape, np.float32))), 0.5)


@pytest.mark.parametrize("input", [(1, 1, SIDE, SIDE), (1, 3, SIDE), (1, 3 * SIDE * SIDE)])
def test_a_network_with_another_input_is_refused(tmp_path: Path, input: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="one input of a fixed size"):
        open_detector(str(constant(tmp_path / "other.onnx", nothing(), input)), 0.5)


def test_a_network_for_a_batch_of_four_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="takes 4 pictures at a time"):
        open_detector(str(constant(tmp_path / "four.onnx", nothing(), (4, 3, SIDE, SIDE))), 0.5)


@pytest.mark.parametrize("content", [b"", b"plain text", bytes(range(256)) * 40])
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"no\.onnx cannot be loaded"):
        open_detector(str(path), 0.5)


def test_the_trail_names_the_file_and_its_digest(yolox: str) -> None:
    model = open_detector(yolox, 0.5).model
    assert model.name == "yolox_nano"
    assert len(model.digest) == 64
