"""The registry of GPU kernels: operation -> rung -> function, with the same operations as on the CPU.

A GPU kernel describes the work of one thread. `Launch` is a kernel with the types of its arguments and a rule for the
number of blocks; a rung is one launch or several. Rungs take the same arguments as on the CPU, inputs first and outputs
last. Arrays on the GPU are used in place; NumPy arrays are copied to the GPU and back.

Loops that must stay loops are written with `while`, and loops to unroll with `for`, because the compiler does not
optimize Numba's `range` away: with it, the naive product took 37 instructions per multiply-add instead of 8.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..registry import expect_new
from .device import SIMULATED, cuda, stream

if not SIMULATED:
    from .cache import GpuCache

Kernel = Callable[..., None]

Call = tuple["Launch", int, tuple[Any, ...]]
"""A launch, its number of blocks, and its arguments."""

MATRIX, TRANSPOSED, VECTOR = "float32[:,::1]", "float32[::1,:]", "float32[::1]"
INT, FLOAT, INTS = "int64", "float32", "int64[::1]"

FLOAT32 = 2.0**-23
"""Relative spacing of the numbers that a rung multiplies."""

ANY = (5, 0)
"""The lowest compute capability, for rungs without special requirements."""


_recorder: contextvars.ContextVar[list[Call] | None] = contextvars.ContextVar("recorder", default=None)
"""The list that records launches instead of executing them, or None; one per Python thread."""


class Launch:
    """A kernel, the types of its arguments, the threads of a block, and the number of blocks for given arguments.

    `min_blocks_per_sm` is the number of blocks that a multiprocessor should be able to hold at a time; it limits the
    registers of a thread.
    """

    def __init__(
        self, body: Kernel, types: list[str], threads: int, blocks: Callable[..., int], min_blocks_per_sm: int = 1
    ) -> None:
        self.body, self.threads, self.blocks = body, threads, blocks
        self.name, self.bounds = body.__name__, (threads, min_blocks_per_sm)
        self.signature = f"void({', '.join(types)})"
        # no link-time optimization, so that the GPU runs the same PTX that is read, tested and counted without a GPU
        self._kernel = cuda.jit(body) if SIMULATED else cuda.jit(body, launch_bounds=self.bounds, lto=False)
        if not SIMULATED:
            self._kernel._cache = GpuCache((body.__module__, body.__qualname__, *self.bounds, self.signature))

    @property
    def is_compiled(self) -> bool:
        return SIMULATED or bool(self._kernel.overloads)

    @property
    def is_cached(self) -> bool:
        """True if the cache has its machine code for the current GPU."""
        return bool(self._kernel._cache.holds(self.signature))

    def compile(self) -> None:
        """Compile for the current GPU, or load the machine code from the cache."""
        if not SIMULATED:
            self._kernel.compile(self.signature)

    def compile_for(self, arguments: tuple[Any, ...]) -> None:
        """Compile for the types of these arguments: Numba gives a matrix of one row or column another type."""
        self._kernel.compile(tuple(self._kernel.typeof_pyval(argument) for argument in arguments))

    def __call__(self, *arguments: Any) -> None:
        blocks = self.blocks(*arguments)
        if blocks == 0:  # the output is empty
            return
        calls = _recorder.get()
        if calls is None:
            self.start(blocks, arguments)
        else:
            calls.append((self, blocks, arguments))

    def start(self, blocks: int, arguments: tuple[Any, ...], queue: Any = None) -> None:
        """Launch it on a stream, without waiting for the result."""
        self._kernel[blocks, self.threads, queue or stream()](*arguments)


@contextlib.contextmanager
def recording() -> Iterator[list[Call]]:
    """Record the launches of this thread instead of executing them."""
    calls: list[Call] = []
    before = _recorder.set(calls)
    try:
        yield calls
    finally:
        _recorder.reset(before)


class Rung:
    """A rung of a ladder: a sequence of launches, called like a rung of the CPU."""

    def __init__(
        self, body: Kernel, launches: list[Launch], writes: int, eps: float, capability: tuple[int, int]
    ) -> None:
        self.body, self.launches, self.writes, self.eps, self.capability = body, launches, writes, eps, capability
        self.__name__, self.__doc__ = body.__name__, body.__doc__

    def __call__(self, *arguments: Any) -> None:
        placed = [_placed(argument) for argument in arguments]
        self.body(*placed)
        for host, on_gpu in list(zip(arguments, placed, strict=True))[-self.writes :]:
            if isinstance(host, np.ndarray):
                on_gpu.copy_to_host(host, stream())
                stream().synchronize()


def _placed(argument: Any) -> Any:
    """An argument in the form that a kernel takes: arrays on the GPU, floats as float32."""
    if isinstance(argument, np.ndarray):
        return cuda.to_device(argument, stream())
    return np.float32(argument) if isinstance(argument, float) else argument


LADDERS: dict[str, dict[str, Rung]] = {}


def rung(
    operation: str, name: str, *launches: Launch, writes: int = 1, eps: float = FLOAT32,
    capability: tuple[int, int] = ANY,
) -> Callable[[Kernel], Kernel]:  # fmt: skip
    """Register a function that executes these launches as a rung; its last `writes` arguments are its outputs."""

    def register(body: Kernel) -> Kernel:
        ladder = LADDERS.setdefault(operation, {})
        expect_new(f"rung {name!r} of {operation} on the GPU", getattr(ladder.get(name), "body", None), body)
        ladder[name] = Rung(body, list(launches), writes, eps, capability)
        return body

    return register
