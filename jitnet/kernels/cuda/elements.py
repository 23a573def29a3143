"""Kernels in which each thread has one number of its own, and rungs made of them."""

from collections.abc import Callable
from typing import Any

from ...compiler.cuda.device import SIMULATED
from ...compiler.cuda.registry import VECTOR, Kernel, Launch, rung

THREADS = 32 if SIMULATED else 256


def one_thread_each(*arguments: Any) -> int:
    """Blocks for as many threads as the last argument has numbers."""
    return -(-int(arguments[-1].size) // THREADS)


def element_rung(operation: str, vectors: int) -> Callable[[Kernel], Kernel]:
    """Register a kernel over so many vectors as rung `elements` of an operation over as many matrices, taken flat."""

    def register(body: Kernel) -> Kernel:
        launch = Launch(body, [VECTOR] * vectors, THREADS, one_thread_each)

        def run(*matrices: Any) -> None:
            launch(*(matrix.reshape(matrix.size) for matrix in matrices))

        run.__doc__ = body.__doc__
        rung(operation, "elements", launch)(run)
        return body

    return register
