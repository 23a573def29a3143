"""Arrays that track a bound of a kernel's rounding errors: a NumPy formula computes its own error bound.

    x = Rounded(np.array([1.0, 2.0]), eps=2**-23)
    y = (x * x).sum()    # y.value is exact to float64; y.error bounds the error of a kernel that computes this with eps

Every operation passes on the errors of its operands, by its derivatives, and adds eps·|result| for its own rounding
(Higham, Accuracy and Stability of Numerical Algorithms, 2002, 3.3: running error analysis). A sum of n terms may be
added up in any order.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

Array = NDArray[Any]
Carry = Callable[..., Array]

CARRIED: dict[Any, Carry] = {
    np.add: lambda result, a, b: a.error + b.error,
    np.subtract: lambda result, a, b: a.error + b.error,
    np.multiply: lambda result, a, b: abs(a.value) * b.error + abs(b.value) * a.error + a.error * b.error,
    np.divide: lambda result, a, b: (a.error + abs(result) * b.error) / np.maximum(abs(b.value) - b.error, 0),
    np.power: lambda result, a, b: abs(b.value * a.value ** (b.value - 1)) * a.error + a.error**b.value,
    np.negative: lambda result, a: a.error,
    np.sqrt: lambda result, a: np.fmin(a.error / result, np.sqrt(a.error)),
    np.exp: lambda result, a: result * np.expm1(a.error) + 4 * abs(result) * a.eps,
    np.maximum: lambda result, a, b: np.maximum(a.error, b.error),
}
"""Operation -> the error of its result from those of its operands."""


class Rounded(NDArrayOperatorsMixin):
    """A float64 array, and a bound for the error of each of its numbers, 0 for an input."""

    def __init__(self, value: Any, eps: float, error: Any = 0.0) -> None:
        self.value, self.eps = np.asarray(value, np.float64), eps
        self.error = np.array(np.broadcast_to(error, self.value.shape), np.float64)

    shape = property(lambda self: self.value.shape)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.value.dtype)

    def __getitem__(self, where: Any) -> "Rounded":
        return Rounded(self.value[where], self.eps, self.error[where])

    def __setitem__(self, where: Any, given: Any) -> None:
        other = self._of(given)
        self.value[where], self.error[where] = other.value, other.error

    def _of(self, given: Any) -> "Rounded":
        return given if isinstance(given, Rounded) else Rounded(given, self.eps)

    def sum(self, axis: int | None = None, keepdims: bool = False) -> "Rounded":
        how: Any = {"axis": axis, "keepdims": keepdims}
        terms = self.value.size if axis is None else self.value.shape[axis]
        error = self.error.sum(**how) + terms * self.eps * abs(self.value).sum(**how)
        return Rounded(self.value.sum(**how), self.eps, error)

    def __array_ufunc__(self, ufunc: Any, method: str, *given: Any, **options: Any) -> Any:
        if method != "__call__" or options or (ufunc not in CARRIED and ufunc.types[0][-1] != "?"):
            return NotImplemented
        operands = [self._of(one) for one in given]
        with np.errstate(all="ignore"):
            result = ufunc(*(one.value for one in operands))
            if ufunc not in CARRIED:  # a comparison
                return result
            error = CARRIED[ufunc](result, *operands) + self.eps * abs(result)
        return Rounded(result, self.eps, error)

    def __array_function__(self, function: Any, types: Any, given: Any, options: Any) -> Any:
        if function is not np.where:
            return NotImplemented
        chosen, yes, no = given[0], self._of(given[1]), self._of(given[2])
        return Rounded(np.where(chosen, yes.value, no.value), self.eps, np.where(chosen, yes.error, no.error))
