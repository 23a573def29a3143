"""The computational graph of a network: the arrays of a training step, and the kernels that compute each from others.

The operations are those that the backend records for the step, with the rung that it chooses; nothing is invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import numpy as np

from .. import backend as backends
from .. import checks, losses, optimizers
from ..backend import Backend
from ..compiler.registry import Call
from ..compiler.types import BackendName
from ..losses import Loss, LossName
from ..optimizers import Optimizer, OptimizerName
from ..step import Workspace, descent, passes
from . import graph_svg as drawing


class Node(NamedTuple):
    """An array. Two nodes can be the same memory, before and after an update in place."""

    name: str
    kind: str
    """data, parameter, activation (Z and A), delta, gradient, loss or update (a parameter after the step)."""
    shape: tuple[int, ...]
    layer: int | None


class Operation(NamedTuple):
    """A call of a kernel: an edge from all inputs to all outputs."""

    operation: str
    rung: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Graph:
    """The nodes by name, and the operations in the order of their execution.

    A notebook shows it as a drawing; a prompt and `print` show one line per operation.
    """

    title: str
    nodes: dict[str, Node]
    operations: tuple[Operation, ...]

    def svg(self) -> str:
        """The drawing as a file: forward goes down, backward goes up."""
        return drawing.draw(self)

    def mermaid(self) -> str:
        """As text for Mermaid, which many sites draw in Markdown."""
        lines = ["flowchart TB"]
        for name, node in self.nodes.items():
            lines.append(f'    {_safe(name)}["{escape(name)}<br/>{drawing.sizes(node.shape)}"]:::{node.kind}')
        for i, (operation, rung, inputs, outputs) in enumerate(self.operations):
            lines.append(f'    op{i}(["{operation}<br/>{rung}"])')
            lines += [f"    {_safe(name)} --> op{i}" for name in inputs]
            lines += [f"    op{i} --> {_safe(name)}" for name in outputs]
        for kind, (fill, line) in drawing.COLORS.items():
            lines.append(f"    classDef {kind} fill:{fill},stroke:{line},color:#212529")
        return "\n".join(lines) + "\n"

    def _repr_svg_(self) -> str:
        return self.svg()

    def __str__(self) -> str:
        calls = (f"{', '.join(o.outputs)} = {o.operation}.{o.rung}({', '.join(o.inputs)})" for o in self.operations)
        return "\n".join([self.title, *calls])

    __repr__ = __str__  # readable at a prompt


def graph(
    net: Any,
    batch_size: int = 32,
    *,
    optimizer: OptimizerName | Optimizer | None = None,
    loss: LossName | Loss | None = None,
    backend: BackendName = "fast",
    threads: int = 1,
) -> Graph:
    """The computational graph of a training step, forward and backward: arrays, and the kernels between them.

    batch_size        m of the shapes; with several threads, large work uses other rungs
    optimizer         None ends with the gradients; otherwise the update is part of the graph, fused with the gradients
                      where the backend does so
    loss, backend, threads    as in `fit`

    Nothing is compiled and nothing is computed. The result has `svg()`, `mermaid()`, `nodes` and `operations`.

    Errors    ValueError for unknown names, and if the loss does not go with the last layer

    >>> import jitnet
    >>> print(jitnet.Network(jitnet.Dense(64, 10, "sigmoid")).graph(loss="mse", backend="njit"))
    a step of 64-10, m = 32, float32, on njit
    A0 = layer.njit(X, W0, b0)
    delta0, losses = mse.njit(A0, Y)
    dW0, db0 = gradients.njit(X, delta0)
    """
    m = checks.whole("batch_size", batch_size, least=1)
    checks.whole("threads", threads, least=1)
    chosen = backends.get(backend, net.dtype)
    which = losses.get(loss, net.layers[-1].activation)
    update = None if optimizer is None else optimizers.get(optimizer)
    work = Workspace(net.layers, m, net.dtype, np.empty)
    descends = descent(chosen, update) if update else None
    calls = passes(net, work, which, descends)
    chosen.check(calls)
    nodes = _nodes(net, work)
    operations = _operations(calls, nodes, chosen, threads)
    if update and not descends:
        call = Call(update.kernel, (net.grad, *update.given(1, net.dtype), *[net.grad] * len(update.memory), net.theta))
        grads, before = (
            [node.name for node in nodes.values() if node.kind == kind] for kind in ("gradient", "parameter")
        )
        after = [_updated(nodes, name) for name in before]
        rung = _rung(chosen, call, threads)
        operations.append(Operation(update.kernel, rung, (*grads, *before), tuple(node.name for node in after)))
        nodes |= {id(node): node for node in after}
    used = {name for operation in operations for name in (*operation.inputs, *operation.outputs)}
    title = f"a step of {net.widths}, m = {m}, {net.dtype}, on {chosen.name}"
    return Graph(title, {node.name: node for node in nodes.values() if node.name in used}, tuple(operations))


def _nodes(net: Any, work: Workspace) -> dict[int, Node]:
    """The arrays of a step by their identity."""
    found = {id(work.X): Node("X", "data", work.X.shape, None), id(work.Y): Node("Y", "data", work.Y.shape, None)}
    for l, layer in enumerate(net.layers):
        arrays = [(f"Z{l}", "activation", work.Z[l]), (f"A{l}", "activation", work.A[l])]
        arrays += [(f"delta{l}", "delta", work.delta[l])]
        arrays += [(f"{name}{l}", "parameter", view) for name, view in zip(layer.shapes, layer._values, strict=True)]
        arrays += [(f"d{name}{l}", "gradient", view) for name, view in zip(layer.shapes, layer._grads, strict=True)]
        found |= {id(array): Node(name, kind, array.shape, l) for name, kind, array in arrays if array.size}
    return found | {id(work.losses): Node("losses", "loss", work.losses.shape, None)}


def _operations(calls: list[Call], nodes: dict[int, Node], backend: Backend, threads: int) -> list[Operation]:
    """Each call with what it reads and writes: outputs come last, and are those that have no content yet.

    A call without such an output works in place: on parameters, which then have another node, or on its last array.
    """
    known = {id_ for id_, node in nodes.items() if node.kind in ("data", "parameter")}
    operations = []
    for call in calls:
        arrays = [id(argument) for argument in call.arguments if id(argument) in nodes]
        outputs = [array for array in arrays if array not in known]
        inputs = dict.fromkeys(nodes[array].name for array in arrays if array in known)
        known.update(outputs)
        if outputs:
            written = [nodes[array].name for array in outputs]
        elif [nodes[array].kind for array in arrays[-1:]] == ["parameter"]:
            after = [_updated(nodes, nodes[array].name) for array in arrays if nodes[array].kind == "parameter"]
            nodes |= {id(node): node for node in after}
            written = [node.name for node in after]
        else:
            written = [nodes[arrays[-1]].name]
        operations.append(Operation(call.operation, _rung(backend, call, threads), tuple(inputs), tuple(written)))
    return operations


def _updated(nodes: dict[int, Node], name: str) -> Node:
    """The node of a parameter after the step."""
    before = next(node for node in nodes.values() if node.name == name)
    return before._replace(name=f"{name}'", kind="update")


def _rung(backend: Backend, call: Call, threads: int) -> str:
    """The name of the rung that this backend takes for this call."""
    kernel = backend.kernel(call, threads)
    return next(name for name, rung in backend.ladder(call.operation).items() if rung is kernel)


def _safe(name: str) -> str:
    """An identifier for Mermaid."""
    return name.replace("'", "_new")
