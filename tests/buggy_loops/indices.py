"""Indices that are out of bounds, wrap around or overflow."""

import numpy as np
from numba import prange

from .pairs import M, N, matrix, pair, twin_of, unset, vector


@pair("bounds", lambda: (vector(), unset(N)), "outside", r"a\[7\] is out of bounds for the shape \(7,\)")
def one_too_far(a, out):
    for i in prange(a.size):
        out[i] = a[i + 1]


@twin_of("one_too_far")
def _(a, out):
    for i in prange(a.size):
        out[i] = a[min(i + 1, a.size - 1)]


@pair("bounds", lambda: (matrix(5, 7), unset(5, 7)), "outside", r"A\[5, 0\] is out of bounds for the shape \(5, 7\)")
def past_the_last_block(A, B):
    for block in prange((A.shape[0] + 3) // 4):
        for i in range(4 * block, 4 * block + 4):
            for j in range(A.shape[1]):
                B[i, j] = A[i, j]


@twin_of("past_the_last_block")
def _(A, B):
    for block in prange((A.shape[0] + 3) // 4):
        for i in range(4 * block, min(4 * block + 4, A.shape[0])):
            for j in range(A.shape[1]):
                B[i, j] = A[i, j]


@pair("bounds", lambda: (matrix(), unset(M, N)), "outside", r"A\[0, 5\]|A\[5, 0\]")
def axes_swapped(A, B):
    for i in prange(A.shape[1]):
        for j in range(A.shape[0]):
            B[i, j] = A[i, j]


@twin_of("axes_swapped")
def _(A, B):
    for i in prange(A.shape[0]):
        for j in range(A.shape[1]):
            B[i, j] = A[i, j]


@pair("negative indices", lambda: (vector(), unset(N)), "negative", r"a\[-1\] has a negative index")
def before_the_first(a, out):
    for i in prange(a.size):
        out[i] = a[i] + a[i - 1]


@twin_of("before_the_first")
def _(a, out):
    out[0] = a[0] + a[-1]
    for i in prange(1, a.size):
        out[i] = a[i] + a[i - 1]


@pair("bounds", lambda: (np.array([0, 3, 1]), vector(3), unset(3)), "outside", r"a\[3\] is out of bounds")
def gathered_from_outside(index, a, out):
    for i in prange(index.size):
        out[i] = a[index[i]]


@twin_of("gathered_from_outside")
def _(index, a, out):
    for i in prange(index.size):
        out[i] = a[index[i] % a.size]


@pair("bounds", lambda: (vector(), unset(N)), "outside", r"a\[-8\] is out of bounds")
def far_before_the_first(a, out):
    for i in prange(a.size):
        out[i] = a[i - 8]


@twin_of("far_before_the_first")
def _(a, out):
    for i in prange(a.size):
        out[i] = a[max(i - 8, 0)]


@pair("bounds", lambda: (matrix(), unset(N)), "outside", r"A\[5\] is out of bounds")
def a_row_outside(A, out):
    out[:] = 0
    for i in range(1, A.shape[0] + 1):
        row = A[i]
        for j in range(row.size):
            out[j] += row[j]


@twin_of("a_row_outside")
def _(A, out):
    out[:] = 0
    for i in range(A.shape[0]):
        row = A[i]
        for j in range(row.size):
            out[j] += row[j]


@pair(
    "integers",
    lambda: (np.full(6, 100, np.int8), np.zeros(6, np.int8)),
    "overflow",
    r"200 does not fit into ends.*int8",
)
def small_integers(counts, ends):
    end = 0
    for i in range(counts.size):
        end += counts[i]
        ends[i] = end


@twin_of("small_integers")
def _(counts, ends):
    for i in range(counts.size):
        ends[i] = counts[i]


@pair(
    "integers",
    lambda: (vector(3), np.zeros(3, np.int32)),
    "overflow",
    r"2500000000 does not fit into places.*int32",
)
def index_of_32_bits(a, places):
    for i in prange(a.size):
        places[i] = i * 2_500_000_000


@twin_of("index_of_32_bits")
def _(a, places):
    for i in prange(a.size):
        places[i] = i * 2_500_000_000 % a.size


@pair(
    "integers",
    lambda: (vector(8), np.zeros(3)),
    "overflow",
    r"OverflowError.*300000 out of bounds for int16",
)
def a_cast_index(a, out):
    for i in prange(out.size):
        k = np.int16(i * 300_000)
        out[i] = a[k % 8]


@twin_of("a_cast_index")
def _(a, out):
    for i in prange(out.size):
        k = np.int32(i) * np.int32(2_000_000_000) * 300
        out[i] = a[k % 8] + np.float32(1)
    places = np.arange(8).astype(np.int8)
    for j in range(8):
        out[0] += a[places[j] * np.int8(100) // 100]


@pair(
    "integers",
    lambda: (np.array([7, 3, 5, 4], np.uint8), unset(3)),
    "unsigned",
    r"3 - 7 is 18446744073709551612: the difference of unsigned integers wraps around",
)
def differences_of_pixels(pixels, out):
    for i in prange(out.size):
        out[i] = abs(pixels[i + 1] - pixels[i])


@twin_of("differences_of_pixels")
def _(pixels, out):
    for i in prange(out.size):
        out[i] = abs(np.int64(pixels[i + 1]) - pixels[i]) + pixels[i] - 1 + (pixels[i] + pixels[i] * pixels[0]) % 3
