"""LayerNorm: each sample is normalized, then scaled and shifted."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import checks, formulas
from ..compiler.registry import Call
from ..compiler.types import Matrix, Vector
from .base import Context, Layer, kind


class NormGradient(NamedTuple):
    """The gradients of one LayerNorm: ∂L/∂gamma, ∂L/∂beta and delta = ∂L/∂A, with A its output."""

    dgamma: Vector
    dbeta: Vector
    delta: Matrix


@kind
@dataclass
class LayerNorm(Layer):
    """Each sample is normalized to mean 0 and variance 1: A = gamma·(X − mean)/√(variance + epsilon) + beta.

    Shapes    X (m, n), gamma (n,), beta (n,), A (m, n)
    epsilon   keeps a sample of equal numbers from dividing by 0
    Errors    ValueError for widths below 1 and epsilon not above 0

    gamma begins at 1 and beta at 0. Ba, Kiros and Hinton, 2016.
    """

    n: int
    epsilon: float = 1e-5

    stored = ("n", "epsilon")
    kept_per_sample = 2

    def __post_init__(self) -> None:
        self.n = checks.whole("n of LayerNorm", self.n, least=1)
        self.epsilon = checks.number("epsilon of LayerNorm", self.epsilon, above=0)

    @property
    def n_in(self) -> int:  # type: ignore[override]
        return self.n

    @property
    def n_out(self) -> int:  # type: ignore[override]
        return self.n

    @property
    def label(self) -> str:
        return "layer norm"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"gamma": (self.n,), "beta": (self.n,)}

    @property
    def gamma(self) -> Vector:
        """Scale (n,)."""
        return self._view(self._values, 0)  # type: ignore[no-any-return]

    @gamma.setter
    def gamma(self, values: ArrayLike) -> None:
        self._assign("gamma", self.gamma, values)

    @property
    def beta(self) -> Vector:
        """Shift (n,)."""
        return self._view(self._values, 1)  # type: ignore[no-any-return]

    @beta.setter
    def beta(self, values: ArrayLike) -> None:
        self._assign("beta", self.beta, values)

    def initialize(self, rng: np.random.Generator) -> None:
        checks.expect_representable("epsilon of LayerNorm", self.epsilon, self.gamma.dtype)
        self.gamma = np.ones(self.n)

    def forward(self, X: Matrix, Z: Matrix, A: Matrix, ctx: Context) -> list[Call]:
        return [Call("layer_norm", (X, *self._values, X.dtype.type(self.epsilon), ctx.kept, A))]

    def propagate(self, delta: Matrix, Z: Matrix, X: Matrix, f: str, delta_before: Matrix, ctx: Context) -> list[Call]:
        calls = [Call("layer_norm_back", (X, self._values[0], ctx.kept, delta, delta_before))]
        return calls if f == "identity" else [*calls, formulas.derivative(Z, X, f, delta_before)]

    def gradients(self, X: Matrix, delta: Matrix, ctx: Context) -> list[Call]:
        return [Call("layer_norm_gradients", (X, ctx.kept, delta, *self._grads))]

    def gradient_copies(self, delta: Any) -> NormGradient:
        dgamma, dbeta = self._grads
        return NormGradient(dgamma.copy(), dbeta.copy(), delta)
