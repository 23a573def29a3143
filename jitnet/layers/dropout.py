"""Dropout: in training, some numbers are set to 0."""

from dataclasses import dataclass, field
from typing import Any

from .. import checks, formulas
from ..compiler.registry import Call
from ..compiler.types import Matrix
from .base import Context, Layer, kind
from .dense import Gradient


@kind
@dataclass
class Dropout(Layer):
    """In training, each number is set to 0 with probability `rate`, and the others are divided by 1 − rate.

    Shapes    X (m, n), A (m, n), with the width of the previous layer
    rate      from 0 to below 1
    Errors    ValueError for other rates, and as the last layer

    Only `fit` drops numbers; forward, predict, evaluate and gradients skip this layer. The dropped numbers depend only
    on the training seed, the step, the layer and the index, so they are the same with any number of threads and in a
    resumed run.
    """

    rate: float
    n_in: int = field(default=0, repr=False, kw_only=True)
    """The width, which the network sets."""

    stored = ("rate",)
    only_in_training = True

    def __post_init__(self) -> None:
        self.rate = checks.number("rate of Dropout", self.rate, least=0, below=1)

    @property
    def n_out(self) -> int:  # type: ignore[override]
        return self.n_in

    @property
    def label(self) -> str:
        return f"dropout {self.rate:g}"

    def placed(self, width: int) -> "Dropout":
        return Dropout(self.rate, n_in=width)

    def forward(self, X: Matrix, Z: Matrix, A: Matrix, ctx: Context) -> list[Call]:
        threshold, scale = round((1 - self.rate) * 2**32), X.dtype.type(1 / (1 - self.rate))
        return [Call("dropout", (X, threshold, scale, ctx.l, ctx.clock, A))]

    def propagate(self, delta: Matrix, Z: Matrix, X: Matrix, f: str, delta_before: Matrix, ctx: Context) -> list[Call]:
        calls = self.forward(delta, delta_before, delta_before, ctx)  # numbers that were set to 0 have no gradient
        return calls if f == "identity" else [*calls, formulas.derivative(Z, X, f, delta_before)]

    def gradients(self, X: Matrix, delta: Matrix, ctx: Context) -> list[Call]:
        return []

    def gradient_copies(self, delta: Any) -> Gradient:
        return Gradient(None, None, None)
