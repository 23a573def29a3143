"""Shared by the files of this folder: a network from layers and their arrays, and the import of another package."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..kernels.activations import ACTIVATIONS
from ..layers import Dense, Layer, LayerNorm
from ..network import Network

Part = tuple[Layer, Mapping[str, NDArray[Any]]]
"""A layer, and the arrays of its parameters by name."""


def package(name: str, extra: str) -> Any:
    """The package; one clear error if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = error.name or name
        raise checks.Error(f"the package {missing} is missing: pip install {extra}") from None


def dense(what: str, W: Any, b: Any, activation: str) -> Part:
    """A Dense of W (n_in, n_out) and b (n_out,) or None."""
    W = np.asarray(W)
    if W.ndim != 2:
        raise checks.Error(f"{what} has shape {W.shape}, but the weights of a Dense have two axes")
    n_in, n_out = W.shape
    layer = Dense(n_in, n_out, activation, bias=b is not None)  # type: ignore[arg-type]
    return layer, {"W": W, **({} if b is None else {"b": np.asarray(b)})}


def layer_norm(gamma: Any, beta: Any, epsilon: float) -> Part:
    """A LayerNorm of gamma (n,) and beta (n,)."""
    gamma = np.asarray(gamma)
    return LayerNorm(gamma.size, epsilon), {"gamma": gamma, "beta": np.asarray(beta)}


def network(parts: Sequence[Part]) -> Network:
    """A network with these parameters and their dtype.

    Errors    ValueError if they are not all float32 or all float64, do not chain, or are not finite
    """
    dtypes = list(dict.fromkeys(array.dtype.name for _, arrays in parts for array in arrays.values()))
    if len(dtypes) != 1 or dtypes[0] not in ("float32", "float64"):
        raise checks.Error(
            f"the weights are {' and '.join(dtypes) or 'missing'}, but must be all float32 or all float64; convert them"
        )
    net = Network(*(layer for layer, _ in parts), dtype=dtypes[0])  # type: ignore[arg-type]
    for l, (layer, (_, arrays)) in enumerate(zip(net.layers, parts, strict=True)):
        for name, array in arrays.items():
            try:
                setattr(layer, name, array)
            except checks.Error as error:
                raise checks.Error(f"layer {l}: {error}") from None
    return net


def activations_of(names: Any, count: int) -> list[str]:
    """One known activation for each Dense."""
    if isinstance(names, str) or not isinstance(names, Sequence) or len(names) != count:
        raise checks.Error(
            f"activations is {checks.shown(names)}, but must be a list of {count}: the activation of each Dense, as in "
            f"{['relu'] * (count - 1) + ['softmax']}"
        )
    return [checks.one_of("activation", name, ACTIVATIONS) for name in names]


def translated(activation: str, known: Mapping[str, Any], library: str) -> Any:
    """The counterpart of this activation in `library`.

    Errors    ValueError for a user's activation
    """
    if activation not in known:
        raise checks.Error(
            f"activation {checks.shown(activation)} has no counterpart in {library}; known: {checks.some(list(known))}"
        )
    return known[activation]
