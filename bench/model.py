"""Which model the detector runs in benchmarks."""

from __future__ import annotations

import os
from pathlib import Path


def choose_model(asked: str | None) -> str:
    """Return the model asked for, else the YOLOX-Nano beside $IMAGEBUS_ASSETS, else ``auto``."""
    beside = Path(os.environ.get("IMAGEBUS_ASSETS", "")).absolute().parent / "models" / "yolox_nano.onnx"
    return asked or (str(beside) if beside.is_file() else "auto")
