"""Single operations for any array: inputs are validated and converted if necessary, then the fast kernel runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import backend as backends
from . import checks
from .compiler.registry import Call
from .compiler.types import BackendName


def matmul(A: ArrayLike, B: ArrayLike, backend: BackendName = "fast") -> NDArray[Any]:
    """Matrix product.

    Formula   C[i,j] = Σ_k A[i,k]·B[k,j]
    Shapes    A (m, n), B (n, p) -> C (m, p); any layout and alignment, and zero sizes; transposes are not copied
    Dtype     float32 or float64, both equal
    Errors    ValueError for shapes that do not fit and other dtypes; NaN and infinity pass through

    >>> import jitnet, numpy as np
    >>> A = np.arange(6.0).reshape(2, 3)
    >>> jitnet.matmul(A, A.T)
    array([[ 5., 14.],
           [14., 50.]])
    """
    left, right = checks.factors(A, B)
    run = backends.get(backend, left.dtype)
    if not left.flags.c_contiguous and not right.flags.c_contiguous:
        return matmul(right.T, left.T, backend).T  # A·B = (Bᵀ·Aᵀ)ᵀ
    C = np.empty((left.shape[0], right.shape[1]), left.dtype)
    if not left.flags.c_contiguous:
        call = Call("matmul_tn", (left.T, right, C))
    elif not right.flags.c_contiguous:
        call = Call("matmul_nt", (left, right.T, C))
    else:
        call = Call("matmul", (left, right, C))
    run.run([call], "matmul", left.dtype)
    return C


def sigmoid(Z: ArrayLike, backend: BackendName = "fast") -> NDArray[Any]:
    """1/(1 + e^{−Z}), element by element; Z float32 or float64 of any shape and layout; NaN stays NaN."""
    return _element_by_element("sigmoid", Z, backend)


def tanh(Z: ArrayLike, backend: BackendName = "fast") -> NDArray[Any]:
    """Hyperbolic tangent, element by element; Z float32 or float64 of any shape and layout; NaN stays NaN."""
    return _element_by_element("tanh", Z, backend)


def relu(Z: ArrayLike, backend: BackendName = "fast") -> NDArray[Any]:
    """max(Z, 0), element by element; Z float32 or float64 of any shape and layout; NaN stays NaN."""
    return _element_by_element("relu", Z, backend)


def softmax(Z: ArrayLike, backend: BackendName = "fast") -> NDArray[Any]:
    """e^Z / Σ e^Z along the last axis; Z float32 or float64 of any shape and layout; a NaN makes its row NaN."""
    return _element_by_element("softmax", Z, backend)


def _element_by_element(operation: str, Z: ArrayLike, backend: str) -> NDArray[Any]:
    rows = checks.rows(Z)
    A = np.empty_like(rows)
    run = backends.get(backend, rows.dtype)
    run.run([Call(operation, (rows, A))], operation, rows.dtype)
    return A.reshape(np.shape(Z))
