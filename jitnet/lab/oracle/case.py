"""A case: the arguments of a kernel, its expected results, and bounds for its rounding errors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...kernels.losses import LOSSES

Array = NDArray[Any]
Shape = tuple[int, ...]
"""(m, n_in, n_out) for an operation; a problem has any number of sizes."""

UGLY: list[Shape] = [
    (2, 3, 5), (4, 4, 4), (5, 4, 3), (7, 13, 11), (1, 1, 1), (3, 5, 65), (17, 1, 63), (6, 9, 64), (33, 64, 10),
    (8, 31, 129), (5, 257, 65), (97, 20, 66), (300, 6, 17), (6, 7, 300), (0, 3, 2), (3, 0, 2), (3, 2, 0),
]  # fmt: skip
"""Shapes on which loops fail: one, primes, a tile and one more, or one less, and nothing at all. The first ones are
small enough to read, and large enough to show which rows or columns are wrong."""


def ugly_shapes(operation: str) -> list[Shape]:
    """The shapes that make sense for the operation: without outputs there is no mean and no probability."""
    loss = LOSSES.get(operation)
    has_a_mean = loss is not None and (loss.averages_outputs or operation == "cross_entropy")
    return [shape for shape in UGLY if shape[2] or not has_a_mean]


def nothing(shape: Shape, dtype: np.dtype[Any]) -> Array:
    """A cleared output: NaN, or integers whose bits are all 1."""
    return np.full(shape, np.nan if dtype.kind == "f" else _ALL_BITS.astype(dtype), dtype)


def holds_nothing(array: Array) -> bool:
    """Whether an output is as `nothing` makes it."""
    return bool((np.isnan(array) if array.dtype.kind == "f" else array == _ALL_BITS.astype(array.dtype)).all())


_ALL_BITS = np.array(-1)


LARGE = 1000.0
"""A score whose exponential is infinite. Each second row has such scores: kernels have to subtract the largest."""

SAFETY = 10
"""The factor by which typical errors may exceed those of a plain sum."""


@dataclass
class Case:
    arguments: list[Any]
    """Inputs, then outputs, as arguments of the rung."""
    expected: list[Array]
    """One array per output, float64."""
    bounds: list[Array]
    typical: list[Array] = field(default_factory=list)
    """One array per output: the limit of the root mean square of the errors; empty if there are only bounds."""

    @property
    def outputs(self) -> list[Array]:
        return self.arguments[-len(self.expected) :]

    def wrong(self) -> list[NDArray[np.bool_]]:
        """For each output, which of its numbers are wrong."""
        triples = zip(self.outputs, self.expected, self.bounds, strict=True)
        return [~(np.abs(got.astype(np.float64) - expected) <= bound) for got, expected, bound in triples]

    def error(self) -> str | None:
        """The error of the outputs, or None."""
        for wrong, got, expected, bound in zip(self.wrong(), self.outputs, self.expected, self.bounds, strict=True):
            if wrong.any():
                where = tuple(int(i) for i in np.argwhere(wrong)[0])
                bound_there = np.broadcast_to(bound, wrong.shape)[where]
                numbers = expected[where], got[where]
                digits = 9 if f"{numbers[0]:.9g}" != f"{numbers[1]:.9g}" else 17  # enough to tell two of float64 apart
                a, b = (f"{number:.{digits}g}" for number in numbers)
                wrong_ones = f"{wrong.sum()} of {wrong.size} wrong, first at {where}"
                return f"{wrong_ones}: expected {a}, got {b}, bound {bound_there:.3g}"
        for got, expected, typical in zip(self.outputs, self.expected, self.typical, strict=False):
            ratio = float(np.sqrt(np.mean(((got.astype(np.float64) - expected) / typical) ** 2)))
            if not ratio <= 1:
                return f"the errors are {SAFETY * ratio:.0f} times those of {got.dtype}, as if it had fewer bits"
        return None

    def allow(self, eps: float) -> None:
        """Widen the bounds for a rung of float32 that rounds what it multiplies to that spacing, relative to it."""
        factor = eps / float(np.finfo(np.float32).eps)
        self.bounds = [bound * factor for bound in self.bounds]
        self.typical = [typical * factor for typical in self.typical]

    def check(self) -> None:
        error = self.error()
        assert error is None, error


@dataclass
class Draw:
    """Draws the arguments of one case."""

    operation: str
    rng: np.random.Generator
    dtype: np.dtype[Any]
    shape: Shape

    def __call__(self, *size: int, scale: float = 1.0) -> Array:
        return self.rounded(scale * self.rng.standard_normal(size))

    def with_zeros(self, *size: int) -> Array:
        """The same, but some are exactly 0, as behind a ReLU."""
        values = self(*size)
        values[1::3, ::5] = 0
        return values

    def rounded(self, values: Any) -> Array:
        return np.asarray(values).astype(self.dtype)

    def number(self, value: float) -> Any:
        return self.dtype.type(value)


class Expected(NamedTuple):
    """The results of a formula for random inputs."""

    inputs: list[Any]
    results: list[Array]
    """float64, one per output."""
    roundings: list[Any]
    """One per output: the number of roundings times the sum of the absolute values; times eps it is the bound."""
    starts: list[Array] | None = None
    """The outputs before the call, if a kernel reads them too."""
    typical: Sequence[Array] = ()
    """Times eps, this is the limit of the root mean square of the errors."""

    def case(self, dtype: np.dtype[Any]) -> Case:
        """Outputs that a kernel only writes are NaN before."""
        outputs = self.starts
        if outputs is None:
            outputs = [nothing(result.shape, dtype) for result in self.results]
        eps = np.finfo(dtype).eps
        bounds, typical = ([eps * count for count in counts] for counts in (self.roundings, self.typical))
        return Case([*self.inputs, *outputs], self.results, bounds, typical)


Formula = Callable[[Draw], Expected]

FORMULAS: dict[str, Formula] = {}
"""Operation -> its formula in float64 NumPy."""


def formula(*operations: str) -> Callable[[Formula], Formula]:
    """Register the formula of these operations."""

    def register(function: Formula) -> Formula:
        FORMULAS.update(dict.fromkeys(operations, function))
        return function

    return register


def wide(array: Array) -> Array:
    """In float64, which is exact."""
    return array.astype(np.float64)
