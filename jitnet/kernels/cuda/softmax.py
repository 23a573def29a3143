"""Softmax on the GPU, next to its derivative: one block per sample."""

import math

from numba import float32

from ...compiler.cuda.device import block, cuda, thread
from ...compiler.cuda.registry import MATRIX, Launch, rung
from ...compiler.types import Matrix
from .rows import THREADS, block_max, block_sum, one_block_a_row


def softmax_rows(Z: Matrix, A: Matrix) -> None:
    parts = cuda.shared.array(THREADS, float32)
    i, n = block(), Z.shape[1]
    largest = float32(-math.inf)
    j = thread()
    while j < n:
        if Z[i, j] > largest:
            largest = Z[i, j]
        j += THREADS
    largest = block_max(largest, parts)
    total = float32(0)
    j = thread()
    while j < n:
        e = math.exp(Z[i, j] - largest)
        total += e
        A[i, j] = e
        j += THREADS
    total = block_sum(total, parts)
    j = thread()
    while j < n:
        A[i, j] /= total
        j += THREADS


SOFTMAX = Launch(softmax_rows, [MATRIX, MATRIX], THREADS, one_block_a_row)


@rung("softmax", "rows", SOFTMAX)
def softmax(Z: Matrix, A: Matrix) -> None:
    """One block per row; its threads compute the maximum and the sum together. Reads Z twice and writes A twice."""
    SOFTMAX(Z, A)


def softmax_derivative_rows(A: Matrix, dA: Matrix, delta: Matrix) -> None:
    parts = cuda.shared.array(THREADS, float32)
    i, n = block(), A.shape[1]
    mean = float32(0)
    j = thread()
    while j < n:
        mean += dA[i, j] * A[i, j]
        j += THREADS
    mean = block_sum(mean, parts)
    j = thread()
    while j < n:
        delta[i, j] = A[i, j] * (dA[i, j] - mean)
        j += THREADS


DERIVATIVE = Launch(softmax_derivative_rows, [MATRIX, MATRIX, MATRIX], THREADS, one_block_a_row)


@rung("softmax_derivative", "rows", DERIVATIVE)
def softmax_derivative(A: Matrix, dA: Matrix, delta: Matrix) -> None:
    """One block per row, which first weights dA by A. Reads both twice and writes delta once."""
    DERIVATIVE(A, dA, delta)
