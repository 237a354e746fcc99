"""Which model runs: a file of the user's, one of the catalogue, or the best that can be had."""

from __future__ import annotations

import hashlib
from pathlib import Path

from detector import Detector
from model_catalogue import CATALOGUE, YOLOV3_TINY, YOLOX_NANO, CatalogueModel
from model_weights import AUTO, by_hand, choose, obtain
from onnx_model import OnnxModel
from yolov3_tiny_detector import Yolov3TinyDetector, converted
from yolox_detector import YoloxDetector

from imagebus.errors import FetchError, ModelError
from imagebus.fetch import Report
from imagebus.frame import Model
from imagebus.log import warn
from imagebus.text import printable


def legal(choice: str) -> str:
    """Return the choice unchanged: ``auto``, a name of the catalogue, or the path of a YOLOX export.

    Raises:
        ValueError: there is no such model and no such file.
    """
    names = (AUTO, *(model.name for model in CATALOGUE))
    if choice not in names and not Path(choice).expanduser().is_file():
        raise ValueError(f"a file, or one of {', '.join(names)} is wanted")
    return choice


def open_detector(choice: str, threshold: float, report: Report = warn) -> Detector:
    """Load the model of a legal choice.

    Raises:
        ModelError: it cannot be had, read or run.
    """
    if choice == AUTO:
        return _from_catalogue(choose(report=report), threshold, report)
    for model in CATALOGUE:
        if choice == model.name:
            return _from_catalogue(model, threshold, report)
    path = Path(choice).expanduser()
    network = OnnxModel(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return YoloxDetector(network, Model(printable(path.stem)[:100], digest), threshold)


def _from_catalogue(model: CatalogueModel, threshold: float, report: Report) -> Detector:
    try:
        weights = obtain(model, report)
    except FetchError as fault:
        raise ModelError(f"{model.title} cannot be had: {fault}. {by_hand(model)}") from fault
    named = Model(model.name, model.digest.sha256)
    if model is YOLOX_NANO:
        return YoloxDetector(OnnxModel(weights), named, threshold)
    assert model is YOLOV3_TINY
    return Yolov3TinyDetector(OnnxModel(converted(weights, report)), named, threshold)
