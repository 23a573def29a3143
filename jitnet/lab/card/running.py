"""A rung of the card run without one: its kernels are compiled for a card, and the interpreter executes what came out.

running.run(LADDERS["matmul"]["warptile"], A, B, C)
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ...kernels.cuda.ladders import Launch, Rung, recording
from . import compiling
from .executing import Watch, execute
from .memory import Ints
from .program import Program

CAPABILITY = 9, 0
"""Compute capability to compile for, unless another is asked for."""


class Ran(NamedTuple):
    """A launch that was executed."""

    launch: Launch
    program: Program
    entered: Ints
    """How often warps entered each block of the program."""


@functools.cache
def program_of(launch: Launch, capability: tuple[int, int] = CAPABILITY) -> Program:
    """What the compiler makes of a kernel, read."""
    return Program(compiling.ptx_of(launch, capability, lines=True))


def run(
    rung: Rung, *arguments: Any, capability: tuple[int, int] = CAPABILITY, watch: Watch | None = None,
    order: Callable[[int], Iterable[int]] | None = None,
) -> list[Ran]:  # fmt: skip
    """Call a rung with NumPy arrays and numbers, like one of the CPU.

    order   of the blocks of a launch, from their number; without it many run side by side

    Raises `memory.Fault` for what a kernel must not do.
    """
    with recording() as calls:
        rung.body(*arguments)
    ran = []
    for launch, blocks, given in calls:
        program = program_of(launch, capability)
        entered = execute(program, blocks, launch.threads, given, watch, None if order is None else order(blocks))
        ran.append(Ran(launch, program, entered))
    return ran
