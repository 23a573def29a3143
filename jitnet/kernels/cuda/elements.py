"""Elementwise kernels, one thread per number, and the decorator for their rungs."""

from collections.abc import Callable
from typing import Any

from ...compiler.cuda.device import SIMULATED
from ...compiler.cuda.registry import VECTOR, Kernel, Launch, rung

THREADS = 32 if SIMULATED else 256


def one_thread_each(*arguments: Any) -> int:
    """The number of blocks for one thread per number of the last argument."""
    return -(-int(arguments[-1].size) // THREADS)


def element_rung(operation: str, vectors: int) -> Callable[[Kernel], Kernel]:
    """Register a kernel over vectors as rung `elements` of an operation over as many matrices, which are flattened."""

    def register(body: Kernel) -> Kernel:
        launch = Launch(body, [VECTOR] * vectors, THREADS, one_thread_each)

        def run(*matrices: Any) -> None:
            launch(*(matrix.reshape(matrix.size) for matrix in matrices))

        run.__doc__ = body.__doc__
        rung(operation, "elements", launch)(run)
        return body

    return register
