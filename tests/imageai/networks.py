"""Small ONNX networks that give what a test wants them to give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
CELLS = 8 * 8 + 4 * 4 + 2 * 2


Rows = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def constant(path: Path, rows: Rows, input: tuple[int, ...] = (1, 3, SIDE, SIDE)) -> Path:
    """Write a network that answers every picture with these rows, (batch, places, 5 + classes)."""
    nodes = [
        helper.make_node("ReduceMin", ["images"], ["least"], keepdims=0),
        helper.make_node("Sub", ["least", "least"], ["zero"]),
        helper.make_node("Add", ["rows", "zero"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, list(input))],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, list(rows.shape))],
        [numpy_helper.from_array(rows.astype(np.float32), "rows")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def for_any_number(model: Path, path: Path) -> Path:
    """Write the same network for any number of pictures at once."""
    network = onnx.load(model)
    for end in (*network.graph.input, *network.graph.output):
        end.type.tensor_type.shape.dim[0].dim_param = "batch"
    for node in network.graph.initializer:
        shape = numpy_helper.to_array(node)
        if node.data_type == TensorProto.INT64 and shape.ndim == 1 and len(shape) >= 3 and shape[0] == 1:
            node.CopyFrom(numpy_helper.from_array(np.array([0, *shape[1:]], np.int64), node.name))
    onnx.save(network, path)
    return path
