"""A network as a table, for a terminal and for a notebook."""

import math
from typing import Any

from . import markup
from .layers import Dense


def _rows(net: Any) -> list[tuple[str, str, str]]:
    """Name, output width and number of parameters of each layer."""
    return [
        (
            f"dense {layer.label}" if isinstance(layer, Dense) else layer.label,
            f"{layer.n_out:,}", f"{sum(map(math.prod, layer.shapes.values())):,}",
        )
        for layer in net.layers
    ]  # fmt: skip


def summary(net: Any) -> str:
    """A table: the output width and the number of parameters of each layer, and the total.

    >>> import jitnet
    >>> print(jitnet.Network(jitnet.Dense(64, 32, "sigmoid"), jitnet.Dense(32, 10, "softmax")).summary())
    layer                       output      parameters
    dense sigmoid                   32           2,080
    dense softmax                   10             330
    total, float32                               2,410
    """
    lines = [f"{name:<24}{output:>10}{parameters:>16}" for name, output, parameters in _rows(net)]
    head, total = f"{'layer':<24}{'output':>10}{'parameters':>16}", f"{f'total, {net.dtype}':<34}{net.parameters:>16,}"
    return "\n".join([head, *lines, total])


def network(net: Any) -> str:
    """The same table, for a notebook."""
    rows = [*_rows(net), (f"total, {net.dtype}", "", f"{net.parameters:,}")]
    return markup.table(f"Network {net.widths}", ("layer", "output", "parameters"), rows)
