"""A backend is a choice of one rung per operation.

It is given calls, which name an operation and its arguments, and makes them with its kernels: at once, or bound to
machine code in a list that is repeated for every batch. Here it is decided whether a call gets threads. (It is called
backend and not backends because `jitnet.backends()` is a function.)
"""

import contextlib
import functools
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import numba
import numpy as np

from .. import checks
from ..compiler import environment
from ..compiler.jit import Kernel, compile_for, entry_point, is_compiled, needs_compiling, signature_for
from ..compiler.memory import aligned
from ..compiler.parallel_for import can_have_threads, start_layer
from ..compiler.registry import Call
from ..compiler.threads import LEAST_FLOP, thread_count
from ..kernels import LADDERS, SIGNATURES
from . import thread_choice

Report = Callable[[int, int, str], None]
"""Called with (done, total, name of the kernel) while kernels are compiled."""

Bound = tuple[Kernel, tuple[Any, ...]]
"""A kernel and its arguments."""


BEST = ("tile", "polynomial", "wide", "ahead", "njit")
"""Rungs in the order in which `fast` prefers them; where threads pay, it takes the threaded twin."""

CHOICES: dict[str, Callable[[str], Kernel]] = {
    "python": lambda operation: LADDERS[operation]["python"],
    "njit": lambda operation: LADDERS[operation]["njit"],
    "parallel": lambda operation: LADDERS[operation]["parallel"],
    "fast": lambda operation: next(LADDERS[operation][rung] for rung in BEST if rung in LADDERS[operation]),
    "numpy": lambda operation: LADDERS[operation]["numpy"],
}
"""Backend -> its choice of a rung for an operation."""

NAMES = (*CHOICES, "cuda")
"""All backends; whether "cuda" works depends on the machine."""

DESCENDING = ("fast", "cuda")
"""The backends that take a step of SGD within the gradient's product, where others write the gradient down first."""

THREADED = ("parallel", "fast")
"""The backends that can use more than one of Numba's threads."""


def backends() -> list[str]:
    """Names of the backends that work on this machine.

    `python` interprets the loops, `njit` compiles the same loops, `parallel` spreads them over the threads, `fast`
    is the best rung of each operation and the default, `numpy` is NumPy and its BLAS, the baseline. `cuda` is the
    GPU, in float32, if there is one and numba-cuda is installed.
    """
    from . import cuda

    return [name for name in NAMES if name != "cuda" or cuda.obstacle() is None]


@functools.cache
def _get(name: str) -> "Backend":
    if name == "cuda":
        from .cuda import GpuBackend  # who has no GPU needs no numba-cuda

        return GpuBackend()
    if name not in ("python", "numpy"):
        start()
    return Backend(name)


def start() -> None:
    """Make sure that compiled loops can run: a setting of Numba's that prevents it becomes an error here."""
    for name, what in environment.FAULTS.items():
        raise checks.Error(f"{name} {what}; unset {name}")
    try:
        start_layer()
    except ValueError as error:
        raise checks.Error(str(error)) from None


def get(name: str, dtype: np.dtype[Any] | None = None) -> "Backend":
    """The backend of that name, the same object every time; with a dtype, only if it can calculate in that."""
    run = _get(checks.one_of("backend", name, NAMES))
    if dtype is not None and dtype not in run.dtypes:
        able = " or ".join(map(str, run.dtypes))
        raise checks.Error(f"backend {name!r} calculates in {able}, not in {dtype}; use that, or another backend")
    return run


def _twins(kernels: dict[str, Kernel]) -> dict[str, Kernel]:
    """The threaded twins of these kernels; a loop that only moves a batch's numbers has none."""
    twins = {}
    for operation, kernel in kernels.items():
        rung = next(name for name, other in LADDERS[operation].items() if other is kernel)
        if f"{rung}_parallel" in LADDERS[operation]:
            twins[operation] = LADDERS[operation][f"{rung}_parallel"]
    return twins


class Backend:
    """One rung per operation, chosen by name."""

    dtypes: tuple[np.dtype[Any], ...] = (np.dtype(np.float32), np.dtype(np.float64))

    def __init__(self, name: str) -> None:
        self.name = name
        self.kernels: dict[str, Kernel] = {operation: CHOICES[name](operation) for operation in LADDERS}
        self.threaded: dict[str, Kernel] = _twins(self.kernels) if name == "fast" else {}

    memory = staticmethod(aligned)
    """memory(shape, dtype): zeros where this backend calculates."""

    def to_device(self, array: Any) -> Any:
        """An array of NumPy where this backend calculates: itself, unless that is elsewhere."""
        return array

    def to_host(self, array: Any) -> Any:
        """And back: an array of NumPy with what is in an array of the backend."""
        return array

    def kernel(self, call: Call, threads: int) -> Kernel:
        """The rung for this call: the threaded twin, if there are threads and the work is worth starting them."""
        twin = self.threaded.get(call.operation)
        return twin if twin and threads > 1 and call.flop >= LEAST_FLOP else self.kernels[call.operation]

    def run(self, calls: list[Call], *kind: Hashable) -> None:
        """Make these calls now, on as many threads as suit work of this kind, unless the user has said how many."""
        with self.spread(calls, *kind) as turns:
            threads = thread_choice.now(turns)
            for call in calls:
                self.kernel(call, threads)(*call.arguments)

    def bound(self, calls: list[Call], dtype: np.dtype[Any], threads: int = 1) -> list[Any]:
        """The kernel and the arguments of each call, to be repeated.

        Arrays stay where they are from batch to batch, so what is bound once can be repeated for every batch, and no
        Python runs between the kernels but the loop over the list. A compiled kernel is taken without the dispatcher
        that would look at the types of its arguments every time.
        """
        return [
            (entry_point(self.kernel(call, threads), signature_for(SIGNATURES[call.operation], dtype)), call.arguments)
            for call in calls
        ]

    def spread(self, calls: list[Call], *kind: Hashable, is_repeated: bool = False) -> Any:
        """For `with`: these calls, on as many threads as suit them now, unless the user has said how many.

        `kind` names work that takes about the same time for each FLOP, so that its calls can be compared. It gives
        `Turns`, or None where there is nothing to choose. Work that is repeated is tried on one thread at any size.
        """
        if not self.pay_for_threads(calls):
            return thread_choice.NOTHING
        flop = sum(call.flop for call in calls)
        return thread_choice.turns(flop, (self.name, *kind, flop.bit_length()), is_repeated)

    def pay_for_threads(self, calls: list[Call]) -> bool:
        """True if one of these calls is worth more than one thread."""
        if self.name == "fast":
            return any(self.kernel(call, 2) is not self.kernels[call.operation] for call in calls)
        return self.name in THREADED

    def prepare(self, calls: list[Call], dtype: np.dtype[Any], report: Report | None = None) -> int:
        """Compile what these calls will need, on one thread or on as many as they may get, or load it from the cache.

        Returns how many kernels were not in the cache.
        """
        counts = thread_choice.possible() if self.name in THREADED else (1,)
        kernels = {(call.operation, self.kernel(call, threads)): None for threads in counts for call in calls}
        return self._compile(list(kernels), dtype, report)

    def compile(self, operations: Iterable[str], dtype: np.dtype[Any], report: Report | None = None) -> int:
        """The same for calls of any size."""
        return self._compile(
            [(name, ladder[name]) for ladder in (self.kernels, self.threaded) for name in operations if name in ladder],
            dtype, report,
        )  # fmt: skip

    def _compile(self, kernels: list[tuple[str, Kernel]], dtype: np.dtype[Any], report: Report | None) -> int:
        wanted = [(name, kernel, signature_for(SIGNATURES[name], dtype)) for name, kernel in kernels]
        missing = [needs_compiling(kernel, signature) for _, kernel, signature in wanted]
        done, total = 0, sum(missing)
        for (operation, kernel, signature), is_missing in zip(wanted, missing, strict=True):
            if is_missing and report:
                report(done, total, operation)
            compile_for(kernel, signature)
            done += is_missing
        if total and report:
            report(total, total, "")
        return total

    @property
    def compiles(self) -> int:
        """How many kernels there are to compile, for all operations and dtypes."""
        kernels = [*self.kernels.values(), *self.threaded.values()]
        return len(self.dtypes) * sum(map(is_compiled, kernels))


def check_threads(count: int | None, name: str) -> None:
    """Complain if that backend cannot use that many threads in this process."""
    if count is None:
        return
    most = numba.config.NUMBA_NUM_THREADS
    if checks.whole("threads", count, least=1) > 1 and not can_have_threads():
        raise checks.Error(
            f"threads is {count}, but a process forked from one with threads can use only 1; start it with "
            'multiprocessing.get_context("spawn"), or set NUMBA_THREADING_LAYER=workqueue'
        )
    if count > most:
        raise checks.Error(f"threads is {count}, but this process can use 1 to {most}")
    if count > 1 and name not in THREADED:
        raise checks.Error(f"backend {name!r} runs on one thread; for more, use {' or '.join(THREADED)}")


def cores_of(name: str, threads: int | None = None) -> int | None:
    """How many cores that backend uses at most, with so many threads, or as many as kernels use now; None for all."""
    if name == "numpy":
        return None
    return (threads or thread_count()) if name in THREADED else 1


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let kernels use this many threads for a while; None leaves the number to be chosen."""
    if count is None:
        yield
        return
    start()
    before = thread_count()
    numba.set_num_threads(count)
    token = thread_choice.given.set(True)
    try:
        yield
    finally:
        thread_choice.given.reset(token)
        numba.set_num_threads(before)
