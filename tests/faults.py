"""Small loops that show what stops a compiler, each beside its cure. `tests/test_explain.py` asks `explain` about them.

NAME_fault has the fault, NAME_cured has not; SIGNATURES says what they are compiled for.
"""

import math

import numpy as np
from numba import njit

CONTRACT = {"fastmath": {"contract"}, "error_model": "numpy"}
REORDER = {"fastmath": {"contract", "reassoc", "nsz"}, "error_model": "numpy"}

VECTOR, MATRIX = "float32[::1]", "float32[:,::1]"
SIGNATURES = {
    "wrap": f"{MATRIX}, {VECTOR}, int64",
    "alias": f"{MATRIX}, {MATRIX}, int64",
    "sum": VECTOR,
    "call": f"{VECTOR}, {VECTOR}",
    "bounds": f"{VECTOR}, {VECTOR}",
    "unfused": f"{VECTOR}, {VECTOR}, float32",
    "mixed": f"{VECTOR}, {VECTOR}",
    "division": f"{VECTOR}, {VECTOR}",
    "exit": f"{VECTOR}, float32",
    "memory": f"{VECTOR}, {VECTOR}, {VECTOR}",
    "spill": f"{VECTOR}, {MATRIX}",
    "integer": "int32[::1], int32[::1], int32",
    "recurrence": f"{VECTOR}, {VECTOR}",
}


@njit(**CONTRACT)
def wrap_fault(A, x, k):
    """Negative indices are legal, so each index from outside is asked for its sign."""
    for i in range(x.size):
        x[i] += A[i - k, 0]


@njit(**CONTRACT)
def wrap_cured(A, x, k):
    for i in range(k, x.size):
        x[i] += A[np.uint64(i - k), np.uint64(0)]
