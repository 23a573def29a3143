"""Layer normalization on the GPU: one block adds up a sample; several threads add up a column of all samples."""

import math

from numba import float32

from ...compiler.cuda.device import block, cuda, thread
from ...compiler.cuda.registry import FLOAT, MATRIX, VECTOR, Launch, rung
from ...compiler.types import Matrix, Vector
from . import columns
from .columns import COLUMNS, LANES, blocks_of_columns, column, sum_of_lanes
from .rows import THREADS, block_sum, one_block_a_row


def layer_norm_rows(X: Matrix, gamma: Vector, beta: Vector, epsilon: float, kept: Matrix, A: Matrix) -> None:
    parts = cuda.shared.array(THREADS, float32)
    i, n = block(), X.shape[1]
    count = float32(max(n, 1))
    total = float32(0)
    j = thread()
    while j < n:
        total += X[i, j]
        j += THREADS
    mean = block_sum(total, parts) / count
    square = float32(0)
    j = thread()
    while j < n:
        square += (X[i, j] - mean) * (X[i, j] - mean)
        j += THREADS
    inverse = float32(1) / math.sqrt(block_sum(square, parts) / count + epsilon)
    if thread() == 0:
        kept[i, 0] = mean
        kept[i, 1] = inverse
    j = thread()
    while j < n:
        A[i, j] = gamma[j] * ((X[i, j] - mean) * inverse) + beta[j]
        j += THREADS


FORWARD = Launch(layer_norm_rows, [MATRIX, VECTOR, VECTOR, FLOAT, MATRIX, MATRIX], THREADS, one_block_a_row)


@rung("layer_norm", "rows", FORWARD, writes=2)
def layer_norm(X: Matrix, gamma: Vector, beta: Vector, epsilon: float, kept: Matrix, A: Matrix) -> None:
    """One block per row; its threads compute mean and variance together. Reads X three times and writes A once."""
    FORWARD(X, gamma, beta, epsilon, kept, A)


def layer_norm_back_rows(X: Matrix, gamma: Vector, kept: Matrix, dA: Matrix, dX: Matrix) -> None:
    parts = cuda.shared.array(THREADS, float32)
    i, n = block(), X.shape[1]
    count = float32(max(n, 1))
    mean, inverse = kept[i, 0], kept[i, 1]
    total, along = float32(0), float32(0)
    j = thread()
    while j < n:
        g = dA[i, j] * gamma[j]
        total += g
        along += g * ((X[i, j] - mean) * inverse)
        j += THREADS
    total = block_sum(total, parts) / count
    along = block_sum(along, parts) / count
    j = thread()
    while j < n:
        normal = (X[i, j] - mean) * inverse
        dX[i, j] = inverse * (dA[i, j] * gamma[j] - total - normal * along)
        j += THREADS


BACK = Launch(layer_norm_back_rows, [MATRIX, VECTOR, MATRIX, MATRIX, MATRIX], THREADS, one_block_a_row)


@rung("layer_norm_back", "rows", BACK)
def layer_norm_back(X: Matrix, gamma: Vector, kept: Matrix, dA: Matrix, dX: Matrix) -> None:
    """One block per row; its threads compute both means together. Reads X and dA twice and writes dX once."""
    BACK(X, gamma, kept, dA, dX)


def layer_norm_columns(X: Matrix, kept: Matrix, dA: Matrix, dgamma: Vector, dbeta: Vector) -> None:
    of_scale = cuda.shared.array((LANES, COLUMNS), float32)
    of_shift = cuda.shared.array((LANES, COLUMNS), float32)
    j = column()
    scale, shift = float32(0), float32(0)
    if j < X.shape[1]:
        i = thread() // COLUMNS
        while i < X.shape[0]:
            scale += dA[i, j] * ((X[i, j] - kept[i, 0]) * kept[i, 1])
            shift += dA[i, j]
            i += LANES
    scale = sum_of_lanes(scale, of_scale)
    shift = sum_of_lanes(shift, of_shift)
    if thread() < COLUMNS and j < dbeta.size:
        dgamma[j] = scale
        dbeta[j] = shift


GRADIENTS = Launch(layer_norm_columns, [MATRIX, MATRIX, MATRIX, VECTOR, VECTOR], columns.THREADS, blocks_of_columns)


@rung("layer_norm_gradients", "columns", GRADIENTS, writes=2)
def layer_norm_gradients(X: Matrix, kept: Matrix, dA: Matrix, dgamma: Vector, dbeta: Vector) -> None:
    """Several threads per column, 32 neighboring columns per block: both sums in one pass. Reads X and dA once."""
    GRADIENTS(X, kept, dA, dgamma, dbeta)
