"""c = a + b: one addition for three memory accesses, so memory is the limit.

Formula   c[i] = a[i] + b[i]
Shape     (n,)
"""

from numba import njit, prange


def inputs(shape, dtype, rng):
    (n,) = shape
    return rng.standard_normal(n).astype(dtype), rng.standard_normal(n).astype(dtype)


def reference(a, b):
    return a + b


SHAPES = [(5,), (1,), (2,), (17,), (64,), (65,), (1009,), (0,)]
TIMED = [(1_000_000,), (10_000,)]


def terms(shape):
    return 1


def flops(shape):
    return shape[0]


def memory(shape, dtype):
    return 3 * shape[0] * dtype.itemsize


@njit
def naive(a, b, c):
    """One loop on one thread; LLVM vectorizes it."""
    for i in range(c.size):
        c[i] = a[i] + b[i]


@njit(parallel=True)
def naive_parallel(a, b, c):
    """The same, divided among the threads; they share the bandwidth of memory, but not that of their caches."""
    for i in prange(c.size):
        c[i] = a[i] + b[i]


RUNGS = (naive, naive_parallel)
