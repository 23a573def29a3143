"""The ladder of the matrix product: Z = X·W, with Z[i, j] = Σ_k X[i, k]·W[k, j].

X has the shape (m, n_in), W (n_in, n_out) and Z (m, n_out). The functions write Z, whose initial values are arbitrary,
and return nothing. Write the loops yourself: no @, no np.dot, no sums of arrays.

    python test_public.py                                the public test
    jitnet ladder matmul --with products.py:reordered    how fast is it?
    jitnet check products.py:threaded --as matmul        is there a race?
    jitnet explain products.py:tiled --as matmul         what machine code did the compiler make?

The rules, as the grader applies them:

- You may import numba and numpy. Of NumPy, you may use empty, zeros, ones, full, empty_like,
  zeros_like, ones_like, float32, float64, int8, int16, int32, int64, intp, uint8, uint16, uint32,
  uint64, bool_, inf, nan, pi, e, newaxis, sqrt, exp, log, log1p, expm1, tanh, sin, cos, abs, fabs,
  maximum, minimum, isnan, isinf, isfinite, floor, ceil, sign, finfo, array, arange, linspace. No @,
  methods such as .sum, classes, with, try, generators, getattr or names with two underscores.
  Outside of functions, call nothing; code below if __name__ == "__main__": never runs in the
  grader. Such a call and a syntax error cost the points of all functions. Any other import costs
  the points of the functions that use it, and `import *` those of all functions.
- A submission runs on 1 thread. One call may take 10 seconds and 2 GiB of memory.
- A function that is not correct gets no other points. One with a race is not correct.

17 points:

    naive:            3  correct in float32 and float64
    naive:            1  at least 50% of the speed of njit for (512, 512, 512) in float32
    reordered:        2  correct in float32 and float64
    reordered:        2  vectorized
    reordered:        2  at least 50% of the speed of reordered for (512, 512, 512) in float32
    threaded:         1  correct in float32 and float64
    threaded:         2  no race, with a prange loop that divides the work
    tiled:            1  correct in float32 and float64
    tiled:            3  at least 120% of the speed of reordered for (512, 512, 512) in float32
"""

import numba


@numba.njit
def naive(X, W, Z):
    """The formula: one sum at a time."""
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            total = X.dtype.type(0)
            # add X[i, k]·W[k, j] for every k
            Z[i, j] = total


@numba.njit
def reordered(X, W, Z):
    """The inner loop runs along the rows of W and Z, so that it is vectorized."""
    # in which order are the loops over i, j and k? Where are the zeros written?


@numba.njit(parallel=True)
def threaded(X, W, Z):
    """The same, with one loop divided among the threads: numba.prange."""
    # which loop can be divided, so that no two iterations add to the same element?


@numba.njit
def tiled(X, W, Z):
    """Four rows of Z and four rows of W at a time: each number of W and Z that is loaded serves four multiply-adds."""
    # what if m or n_in is not a multiple of four?
