"""YOLOv3-tiny's Darknet weights as an ONNX network; the only module that imports onnx.

The layers are those of Darknet's ``yolov3-tiny.cfg``, with one correction: at stride 16 the published weights
were trained with anchors 1, 2 and 3, not 0, 1 and 2 as that file says (AP50 0.44 against 0.31).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from imagebus.errors import ModelError

Array = np.ndarray[Any, np.dtype[np.float32]]

HEADER_BYTES = 20
INPUT = 416
FILTERS = (16, 32, 64, 128, 256, 512, 1024)
CLASSES = 80
ANCHORS = {32: ((81, 82), (135, 169), (344, 319)), 16: ((23, 27), (37, 58), (81, 82))}
NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
EPSILON = 1e-6
"""Of the normalisation; Darknet adds it to the deviation, not to the variance."""


def convert(weights: Path) -> bytes:
    """Return the ONNX file of YOLOv3-tiny with these weights.

    Input: ``images``, (batch, 3, 416, 416) float32, BGR planes, 0..255. Output: ``rows``, (batch, 2535, 85):
    centre x and y, width and height in pixels of the input, objectness, 80 class scores 0..1.

    Raises:
        ModelError: the file is too short or too long for this network.
    """
    network = _Network(weights)
    network.build()
    data: bytes = network.model().SerializeToString()
    return data


class _Network:
    """Layers are added in the order in which Darknet stored their weights."""

    def __init__(self, weights: Path) -> None:
        self._path = weights
        self._values: Array = np.fromfile(weights, "<f4", offset=HEADER_BYTES)
        self._at = 0
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def build(self) -> None:
        """Add all layers (Darknet's numbers 0 to 23)."""
        trunk, channels, route = "images", 3, ""
        for filters in FILTERS:
            trunk = self._convolution(trunk, channels, filters, 3)
            channels = filters
            if filters == 256:
                route = trunk
            if filters < 512:
                trunk = self._node("MaxPool", trunk, kernel_shape=[2, 2], strides=[2, 2])
            elif filters == 512:  # keeps the size: Darknet pads on the right and below
                trunk = self._node("MaxPool", trunk, kernel_shape=[2, 2], strides=[1, 1], pads=[0, 0, 1, 1])
        trunk = self._convolution(trunk, 1024, 256, 1)
        coarse = self._head(self._convolution(trunk, 256, 512, 3), 512, 32)
        trunk = self._convolution(trunk, 256, 128, 1)
        trunk = self._node("Resize", trunk, "", self._constant([1, 1, 2, 2]), **NEAREST)
        trunk = self._node("Concat", trunk, route, axis=1)
        fine = self._head(self._convolution(trunk, 384, 256, 3), 256, 16)
        self._node("Concat", coarse, fine, output="rows", axis=1)

    def model(self) -> onnx.ModelProto:
        """Return the checked network."""
        if self._at != self._values.size:
            raise ModelError(f"{self._path} has {self._values.size} weights, YOLOv3-tiny has {self._at}")
        rows = sum(3 * (INPUT // stride) ** 2 for stride in ANCHORS)
        graph = helper.make_graph(
            self._nodes,
            "yolov3-tiny",
            [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["batch", 3, INPUT, INPUT])],
            [helper.make_tensor_value_info("rows", onnx.TensorProto.FLOAT, ["batch", rows, 5 + CLASSES])],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model)
        return model

    def _head(self, trunk: str, channels: int, stride: int) -> str:
        """Add the last convolution of one grid, and its boxes (YOLOv3, section 2.1)."""
        side = INPUT // stride
        raw = self._convolution(trunk, channels, 3 * (5 + CLASSES), 1, normalised=False)
        raw = self._node("Reshape", raw, self._constant([0, 3, 5 + CLASSES, side * side], np.int64))
        raw = self._node("Transpose", raw, perm=[0, 1, 3, 2])
        raw = self._node("Reshape", raw, self._constant([0, 3 * side * side, 5 + CLASSES], np.int64))
        centres, sizes, scores = (f"{raw}_{part}" for part in ("centres", "sizes", "scores"))
        lengths = self._constant([2, 2, 1 + CLASSES], np.int64)
        self._nodes.append(helper.make_node("Split", [raw, lengths], [centres, sizes, scores], axis=2))
        row, column = np.mgrid[:side, :side]
        cells = np.tile(np.stack((column, row), axis=-1).reshape(-1, 2), (3, 1))
        anchors = np.repeat(np.array(ANCHORS[stride]), side * side, axis=0)
        centres = self._node("Add", self._node("Sigmoid", centres), self._constant(cells))
        centres = self._node("Mul", centres, self._constant([stride]))
        sizes = self._node("Mul", self._node("Exp", sizes), self._constant(anchors))
        return self._node("Concat", centres, sizes, self._node("Sigmoid", scores), axis=2)

    def _convolution(
        self, trunk: str, channels: int, filters: int, size: int, *, normalised: bool = True
    ) -> str:
        """Add a convolution with its normalisation folded in, and the leaky activation that follows it."""
        bias = self._take(filters)
        statistics = [self._take(filters) for _ in range(3)] if normalised else []
        kernel: Any = self._take(filters * channels * size * size).reshape(filters, channels, size, size)
        if normalised:
            scale, mean, variance = statistics
            factor: Any = scale / (np.sqrt(variance) + EPSILON)
            kernel, bias = kernel * factor[:, None, None, None], bias - mean * factor
        if channels == 3:  # it was trained on RGB, 0..1
            kernel = kernel[:, ::-1] / 255
        weights = self._constant(kernel), self._constant(bias)
        trunk = self._node("Conv", trunk, *weights, kernel_shape=[size, size], pads=[size // 2] * 4)
        return self._node("LeakyRelu", trunk, alpha=0.1) if normalised else trunk

    def _take(self, count: int) -> Array:
        values = self._values[self._at : self._at + count]
        if values.size < count:
            raise ModelError(f"{self._path} ends after {self._values.size} weights, YOLOv3-tiny has more")
        self._at += count
        return values

    def _node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"{kind.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def _constant(self, values: Any, kind: Any = np.float32) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values, kind), name))
        return name
