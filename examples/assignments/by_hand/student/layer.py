"""Forward and backward by hand: the loops of one layer.

The samples of a mini-batch are rows. The functions write their last arguments, whose initial values are arbitrary, and
return nothing. Work out each formula on paper for one sample and two units before you write the loops. Write the loops
yourself: no @, no np.dot, no sums of arrays.

    python test_public.py                                the public test
    jitnet ladder --problem forward.py --with layer.py:forward        is it correct, and how fast?

The rules, as the grader applies them:

- You may import math, numba and numpy. Of NumPy, you may use empty, zeros, ones, full, empty_like,
  zeros_like, ones_like, float32, float64, int8, int16, int32, int64, intp, uint8, uint16, uint32,
  uint64, bool_, inf, nan, pi, e, newaxis, sqrt, exp, log, log1p, expm1, tanh, sin, cos, abs, fabs,
  maximum, minimum, isnan, isinf, isfinite, floor, ceil, sign, finfo, array, arange, linspace. No @,
  methods such as .sum, classes, with, try, generators, getattr or names with two underscores.
  Outside of functions, call nothing; code below if __name__ == "__main__": never runs in the
  grader. Such a call and a syntax error cost the points of all functions. Any other import costs
  the points of the functions that use it, and `import *` those of all functions.
- A submission runs on 1 thread. One call may take 10 seconds and 2 GiB of memory.
- A function that is not correct gets no other points.

12 points:

    forward:          3  correct in float32 and float64
    propagate:        4  correct in float32 and float64
    gradients:        3  correct in float32 and float64
    gradients:        1  vectorized
    gradients:        1  at least 50% of the speed of reordered for (512, 512, 512) in float32
"""

import numba


@numba.njit
def forward(X, W, b, A):
    """A[i, j] = sigmoid(b[j] + Σ_k X[i, k]·W[k, j]), with sigmoid(z) = 1 / (1 + exp(−z))"""
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            z = b[j]
            # add X[i, k]·W[k, j] for every k
            A[i, j] = z  # and here the sigmoid, with math.exp


@numba.njit
def propagate(delta, W, A, below):
    """below[i, k] = A[i, k]·(1 − A[i, k])·Σ_j delta[i, j]·W[k, j]"""
    # over which index does the sum run? Which units does A belong to?


@numba.njit
def gradients(X, delta, dW, db):
    """dW[k, j] = Σ_i X[i, k]·delta[i, j],  db[j] = Σ_i delta[i, j]"""
    # in which order do the loops over i, j and k run along the rows of dW?
