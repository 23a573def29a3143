"""Races on elements that the loop body accesses directly."""

import numba
import numpy as np
from numba import prange

from .pairs import N, matrix, pair, twin_of, unset, vector


@pair(
    "any order",
    lambda: (vector(),),
    "race",
    r"a\[1\] is read by iteration 0 .* and written by iteration 1",
)
def neighbors(a):
    for i in prange(a.size - 1):
        a[i] = a[i + 1]


@twin_of("neighbors")
def _(a):
    b = a.copy()
    for i in prange(a.size - 1):
        a[i] = b[i + 1]


@pair(
    "any order",
    lambda: (vector(),),
    "race",
    r"a\[1\] is written by iteration 1 .* and read by iteration 2",
)
def stencil_in_place(a):
    for i in prange(1, a.size - 1):
        a[i] = a[i - 1] + a[i] + a[i + 1]


@twin_of("stencil_in_place")
def _(a):
    b = np.empty_like(a)
    for i in prange(a.size):
        b[i] = a[i]
    for i in prange(1, a.size - 1):
        a[i] = b[i - 1] + b[i] + b[i + 1]


@pair(
    "any order",
    lambda: (vector(), np.float32(0.25), unset(N)),
    "race",
    r"y\[1\] is written by iteration 1 .* and read by iteration 2",
)
def exponential_average(x, a, y):
    y[0] = x[0]
    b = x.dtype.type(1) - a
    for i in prange(1, x.size):
        y[i] = a * x[i] + b * y[i - 1]


@twin_of("exponential_average")
def _(x, a, y):
    y[0] = x[0]
    b = x.dtype.type(1) - a
    for i in range(1, x.size):
        y[i] = a * x[i] + b * y[i - 1]


@pair("any order", lambda: (vector(),), "race", r"a\[1\] is written by iteration 1 .* and read by iteration 2")
def running_sum_in_place(a):
    for i in prange(1, a.size):
        a[i] += a[i - 1]


@twin_of("running_sum_in_place")
def _(a):
    for i in range(1, a.size):
        a[i] += a[i - 1]


@pair(
    "no atomics",
    lambda: (np.array([0, 2, 1, 2, 0]), np.zeros(3, np.int64)),
    "race",
    r"hist\[2\] is written by iteration 1",
)
def histogram(x, hist):
    for i in prange(x.size):
        hist[x[i]] += 1


@twin_of("histogram")
def _(x, hist):
    for b in prange(hist.size):
        for i in range(x.size):
            if x[i] == b:
                hist[b] += 1


@pair("no atomics", lambda: (vector(8) / np.float32(4), np.zeros(3, np.int64)), "race", r"hist\[0\] is written by")
def histogram_of_floats(x, hist):
    for i in prange(x.size):
        b = int(x[i])
        hist[b] = hist[b] + 1


@twin_of("histogram_of_floats")
def _(x, hist):
    for i in range(x.size):
        b = int(x[i])
        hist[b] = hist[b] + 1


@pair(
    "allocated outside",
    lambda: (np.array([0, 2, 1, 2, 0]), np.zeros(3, np.int64)),
    "race",
    r"part\[0, 2\]",
)
def histogram_in_one_part(x, hist):
    part = np.zeros((1, hist.size), np.int64)
    for i in prange(x.size):
        part[0, x[i]] += 1
    hist[:] = part[0]


@twin_of("histogram_in_one_part")
def _(x, hist):
    threads = numba.get_num_threads()
    part = np.zeros((threads, hist.size), np.int64)
    for t in prange(threads):
        for i in range(t, x.size, threads):
            part[t, x[i]] += 1
    for b in range(hist.size):
        for t in range(threads):
            hist[b] += part[t, b]


@pair(
    "no atomics",
    lambda: (vector(), unset(1)),
    "race",
    r"total\[0\] is written by iteration 0 .* and read by iteration 1",
)
def sum_by_hand(a, total):
    total[0] = 0
    for i in prange(a.size):
        total[0] += a[i]


@twin_of("sum_by_hand")
def _(a, total):
    s = a.dtype.type(0)
    for i in prange(a.size):
        s += a[i]
    total[0] = s


@pair("no atomics", lambda: (matrix(), unset(N)), "race", r"sums\[0\]")
def column_sums(A, sums):
    sums[:] = 0
    for i in prange(A.shape[0]):
        for j in range(A.shape[1]):
            sums[j] += A[i, j]


@twin_of("column_sums")
def _(A, sums):
    for j in prange(A.shape[1]):
        sums[j] = 0
        for i in range(A.shape[0]):
            sums[j] += A[i, j]


@pair(
    "no atomics",
    lambda: (matrix(3, 4), matrix(4, 5), unset(3, 5)),
    "race",
    r"C\[0, 0\] is written by iteration 0 .* read by",
)
def product_over_k(A, B, C):
    C[:] = 0
    for k in prange(A.shape[1]):
        for i in range(A.shape[0]):
            for j in range(B.shape[1]):
                C[i, j] += A[i, k] * B[k, j]


@twin_of("product_over_k")
def _(A, B, C):
    for i in prange(A.shape[0]):
        for j in range(B.shape[1]):
            s = A.dtype.type(0)
            for k in range(A.shape[1]):
                s += A[i, k] * B[k, j]
            C[i, j] = s


@pair(
    "allocated outside",
    lambda: (matrix(3, 4), matrix(4, 5), unset(3, 5)),
    "race",
    r"row\[0\] is (written|read) by iteration 0",
)
def shared_buffer(A, B, C):
    row = np.zeros(B.shape[1], A.dtype)
    for i in prange(A.shape[0]):
        row[:] = 0
        for k in range(A.shape[1]):
            for j in range(B.shape[1]):
                row[j] += A[i, k] * B[k, j]
        C[i] = row


@twin_of("shared_buffer")
def _(A, B, C):
    for i in prange(A.shape[0]):
        row = np.zeros(B.shape[1], A.dtype)
        for k in range(A.shape[1]):
            for j in range(B.shape[1]):
                row[j] += A[i, k] * B[k, j]
        C[i] = row


@pair(
    "one writer",
    lambda: (vector(8), unset(4)),
    "race",
    r"out\[0\] is written by iteration 0 .* written by iteration 4",
)
def wraps_around(a, out):
    for i in prange(a.size):
        out[i % out.size] = a[i]


@twin_of("wraps_around")
def _(a, out):
    for i in prange(out.size):
        for j in range(i, a.size, out.size):
            out[i] = a[j]


@pair(
    "one writer",
    lambda: (vector(8), unset(8)),
    "race",
    r"out\[4\] is written by iteration 0 .* written by iteration 1",
)
def blocks_that_overlap(a, out):
    for block in prange(2):
        for i in range(block * 4, min(block * 4 + 5, a.size)):
            out[i] = a[i]


@twin_of("blocks_that_overlap")
def _(a, out):
    for block in prange(2):
        for i in range(block * 4, min(block * 4 + 4, a.size)):
            out[i] = a[i]


@pair(
    "any order",
    lambda: (matrix(4, 4),),
    "race",
    r"A\[0, 1\] is written by iteration 0 .* and (read|written) by iteration 1",
)
def transpose_in_place(A):
    for i in prange(A.shape[0]):
        for j in range(A.shape[1]):
            A[i, j], A[j, i] = A[j, i], A[i, j]


@twin_of("transpose_in_place")
def _(A):
    for i in prange(A.shape[0]):
        for j in range(i):
            A[i, j], A[j, i] = A[j, i], A[i, j]
