"""Correct kernels, each for one rule of Numba."""

from collections import namedtuple

import numba
import numpy as np
from numba import njit, prange

from .pairs import M, N, matrix, parallel, unset, vector

Result = namedtuple("Result", "total best")


@parallel
def array_reduction(A):
    sums = np.zeros(A.shape[1], A.dtype)
    for i in prange(A.shape[0]):
        sums += A[i]
    return sums


@parallel
def array_reduction_into_an_argument(A, out):
    for i in prange(A.shape[0]):
        out += A[i]


@parallel
def reductions(a):
    total, product, count = a.dtype.type(0), a.dtype.type(1), 0
    best, least = a[0], a[0]
    for i in prange(a.size):
        if a[i] == 2:
            continue
        total -= a[i]
        product *= a[i]
        count += 1
        best = max(best, a[i])
        least = min(a[i], least)
    return Result(total, best), (product, count, least)


@parallel
def nested(A, B):
    for i in prange(A.shape[0]):
        best = A[i, 0]
        for j in prange(A.shape[1]):
            if A[i, j] > best:
                best = A[i, j]
        for j in prange(1, A.shape[1]):
            B[i, 0] = best
            B[i, j] = B[i, j - 1]


@parallel
def private_views(A, B):
    row = A[0]
    for i in prange(A.shape[0]):
        row = B[i]
        row[:] = 0
        row += A[i]
        x, (y, z) = row[0], (row[1], row[2])
        B[i, 0] = x + y + z
    row = A[1]
    return row[0]


@parallel
def array_expressions(A, B):
    B[:] = np.sqrt(A) + A
    B[1:-1] += A[:-2]
    B[:, ::2] = A[::-1, ::2].T.T
    for row in B:
        row[0] = A.sum(axis=0).max()


@parallel
def many_ways_to_index(A, B):
    order = np.argsort(A[:, 0])
    for i in prange(order.size):
        B[order[i], ...] = A[order[i]]
        B[order[i]][-1] = A[order[i], -1]
    mask = A[:, 1] > 0
    B[mask] = A[mask]
    for index, x in np.ndenumerate(A):
        B[index] = x
    for i in range(A.size):
        B.flat[i] = A.flat[i]


@njit
def serial(a):
    for i in prange(1, a.size):
        a[i] += a[i - 1]


@parallel
def calls_a_serial_loop(a):
    serial(a)


@parallel
def two_loops(a, out):
    for i in prange(a.size):
        out[i] = a[i]
    for i in prange(a.size - 1):
        a[i] = out[i + 1]
    for i in range(1, a.size):
        a[i] = a[i - 1]


@parallel
def both_branches_end(a, out):
    t = a.dtype.type(0)
    for i in prange(a.size):
        if a[i] > 3:
            out[i] = a[i]
            continue
        t = a[i]
        out[i] = t


@parallel
def both_branches_continue(a, out):
    for i in prange(a.size):
        if a[i] > 3:
            out[i] = a[i]
            continue
        else:  # noqa: RET507
            out[i] = a[0]
            continue


@parallel
def rgb(pixels, hist):
    for c in prange(3):
        for i in range(pixels.shape[0]):
            hist[c, pixels[i, c] * 2 // 2] += 1


@parallel
def types_of_numba(a):
    out = np.zeros(a.size, dtype=numba.float32)
    for i in prange(a.size):
        out[i] = a.astype(numba.float32)[i]
    return out


@parallel
def fields_of_records(p):
    for i in prange(p.size):
        p.x[i, 1] = 2
        p[i].x[0] = p[i].n


@parallel
def hashes(x, out):
    for i in prange(x.size):
        wide, narrow = np.uint64(14695981039346656037), np.uint32(i + 1)
        for k in range(8):
            wide ^= (np.uint64(x[i]) >> np.uint64(8 * k)) & np.uint64(255)
            wide *= np.uint64(1099511628211)
            narrow = np.uint32(narrow * np.uint32(1664525) + np.uint32(1013904223))
        out[i] = wide ^ np.uint64(narrow) ^ np.uint64(-1)


RIGHT = {
    "hashes": lambda: (np.arange(3), np.zeros(3, np.uint64)),
    "array_reduction": lambda: (matrix(),),
    "array_reduction_into_an_argument": lambda: (matrix(), np.zeros(N, "f4")),
    "reductions": lambda: (vector(),),
    "nested": lambda: (matrix(), unset(M, N)),
    "private_views": lambda: (matrix(), unset(M, N)),
    "array_expressions": lambda: (matrix(), unset(M, N)),
    "many_ways_to_index": lambda: (matrix(), unset(M, N)),
    "calls_a_serial_loop": lambda: (vector(),),
    "two_loops": lambda: (vector(), unset(N)),
    "both_branches_end": lambda: (vector(), unset(N)),
    "both_branches_continue": lambda: (vector(), unset(N)),
    "types_of_numba": lambda: (vector(),),
    "fields_of_records": lambda: (np.zeros(4, [("x", "f4", 3), ("n", "i4")]),),
    "rgb": lambda: (np.full((4, 3), 200, np.uint8), np.zeros((3, 256), np.int64)),
}
