"""Darknet files that are not the one that is meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from darknet_weights import convert
from model_catalogue import YOLOV3_TINY

from imagebus.errors import ModelError

SIZE = YOLOV3_TINY.digest.size_bytes


@pytest.mark.parametrize("size", [20, 1000, SIZE - 4])
def test_weights_that_end_too_soon_are_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "short.weights"
    path.write_bytes(bytes(size))
    with pytest.raises(ModelError, match=r"short\.weights ends after"):
        convert(path)


def test_weights_of_a_larger_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.weights"
    path.write_bytes(b"\x01" * (SIZE + 4))
    with pytest.raises(ModelError, match="YOLOv3-tiny has 8858734"):
        convert(path)
