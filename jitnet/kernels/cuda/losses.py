"""The losses on the GPU, one number per sample, with delta of the output layer: one block per sample."""

import math
from collections.abc import Callable

from numba import float32

from ...compiler.cuda.device import block, cuda, device, thread
from ...compiler.cuda.registry import FLOAT, INT, MATRIX, VECTOR, Kernel, Launch, rung
from ...compiler.types import Matrix, Vector
from ..elementwise import named
from ..losses import LOSSES, Loss
from .activations import on_the_gpu, times_derivative
from .rows import THREADS, block_max, block_sum, one_block_a_row


def loss_rung(operation: str, types: list[str]) -> Callable[[Kernel], Kernel]:
    """Register a kernel with one block per row as rung `rows`."""

    def register(body: Kernel) -> Kernel:
        launch = Launch(body, types, THREADS, one_block_a_row)

        def run(*arguments: object) -> None:
            launch(*arguments)

        run.__doc__ = body.__doc__
        rung(operation, "rows", launch, writes=2)(run)
        return body

    return register


@device
def squared_errors(A, Y, scale, f, delta):
    """Σ_j (A − Y)² of the block's row, and delta = scale·(A − Y)·f'."""
    parts = cuda.shared.array(THREADS, float32)
    i = block()
    total = float32(0)
    j = thread()
    while j < A.shape[1]:
        error = A[i, j] - Y[i, j]
        total += error * error
        delta[i, j] = times_derivative(scale * error, f, A[i, j])
        j += THREADS
    return block_sum(total, parts)


@loss_rung("half_squared_error", [MATRIX, MATRIX, FLOAT, INT, MATRIX, VECTOR])
def half_squared_error(A: Matrix, Y: Matrix, scale: float, f: int, delta: Matrix, losses: Vector) -> None:
    """½ Σ_j (A − Y)², and delta = scale·(A − Y)·f'. Reads A and Y once and writes delta once."""
    total = squared_errors(A, Y, scale, f, delta)
    if thread() == 0:
        losses[block()] = float32(0.5) * total


@loss_rung("mse", [MATRIX, MATRIX, FLOAT, INT, MATRIX, VECTOR])
def mse(A: Matrix, Y: Matrix, scale: float, f: int, delta: Matrix, losses: Vector) -> None:
    """The mean over j of (A − Y)², and delta = scale·(A − Y)·f'. Reads A and Y once and writes delta once."""
    total = squared_errors(A, Y, scale, f, delta)
    if thread() == 0:
        losses[block()] = total / float32(A.shape[1])


@loss_rung("cross_entropy", [MATRIX, MATRIX, MATRIX, FLOAT, MATRIX, VECTOR])
def cross_entropy(Z: Matrix, A: Matrix, Y: Matrix, scale: float, delta: Matrix, losses: Vector) -> None:
    """Σ_j Y·((Z_c − Z) − log A_c), and delta = scale·(A − Y). c is the class of the largest Z and A.

    Reads Z and A twice, Y once, and writes delta once.
    """
    parts = cuda.shared.array(THREADS, float32)
    i, n = block(), Z.shape[1]
    z, a = float32(-math.inf), float32(0)
    j = thread()
    while j < n:
        z = Z[i, j] if Z[i, j] > z else z
        a = A[i, j] if A[i, j] > a else a
        j += THREADS
    z = block_max(z, parts)
    log_largest = math.log(block_max(a, parts))
    total = float32(0)
    j = thread()
    while j < n:
        total += Y[i, j] * ((z - Z[i, j]) - log_largest)
        delta[i, j] = scale * (A[i, j] - Y[i, j])
        j += THREADS
    total = block_sum(total, parts)
    if thread() == 0:
        losses[i] = total


@loss_rung("binary_cross_entropy", [MATRIX, MATRIX, MATRIX, FLOAT, MATRIX, VECTOR])
def binary_cross_entropy(Z: Matrix, A: Matrix, Y: Matrix, scale: float, delta: Matrix, losses: Vector) -> None:
    """Σ_j (max(Z, 0) − Z·Y + log(1 + e^{−|Z|})), and delta = scale·(A − Y). Reads Z, A, Y and writes delta once."""
    parts = cuda.shared.array(THREADS, float32)
    i = block()
    total = float32(0)
    j = thread()
    while j < Z.shape[1]:
        z = Z[i, j]
        total += (float32(0) if z < 0 else z) - z * Y[i, j] + math.log1p(math.exp(-abs(z)))
        delta[i, j] = scale * (A[i, j] - Y[i, j])
        j += THREADS
    total = block_sum(total, parts)
    if thread() == 0:
        losses[i] = total


def register(entry: Loss) -> None:
    """The operation of that name: one block per sample, as for `mse`."""
    of_output, by_output = on_the_gpu(entry.f), on_the_gpu(entry.f_prime)

    def body(A: Matrix, Y: Matrix, scale: float, f: int, delta: Matrix, losses: Vector) -> None:
        """The mean over j of ℓ(A, Y), and delta = scale·∂ℓ/∂a·f'. Reads A and Y once and writes delta once."""
        parts = cuda.shared.array(THREADS, float32)
        i = block()
        total = float32(0)
        j = thread()
        while j < A.shape[1]:
            total += of_output(A[i, j], Y[i, j])
            delta[i, j] = times_derivative(scale * by_output(A[i, j], Y[i, j]), f, A[i, j])
            j += THREADS
        total = block_sum(total, parts)
        if thread() == 0:
            losses[i] = total / float32(A.shape[1])

    types = [MATRIX, MATRIX, FLOAT, INT, MATRIX, VECTOR]
    loss_rung(entry.name, types)(named(body, entry.name, entry.f, entry.f_prime))


DONE: dict[str, Loss] = {}


def complete() -> None:
    """Register what is registered for the CPU as a function of one output."""
    for entry in LOSSES.values():
        if not entry.is_written_out and DONE.get(entry.name) is not entry:
            register(entry)
            DONE[entry.name] = entry


complete()
