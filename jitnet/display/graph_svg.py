"""The drawing of a computational graph as SVG: parameters, forward (down), backward (up), gradients, side by side."""

from collections.abc import Iterable
from html import escape
from typing import Any, NamedTuple

COLORS = {
    "data": ("#f1f3f5", "#868e96"), "parameter": ("#dbe9f6", "#1864ab"), "activation": ("#e3f4e4", "#2b8a3e"),
    "loss": ("#eee5fa", "#6741d9"), "delta": ("#fdebd8", "#d9480f"), "gradient": ("#fbe3ea", "#a61e4d"),
    "update": ("#dbe9f6", "#1864ab"),
}  # fmt: skip
"""Kind of node -> fill and line."""

LINE = "#868e96"

PARAMETERS, FORWARD, BACKWARD, CHANGE, GRADIENTS = 76, 266, 492, 692, 858
"""The center of each column."""

CHANNEL, SIDE, WIDTH = 374, 924, 936
"""Vertical lines between the columns, and at the right side; the width of the drawing."""

BOX, PILL = (104, 36), (152, 32)
"""Width and height of a node, and of an operation."""

GAP, TOP = 26, 62
"""Between two rows; above the first one."""


class Place(NamedTuple):
    """A rectangle by its center."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def above(self) -> float:
        return self.y - self.height / 2

    @property
    def below(self) -> float:
        return self.y + self.height / 2


class Step(NamedTuple):
    """Operations that follow each other to compute the same nodes: drawn as one."""

    operations: list[Any]
    inputs: list[str]
    outputs: tuple[str, ...]


def sizes(shape: Iterable[int]) -> str:
    """The shape in words: `64 × 32`."""
    return " × ".join(f"{n:,}" for n in shape)


def steps_of(graph: Any) -> list[Step]:
    """The operations; one that works in place, or updates parameters by their gradients, joins the previous one."""
    steps: list[Step] = []
    for operation in graph.operations:
        grads = [name for name in operation.inputs if graph.nodes[name].kind == "gradient"]
        joined = steps[-1] if steps else None
        if joined and set(operation.outputs) <= set(joined.outputs):
            new = [name for name in operation.inputs if name not in (*operation.outputs, *joined.inputs)]
            steps[-1] = joined._replace(operations=[*joined.operations, operation], inputs=[*joined.inputs, *new])
        elif joined and len(grads) == 1 and grads[0] in joined.outputs:
            after = tuple(n for n in joined.outputs if n != grads[0]) + operation.outputs
            steps[-1] = joined._replace(operations=[*joined.operations, operation], outputs=after)
        else:
            inputs = [name for name in operation.inputs if name not in operation.outputs]
            steps.append(Step([operation], inputs, operation.outputs))
    return steps


class Drawing:
    """Places every node and operation, then draws arrows between them."""

    def __init__(self, graph: Any) -> None:
        self.graph, self.steps = graph, steps_of(graph)
        self.nodes: dict[str, Place] = {}
        self.pills: dict[int, Place] = {}
        self.height = 0.0
        self._place()

    def _place(self) -> None:
        """Row by row: forward, downward; each backward operation is next to the forward one."""
        kind_of = {name: node.kind for name, node in self.graph.nodes.items()}
        layer_of = {name: node.layer for name, node in self.graph.nodes.items()}
        rows, y = self._place_forward(kind_of, layer_of)
        loss = max(self._size(i)[1] for i, step in enumerate(self.steps) if "losses" in step.outputs)
        y += BOX[1] / 2 + GAP + loss / 2
        self._node("Y", FORWARD, y)
        self._place_backward(kind_of, layer_of, rows, y)
        self._place_updates(kind_of, layer_of, rows, y)
        self.height = 20 + max(place.below for place in (*self.nodes.values(), *self.pills.values()))

    def _place_forward(self, kind_of: dict[str, str], layer_of: dict[str, Any]) -> tuple[dict[int, float], float]:
        """The height of the first operation of each layer, and that of the output."""
        y = TOP + BOX[1] / 2
        self._node("X", FORWARD, y)
        rows: dict[int, float] = {}
        for i, step in enumerate(self.steps):
            if kind_of[step.outputs[0]] != "activation":
                continue
            given = [n for n in step.inputs if kind_of[n] == "parameter"]
            half = max(self._size(j)[1] / 2 for j in (i, *self._beside(i, layer_of)))
            half = max(half, 22 * len(given))
            y += BOX[1] / 2 + GAP + half
            self._pill(i, FORWARD, y)
            name = step.outputs[-1]
            rows.setdefault(layer_of[name] or 0, y)
            for place, parameter in enumerate(reversed(given)):  # W below, so that its lines cross no box
                self._node(parameter, PARAMETERS, y + 42 * (place - (len(given) - 1) / 2))
            y += half + GAP + BOX[1] / 2
            self._node(name, FORWARD, y)
        return rows, y

    def _place_backward(
        self, kind_of: dict[str, str], layer_of: dict[str, Any], rows: dict[int, float], last: float
    ) -> None:
        """The deltas next to their activations; the one of the output in the last row."""
        for i, step in enumerate(self.steps):
            first = step.outputs[0]
            is_last = "losses" in step.outputs
            if kind_of[first] == "delta":
                l = layer_of[first]
                beside = self.nodes.get(f"Z{l}") or self.nodes[f"A{l}"]
                self._node(first, BACKWARD, beside.y)
                self._pill(i, BACKWARD, last if is_last else rows[min(n for n in rows if n > (l or 0))])
            if is_last:
                self._node("losses", CHANGE, last)

    def _place_updates(
        self, kind_of: dict[str, str], layer_of: dict[str, Any], rows: dict[int, float], last: float
    ) -> None:
        """The gradients next to their layers; an update of all parameters at once below everything."""
        for i, step in enumerate(self.steps):
            if kind_of[step.outputs[0]] not in ("gradient", "update"):
                continue
            if any(kind_of[name] == "gradient" for name in step.inputs):
                last += BOX[1] + GAP
                self._pill(i, CHANGE, last)
                self._node("theta", BACKWARD, last)
                continue
            for place, name in enumerate(step.outputs):  # dW below
                row = rows[layer_of[name] or 0]
                self._node(name, GRADIENTS, row + 42 * ((len(step.outputs) - 1) / 2 - place))
            self._pill(i, CHANGE, rows[min(layer_of[name] or 0 for name in step.outputs)])

    def _beside(self, i: int, layer_of: dict[str, Any]) -> list[int]:
        """The backward operations in the row of this forward one."""
        layer = layer_of[self.steps[i].outputs[-1]]
        return [j for j, step in enumerate(self.steps) if f"delta{layer}" in step.inputs]

    def _node(self, name: str, x: float, y: float) -> None:
        self.nodes[name] = Place(x, y, *BOX)

    def _size(self, i: int) -> tuple[float, float]:
        return PILL[0], PILL[1] * len(self.steps[i].operations)

    def _pill(self, i: int, x: float, y: float) -> None:
        self.pills[i] = Place(x, y, *self._size(i))

    def svg(self) -> str:
        """The whole drawing; arrows are behind boxes."""
        arrows = [arrow for i in self.pills for arrow in self._arrows(i)]
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height:.0f}" '
            f'style="width:100%;max-width:{WIDTH}px;height:auto" role="img" aria-label="{escape(self.graph.title)}" '
            'font-family="system-ui, sans-serif" font-size="13" text-anchor="middle" fill="#212529">',
            '<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            f'<path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker>',
            f'<rect width="{WIDTH}" height="{self.height:.0f}" rx="8" fill="#fff"/>',
            f'<text x="16" y="22" text-anchor="start">{escape(self.graph.title)}</text>',
            *(f'<text x="{x}" y="46" fill="#495057">{name}</text>' for x, name in self._heads()),
            *arrows,
            *(self._box(name, place) for name, place in self.nodes.items()),
            *(self._operation(i, place) for i, place in self.pills.items()),
            "</svg>",
        ])  # fmt: skip

    def _heads(self) -> list[tuple[float, str]]:
        kinds = {self.graph.nodes[name].kind for name in self.nodes if name in self.graph.nodes}
        last = "gradients" if "gradient" in kinds else "after the step"
        return [(PARAMETERS, "parameters"), (FORWARD, "forward ↓"), (BACKWARD, "backward ↑"), (GRADIENTS, last)]

    def _box(self, name: str, p: Place) -> str:
        node = self.graph.nodes.get(name)
        fill, line = COLORS[node.kind if node else "update"]
        below = sizes(node.shape) if node else "all parameters"
        return (
            f'<rect x="{p.left}" y="{p.above}" width="{p.width}" height="{p.height}" rx="4" fill="{fill}" '
            f'stroke="{line}"/><text x="{p.x}" y="{p.y - 2}" font-weight="600">{escape(name)}</text>'
            f'<text x="{p.x}" y="{p.y + 12}" font-size="11">{below}</text>'
        )

    def _operation(self, i: int, p: Place) -> str:
        texts = "".join(
            f'<text x="{p.x}" y="{p.above + PILL[1] * n + 13}" font-size="12">{escape(o.operation)}</text>'
            f'<text x="{p.x}" y="{p.above + PILL[1] * n + 26}" font-size="11" fill="#495057">{escape(o.rung)}</text>'
            for n, o in enumerate(self.steps[i].operations)
        )
        return (
            f'<rect x="{p.left}" y="{p.above}" width="{p.width}" height="{p.height}" rx="16" fill="#fff" '
            f'stroke="#495057"/>{texts}'
        )

    def _arrows(self, i: int) -> list[str]:
        pill, step = self.pills[i], self.steps[i]
        if "theta" in self.nodes and pill.y == self.nodes["theta"].y:
            return [*self._collected(pill, step), _path(f"M{pill.left} {pill.y}H{self.nodes['theta'].right}")]
        own = [f"{name}'" for name in step.inputs]  # a parameter needs no arrow to its update
        inputs = [name for name, after in zip(step.inputs, own, strict=True) if after not in step.outputs]
        into = [_path(self._to_pill(self.nodes[name], pill)) for name in inputs]
        return [*into, *(_path(_from_pill(pill, self.nodes[name])) for name in step.outputs)]

    def _collected(self, pill: Place, step: Step) -> list[str]:
        """All gradients, with one line at the right side."""
        grads = [self.nodes[n] for n in step.inputs if self.nodes[n].x == GRADIENTS]
        branches = [f'<path d="M{g.right} {g.y}H{SIDE}" fill="none" stroke="{LINE}"/>' for g in grads]
        top = min(g.y for g in grads)
        return [*branches, _path(f"M{SIDE} {top}V{pill.y}H{pill.right}")]

    def _to_pill(self, node: Place, pill: Place) -> str:
        """Straight along a column, from a neighbor, or around: next to the row of the operation, between the boxes."""
        if node.x == pill.x:
            return f"M{node.x} {node.below}V{pill.above}" if node.y < pill.y else f"M{node.x} {node.above}V{pill.below}"
        if (node.x, pill.x) == (PARAMETERS, FORWARD):
            return f"M{node.right} {node.y}L{pill.left} {pill.y + (node.y - pill.y) / 4}"
        half = max(other.height for other in self.pills.values() if other.y == pill.y) / 2
        enter = pill.x - pill.width / 4
        if node.x == PARAMETERS:
            bus = max(pill.y + half + 12, node.y + 8)
            return f"M{node.right} {node.y + 8}H{node.right + 14}V{bus}H{enter}V{pill.below}"
        if node.y == pill.y:
            return f"M{node.right} {node.y}H{pill.left}"
        bus, edge = (pill.y - half - 12, pill.above) if node.y < pill.y else (pill.y + half + 12, pill.below)
        others = [*self.nodes.values(), *self.pills.values()]
        if any(
            other.x == node.x and min(node.y, bus) < other.y < max(node.y, bus) and other != node for other in others
        ):
            return f"M{node.right} {node.y}H{CHANNEL}V{bus}H{enter}V{edge}"
        return f"M{node.x + node.width / 4} {node.below if node.y < pill.y else node.above}V{bus}H{enter}V{edge}"


def _path(d: str) -> str:
    return f'<path d="{d}" fill="none" stroke="{LINE}" marker-end="url(#arrow)"/>'


def _from_pill(pill: Place, node: Place) -> str:
    if node.x == pill.x:
        return f"M{pill.x} {pill.below}V{node.above}" if node.y > pill.y else f"M{pill.x} {pill.above}V{node.below}"
    return f"M{pill.right} {pill.y}L{node.left} {node.y}"


def draw(graph: Any) -> str:
    """The SVG of a graph as a string."""
    return Drawing(graph).svg()
