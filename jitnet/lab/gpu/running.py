"""A rung of the GPU run without one: its kernels are compiled for a GPU, and the interpreter executes what came out.

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
"""Compute capability to compile for, unless another is asked for."""


@functools.cache
def program_of(launch: Launch, capability: tuple[int, int] = CAPABILITY) -> Program:
    """What the compiler makes of a kernel, read."""
    return Program(compiling.ptx_of(launch, capability, lines=True))


def run(
    rung: Rung, *arguments: Any, capability: tuple[int, int] = CAPABILITY,
    order: Callable[[int], Iterable[int]] | None = None,
) -> None:  # fmt: skip
    """Call a rung with NumPy arrays and numbers, like one of the CPU.

    order   of the blocks of a launch, from their number; without it many run side by side

    Raises `memory.Fault` for what a kernel must not do.
    """
    with recording() as calls:
        rung.body(*arguments)
    for launch, blocks, given in calls:
        execute(program_of(launch, capability), blocks, launch.threads, given, order=order and order(blocks))
