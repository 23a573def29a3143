"""A backend is a choice of one rung per operation, and the four formulas written with them.

    forward      A^l     = f(A^{l-1}·W^l + b^l)
    output       delta^L = ∂L/∂A^L ⊙ f'(Z^L)
    propagate    delta^l = (delta^{l+1}·(W^{l+1})ᵀ) ⊙ f'(Z^l)
    gradients    dW^l    = (A^{l-1})ᵀ·delta^l,     db^l = Σ_rows delta^l

Only this file chooses a rung. (It is called backend and not backends because `jitnet.backends()` is a function.)
"""

import contextlib
import copy
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
from ..compiler.threads import LEAST_FLOP, thread_count
from ..compiler.types import Matrix, Vector
from ..kernels import LADDERS, SIGNATURES
from ..kernels.activations import CODES, IDENTITY
from ..losses import Loss
from . import thread_choice

Report = Callable[[int, int, str], None]
"""Called with (done, total, name of the kernel) while kernels are compiled."""

Call = tuple[Kernel, tuple[Any, ...]]
"""A kernel and its arguments."""


BEST = ("tile_parallel", "polynomial_parallel", "wide_parallel", "ahead_parallel", "njit")
"""Rungs in the order in which `fast` prefers them; the parallel ones use threads only where that pays."""

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


class Recording(dict[str, Kernel]):
    """Operation -> what notes down a call of it; made when it is asked for, since a network needs but a few."""

    def __init__(self, make: Callable[[str], Kernel]) -> None:
        self._make = make

    def __missing__(self, operation: str) -> Kernel:
        return self._make(operation)


class Backend:
    """One rung per operation, chosen by name, and the four formulas in terms of them."""

    dtypes: tuple[np.dtype[Any], ...] = (np.dtype(np.float32), np.dtype(np.float64))

    def __init__(self, name: str) -> None:
        self.name = name
        self.kernels: dict[str, Kernel] = {operation: CHOICES[name](operation) for operation in LADDERS}

    memory = staticmethod(aligned)
    """memory(shape, dtype): zeros where this backend calculates."""

    def to_device(self, array: Any) -> Any:
        """An array of NumPy where this backend calculates: itself, unless that is elsewhere."""
        return array

    def to_host(self, array: Any) -> Any:
        """And back: an array of NumPy with what is in an array of the backend."""
        return array

    def forward(self, X: Matrix, W: Matrix, b: Vector, f: str, Z: Matrix, A: Matrix) -> None:
        """A = f(X·W + b). Z keeps the pre-activation, unless it is A."""
        run = self.kernels
        if Z is A and f in CODES:
            run["layer"](X, W, b, CODES[f], A)
        else:
            run["layer"](X, W, b, IDENTITY, Z)
            run[f](Z, A)

    def output(
        self, loss: Loss, scale: Any, Z: Matrix, A: Matrix, Y: Matrix, f: str, delta: Matrix, losses: Vector
    ) -> None:
        """delta = ∂L/∂A ⊙ f'(Z), and the loss of each sample."""
        run = self.kernels
        if loss.reads_Z:
            run[loss.name](Z, A, Y, scale, delta, losses)
        elif f in CODES:
            run[loss.name](A, Y, scale, CODES[f], delta, losses)
        else:
            run[loss.name](A, Y, scale, IDENTITY, delta, losses)
            run[f + "_derivative"](A, delta, delta)

    def propagate(self, delta_next: Matrix, W_next: Matrix, A: Matrix, f: str, delta: Matrix) -> None:
        """delta = (delta_next·W_nextᵀ) ⊙ f'(Z)."""
        run = self.kernels
        if f in CODES:
            run["delta"](delta_next, W_next, A, CODES[f], delta)
        else:  # softmax mixes the units of a sample
            run["delta"](delta_next, W_next, A, IDENTITY, delta)
            run[f + "_derivative"](A, delta, delta)

    def gradients(self, X: Matrix, delta: Matrix, dW: Matrix, db: Vector) -> None:
        """dW = Xᵀ·delta, db = Σ_rows delta."""
        self.kernels["gradients"](X, delta, dW, db)

    def descend(self, X: Matrix, delta: Matrix, lr: Any, weight_decay: Any, W: Matrix, b: Vector) -> None:
        """W ← W − lr·(Xᵀ·delta + weight_decay·W), b ← b − lr·(Σ_rows delta + weight_decay·b)."""
        self.kernels["descend"](X, delta, lr, weight_decay, W, b)

    def recorded(self, dtype: np.dtype[Any], passes: "Callable[[Backend], object]") -> list[Call]:
        """The calls that `passes` makes of a backend, as (kernel, arguments), without making them.

        Arrays stay where they are from batch to batch, so what is recorded once can be repeated for every batch, and
        no Python runs between the kernels but the loop over the list. A compiled kernel is taken without the
        dispatcher that would look at the types of its arguments every time.
        """
        calls: list[Call] = []

        def record(kernel: Kernel, *arguments: Any) -> None:
            calls.append((kernel, arguments))

        recorder = copy.copy(self)
        recorder.kernels = Recording(lambda operation: functools.partial(record, self.direct(operation, dtype)))
        passes(recorder)
        return calls

    def direct(self, operation: str, dtype: np.dtype[Any]) -> Kernel:
        """The machine code of a kernel for this dtype, if it is compiled; it takes arguments of just these types."""
        return entry_point(self.kernels[operation], signature_for(SIGNATURES[operation], dtype))

    def spread(self, flop: int, *kind: Hashable, is_repeated: bool = False) -> Any:
        """For `with`: work of so many FLOP, on as many threads as suit it now, unless the user has said how many.

        `kind` names work that takes about the same time for each FLOP, so that its calls can be compared. It gives
        `Turns`, or None where there is nothing to choose. Work that is repeated is tried on one thread at any size.
        """
        least = 0 if self.name == "parallel" else LEAST_FLOP  # `fast` asks the same before it starts a parallel loop
        if self.name not in THREADED or flop < least:
            return thread_choice.NOTHING
        return thread_choice.turns(flop, (self.name, *kind), is_repeated)

    def compile(self, operations: Iterable[str], dtype: np.dtype[Any], report: Report | None = None) -> int:
        """Compile these operations, or load them from the cache, so that nothing has to stop for it later.

        Returns how many of them were not in the cache.
        """
        wanted = [(name, self.kernels[name], signature_for(SIGNATURES[name], dtype)) for name in operations]
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
        return len(self.dtypes) * sum(is_compiled(kernel) for kernel in self.kernels.values())


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
