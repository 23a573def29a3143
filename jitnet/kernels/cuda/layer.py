"""The formulas of a layer on the card: what follows a product is done before its sums leave their registers.

    layer        A     = f(X·W + b)
    delta        delta = (delta_next·W_nextᵀ) ⊙ f'(Z)
    gradients    dW    = Xᵀ·delta,    db = Σ_rows delta
    descend      W     ← W − lr·Xᵀ·delta,    b ← b − lr·Σ_rows delta

The products are those of `warptile.py`; column sums are a launch of their own.
"""

from typing import Any

from numba import float32

from ..legend import Matrix, Vector
from .activation import activated, slope
from .device import SIMULATED, block, cuda, device, thread, transposed
from .ladders import FLOAT, INT, MATRIX, TRANSPOSED, VECTOR, Kernel, Launch, rung
from .matmul import WARPTILE
from .tiles import corner, take
from .warptile import TwoSizes, WarpTile


def layer_with(tile: WarpTile) -> Kernel:
    height, width, count, across, sum_up = tile.height, tile.width, tile.sums, tile.across, tile.sum_up
    place, put_sums = tile.place, tile.put_sums
    columns = 4 * across

    def layer(X, W, b, f, A):
        sums = cuda.local.array(count, float32)
        bias = cuda.local.array(columns, float32)
        i0, j0 = corner(A, height, width)
        sum_up(X, W, i0, j0, sums)
        i, j = place(i0, j0)
        for c in range(columns):
            at = j + c // 4 * 32 + c % 4
            bias[c] = b[at] if at < b.size else float32(0)  # without a bias, b is empty
        for r in range(count // columns):
            for c in range(columns):
                sums[r * columns + c] += bias[c]
        for s in range(count):
            sums[s] = activated(f, sums[s])
        put_sums(A, i, j, sums)

    return layer


LAYER = TwoSizes(layer_with, [MATRIX, MATRIX, VECTOR, INT, MATRIX])


@rung("layer", "warptile", *LAYER.launches)
def layer(X: Matrix, W: Matrix, b: Vector, f: int, A: Matrix) -> None:
    """X·W by warp tiles; bias and activation are applied in registers: saves writing Z and reading it again."""
    LAYER(X, W, b, f, A)


def delta_with(tile: WarpTile) -> Kernel:
    height, width, count, down, across, sum_up = (
        tile.height, tile.width, tile.sums, tile.down, tile.across, tile.sum_up,
    )  # fmt: skip
    place, put_sums = tile.place, tile.put_sums

    @device
    def times_slope(f, A, i, j, p, sums):
        for r in range(4):
            for q in range(across):
                s = ((4 * p + r) * across + q) * 4
                a0, a1, a2, a3 = take(A, i + 16 * p + r, j + 32 * q)
                sums[s] *= slope(f, a0)
                sums[s + 1] *= slope(f, a1)
                sums[s + 2] *= slope(f, a2)
                sums[s + 3] *= slope(f, a3)

    def delta(delta_next, W_nextT, A, f, delta):
        sums = cuda.local.array(count, float32)
        i0, j0 = corner(delta, height, width)
        sum_up(delta_next, W_nextT, i0, j0, sums)
        i, j = place(i0, j0)
        times_slope(f, A, i, j, 0, sums)
        if down == 2:  # no loop: the compiler would leave one so large, and with it the sums in memory
            times_slope(f, A, i, j, 1, sums)
        put_sums(delta, i, j, sums)

    return delta


DELTA = TwoSizes(delta_with, [MATRIX, TRANSPOSED, MATRIX, INT, MATRIX])


@rung("delta", "warptile", *DELTA.launches)
def delta(delta_next: Matrix, W_next: Matrix, A: Matrix, f: int, delta: Matrix) -> None:
    """delta_next·W_nextᵀ by warp tiles, times the slope of f in registers: saves a trip of delta to memory and back."""
    DELTA(delta_next, transposed(W_next), A, f, delta)


COLUMNS, LANES = (4, 4) if SIMULATED else (32, 8)
"""Columns that a block sums, and threads that share a column."""


@device
def column_sum(delta, j, parts):
    """Σ_rows delta[:, j], for the first thread of a column; always in the same order, so always the same bits."""
    column, lane = thread() % COLUMNS, thread() // COLUMNS
    total = float32(0)
    if j < delta.shape[1]:
        i = lane
        while i < delta.shape[0]:
            total += delta[i, j]
            i += LANES
    parts[lane, column] = total
    cuda.syncthreads()
    total = float32(0)
    for other in range(LANES):
        total += parts[other, column]
    return total


def column_sums(delta: Matrix, db: Vector) -> None:
    """db = Σ_rows delta. Reads each number once, 32 side by side; writes one a column."""
    parts = cuda.shared.array((LANES, COLUMNS), float32)
    j = block() * COLUMNS + thread() % COLUMNS
    total = column_sum(delta, j, parts)
    if thread() < COLUMNS and j < db.size:
        db[j] = total


def descend_bias(delta: Matrix, lr: float, weight_decay: float, b: Vector) -> None:
    """b ← b − lr·(Σ_rows delta + weight_decay·b). Like `column_sums`, and the step is taken at once."""
    parts = cuda.shared.array((LANES, COLUMNS), float32)
    j = block() * COLUMNS + thread() % COLUMNS
    total = column_sum(delta, j, parts)
    if thread() < COLUMNS and j < b.size:
        b[j] -= lr * (total + weight_decay * b[j])


def _blocks_of_columns(*arguments: Any) -> int:
    return -(-int(arguments[-1].size) // COLUMNS)


COLUMN_SUMS = Launch(column_sums, [MATRIX, VECTOR], COLUMNS * LANES, _blocks_of_columns)
DESCEND_BIAS = Launch(descend_bias, [MATRIX, FLOAT, FLOAT, VECTOR], COLUMNS * LANES, _blocks_of_columns)


@rung("gradients", "warptile", *WARPTILE["matmul_tn"].launches, COLUMN_SUMS, writes=2)
def gradients(X: Matrix, delta: Matrix, dW: Matrix, db: Vector) -> None:
    """Xᵀ·delta by warp tiles, which read X by columns where it lies; then the sums of the columns of delta."""
    WARPTILE["matmul_tn"](transposed(X), delta, dW)
    COLUMN_SUMS(delta, db)


def descend_with(tile: WarpTile) -> Kernel:
    height, width, count, down, across, sum_up = (
        tile.height, tile.width, tile.sums, tile.down, tile.across, tile.sum_up,
    )  # fmt: skip
    place, put_sums = tile.place, tile.put_sums

    def descend(Xt, delta, lr, weight_decay, W):
        sums = cuda.local.array(count, float32)
        i0, j0 = corner(W, height, width)
        sum_up(Xt, delta, i0, j0, sums)
        i, j = place(i0, j0)
        for p in range(down):
            for r in range(4):
                for q in range(across):
                    s = ((4 * p + r) * across + q) * 4
                    w0, w1, w2, w3 = take(W, i + 16 * p + r, j + 32 * q)
                    sums[s] = w0 - lr * (sums[s] + weight_decay * w0)
                    sums[s + 1] = w1 - lr * (sums[s + 1] + weight_decay * w1)
                    sums[s + 2] = w2 - lr * (sums[s + 2] + weight_decay * w2)
                    sums[s + 3] = w3 - lr * (sums[s + 3] + weight_decay * w3)
        put_sums(W, i, j, sums)

    return descend


DESCEND = TwoSizes(descend_with, [TRANSPOSED, MATRIX, FLOAT, FLOAT, MATRIX])


@rung("descend", "warptile", *DESCEND.launches, DESCEND_BIAS, writes=2)
def descend(X: Matrix, delta: Matrix, lr: float, weight_decay: float, W: Matrix, b: Vector) -> None:
    """Gradient and step in one: saves writing dW and reading it again. W is read once and written once."""
    DESCEND(transposed(X), delta, lr, weight_decay, W)
    DESCEND_BIAS(delta, lr, weight_decay, b)
