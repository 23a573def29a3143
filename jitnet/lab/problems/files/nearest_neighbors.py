"""The k nearest points of each query, by brute force.

Formula   N[q] = the k smallest of |Q[q] − P[0]|², |Q[q] − P[1]|², ..., as indices; of equal ones the first
Shape     (m, n, d, k): Q (m, d), P (n, d), N (m, k)
"""

import numpy as np
from numba import njit, prange


def inputs(shape, dtype, rng):
    m, n, d, k = shape
    if k > n:
        raise ValueError("there are only n points")
    # small whole numbers: distances are exact, so that rounding changes no neighbor, and some are equal
    return rng.integers(-3, 4, (m, d)).astype(dtype), rng.integers(-3, 4, (n, d)).astype(dtype), k


def reference(Q, P, k):
    distances = (Q**2).sum(axis=1)[:, None] - 2 * Q @ P.T + (P**2).sum(axis=1)
    return np.argsort(distances, axis=1, kind="stable")[:, :k]


SHAPES = [(3, 7, 2, 3), (1, 1, 1, 1), (5, 6, 3, 6), (2, 33, 17, 4), (17, 65, 4, 5), (0, 4, 2, 2), (4, 9, 1, 1)]
TIMED = [(500, 2000, 16, 8), (2000, 500, 3, 1)]


def flops(shape):
    m, n, d, _ = shape
    return 3 * m * n * d


def memory(shape, dtype):
    m, n, d, k = shape
    return (m + n) * d * dtype.itemsize + 8 * m * k


@njit
def naive(Q, P, k, N):
    """All distances of a query, of which the smallest is taken k times."""
    n, d = P.shape
    for q in range(Q.shape[0]):
        distances = np.empty(n, Q.dtype)
        for p in range(n):
            total = Q.dtype.type(0)
            for c in range(d):
                total += (Q[q, c] - P[p, c]) ** 2
            distances[p] = total
        for rank in range(k):
            best = 0
            for p in range(n):
                if distances[p] < distances[best]:
                    best = p
            N[q, rank] = best
            distances[best] = np.inf


@njit(fastmath={"reassoc", "contract", "nsz"})
def sorted_list(Q, P, k, N):
    """Like the rung above, but the k nearest so far are kept in order; most points cost a distance and a comparison."""
    n, d = P.shape
    for q in range(Q.shape[0]):
        nearest = np.empty(k, Q.dtype)
        for p in range(n):
            total = Q.dtype.type(0)
            for c in range(d):
                x = Q[q, c] - P[p, c]
                total += x * x
            if p >= k and total >= nearest[k - 1]:
                continue
            at = min(p, k - 1)
            while at > 0 and nearest[at - 1] > total:
                nearest[at] = nearest[at - 1]
                N[q, at] = N[q, at - 1]
                at -= 1
            nearest[at] = total
            N[q, at] = p


@njit(parallel=True, fastmath={"reassoc", "contract", "nsz"})
def sorted_list_parallel(Q, P, k, N):
    """The same, with the queries divided among the threads."""
    n, d = P.shape
    for q in prange(Q.shape[0]):
        nearest = np.empty(k, Q.dtype)
        for p in range(n):
            total = Q.dtype.type(0)
            for c in range(d):
                x = Q[q, c] - P[p, c]
                total += x * x
            if p >= k and total >= nearest[k - 1]:
                continue
            at = min(p, k - 1)
            while at > 0 and nearest[at - 1] > total:
                nearest[at] = nearest[at - 1]
                N[q, at] = N[q, at - 1]
                at -= 1
            nearest[at] = total
            N[q, at] = p


RUNGS = (naive, sorted_list, sorted_list_parallel)
