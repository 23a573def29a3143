"""A network as a table, for a terminal and for a notebook."""

import math
from typing import Any

from ..layers import Dense
from . import markup


def _rows(net: Any) -> list[tuple[str, str, str, str]]:
    """Name, output width, number of parameters and their shapes, of each layer."""
    return [
        (
            f"dense {layer.label}" if isinstance(layer, Dense) else layer.label,
            f"{layer.n_out:,}", f"{sum(map(math.prod, layer.shapes.values())):,}", _shapes(layer),
        )
        for layer in net.layers
    ]  # fmt: skip


def _shapes(layer: Any) -> str:
    """As in "W 64×32, b 32"; parameters that the layer does not have are omitted."""
    there = {name: shape for name, shape in layer.shapes.items() if math.prod(shape)}
    return ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in there.items())


class _Shown(str):
    """Text that a prompt and a notebook show without quotes, line by line."""

    __repr__ = str.__str__


def summary(net: Any) -> str:
    """A table: the output width, the number of parameters and their shapes of each layer, and the total.

    >>> import jitnet
    >>> jitnet.Network(jitnet.Dense(64, 32, "sigmoid"), jitnet.Dense(32, 10, "softmax")).summary()
    layer                       output      parameters  shapes
    dense sigmoid                   32           2,080  W 64×32, b 32
    dense softmax                   10             330  W 32×10, b 10
    total, float32                               2,410
    """
    rows = [("layer", "output", "parameters", "shapes"), *_rows(net)]
    lines = [f"{name:<24}{output:>10}{parameters:>16}  {shapes}".rstrip() for name, output, parameters, shapes in rows]
    return _Shown("\n".join([*lines, f"{f'total, {net.dtype}':<34}{net.parameters:>16,}"]))


def network(net: Any) -> str:
    """The same table, for a notebook."""
    rows = [*_rows(net), (f"total, {net.dtype}", "", f"{net.parameters:,}", "")]
    return markup.table(f"Network {net.widths}", ("layer", "output", "parameters", "shapes"), rows)
