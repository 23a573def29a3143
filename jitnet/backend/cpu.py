"""The CPU backends: the rung that each uses per operation, and the choice between serial and threaded kernels."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import checks
from ..compiler import environment, linking
from ..compiler.jit import Kernel, compile_for, entry_point, is_compiled, needs_compiling, signature_for
from ..compiler.parallel_for import start_layer
from ..compiler.registry import Call
from ..compiler.threads import LEAST_FLOP, thread_count
from ..kernels import LADDERS, SIGNATURES
from ..kernels.register_tile import NARROW_TILES
from ..process.progress import Progress
from . import thread_choice
from .base import Backend, register
from .compiler_errors import raise_if_refused


def start() -> None:
    """Raise an error for a Numba setting that prevents compiled loops from running."""
    for name, what in environment.REFUSED.items():
        raise checks.Error(f"{name} {what}; unset {name}")
    try:
        start_layer()
    except ValueError as error:
        raise checks.Error(str(error)) from None


class CpuBackend(Backend):
    """Rungs of `kernels.LADDERS`, on NumPy arrays."""

    rungs: ClassVar[tuple[str, ...]]
    """Rungs in order of preference; every ladder has the last one."""

    def __init__(self) -> None:
        rungs = {operation: next(rung for rung in self.rungs if rung in LADDERS[operation]) for operation in LADDERS}
        self.kernels = {operation: LADDERS[operation][rung] for operation, rung in rungs.items()}
        threaded = {
            operation: LADDERS[operation].get("parallel" if rung == "njit" else f"{rung}_parallel")
            for operation, rung in rungs.items()
        }
        self.threaded = {operation: kernel for operation, kernel in threaded.items() if kernel and self.uses_threads}
        if any(map(is_compiled, self.kernels.values())):
            start()

    def cores(self, threads: int | None = None) -> int | None:
        return (threads or thread_count()) if self.uses_threads else 1

    def ladder(self, operation: str) -> Mapping[str, Kernel]:
        return LADDERS[operation]

    def kernel(self, call: Call, threads: int) -> Kernel:
        """The rung for this call: its threaded version, if there are threads and the work is large enough."""
        kernel = self.threaded.get(call.operation) if threads > 1 else None
        return kernel if kernel and call.flop >= LEAST_FLOP else self.kernels[call.operation]

    def bound(self, calls: list[Call], dtype: np.dtype[Any], threads: int = 1) -> list[Any]:
        """The kernel and the arguments of each call, to be repeated.

        Arrays never move, so the bound calls can be repeated for every batch in one loop over the list. Compiled
        kernels are called without the dispatcher, which would check the types of their arguments every time.
        """
        return [
            (entry_point(self.kernel(call, threads), signature_for(SIGNATURES[call.operation], dtype)), call.arguments)
            for call in calls
        ]

    def prepare(self, calls: list[Call], dtype: np.dtype[Any], show: Progress | None = None) -> int:
        """Compile the kernels of these calls, for every possible number of threads, or load them from the cache.

        Returns the number of kernels that were not in the cache.
        """
        counts = thread_choice.possible() if self.uses_threads else (1,)
        kernels = {(call.operation, self.kernel(call, threads)): None for threads in counts for call in calls}
        return _compile(list(kernels), dtype, show)

    def compile(self, operations: Iterable[str], dtype: np.dtype[Any], show: Progress | None = None) -> int:
        chosen = [
            (name, rungs[name]) for rungs in (self.kernels, self.threaded) for name in operations if name in rungs
        ]
        return _compile(chosen, dtype, show)

    @property
    def compiles(self) -> int:
        kernels = [*self.kernels.values(), *self.threaded.values()]
        return len(self.dtypes) * sum(map(is_compiled, kernels))


KernelId = tuple[str, str, str]
"""A kernel by its operation, rung and dtype."""

helper_process: Callable[[list[KernelId]], AbstractContextManager[object]] = contextlib.nullcontext
"""Starts another process that compiles these kernels too, from the last to the first; see `cli/compiling.py`."""

SHARE_THE_TILE = ("fused", "packed")
"""Rungs that call the register tile. Compiling it takes half of the time, so one process begins with them."""

SECONDS_OF_THE_TILE, SECONDS_A_KERNEL = 5.5, 0.42
"""The approximate time to compile the register tile, and each kernel, in one process on an idle machine."""

NARROW = ("register tile", "narrow_tiles")
"""The part of the tile for narrow panels. The other process begins with it, and has usually finished when the first one
needs it; otherwise both compile it."""


def kernel_and_signature(kernel: KernelId) -> tuple[Kernel, str]:
    """A kernel, or the narrow part of the tile, and its signature."""
    operation, rung, dtype = kernel
    if (operation, rung) == NARROW:
        return linking.HELPERS[rung], signature_for(NARROW_TILES, np.dtype(dtype))
    return LADDERS[operation][rung], signature_for(SIGNATURES[operation], np.dtype(dtype))


class _ToCompile(NamedTuple):
    """A kernel that has to be compiled or loaded."""

    operation: str
    rung: str
    kernel: Kernel
    signature: str
    is_missing: bool

    @property
    def shares_the_tile(self) -> bool:
        return self.rung.removesuffix("_parallel") in SHARE_THE_TILE


def _to_compile(operation: str, kernel: Kernel, dtype: np.dtype[Any]) -> _ToCompile | None:
    """None for a kernel that is loaded: Numba would parse its signature again, at each start of a training."""
    signature = signature_for(SIGNATURES[operation], dtype)
    if entry_point(kernel, signature) is not kernel:
        return None
    rung = next((rung for rung, known in LADDERS[operation].items() if known is kernel), "")
    return _ToCompile(operation, rung, kernel, signature, needs_compiling(kernel, signature))


def _compile(kernels: list[tuple[str, Kernel]], dtype: np.dtype[Any], show: Progress | None) -> int:
    """Compile what is not in the cache, and load the rest; returns how many kernels were not in the cache."""
    not_loaded = filter(None, (_to_compile(*each, dtype) for each in kernels))
    wanted = sorted(not_loaded, key=lambda each: not each.shares_the_tile)
    missing = [each for each in wanted if each.is_missing]
    names, narrow = [(each.operation, each.rung, dtype.name) for each in missing], (*NARROW, dtype.name)
    needs_tile = any(each.shares_the_tile for each in missing) and needs_compiling(*kernel_and_signature(narrow))
    names += [narrow] * needs_tile
    done, total = 0, len(missing)
    if show:
        show.compile_seconds = SECONDS_A_KERNEL * total + SECONDS_OF_THE_TILE * needs_tile
    with helper_process(names) if len(names) > 1 else contextlib.nullcontext():
        for operation, _, kernel, signature, is_missing in wanted:
            if is_missing and show:
                show.compiling(done, total, operation)
            try:
                compile_for(kernel, signature)
            except Exception as error:
                raise_if_refused(operation, error)
                raise
            done += is_missing
    if total and show:
        show.compiling(total, total, "")
    return total


@register
class Python(CpuBackend):
    """The loops, interpreted."""

    name = "python"
    rungs = ("python",)


@register
class Njit(CpuBackend):
    """The same loops, compiled."""

    name = "njit"
    rungs = ("njit",)


@register
class Parallel(CpuBackend):
    """The same loops on all threads, however small the work."""

    name = "parallel"
    rungs = ("parallel",)
    uses_threads = True


@register
class Fast(CpuBackend):
    """The fastest rung of each operation; for large work its threaded version, if it has one."""

    name = "fast"
    rungs = ("fused", "packed", "polynomial", "wide", "ahead", "lanes", "njit")
    uses_threads = True
    descends = True

    def can_use_threads(self, calls: list[Call]) -> bool:
        return any(self.kernel(call, 2) is not self.kernels[call.operation] for call in calls)


@register
class Numpy(CpuBackend):
    """NumPy and its BLAS, the baseline."""

    name = "numpy"
    rungs = ("numpy",)

    def cores(self, threads: int | None = None) -> int | None:
        return None
