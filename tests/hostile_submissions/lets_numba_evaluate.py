"""Hides code in a signature string, which Numba evaluates as Python."""

import numba


@numba.njit("__import__('os').abort()")
def add(x, y, result):
    for i in range(x.size):
        result[i] = x[i] + y[i]
