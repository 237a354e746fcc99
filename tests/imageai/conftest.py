"""What the tests of detection need: the service's modules, both models, labelled pictures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "imageai"), str(ROOT)]


@pytest.fixture(scope="session")
def yolox(models: Path) -> str:
    """A YOLOX export, as a user would name it after --model."""
    return str(models / "yolox_nano.onnx")


@pytest.fixture(scope="session")
def coco_val(assets: Path) -> Path:
    """Folder of labelled pictures of COCO val2017."""
    return assets / "coco_val"
