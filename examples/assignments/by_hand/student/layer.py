"""Forward and backward by hand: the loops of one layer.

The samples of a mini-batch are rows. The functions write their last arguments, whose initial values are arbitrary, and
return nothing. Work out each formula on paper for one sample and two units before you write the loops. Write the loops
yourself: no @, no np.dot, no sums of arrays.

    python test_public.py                                the public test
    jitnet ladder --problem forward.py --with layer.py:forward        is it correct, and how fast?
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
