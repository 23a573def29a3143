"""Bounds for the rounding errors of a kernel, relative to a reference that can be any NumPy code.

A sum of n terms in some order is the exact sum of terms that are wrong by up to n roundings each (Higham, Accuracy and
Stability of Numerical Algorithms, 2002, 4.2): a backward error. So the reference is computed again from inputs with
random relative errors; the change shows how the result depends on them, however it is computed.

The change of an element is normally distributed, because the errors are small; its standard deviation s is what the
bound needs. One change may be near 0 by chance, and gives a bound that a correct kernel exceeds: |change| is below d·s
with a probability of 0.8·d. So each element has the largest of 8 changes, which is below s/11 with a probability of
(0.8/11)^8 = 8e-10. A sum of n terms has an error of about 0.15·sqrt(n)·eps·s, and (n + 8)/11 is three times as much or
more: a correct kernel that is called wrong needs a rare error besides. Other elements cannot help to estimate s, since
they may be of another scale.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import checks

Array = NDArray[Any]

STEP = 2.0**-20
"""Relative size of the random errors; small enough that twice as large ones would change the result twice as much."""

DRAWS = 8
"""Changes of each element. With 3, a correct float32 sum of 16 products was called wrong once in 10^8 elements."""

ROUNDINGS = 8
"""Roundings in addition to those of the longest sum: a quotient, an exponential."""


def bounds(
    reference: Callable[[Sequence[Any]], list[Array]], inputs: Sequence[Any], expected: list[Array],
    dtype: np.dtype[Any], terms: float, rng: np.random.Generator,
) -> list[Array]:  # fmt: skip
    """A bound for each element of the expected results; 0 for whole numbers, which must be equal.

    inputs    in float64
    terms     of the longest sum
    """
    changed = [np.zeros(result.shape) for result in expected]
    for _ in range(DRAWS if any(result.dtype.kind == "f" for result in expected) else 0):
        with contextlib.suppress(checks.Error):  # it may accept only inputs with some property, such as a sum of 1
            moved = reference([_moved(argument, rng) for argument in inputs])
            for change, result, other in zip(changed, expected, moved, strict=True):
                if result.dtype.kind == "f" and other.shape == result.shape:
                    np.maximum(change, abs(other - result), out=change, where=np.isfinite(other))
    eps, smallest = float(np.finfo(dtype).eps), float(np.finfo(dtype).tiny)
    return [
        (terms + ROUNDINGS) * (eps * (change / STEP + abs(result)) + smallest) if result.dtype.kind == "f" else change
        for change, result in zip(changed, expected, strict=True)
    ]


def _moved(argument: Any, rng: np.random.Generator) -> Any:
    """The same, with errors in its floating-point numbers."""
    if isinstance(argument, float):
        return argument * (1 + STEP * rng.standard_normal())
    if isinstance(argument, np.ndarray) and argument.dtype.kind == "f":
        return argument * (1 + STEP * rng.standard_normal(argument.shape))
    return argument
