"""The formulas of a layer on the GPU; bias, activation and derivative are applied to the sums in registers.

    layer        A     = f(X·W + b)
    delta        delta = (delta_next·W_nextᵀ) ⊙ f'(Z)
    gradients    dW    = Xᵀ·delta,    db = Σ_rows delta
    descend      W     ← W − lr·Xᵀ·delta,    b ← b − lr·Σ_rows delta

The products are those of `pipelined.py`; the column sums are a separate launch.
"""

from typing import Any

from numba import float32

from ...compiler.cuda.device import cuda, device, thread, transposed
from ...compiler.cuda.registry import FLOAT, INT, MATRIX, TRANSPOSED, VECTOR, Kernel, Launch, rung
from ...compiler.types import Matrix, Vector
from .activations import activated, times_derivative
from .columns import COLUMNS, LANES, THREADS, blocks_of_columns, column, sum_of_lanes
from .matmul import PIPELINED
from .pipelined import ThreeSizes
from .tiles import corner, take
from .warptile import WarpTile


def for_each_row(tile: WarpTile, step: Any) -> Any:
    """rows(given, i, j, sums): step(given, i, j, first, sums) for each row of C of which a thread has numbers.

    C[i, j] is the first of them, and sums[first] is its sum; further float4 of the row are 32 columns apart. The rows
    are halved recursively instead of in a loop, which the compiler would not unroll; the sums would then be in local
    memory.
    """

    def rows_from(start: int, count: int) -> Any:
        if count == 1:
            down, first = start // 4 * 16 + start % 4, start * 4 * tile.across

            @device
            def rows(given, i, j, sums):
                step(given, i + down, j, first, sums)

        else:
            upper, lower = rows_from(start, count // 2), rows_from(start + count // 2, count // 2)

            @device
            def rows(given, i, j, sums):
                upper(given, i, j, sums)
                lower(given, i, j, sums)

        return rows

    return rows_from(0, 4 * tile.down)


def layer_with(tile: WarpTile) -> Kernel:
    height, width, count, sum_up = tile.height, tile.width, tile.sums, tile.sum_up
    place, put_sums = tile.place, tile.put_sums
    columns = 4 * tile.across

    @device
    def activate_row(given, i, j, first, sums):
        b, f = given
        for c in range(columns):
            at = j + c // 4 * 32 + c % 4
            bias = b[at] if at < b.size else float32(0)  # without a bias, b is empty
            sums[first + c] = activated(f, sums[first + c] + bias)

    activate = for_each_row(tile, activate_row)

    def layer(X, W, b, f, A):
        sums = cuda.local.array(count, float32)
        i0, j0 = corner(A, height, width)
        sum_up(X, W, i0, j0, sums)
        i, j = place(i0, j0)
        activate((b, f), i, j, sums)
        put_sums(A, i, j, sums)

    return layer


LAYER = ThreeSizes(layer_with, [MATRIX, MATRIX, VECTOR, INT, MATRIX])


@rung("layer", "pipelined", *LAYER.launches)
def layer(X: Matrix, W: Matrix, b: Vector, f: int, A: Matrix) -> None:
    """X·W by pipelined tiles; bias and activation are applied in registers: saves storing Z and loading it again."""
    LAYER(X, W, b, f, A)


def delta_with(tile: WarpTile) -> Kernel:
    height, width, count, across, sum_up = tile.height, tile.width, tile.sums, tile.across, tile.sum_up
    place, put_sums = tile.place, tile.put_sums

    @device
    def differentiate_row(given, i, j, first, sums):
        A, f = given
        for q in range(across):
            s = first + 4 * q
            a0, a1, a2, a3 = take(A, i, j + 32 * q)
            sums[s] = times_derivative(sums[s], f, a0)
            sums[s + 1] = times_derivative(sums[s + 1], f, a1)
            sums[s + 2] = times_derivative(sums[s + 2], f, a2)
            sums[s + 3] = times_derivative(sums[s + 3], f, a3)

    differentiate = for_each_row(tile, differentiate_row)

    def delta(delta_next, W_nextT, A, f, delta):
        sums = cuda.local.array(count, float32)
        i0, j0 = corner(delta, height, width)
        sum_up(delta_next, W_nextT, i0, j0, sums)
        i, j = place(i0, j0)
        differentiate((A, f), i, j, sums)
        put_sums(delta, i, j, sums)

    return delta


DELTA = ThreeSizes(delta_with, [MATRIX, TRANSPOSED, MATRIX, INT, MATRIX])


@rung("delta", "pipelined", *DELTA.launches)
def delta(delta_next: Matrix, W_next: Matrix, A: Matrix, f: int, delta: Matrix) -> None:
    """delta_next·W_nextᵀ by pipelined tiles, times f' in registers: saves storing delta and loading it again."""
    DELTA(delta_next, transposed(W_next), A, f, delta)


@device
def column_sum(delta, j, parts):
    """Σ_rows delta[:, j], for the first thread of a column, in a fixed order: the bits are always the same."""
    total = float32(0)
    if j < delta.shape[1]:
        i = thread() // COLUMNS
        while i < delta.shape[0]:
            total += delta[i, j]
            i += LANES
    return sum_of_lanes(total, parts)


def column_sums(delta: Matrix, db: Vector) -> None:
    """db = Σ_rows delta. Reads each number once, 32 neighbors at a time; writes one number per column."""
    parts = cuda.shared.array((LANES, COLUMNS), float32)
    j = column()
    total = column_sum(delta, j, parts)
    if thread() < COLUMNS and j < db.size:
        db[j] = total


def descend_bias(delta: Matrix, lr: float, weight_decay: float, b: Vector) -> None:
    """b ← b − lr·(Σ_rows delta + weight_decay·b). Like `column_sums`, with the update in the same kernel."""
    parts = cuda.shared.array((LANES, COLUMNS), float32)
    j = column()
    total = column_sum(delta, j, parts)
    if thread() < COLUMNS and j < b.size:
        b[j] -= lr * (total + weight_decay * b[j])


COLUMN_SUMS = Launch(column_sums, [MATRIX, VECTOR], THREADS, blocks_of_columns)
DESCEND_BIAS = Launch(descend_bias, [MATRIX, FLOAT, FLOAT, VECTOR], THREADS, blocks_of_columns)


@rung("gradients", "pipelined", *PIPELINED["matmul_tn"].launches, COLUMN_SUMS, writes=2)
def gradients(X: Matrix, delta: Matrix, dW: Matrix, db: Vector) -> None:
    """Xᵀ·delta by pipelined tiles, which read X through a transposed view; then the column sums of delta."""
    PIPELINED["matmul_tn"](transposed(X), delta, dW)
    COLUMN_SUMS(delta, db)


def descend_with(tile: WarpTile) -> Kernel:
    height, width, count, across, sum_up = tile.height, tile.width, tile.sums, tile.across, tile.sum_up
    place, put_sums = tile.place, tile.put_sums

    @device
    def step_of_row(given, i, j, first, sums):
        W, lr, weight_decay = given
        for q in range(across):
            s = first + 4 * q
            w0, w1, w2, w3 = take(W, i, j + 32 * q)
            sums[s] = w0 - lr * (sums[s] + weight_decay * w0)
            sums[s + 1] = w1 - lr * (sums[s + 1] + weight_decay * w1)
            sums[s + 2] = w2 - lr * (sums[s + 2] + weight_decay * w2)
            sums[s + 3] = w3 - lr * (sums[s + 3] + weight_decay * w3)

    step = for_each_row(tile, step_of_row)

    def descend(Xt, delta, lr, weight_decay, W):
        sums = cuda.local.array(count, float32)
        i0, j0 = corner(W, height, width)
        sum_up(Xt, delta, i0, j0, sums)
        i, j = place(i0, j0)
        step((W, lr, weight_decay), i, j, sums)
        put_sums(W, i, j, sums)

    return descend


DESCEND = ThreeSizes(descend_with, [TRANSPOSED, MATRIX, FLOAT, FLOAT, MATRIX])


@rung("descend", "pipelined", *DESCEND.launches, DESCEND_BIAS, writes=2)
def descend(X: Matrix, delta: Matrix, lr: float, weight_decay: float, W: Matrix, b: Vector) -> None:
    """Gradient and update in one kernel: saves storing dW and loading it again. Reads and writes W once."""
    DESCEND(transposed(X), delta, lr, weight_decay, W)
    DESCEND_BIAS(delta, lr, weight_decay, b)
