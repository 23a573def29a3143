"""Kernels that write inputs, widen types, or give results that depend on the number of threads."""

import numba
import numpy as np
from numba import prange

from .pairs import M, N, matrix, pair, twin_of, unset, vector


@pair(
    "arguments",
    lambda: (matrix(), unset(M, N)),
    "input",
    r"writes into its input A: A\[0, 0\]",
    writes="B",
)
def scales_its_input(A, B):
    half = A.dtype.type(0.5)
    for i in prange(A.shape[0]):
        for j in range(A.shape[1]):
            A[i, j] *= half
            B[i, j] = A[i, j]


@twin_of("scales_its_input")
def _(A, B):
    half = A.dtype.type(0.5)
    for i in prange(A.shape[0]):
        for j in range(A.shape[1]):
            B[i, j] = half * A[i, j]


TABLE = np.arange(3, dtype=np.float32)


@pair(
    "globals",
    lambda: (vector(),),
    "constant",
    r"writes into the global array TABLE: TABLE\[0\], which compiled code cannot",
)
def fills_a_table(a):
    for i in range(3):
        TABLE[i] = a[i]


@twin_of("fills_a_table")
def _(a):
    for i in prange(3):
        a[i] = TABLE[i]


@pair("float64", lambda: (vector(), unset(N)), "float64", r"a float64 is stored in out, which is float32")
def a_constant_of_64_bits(a, out):
    for i in prange(a.size):
        out[i] = a[i] * 0.5


@twin_of("a_constant_of_64_bits")
def _(a, out):
    half = a.dtype.type(0.5)
    for i in prange(a.size):
        out[i] = a[i] * half


@pair("float64", lambda: (matrix(), unset(M)), "float64", r"a float64 is stored in out")
def a_sum_of_64_bits(A, out):
    for i in prange(A.shape[0]):
        total = 0.0
        for j in range(A.shape[1]):
            total += A[i, j]
        out[i] = total


@twin_of("a_sum_of_64_bits")
def _(A, out):
    for i in prange(A.shape[0]):
        total = A.dtype.type(0)
        for j in range(A.shape[1]):
            total += A[i, j]
        out[i] = total


@pair("float64", lambda: (vector(), unset(N)), "float64", r"a float64 is stored in out")
def a_mean_by_an_integer(a, out):
    out[:] = a / a.size


@twin_of("a_mean_by_an_integer")
def _(a, out):
    out[:] = a / a.dtype.type(a.size)


@pair(
    "number of threads",
    lambda: (np.array([1, 1e-8, 1, 1e-8, 1, -3, 1e-8], "f8"), np.zeros(1)),
    "threads",
    r"gives \S+ with 1 thread, but",
)
def a_sum_by_threads(a, out):
    threads = numba.get_num_threads()
    part = np.zeros(threads)
    for t in prange(threads):
        for i in range(t, a.size, threads):
            part[t] += a[i]
    out[0] = part.sum()


@twin_of("a_sum_by_threads")
def _(a, out):
    part = np.zeros(4)
    for t in prange(4):
        for i in range(t, a.size, 4):
            part[t] += a[i]
    out[0] = part.sum()


@pair(
    "number of threads",
    lambda: (vector(), np.zeros(N, "f4")),
    "differs",
    r"gives \S+ with 1 thread, but \S+ with 2",
)
def forgets_the_rest_of_the_threads(a, out):
    threads = numba.get_num_threads()
    size = a.size // threads
    for t in prange(threads):
        for i in range(t * size, (t + 1) * size):
            out[i] = a[i]


@twin_of("forgets_the_rest_of_the_threads")
def _(a, out):
    threads = numba.get_num_threads()
    size = (a.size + threads - 1) // threads
    for t in prange(threads):
        for i in range(t * size, min((t + 1) * size, a.size)):
            out[i] = a[i]


@pair(
    "thread numbers",
    lambda: (np.array([0, 2, 1, 2, 0, 2]), np.zeros(3, np.int64)),
    "race",
    r"shared\[2\] is .* by thread 0",
)
def one_row_for_all_threads(x, hist):
    mine = np.zeros((numba.get_num_threads(), 3), np.int64)
    shared = np.zeros(3, np.int64)
    for i in prange(x.size):
        mine[numba.get_thread_id(), x[i]] += 1
        shared[x[i]] += 1
    hist[:] = mine.sum(axis=0)


@twin_of("one_row_for_all_threads")
def _(x, hist):
    mine = np.zeros((numba.get_num_threads(), 3), np.int64)
    for i in prange(x.size):
        mine[numba.get_thread_id(), x[i]] += 1
    hist[:] = mine.sum(axis=0)


@pair("number of threads", lambda: (unset(5),), "random", "draws random numbers in a prange loop, where each thread")
def noise(out):
    np.random.seed(0)  # noqa: NPY002
    for i in prange(out.size):
        out[i] = np.random.random()  # noqa: NPY002


@twin_of("noise")
def _(out):
    np.random.seed(0)  # noqa: NPY002
    drawn = np.random.random(out.size).astype(np.float32)  # noqa: NPY002
    np.random.shuffle(drawn)  # noqa: NPY002
    for i in prange(out.size):
        out[i] = drawn[i]
