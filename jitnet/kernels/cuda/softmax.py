"""Softmax on the card, beside its derivative: one block a sample."""

import math

from numba import float32

from ..legend import Matrix
from .device import cuda
from .ladders import MATRIX, Launch, rung
from .rows import THREADS, block_max, block_sum, one_block_a_row


def softmax_rows(Z: Matrix, A: Matrix) -> None:
    parts = cuda.shared.array(THREADS, float32)
    i, n = cuda.blockIdx.x, Z.shape[1]
    largest = float32(-math.inf)
    for j in range(cuda.threadIdx.x, n, THREADS):
        if Z[i, j] > largest:
            largest = Z[i, j]
    largest = block_max(largest, parts)
    total = float32(0)
    for j in range(cuda.threadIdx.x, n, THREADS):
        e = math.exp(Z[i, j] - largest)
        total += e
        A[i, j] = e
    total = block_sum(total, parts)
    for j in range(cuda.threadIdx.x, n, THREADS):
        A[i, j] /= total


SOFTMAX = Launch(softmax_rows, [MATRIX, MATRIX], THREADS, one_block_a_row)


@rung("softmax", "rows", SOFTMAX)
def softmax(Z: Matrix, A: Matrix) -> None:
    """One block a row, which finds the largest number and the sum together. Reads Z twice and writes A twice."""
    SOFTMAX(Z, A)


def softmax_derivative_rows(A: Matrix, dA: Matrix, delta: Matrix) -> None:
    parts = cuda.shared.array(THREADS, float32)
    i, n = cuda.blockIdx.x, A.shape[1]
    mean = float32(0)
    for j in range(cuda.threadIdx.x, n, THREADS):
        mean += dA[i, j] * A[i, j]
    mean = block_sum(mean, parts)
    for j in range(cuda.threadIdx.x, n, THREADS):
        delta[i, j] = A[i, j] * (dA[i, j] - mean)


DERIVATIVE = Launch(softmax_derivative_rows, [MATRIX, MATRIX, MATRIX], THREADS, one_block_a_row)


@rung("softmax_derivative", "rows", DERIVATIVE)
def softmax_derivative(A: Matrix, dA: Matrix, delta: Matrix) -> None:
    """One block a row, which weighs dA by A first. Reads both twice and writes delta once."""
    DERIVATIVE(A, dA, delta)
