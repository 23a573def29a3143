"""Dense: A = f(X·W + b), the layer that the four formulas describe."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import checks, formulas
from ..compiler.registry import Call
from ..compiler.types import Matrix, Vector
from ..kernels.activations import ACTIVATIONS, ActivationName
from ..kernels.elementwise import Activation
from .base import Context, Layer, kind

INITS: dict[str, Callable[[np.random.Generator, int, int], NDArray[Any]]] = {
    "glorot": lambda rng, n_in, n_out: rng.uniform(-1, 1, (n_in, n_out)) * math.sqrt(6 / (n_in + n_out)),
    "he": lambda rng, n_in, n_out: rng.standard_normal((n_in, n_out)) * math.sqrt(2 / n_in),
    "zeros": lambda rng, n_in, n_out: np.zeros((n_in, n_out)),
}
"""Initial W: glorot (Glorot and Bengio, 2010), or he (He et al., 2015), which was designed for relu. b starts at 0."""


class NameOfActivation:
    """The field `activation` of a layer: a name, or an object of `@jitnet.activation`, which is stored as its name."""

    def __get__(self, layer: Any, owner: Any) -> str:
        return "identity" if layer is None else str(vars(layer)["activation"])

    def __set__(self, layer: Any, value: ActivationName | Activation) -> None:
        vars(layer)["activation"] = (
            checks.name_of("activation", value, ACTIVATIONS) if isinstance(value, Activation) else value
        )


class Gradient(NamedTuple):
    """The gradients of one Dense: ∂L/∂W, ∂L/∂b (None with bias=False) and delta = ∂L/∂Z. A Dropout has three None."""

    dW: Any
    db: Any
    delta: Any


@kind
@dataclass
class Dense(Layer):
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

    stored = ("n_in", "n_out", "activation", "bias", "init")

    def __post_init__(self) -> None:
        self.n_in = checks.whole("n_in of Dense", self.n_in, least=1)
        self.n_out = checks.whole("n_out of Dense", self.n_out, least=1)
        self.bias = checks.flag("bias of Dense", self.bias)
        checks.one_of("activation", vars(self)["activation"], ACTIVATIONS, can_define=True)
        checks.one_of("init", self.init, INITS)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"W": (self.n_in, self.n_out), "b": (self.n_out if self.bias else 0,)}

    @property
    def identity(self) -> tuple[Any, ...]:
        return self.n_in, self.n_out, self.activation, self.bias

    def initialize(self, rng: np.random.Generator) -> None:
        self.W = INITS[self.init](rng, self.n_in, self.n_out)

    def settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.stored}  # the format of older versions

    def forward(self, X: Matrix, Z: Matrix, A: Matrix, ctx: Context) -> list[Call]:
        W, b = self._values
        return formulas.forward(X, W, b, self.activation, Z, A)

    def propagate(self, delta: Matrix, Z: Matrix, X: Matrix, f: str, delta_before: Matrix, ctx: Context) -> list[Call]:
        return formulas.propagate(delta, self._values[0], Z, X, f, delta_before)

    def gradients(self, X: Matrix, delta: Matrix, ctx: Context) -> list[Call]:
        dW, db = self._grads
        return formulas.gradients(X, delta, dW, db)

    def descend(self, X: Matrix, delta: Matrix, lr: Any, weight_decay: Any, ctx: Context) -> list[Call]:
        W, b = self._values
        return formulas.descend(X, delta, lr, weight_decay, W, b)

    def gradient_copies(self, delta: Any) -> Gradient:
        return Gradient(self.dW.copy(), None if self.db is None else self.db.copy(), delta)

    @property
    def W(self) -> Matrix:
        """Weights (n_in, n_out)."""
        return self._view(self._values, 0)  # type: ignore[no-any-return]

    @W.setter
    def W(self, values: ArrayLike) -> None:
        self._assign("W", self.W, values)

    @property
    def b(self) -> Vector | None:
        """Bias (n_out,), or None with bias=False."""
        b = self._view(self._values, 1)
        return b if self.bias else None

    @b.setter
    def b(self, values: ArrayLike) -> None:
        if self.b is None:
            raise checks.Error("this layer has no bias: it was created with bias=False")
        self._assign("b", self.b, values)

    @property
    def dW(self) -> Matrix:
        """∂L/∂W of the last batch in `gradients` (n_in, n_out)."""
        return self._view(self._grads, 0)  # type: ignore[no-any-return]

    @property
    def db(self) -> Vector | None:
        """∂L/∂b of the last batch in `gradients` (n_out,), or None with bias=False."""
        return self._view(self._grads, 1) if self.bias else None


Dense.__doc__ = str(Dense.__doc__).replace("ACTIVATIONS", ", ".join(f'"{name}"' for name in ACTIVATIONS))
