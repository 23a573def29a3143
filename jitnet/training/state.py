"""The state of a training: the parameters, the optimizer's vectors, the history; also as named arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import checks, optimizers, parameters
from ..arrays import converted, expect_finite
from ..compiler.types import Vector
from ..optimizers import Optimizer
from .history import History


@dataclass(eq=False)
class State:
    """Everything on which the next epoch or step depends; a checkpoint contains the same."""

    theta: Vector
    memory: list[Vector]
    optimizer: str
    """The name of the kind: its settings, such as lr, may change from step to step."""
    step: int = 0
    seed: int = 0
    """The seed of the random numbers of Dropout."""
    history: History = field(default_factory=History)
    best_loss: float = math.inf
    """With early stopping: the monitored number of the best epoch."""
    best_theta: Vector | None = None
    last_theta: Vector | None = None
    """The weights of the last epoch, if early stopping has restored those of the best one."""

    @property
    def is_current(self) -> bool:
        """True if the optimizer's vectors belong to the current weights of the network."""
        return self.last_theta is None


def new_state(net: Stateful, optimizer: Optimizer) -> State:
    """The state before the first step: the parameters of the network, and zeros for the optimizer.

    Errors    ValueError if a setting of the optimizer becomes 0 or infinity in the network's dtype
    """
    return State(net.theta, optimizer.start(net.theta), optimizer.name)


class Stateful(Protocol):
    """The interface of a network for its state."""

    layers: Any
    theta: Vector
    dtype: np.dtype[Any]
    _state: State | None

    def in_training(self) -> Any: ...


def state_dict(net: Stateful) -> dict[str, NDArray[Any]]:
    """The parameters and, after `fit` or `step`, the state of the optimizer, as copies, by name.

    W0, b0, gamma1, ...             the parameters, as in the file of `save`; a layer without a bias has no b
    adam.mean.W0, ...               the optimizer's vectors, for each parameter; SGD has none
    adam.step, adam.seed            the number of steps, and the seed of Dropout, as arrays () int64

    All are arrays, so that `numpy.savez(path, **net.state_dict())` writes them.

    >>> import jitnet
    >>> net = jitnet.Network(jitnet.Dense(2, 3, "tanh"), jitnet.Dense(3, 1, bias=False), seed=0)
    >>> {name: array.shape for name, array in net.state_dict().items()}
    {'W0': (2, 3), 'b0': (3,), 'W1': (3, 1)}
    """
    state = net._state if net._state is not None and net._state.is_current else None
    arrays = parameters.named(net.layers, net.theta)
    if state is not None:
        arrays |= _vectors(net, state)
    arrays = {name: array.copy() for name, array in arrays.items()}
    if state is not None:
        numbers = {"step": state.step, "seed": state.seed % 2**63}
        arrays |= {f"{state.optimizer}.{name}": np.array(number, np.int64) for name, number in numbers.items()}
    return arrays


def load_state_dict(net: Stateful, state: Mapping[str, Any]) -> None:
    """Copy the arrays of `state_dict` into this network: the parameters and, if it is there, the optimizer's state.

    `step` then continues as the other network would, with the same bits. Without an optimizer's state the next step
    starts with a new one. The arrays are validated first: with an error, nothing is changed.

    Errors    ValueError for a name that is missing or unknown, for another shape or dtype (use .astype), for NaN and
              infinity, and during a `fit` of this network

    >>> import jitnet
    >>> first, second = (jitnet.Network(jitnet.Dense(2, 1), seed=seed) for seed in (0, 1))
    >>> second.load_state_dict(first.state_dict())
    >>> bool((second.layers[0].W == first.layers[0].W).all())
    True
    """
    if not isinstance(state, Mapping):
        raise checks.Error(f"the state is {checks.shown(state)}, but must be a dict of names and arrays")
    new = _started(net, state)
    targets = parameters.named(net.layers, net.theta)
    if new is not None:
        targets |= _vectors(net, new)
    numbers = [f"{new.optimizer}.{name}" for name in ("step", "seed")] if new else []
    unknown = [name for name in state if name not in targets and name not in numbers]
    if unknown:
        raise checks.Error(
            f"the state has an array {checks.shown(unknown[0])}, but must have only {', '.join([*targets, *numbers])}"
        )
    arrays = {name: _array(state, name, target.shape, target.dtype) for name, target in targets.items()}
    if new is not None:
        for name, key in zip(("step", "seed"), numbers, strict=True):
            number = int(_array(state, key, (), np.dtype(np.int64)))
            setattr(new, name, checks.whole(key, number, least=0))
    with net.in_training():
        for name, target in targets.items():
            target[...] = arrays[name]
        net._state = new


def _vectors(net: Stateful, state: State) -> dict[str, Any]:
    """The optimizer's vectors, as views by name."""
    of_kind = zip(optimizers.get(state.optimizer).memory, state.memory, strict=True)
    return {
        f"{state.optimizer}.{vector}.{name}": view
        for vector, flat in of_kind
        for name, view in parameters.named(net.layers, flat).items()
    }


def _started(net: Stateful, state: Mapping[str, Any]) -> State | None:
    """A new state for the optimizer that these names belong to; None if there is none."""
    kinds = list(dict.fromkeys(name.partition(".")[0] for name in state if isinstance(name, str) and "." in name))
    if not kinds:
        return None
    if len(kinds) > 1:
        raise checks.Error(f"the state has arrays of {' and '.join(kinds)}, but must be of one optimizer")
    return new_state(net, optimizers.get(checks.one_of("optimizer", kinds[0], optimizers.OPTIMIZERS)))


def _array(state: Mapping[str, Any], name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The array of that name, if it is exactly what the network needs."""
    if name not in state:
        raise checks.Error(f"the state has no {name}, which must be an array {shape} {dtype}")
    array = converted(name, state[name])
    if array.shape != shape or array.dtype != dtype:
        raise checks.Error(f"{name} is {array.shape} {array.dtype}, but must be {shape} {dtype}")
    expect_finite(name, array)
    return array
