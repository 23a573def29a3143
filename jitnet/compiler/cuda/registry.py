"""The registry of the GPU: operation -> rung -> function, like the one of the CPU, with the same operations.

A kernel for the GPU says what one thread does. `Launch` is a kernel with the types of its arguments and the rule for
how many threads it takes; a rung is one launch or a few. Rungs take the same arguments as those of the CPU, inputs
first and outputs last. Arrays may lie on the GPU, and then nothing is copied; a NumPy array is copied there and back.

Loops that run are written with `while`, and `for` is left to those that the compiler unrolls: it does not see through
Numba's `range`. With that, the naive product took 37 instructions for each multiply-add, where 8 are enough.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .device import SIMULATED, cuda, stream

if not SIMULATED:
    from .cache import GpuCache

Kernel = Callable[..., None]

Call = tuple["Launch", int, tuple[Any, ...]]
"""A launch, its number of blocks, and the arguments."""

MATRIX, TRANSPOSED, VECTOR = "float32[:,::1]", "float32[::1,:]", "float32[::1]"
INT, FLOAT, INTS = "int64", "float32", "int64[::1]"

FLOAT32 = 2.0**-23
"""Spacing of the numbers that a rung multiplies, relative to them."""

ANY = (5, 0)
"""Compute capability that a rung needs, if it needs nothing special."""


_recorder: contextvars.ContextVar[list[Call] | None] = contextvars.ContextVar("recorder", default=None)
"""Where launches are noted down instead of made, if that is asked for; for each Python thread."""


class Launch:
    """A kernel, the types of its arguments, the threads of a block, and how many blocks its arguments ask for.

    `min_blocks_per_sm` is how many blocks a multiprocessor should be able to hold at a time, which bounds the registers
    of a thread.
    """

    def __init__(
        self, body: Kernel, types: list[str], threads: int, blocks: Callable[..., int], min_blocks_per_sm: int = 1
    ) -> None:
        self.body, self.threads, self.blocks = body, threads, blocks
        self.name, self.bounds = body.__name__, (threads, min_blocks_per_sm)
        self.signature = f"void({', '.join(types)})"
        # no optimising at link time: then what runs is the PTX that can be read, tested and counted without a GPU
        self._kernel = cuda.jit(body) if SIMULATED else cuda.jit(body, launch_bounds=self.bounds, lto=False)
        if not SIMULATED:
            self._kernel._cache = GpuCache((body.__module__, body.__qualname__, *self.bounds, self.signature))

    @property
    def is_compiled(self) -> bool:
        return SIMULATED or bool(self._kernel.overloads)

    @property
    def is_kept(self) -> bool:
        """True if another process has compiled it for the GPU at hand, and left it to be loaded."""
        return bool(self._kernel._cache.holds(self.signature))

    def compile(self) -> None:
        """Compile for the GPU at hand, or load what was compiled, and bring it there."""
        if not SIMULATED:
            self._kernel.compile(self.signature)

    def compile_for(self, arguments: tuple[Any, ...]) -> None:
        """Compile for just these arguments: a matrix of one row or column is of no type that was declared."""
        self._kernel.compile(tuple(self._kernel.typeof_pyval(argument) for argument in arguments))

    def __call__(self, *arguments: Any) -> None:
        blocks = self.blocks(*arguments)
        if blocks == 0:  # nothing to write
            return
        calls = _recorder.get()
        if calls is None:
            self.start(blocks, arguments)
        else:
            calls.append((self, blocks, arguments))

    def start(self, blocks: int, arguments: tuple[Any, ...], queue: Any = None) -> None:
        """Put it into a queue of the GPU; what it writes is there when the queue has come to it."""
        self._kernel[blocks, self.threads, queue or stream()](*arguments)


@contextlib.contextmanager
def recording() -> Iterator[list[Call]]:
    """Note the launches of this thread down instead of making them."""
    calls: list[Call] = []
    before = _recorder.set(calls)
    try:
        yield calls
    finally:
        _recorder.reset(before)


class Rung:
    """A rung of a ladder: launches in a row, to be called like a rung of the CPU."""

    def __init__(
        self, body: Kernel, launches: list[Launch], writes: int, eps: float, capability: tuple[int, int]
    ) -> None:
        self.body, self.launches, self.writes, self.eps, self.capability = body, launches, writes, eps, capability
        self.__name__, self.__doc__ = body.__name__, body.__doc__

    def __call__(self, *arguments: Any) -> None:
        placed = [_placed(argument) for argument in arguments]
        self.body(*placed)
        for host, there in list(zip(arguments, placed, strict=True))[-self.writes :]:
            if isinstance(host, np.ndarray):
                there.copy_to_host(host, stream())
                stream().synchronize()


def _placed(argument: Any) -> Any:
    """An argument as a kernel takes it: arrays on the GPU, numbers as float32."""
    if isinstance(argument, np.ndarray):
        return cuda.to_device(argument, stream())
    return np.float32(argument) if isinstance(argument, float) else argument


LADDERS: dict[str, dict[str, Rung]] = {}


def rung(
    operation: str, name: str, *launches: Launch, writes: int = 1, eps: float = FLOAT32,
    capability: tuple[int, int] = ANY,
) -> Callable[[Kernel], Kernel]:  # fmt: skip
    """Register a function that makes these launches as a rung; its last `writes` arguments are its outputs."""

    def register(body: Kernel) -> Kernel:
        LADDERS.setdefault(operation, {})[name] = Rung(body, list(launches), writes, eps, capability)
        return body

    return register
