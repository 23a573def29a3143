"""Kernels that read or return uninitialized memory."""

import numpy as np
from numba import prange

from .pairs import M, N, matrix, pair, twin_of, unset, vector


@pair("empty", lambda: (matrix(), unset(M)), "not initialized", r"sums\[0\] before anything wrote it")
def adds_to_empty(A, out):
    sums = np.empty(A.shape[0], A.dtype)
    for i in prange(A.shape[0]):
        for j in range(A.shape[1]):
            sums[i] += A[i, j]
    for i in range(A.shape[0]):
        out[i] = sums[i]


@twin_of("adds_to_empty")
def _(A, out):
    sums = np.zeros(A.shape[0], A.dtype)
    for i in prange(A.shape[0]):
        for j in range(A.shape[1]):
            sums[i] += A[i, j]
    for i in range(A.shape[0]):
        out[i] = sums[i]


@pair(
    "empty",
    lambda: (matrix(3, 4), matrix(4, 5), unset(3, 5)),
    "not initialized",
    r"C\[0, 0\] before anything wrote it",
)
def adds_to_its_output(A, B, C):
    for i in prange(A.shape[0]):
        for k in range(A.shape[1]):
            for j in range(B.shape[1]):
                C[i, j] += A[i, k] * B[k, j]


@twin_of("adds_to_its_output")
def _(A, B, C):
    for i in prange(A.shape[0]):
        C[i] = 0
        for k in range(A.shape[1]):
            for j in range(B.shape[1]):
                C[i, j] += A[i, k] * B[k, j]


@pair("empty", lambda: (vector(), unset(N)), "unwritten", r"never writes 3 elements of out, first out\[4\]")
def forgets_the_tail(a, out):
    for block in prange(a.size // 4):
        for i in range(4 * block, 4 * block + 4):
            out[i] = a[i]


@twin_of("forgets_the_tail")
def _(a, out):
    for block in prange(a.size // 4):
        for i in range(4 * block, 4 * block + 4):
            out[i] = a[i]
    for i in range(a.size // 4 * 4, a.size):
        out[i] = a[i]


@pair("empty", lambda: (vector(),), "unwritten", r"returns out, of which nothing wrote 1 element, first out\[0\]")
def returns_holes(a):
    out = np.empty(a.size, a.dtype)
    for i in prange(1, a.size):
        out[i] = a[i] - a[i - 1]
    return out, a.size


@twin_of("returns_holes")
def _(a):
    out = np.empty(a.size, a.dtype)
    out[0] = a[0]
    for i in prange(1, a.size):
        out[i] = a[i] - a[i - 1]
    return out, a.size


@pair("empty", lambda: (matrix(), unset(M, N)), "not initialized", r"block\[0, 0\]|block\[0\]")
def reads_the_padding(A, B):
    for i in prange(A.shape[0]):
        block = np.empty(8, A.dtype)
        block[1 : A.shape[1]] = A[i, 1:]
        for j in range(A.shape[1]):
            B[i, j] = block[j]


@twin_of("reads_the_padding")
def _(A, B):
    for i in prange(A.shape[0]):
        block = np.empty(8, A.dtype)
        block[: A.shape[1]] = A[i]
        for j in range(A.shape[1]):
            B[i, j] = block[j]


@pair(
    "arguments",
    lambda: (vector(), unset(N)),
    "renamed",
    r"writes nothing into out, because `out = \.\.\.` gives its name to",
)
def names_another_array(a, out):
    out = a + a  # noqa: F841


@twin_of("names_another_array")
def _(a, out):
    out[...] = a + a
