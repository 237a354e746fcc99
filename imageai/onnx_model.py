"""A network in an ONNX file, run by ONNX Runtime; the only module that imports it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

from imagebus.errors import ModelError

Tensor = np.ndarray[Any, np.dtype[np.float32]]

MOST_THREADS = 4
FAULTS: tuple[type[Exception], ...] = tuple(
    fault for fault in vars(native).values() if isinstance(fault, type) and issubclass(fault, Exception)
)
"""What ONNX Runtime raises; these have no base class of their own."""


class OnnxModel:
    """A network with one picture input, (batch, 3, height, width) float32, and one output.

    Raises:
        ModelError: no such file, or no such network.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._session = _open(path)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = inputs[0].shape if len(inputs) == 1 and len(outputs) == 1 else []
        if len(shape) != 4 or shape[1] != 3 or not all(isinstance(side, int) for side in shape[2:]):
            raise ModelError(
                f"{path}: inputs {[i.shape for i in inputs]} and {len(outputs)} outputs; one input of a "
                "fixed size (batch, 3, height, width) and one output are needed: export the model so"
            )
        self._input = inputs[0].name
        self.height, self.width = int(shape[2]), int(shape[3])
        self._singly = isinstance(shape[0], int)
        if self._singly and shape[0] != 1:
            raise ModelError(
                f"{path} takes {shape[0]} pictures at a time: export it for one, or for any number"
            )

    def run(self, pictures: Tensor) -> Tensor:
        """Return the output for (batch, 3, height, width), picture by picture where the network wants it so.

        Raises:
            ModelError: the network cannot be run.
        """
        if self._singly and len(pictures) > 1:
            return np.concatenate([self.run(picture[None]) for picture in pictures])
        try:
            output: Tensor = self._session.run(None, {self._input: pictures})[0]
        except FAULTS as fault:
            raise ModelError(f"{self.path.name} cannot be run: {fault}") from fault
        return output


def _open(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except FAULTS as fault:
        raise ModelError(f"{path} cannot be loaded as an ONNX model: {fault}") from fault


def threads() -> int:
    """Return how many threads one model gets: the cores that this process may use, four at most."""
    return max(1, min(MOST_THREADS, len(os.sched_getaffinity(0))))
