"""The ladder of the matrix product: Z = X·W, with Z[i, j] = Σ_k X[i, k]·W[k, j].

X has the shape (m, n_in), W (n_in, n_out) and Z (m, n_out). The functions write Z, whose initial values are arbitrary,
and return nothing. Write the loops yourself: no @, no np.dot, no sums of arrays.

    python test_public.py                                the public test
    jitnet ladder matmul --with products.py:reordered    how fast is it?
    jitnet check products.py:threaded --as matmul        is there a race?
    jitnet explain products.py:tiled --as matmul         what machine code did the compiler make?
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
