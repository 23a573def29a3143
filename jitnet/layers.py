"""Layers: the shapes, names and initial weights that a user gives, and views of a network's parameters."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import checks
from .compiler.types import Matrix, Vector
from .kernels.activations import ACTIVATIONS, ActivationName
from .kernels.elementwise import Activation

INITS: dict[str, Callable[[np.random.Generator, int, int], NDArray[Any]]] = {
    "glorot": lambda rng, n_in, n_out: rng.uniform(-1, 1, (n_in, n_out)) * math.sqrt(6 / (n_in + n_out)),
    "he": lambda rng, n_in, n_out: rng.standard_normal((n_in, n_out)) * math.sqrt(2 / n_in),
    "zeros": lambda rng, n_in, n_out: np.zeros((n_in, n_out)),
}
"""Initial W: glorot (Glorot and Bengio, 2010) suits sigmoid and tanh, he (He et al., 2015) relu. b starts at 0."""


class NameOfActivation:
    """The field `activation` of a layer: a name, or an object of `@jitnet.activation`, which is stored as its name."""

    def __get__(self, layer: Any, owner: Any) -> str:
        return "identity" if layer is None else str(vars(layer)["activation"])

    def __set__(self, layer: Any, value: ActivationName | Activation) -> None:
        vars(layer)["activation"] = value.name if isinstance(value, Activation) else value


@dataclass
class Dense:
    """One layer: A = f(X·W + b).

    Shapes    X (m, n_in), W (n_in, n_out), b (n_out,), A (m, n_out)
    f         one of ACTIVATIONS; or one of yours, see `jitnet.activation`
    init      "glorot", "he" or "zeros"
    Errors    ValueError for widths below 1 and unknown names

    A network makes its own copy of each layer and gives it W, b, dW and db: views of theta and grad.
    """

    n_in: int
    n_out: int
    activation: NameOfActivation = NameOfActivation()
    bias: bool = True
    init: str = "glorot"
    _views: "tuple[Matrix, Vector | None, Matrix, Vector | None] | None" = field(
        default=None, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        self.n_in = checks.whole("n_in of Dense", self.n_in, least=1)
        self.n_out = checks.whole("n_out of Dense", self.n_out, least=1)
        self.bias = checks.flag("bias of Dense", self.bias)
        checks.one_of("activation", vars(self)["activation"], ACTIVATIONS)
        checks.one_of("init", self.init, INITS)

    def _view(self, position: int) -> Any:
        if self._views is None:
            raise checks.Error("this Dense has no parameters yet: they belong to the copy in a Network, net.layers[l]")
        return self._views[position]

    @property
    def W(self) -> Matrix:
        """Weights (n_in, n_out)."""
        return self._view(0)  # type: ignore[no-any-return]

    @W.setter
    def W(self, values: ArrayLike) -> None:
        self._assign("W", self.W, values)

    @property
    def b(self) -> Vector | None:
        """Bias (n_out,), or None with bias=False."""
        return self._view(1)  # type: ignore[no-any-return]

    @b.setter
    def b(self, values: ArrayLike) -> None:
        if self.b is None:
            raise checks.Error("this layer has no bias: it was created with bias=False")
        self._assign("b", self.b, values)

    @property
    def dW(self) -> Matrix:
        """∂L/∂W of the last batch in `gradients` (n_in, n_out)."""
        return self._view(2)  # type: ignore[no-any-return]

    @property
    def db(self) -> Vector | None:
        """∂L/∂b of the last batch in `gradients` (n_out,), or None with bias=False."""
        return self._view(3)  # type: ignore[no-any-return]

    @staticmethod
    def _assign(name: str, target: NDArray[Any], values: ArrayLike) -> None:
        if np.shape(values) != target.shape:
            raise checks.Error(f"{name} has shape {target.shape}, but was given {np.shape(values)}")
        target[...] = values  # a view of theta stays a view of theta


Dense.__doc__ = str(Dense.__doc__).replace("ACTIVATIONS", ", ".join(f'"{name}"' for name in ACTIVATIONS))
