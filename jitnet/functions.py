"""Single operations for any array: inputs are validated and converted if necessary, then the fast kernel runs.

For small arrays, validation takes longer than the kernel. If a few tests show that the kernel can take the arrays, it
is called directly; otherwise the full validation follows, which has the error messages.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy import empty, ndarray  # a global name takes less time than an attribute
from numpy.typing import ArrayLike, NDArray

from . import arrays, checks
from . import backend as backends
from .compiler.jit import compile_for, compiled, entry_point, signature_for
from .compiler.registry import FLOP, SIGNATURES, Call
from .compiler.threads import LEAST_FLOP
from .compiler.types import BackendName
from .kernels.matmul import IF_CONTIGUOUS, matmul_if_contiguous

DEFAULT: Final = "fast"
"""The default backend. It is compared by identity, which is fastest; an equal string takes the slow path."""


class _MachineCode(dict[np.dtype[Any], Callable[..., Any] | None]):
    """dtype -> a kernel for one thread, compiled when first used; None for dtypes that it does not take.

    It does not check the types of its arguments.
    """

    def __init__(self, pattern: str, kernel: Callable[[Any], Callable[..., Any]]) -> None:
        """The types of its arguments, and a function that returns the kernel, given the fast backend."""
        self.pattern, self.kernel = pattern, kernel

    def __missing__(self, dtype: np.dtype[Any]) -> Callable[..., Any] | None:
        if dtype not in backends.REGISTRY[DEFAULT].dtypes:
            return None
        kernel, signature = self.kernel(backends.get(DEFAULT)), signature_for(self.pattern, dtype)
        compile_for(kernel, signature)
        self[dtype] = entry_point(kernel, signature)
        return self[dtype]


def _kernel_of(operation: str) -> _MachineCode:
    return _MachineCode(SIGNATURES[operation], lambda fast: fast.kernels[operation])


_product = _MachineCode(IF_CONTIGUOUS, lambda fast: compiled(matmul_if_contiguous))
_functions = {operation: _kernel_of(operation) for operation in ("sigmoid", "tanh", "relu", "softmax")}


def prepare(dtype: np.dtype[Any]) -> None:
    """Compile the product of small matrices, which no backend has."""
    _product[dtype]


def matmul(A: ArrayLike, B: ArrayLike, backend: BackendName = DEFAULT) -> NDArray[Any]:
    """Matrix product.

    Formula   C[i,j] = Σ_k A[i,k]·B[k,j]
    Shapes    A (m, n), B (n, p) -> C (m, p); any layout and alignment, and zero sizes; transposes are not copied
    Dtype     float32 or float64, the same for both
    Errors    ValueError for shapes that do not fit and other dtypes; NaN and infinity pass through

    >>> import jitnet, numpy as np
    >>> A = np.arange(6.0).reshape(2, 3)
    >>> jitnet.matmul(A, A.T)
    array([[ 5., 14.],
           [14., 50.]])
    """
    if backend is DEFAULT and type(A) is type(B) is ndarray:
        try:
            (m, n), (rows, p) = A.shape, B.shape
        except ValueError:  # not two matrices
            n, rows = 0, 1
        dtype = A.dtype
        if n == rows and dtype is B.dtype and 2 * m * n * p < LEAST_FLOP:
            kernel = _product[dtype]
            if kernel:
                C = empty((m, p), dtype)
                if kernel(A, B, C):
                    return C
    left, right = _factors(A, B)
    chosen = backends.get(backend, left.dtype)
    if not left.flags.c_contiguous and not right.flags.c_contiguous:
        return matmul(right.T, left.T, backend).T  # A·B = (Bᵀ·Aᵀ)ᵀ
    C = np.empty((left.shape[0], right.shape[1]), left.dtype)
    if not left.flags.c_contiguous:
        call = Call("matmul_tn", (left.T, right, C))
    elif not right.flags.c_contiguous:
        call = Call("matmul_nt", (left, right.T, C))
    else:
        call = Call("matmul", (left, right, C))
    chosen.run([call], "matmul", left.dtype)
    return C


def sigmoid(Z: ArrayLike, backend: BackendName = DEFAULT) -> NDArray[Any]:
    """1/(1 + e^{−Z}), element by element; Z float32 or float64 of any shape and layout; NaN stays NaN."""
    return _element_by_element("sigmoid", Z, backend)


def tanh(Z: ArrayLike, backend: BackendName = DEFAULT) -> NDArray[Any]:
    """Hyperbolic tangent, element by element; Z float32 or float64 of any shape and layout; NaN stays NaN."""
    return _element_by_element("tanh", Z, backend)


def relu(Z: ArrayLike, backend: BackendName = DEFAULT) -> NDArray[Any]:
    """max(Z, 0), element by element; Z float32 or float64 of any shape and layout; NaN stays NaN."""
    return _element_by_element("relu", Z, backend)


def softmax(Z: ArrayLike, backend: BackendName = DEFAULT) -> NDArray[Any]:
    """e^Z / Σ e^Z along the last axis; Z float32 or float64 of any shape and layout; a NaN makes its row NaN."""
    return _element_by_element("softmax", Z, backend)


def _element_by_element(operation: str, Z: ArrayLike, backend: str) -> NDArray[Any]:
    if backend is DEFAULT and type(Z) is ndarray and Z.flags.carray:
        kernel = _functions[operation][Z.dtype]
        if kernel and FLOP[operation](Z, Z) < LEAST_FLOP:
            A = empty(Z.shape, Z.dtype)
            kernel(_as_rows(Z), _as_rows(A))
            return A
    rows = _rows(Z)
    A = np.empty_like(rows)
    chosen = backends.get(backend, rows.dtype)
    chosen.run([Call(operation, (rows, A))], operation, rows.dtype)
    return A.reshape(np.shape(Z))


def _factors(A: ArrayLike, B: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two matrices that can be multiplied, of one dtype, each in the kernels' layout or a transpose of it."""
    a, b = arrays.numeric("A", A), arrays.numeric("B", B)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise checks.Error(
            f"A has shape {a.shape} and B {b.shape}, but A·B needs (m, n) and (n, p): columns of A = rows of B"
        )
    if a.dtype != b.dtype or a.dtype not in (np.float32, np.float64):
        raise checks.Error(f"A is {a.dtype} and B is {b.dtype}, but both must be float32 or both float64; use .astype")
    return _kernel_layout_or_transpose(a), _kernel_layout_or_transpose(b)


def _kernel_layout_or_transpose(array: NDArray[Any]) -> NDArray[Any]:
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        return arrays.kernel_layout(array.T, array.dtype).T
    return arrays.kernel_layout(array, array.dtype)


def _rows(Z: ArrayLike) -> NDArray[Any]:
    """Z of any shape as a matrix whose rows are the last axis; float32 or float64."""
    array = arrays.numeric("Z", Z)
    if array.dtype not in (np.float32, np.float64):
        raise checks.Error(f"Z is {array.dtype}, but must be float32 or float64; use .astype")
    return _as_rows(arrays.kernel_layout(array, array.dtype))


def _as_rows(array: NDArray[Any]) -> NDArray[Any]:
    """The same memory as a matrix, for an array in C order."""
    if array.ndim == 2:
        return array
    if array.ndim == 1:
        return array[None]
    return array.reshape(math.prod(array.shape[:-1]), array.shape[-1] if array.ndim else 1)
