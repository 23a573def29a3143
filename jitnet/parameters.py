"""The parameters of a network in memory: one flat vector, with a named view for each W, b, gamma and beta.

The gradient and the vectors of an optimizer have the same layout, so each takes one loop, one copy, one array in a
file.
"""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from .compiler.memory import whole_lines
from .layers import Layer


def _padded_lengths(layers: Sequence[Layer], dtype: np.dtype[Any]) -> list[int]:
    """The length of each parameter's part, in whole cache lines."""
    return [whole_lines(math.prod(shape), dtype) for layer in layers for shape in layer.shapes.values()]


def length(layers: Sequence[Layer], dtype: np.dtype[Any]) -> int:
    """The length of the flat vector."""
    return sum(_padded_lengths(layers, dtype))


def views(layers: Sequence[Layer], flat: Any) -> list[tuple[Any, ...]]:
    """The views of each layer into a flat vector; each starts on a cache line."""
    starts = accumulate(_padded_lengths(layers, flat.dtype), initial=0)
    return [
        tuple(_view(flat, start, shape) for shape, start in zip(layer.shapes.values(), starts, strict=False))
        for layer in layers
    ]


def _view(flat: Any, start: int, shape: tuple[int, ...]) -> Any:
    part = flat[start : start + math.prod(shape)]
    return part if len(shape) == 1 else part.reshape(*shape)


def named(layers: Sequence[Layer], flat: Any) -> dict[str, Any]:
    """The same views by name, as in files: W0, b0, gamma1, ...; a missing bias has none."""
    of_layers = enumerate(zip(layers, views(layers, flat), strict=True))
    return {
        f"{name}{l}": view
        for l, (layer, parts) in of_layers
        for name, view in zip(layer.shapes, parts, strict=True)
        if view.size
    }
