"""Run a rung of the GPU without a GPU: compile its kernels to PTX, and interpret that.

running.run(LADDERS["matmul"]["warptile"], A, B, C)
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any

from ...compiler.cuda.registry import Launch, Rung, recording
from . import compiling
from .program import Program
from .ptx_interpreter import execute

CAPABILITY = 9, 0
"""The default compute capability to compile for."""


@functools.cache
def program_of(launch: Launch, capability: tuple[int, int] = CAPABILITY) -> Program:
    """A compiled kernel."""
    return Program(compiling.ptx_of(launch, capability, lines=True))


def run(
    rung: Rung, *arguments: Any, capability: tuple[int, int] = CAPABILITY,
    order: Callable[[int], Iterable[int]] | None = None,
) -> None:  # fmt: skip
    """Call a rung with NumPy arrays and numbers, like one of the CPU.

    order   gives the order of the blocks of a launch from their number; without it many run together

    Raises `memory.KernelError`.
    """
    with recording() as calls:
        rung.body(*arguments)
    for launch, blocks, given in calls:
        execute(program_of(launch, capability), blocks, launch.threads, given, order=order and order(blocks))
