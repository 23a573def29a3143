"""To ONNX, the exchange format that ONNX Runtime and others execute."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import checks, storage
from ..kernels.activations import GELU_CUBIC, GELU_SCALE
from ..layers import Dense, Dropout, LayerNorm
from ..network import Network
from . import parts

OPSET, FORMAT = 17, 8
"""The versions of the operators and of the file format: the oldest that have LayerNormalization (2022)."""


class Graph:
    """The nodes of a graph, in order; `current` is the name of the latest result."""

    def __init__(self, onnx: Any, dtype: np.dtype[Any]) -> None:
        self.helper, self.tensor = onnx.helper, onnx.numpy_helper.from_array
        self.dtype, self.nodes, self.constants, self.current = dtype, list[Any](), list[Any](), "X"

    def constant(self, name: str, value: Any) -> str:
        """An array of the model, by name."""
        self.constants.append(self.tensor(np.array(value, self.dtype, order="C"), name))
        return name

    def node(self, operator: str, inputs: list[str], name: str, **settings: Any) -> str:
        """The output of a new node."""
        self.nodes.append(self.helper.make_node(operator, inputs, [name], name, **settings))
        return name


def _gelu(graph: Graph, z: str, a: str) -> str:
    """z·sigmoid(2·scale·(z + cubic·z³)): one operator for it exists, but only in newer versions."""
    scale = graph.constant(f"{a}_scale", 2 * GELU_SCALE)
    cubic = graph.constant(f"{a}_cubic", 2 * GELU_SCALE * GELU_CUBIC)
    square = graph.node("Mul", [z, z], f"{a}_square")
    factor = graph.node("Add", [graph.node("Mul", [square, cubic], f"{a}_factor"), scale], f"{a}_slope")
    return _gated(graph, z, graph.node("Mul", [z, factor], f"{a}_argument"), a)


def _gated(graph: Graph, z: str, argument: str, a: str) -> str:
    return graph.node("Mul", [z, graph.node("Sigmoid", [argument], f"{a}_gate")], a)


def _leaky_relu(graph: Graph, z: str, a: str) -> str:
    """max(z, 0.01·z): the slope of the operator LeakyRelu is float32 in float64 too."""
    return graph.node("Max", [z, graph.node("Mul", [z, graph.constant(f"{a}_slope", 0.01)], f"{a}_below")], a)


def _softplus(graph: Graph, z: str, a: str) -> str:
    """max(z, 0) + log(1 + e^{−|z|}): ONNX Runtime has the operator Softplus for float32 alone."""
    e = graph.node("Exp", [graph.node("Neg", [graph.node("Abs", [z], f"{a}_size")], f"{a}_negative")], f"{a}_exp")
    log = graph.node("Log", [graph.node("Add", [e, graph.constant(f"{a}_one", 1)], f"{a}_sum")], f"{a}_log")
    return graph.node("Add", [graph.node("Relu", [z], f"{a}_relu"), log], a)


ACTIVATIONS: dict[str, Callable[[Graph, str, str], str]] = {
    "identity": lambda graph, z, a: z,
    "sigmoid": lambda graph, z, a: graph.node("Sigmoid", [z], a),
    "tanh": lambda graph, z, a: graph.node("Tanh", [z], a),
    "relu": lambda graph, z, a: graph.node("Relu", [z], a),
    "gelu": _gelu,
    "silu": lambda graph, z, a: _gated(graph, z, z, a),
    "leaky_relu": _leaky_relu,
    "softplus": _softplus,
    "softmax": lambda graph, z, a: graph.node("Softmax", [z], a, axis=-1),
}
"""Activation -> its nodes, from the name of Z to the name of A."""


def to_onnx(net: Network, path: str | Path) -> None:
    """Write the network as an ONNX model, atomically.

    Shapes    input "X" (m, n_in), output "A" (m, n_out) in the network's dtype, for any m; A is the result of
              `net.forward`, within rounding. A Dropout is left out
    Errors    ValueError for a user's activation, if the file cannot be written, and if the package onnx is missing
    """
    onnx = parts.package("onnx", "'jitnet[onnx]'")
    graph = Graph(onnx, net.dtype)
    for l, layer in enumerate(net.layers):
        if isinstance(layer, Dense):
            inputs = [graph.current, graph.constant(f"W{l}", layer.W)]
            inputs += [graph.constant(f"b{l}", layer.b)] if layer.bias else []
            graph.current = graph.node("Gemm", inputs, f"Z{l}")
            f = parts.translated(layer.activation, ACTIVATIONS, "ONNX")
            graph.current = f(graph, graph.current, f"A{l}")
        elif isinstance(layer, LayerNorm):
            inputs = [graph.current, graph.constant(f"gamma{l}", layer.gamma), graph.constant(f"beta{l}", layer.beta)]
            graph.current = graph.node("LayerNormalization", inputs, f"A{l}", axis=-1, epsilon=layer.epsilon)
        elif not isinstance(layer, Dropout):
            raise checks.Error(f"{layer!r} has no counterpart in ONNX")
    graph.nodes[-1].output[0] = "A"
    helper, kind = onnx.helper, onnx.helper.np_dtype_to_tensor_dtype(net.dtype)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes, "network",
            [helper.make_tensor_value_info("X", kind, ["m", net.layers[0].n_in])],
            [helper.make_tensor_value_info("A", kind, ["m", net.layers[-1].n_out])],
            graph.constants,
        ),
        producer_name="jitnet", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=FORMAT,
    )  # fmt: skip
    onnx.checker.check_model(model)
    storage.put(path, model.SerializeToString())
