"""What an earlier iteration has left, and arrays of which it is easy to forget that they are shared, or copies."""

import numpy as np
from numba import prange

from .pairs import N, matrix, pair, twin_of, unset, vector


@pair("recurrences", lambda: (vector(), unset(N)), "carried", r"reads bonus, which another iteration assigns")
def assigned_in_some_iterations(a, out):
    for i in prange(a.size):
        if i % 3 == 0:
            bonus = a[i]
        out[i] = a[i] + bonus


@twin_of("assigned_in_some_iterations")
def _(a, out):
    total = a.dtype.type(0)
    bonus = a.dtype.type(0)
    for i in range(a.size):
        total += a[i]
    for i in prange(a.size):
        is_third = i % 3 == 0
        if is_third:
            bonus = a[i]
        for k in range(2):
            total = a[k]
        out[i] = total
        if is_third:
            out[i] += bonus


@pair("private", lambda: (matrix(), unset(N)), "escapes", r"reads x after the prange loop")
def read_in_the_next_round(A, out):
    x = A.dtype.type(0)
    for j in range(A.shape[1]):
        out[j] = x
        for i in prange(A.shape[0]):
            x = A[i, j]
            A[i, j] = x + x


@twin_of("read_in_the_next_round")
def _(A, out):
    x = A.dtype.type(0)
    for j in range(A.shape[1]):
        out[j] = x
        x = A.dtype.type(0)
        for i in prange(A.shape[0]):
            x += A[i, j]


@pair("allocated outside", lambda: (vector(), unset(N)), "race", r"noise\[0\] is written by iteration 0")
def random_numbers_are_an_array(a, out):
    noise = np.random.rand(a.size)  # noqa: NPY002
    for i in prange(a.size):
        noise[i % 3] = i
        out[i] = a[i] * (noise[i] >= 0)


@twin_of("random_numbers_are_an_array")
def _(a, out):
    noise = np.random.rand(a.size)  # noqa: NPY002
    for i in prange(a.size):
        out[i] = a[i] * (noise[i] >= 0)


@pair("views", lambda: (matrix(), unset(N)), "input", r"writes into its input A: A\[0, 0\]", writes="out")
def contiguous_already(A, out):
    for i in prange(A.shape[0]):
        row = np.ascontiguousarray(A[i])
        row *= row
        out[i] = row.sum()
    out[A.shape[0] :] = 0


@twin_of("contiguous_already")
def _(A, out):
    for j in prange(A.shape[1]):
        column = np.ascontiguousarray(A[:, j])  # a copy
        column *= column
        out[j] = column.sum()
