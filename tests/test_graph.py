"""net.graph() describes what the recorded step does, and its drawing is complete and readable."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from runs import ON_CPU

import jitnet
from jitnet import Adam, Dense, Dropout, LayerNorm, Momentum, Network, backend, losses
from jitnet.display import graph_svg
from jitnet.kernels import LADDERS
from jitnet.kernels.activations import ACTIVATIONS
from jitnet.step import Workspace, passes

NETWORKS = {
    "one layer": [Dense(3, 2)],
    "fused": [Dense(5, 4, "sigmoid"), Dense(4, 3, "softmax")],
    "kept Z": [Dense(5, 4, "gelu"), Dense(4, 4, "silu", bias=False), Dense(4, 1, "softplus")],
    "all kinds": [
        Dense(5, 4, "gelu"), Dropout(0.2), Dense(4, 6, "tanh", bias=False), LayerNorm(6), Dense(6, 3, "softmax"),
    ],
    "two of each": [
        Dropout(0.1), LayerNorm(5), Dense(5, 4, "tanh"), Dropout(0.2), Dropout(0.3), LayerNorm(4), LayerNorm(4),
        Dense(4, 2),
    ],
    "deep": [*[Dense(8, 8, "relu") for _ in range(20)], Dense(8, 3, "softmax")],
}  # fmt: skip
OPTIMIZERS = [None, "sgd", Momentum(0.1), Adam(0.1)]


@pytest.fixture(params=NETWORKS)
def net(request):
    return Network(*NETWORKS[request.param], seed=0, dtype="float64")


@pytest.mark.parametrize("optimizer", [None, "sgd"])
@pytest.mark.parametrize("name", ["numpy", "fast"])
def test_each_operation_writes_only_its_outputs(net, name, optimizer):
    """The test runs the recorded calls one by one in NumPy and compares every array before and after."""
    graph = net.graph(7, optimizer=optimizer, backend=name)
    rng = np.random.default_rng(0)
    run, loss = backend.get(name), losses.get(None, net.layers[-1].activation)
    work = Workspace(net.layers, 7, net.dtype)
    work.X[...], work.Y[...] = rng.standard_normal(work.X.shape), np.eye(work.Y.shape[1])[rng.integers(0, 1, 7)]
    arrays = {"X": work.X, "Y": work.Y, "losses": work.losses}
    for l, layer in enumerate(net.layers):
        arrays |= {f"Z{l}": work.Z[l], f"A{l}": work.A[l], f"delta{l}": work.delta[l]}
        for what, views in (("", layer._values), ("d", layer._grads)):
            arrays |= {f"{what}{name}{l}": view for name, view in zip(layer.shapes, views, strict=True)}
    descends = (0.1, 0.0) if optimizer and run.descends else None
    calls = passes(net, work, loss, descends)
    assert len(graph.operations) == len(calls) + (optimizer is not None and not descends)
    for call, operation in zip(calls, graph.operations, strict=False):
        assert call.operation == operation.operation
        before = {name: array.copy() for name, array in arrays.items()}
        given = [id(argument) for argument in call.arguments]
        read = {name for name, array in arrays.items() if id(array) in given and array.size}
        LADDERS[call.operation]["numpy"](*call.arguments)
        changed = {name for name, array in arrays.items() if array.tobytes() != before[name].tobytes()}
        outputs = {name.removesuffix("'") for name in operation.outputs}
        assert changed <= outputs
        # a gradient can be 0 already
        assert changed == outputs or call.operation.endswith(("derivative", "descend", "gradients", "delta"))
        assert read == {*operation.inputs, *outputs}
        for name in (*operation.inputs, *operation.outputs):
            assert graph.nodes[name].shape == arrays[name.removesuffix("'")].shape, name


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("name", ON_CPU)
def test_rungs_are_those_of_the_backend(net, name, optimizer):
    graph = net.graph(optimizer=optimizer, backend=name)
    run = backend.get(name)
    for operation in graph.operations:
        assert LADDERS[operation.operation][operation.rung] is run.kernels[operation.operation]
    if name in ("python", "njit", "parallel", "numpy"):
        assert {operation.rung for operation in graph.operations} == {name}


def test_large_operations_have_parallel_rungs_on_two_threads():
    net = Network(Dense(512, 512, "relu"), Dense(512, 10, "softmax"))
    assert {o.rung for o in net.graph(256, threads=2).operations} >= {"fused_parallel", "njit"}
    assert not [o for o in net.graph(256).operations if o.rung.endswith("parallel")]
    assert not [o for o in net.graph(1, threads=2).operations if o.rung.endswith("parallel")]


def test_graph_of_the_readme_network():
    net = Network(Dense(64, 32, "sigmoid"), Dense(32, 10, "softmax"))
    assert str(net.graph(backend="njit")).splitlines() == [
        "a step of 64-32-10, m = 32, float32, on njit",
        "A0 = layer.njit(X, W0, b0)", "Z1 = layer.njit(A0, W1, b1)", "A1 = softmax.njit(Z1)",
        "delta1, losses = cross_entropy.njit(Z1, A1, Y)", "delta0 = delta.njit(delta1, W1, A0)",
        "dW1, db1 = gradients.njit(A0, delta1)", "dW0, db0 = gradients.njit(X, delta0)",
    ]  # fmt: skip
    assert net.graph(backend="fast", optimizer="sgd").operations[-1].outputs == ("W0'", "b0'")
    assert net.graph(backend="fast", optimizer="adam").operations[-1].operation == "adam"


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("name", ["fast", "numpy"])
def test_drawing_is_complete_and_boxes_do_not_overlap(net, name, optimizer):
    """Every array and operation is drawn, no two boxes overlap, and all lines are inside the drawing."""
    graph = net.graph(optimizer=optimizer, backend=name)
    root = ElementTree.fromstring(graph.svg())
    _, _, width, height = map(float, root.get("viewBox").split())
    texts = [element.text for element in root.findall(".//{*}text") if element.get("y") != "46"]  # without headings
    is_whole = "theta" in texts
    for node in graph.nodes.values():
        joined = node.kind == "gradient" and f"{node.name[1:]}'" in texts
        if not joined and not (is_whole and node.kind == "update"):
            assert texts.count(node.name) == 1, node
            assert graph_svg.sizes(node.shape) in texts
    for operation in graph.operations:
        drawn = texts.count(operation.operation)
        assert drawn == sum(o.operation == operation.operation for o in graph.operations), operation
    sides = ("x", "y", "width", "height")
    rectangles = [tuple(float(r.get(side)) for side in sides) for r in root.findall(".//{*}rect") if r.get("x")]
    for i, (x, y, w, h) in enumerate(rectangles):
        assert 0 <= x <= x + w <= width
        assert 40 <= y <= y + h <= height
        for other_x, other_y, other_w, other_h in rectangles[:i]:
            assert x + w <= other_x or other_x + other_w <= x or y + h <= other_y or other_y + other_h <= y
    paths = [path.get("d") for path in root.findall(".//{*}path") if path.get("stroke")]
    assert len(paths) >= len(graph.operations)
    for path in paths:
        assert "nan" not in path
        for axis, value in re.findall(r"([HV])([\d.]+)", path):
            assert 0 < float(value) < (width if axis == "H" else height)
        _crosses_no_box(path, rectangles)


def _crosses_no_box(path, rectangles):
    """A horizontal or vertical line may start and end at a box, but not pass through one."""
    x, y = map(float, re.match(r"M([\d.]+) ([\d.]+)", path).groups())
    for axis, value in re.findall(r"([HV])([\d.]+)", path):
        to_x, to_y = (float(value), y) if axis == "H" else (x, float(value))
        for left, top, width, height in rectangles:
            inside_x = max(min(x, to_x), left + 1) <= min(max(x, to_x), left + width - 1)
            inside_y = max(min(y, to_y), top + 1) <= min(max(y, to_y), top + height - 1)
            assert not (inside_x and inside_y), (path, (left, top, width, height))
        x, y = to_x, to_y


def test_mermaid_text_has_all_operations(net):
    graph = net.graph(optimizer="sgd")
    lines = graph.mermaid().splitlines()
    assert lines[0] == "flowchart TB"
    declared = {match[1] for line in lines if (match := re.match(r"    (\w+)[\[(]", line))}
    assert len(declared) == len(graph.nodes) + len(graph.operations)
    arrows = [match.groups() for line in lines if (match := re.fullmatch(r"    (\w+) --> (\w+)", line))]
    assert {end for arrow in arrows for end in arrow} == declared
    assert len(arrows) == sum(len(o.inputs) + len(o.outputs) for o in graph.operations)
    kinds = {match[1] for line in lines if (match := re.search(r":::(\w+)$", line))}
    assert kinds <= {line.split()[1] for line in lines if line.startswith("    classDef")}


@pytest.mark.parametrize("name", [f for f in ACTIVATIONS if f != "softmax"])
def test_every_activation_can_be_drawn(name):
    net = Network(Dense(3, 4, name), Dense(4, 2, name))
    assert ElementTree.fromstring(net.graph()._repr_svg_()) is not None
    assert repr(net.graph()) == str(net.graph())  # readable at a prompt


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "fats"}, "unknown backend"), ({"loss": "cross_entropy"}, "needs 'softmax'"),
        ({"batch_size": 0}, "batch_size is 0"), ({"optimizer": "adm"}, "unknown optimizer"),
        ({"threads": 0}, "threads is 0"),
    ],
)  # fmt: skip
def test_bad_options_are_a_clear_error(options, message):
    with pytest.raises(jitnet.Error, match=message):
        Network(Dense(3, 2)).graph(**options)
