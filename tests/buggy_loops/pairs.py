"""How a kernel with a bug and its corrected twin are registered, and the arrays that they are given."""

import numpy as np
from numba import njit

parallel = njit(parallel=True)
PAIRS = {}
N, M = 7, 5


def pair(arguments, kind, says, writes=None):
    """Register the function and, below it, its corrected twin: `@pair(...) def f_wrong`, `def f` under `twin_of`."""

    def register(wrong):
        PAIRS[wrong.__name__] = [parallel(wrong), None, arguments, kind, says, writes]
        return wrong

    return register


def twin_of(name):
    def register(right):
        PAIRS[name][1] = parallel(right)
        return right

    return register


def vector(n=N, dtype="f4"):
    return (1 + np.arange(n)).astype(dtype)


def matrix(m=M, n=N, dtype="f4"):
    return (1 + np.arange(m * n)).reshape(m, n).astype(dtype)


def unset(*shape, dtype="f4"):
    return np.full(shape, np.nan, dtype)
