"""Races in loops of real programs: relaxation, elimination, sorting, scans, sparse matrices, distances."""

import numpy as np
from numba import prange

from .pairs import matrix, pair, twin_of, vector


@pair("any order", lambda: (matrix(6, 7),), "race", r"A\[1, 1\] is written by iteration 1 .* read by iteration 2")
def relaxation(A):
    quarter = A.dtype.type(0.25)
    for color in range(2):
        for i in prange(1, A.shape[0] - 1):
            for j in range(1 + color, A.shape[1] - 1, 2):
                A[i, j] = quarter * (A[i - 1, j] + A[i + 1, j] + A[i, j - 1] + A[i, j + 1])


@twin_of("relaxation")
def _(A):  # red-black ordering
    quarter = A.dtype.type(0.25)
    for color in range(2):
        for i in prange(1, A.shape[0] - 1):
            for j in range(1 + (i + color) % 2, A.shape[1] - 1, 2):
                A[i, j] = quarter * (A[i - 1, j] + A[i + 1, j] + A[i, j - 1] + A[i, j + 1])


@pair("any order", lambda: (matrix(5, 5),), "race", r"A\[2, 1\] is (read|written) by iteration 0 .* by iteration 1")
def elimination(A):
    for k in prange(A.shape[0]):
        for i in range(k + 1, A.shape[0]):
            A[i, k] /= A[k, k]
            for j in range(k + 1, A.shape[1]):
                A[i, j] -= A[i, k] * A[k, j]


@twin_of("elimination")
def _(A):
    for k in range(A.shape[0]):
        for i in prange(k + 1, A.shape[0]):
            A[i, k] /= A[k, k]
            for j in range(k + 1, A.shape[1]):
                A[i, j] -= A[i, k] * A[k, j]


@pair(
    "one writer", lambda: (vector(8)[::-1].copy(),), "race", r"a\[0\] is (read|written) by iteration 0 .* iteration 1"
)
def bitonic_sort(a):
    size = 2
    while size <= a.size:
        step = size // 2
        while step > 0:
            for i in prange(a.size):
                j = i ^ step
                if (a[i] > a[j]) == (i & size == 0):
                    a[i], a[j] = a[j], a[i]
            step //= 2
        size *= 2


@twin_of("bitonic_sort")
def _(a):
    size = 2
    while size <= a.size:
        step = size // 2
        while step > 0:
            for i in prange(a.size):
                j = i ^ step
                if j > i and (a[i] > a[j]) == (i & size == 0):
                    a[i], a[j] = a[j], a[i]
            step //= 2
        size *= 2


@pair("any order", lambda: (vector(),), "race", r"a\[1\] is written by iteration 1 .* read by iteration 2")
def scan_by_doubling(a):
    step = 1
    while step < a.size:
        for i in prange(step, a.size):
            a[i] += a[i - step]
        step *= 2


@twin_of("scan_by_doubling")
def _(a):
    step = 1
    while step < a.size:
        before = a.copy()
        for i in prange(step, a.size):
            a[i] = before[i] + before[i - step]
        step *= 2


STARTS, COLUMNS = np.array([0, 2, 4, 6, 7]), np.array([0, 1, 1, 2, 2, 0, 3])


@pair(
    "no atomics", lambda: (STARTS, COLUMNS, vector(7), vector(4), np.zeros(4, "f4")), "race", r"y\[1\] .* iteration 1"
)
def sparse_product_transposed(starts, columns, values, x, y):
    for i in prange(starts.size - 1):
        for k in range(starts[i], starts[i + 1]):
            y[columns[k]] += values[k] * x[i]


@twin_of("sparse_product_transposed")
def _(starts, columns, values, x, y):
    for i in prange(starts.size - 1):
        for k in range(starts[i], starts[i + 1]):
            y[i] += values[k] * x[columns[k]]


@pair("one writer", lambda: (matrix(5, 3), np.zeros((5, 5), "f4")), "race", r"D\[1, 0\] is written by iteration 0")
def distances(X, D):
    for i in prange(X.shape[0]):
        for j in range(X.shape[0]):
            for k in range(X.shape[1]):
                D[i, j] += abs(X[i, k] - X[j, k])
            D[j, i] = D[i, j]


@twin_of("distances")
def _(X, D):
    for i in prange(X.shape[0]):
        for j in range(i):
            for k in range(X.shape[1]):
                D[i, j] += abs(X[i, k] - X[j, k])
            D[j, i] = D[i, j]
