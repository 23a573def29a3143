"""A backend is a choice of one rung per operation.

It executes calls (an operation and its arguments) with its kernels: directly, or bound to machine code in a list that
is repeated for every batch. Each backend declares its properties, and registers itself. (The package is called backend,
not backends, because `jitnet.backends()` is a function.)
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import numba
import numpy as np

from .. import checks
from ..compiler import registry
from ..compiler.parallel_for import can_have_threads
from ..compiler.threads import thread_count
from . import thread_choice
from .base import REGISTRY, Backend
from .cpu import start  # registers the CPU backends

from . import cuda  # isort: skip (registers itself, and is listed last)

__all__ = [
    "REGISTRY", "Backend", "backends", "check_threads", "cuda", "get", "start", "thread_choice", "threads",
]  # fmt: skip


def backends() -> list[str]:
    """Names of the backends that work on this machine.

    `python` interprets the loops, `njit` compiles the same loops, `parallel` distributes them over threads, `fast`
    is the best rung of each operation and the default, `numpy` is NumPy and its BLAS, the baseline. `cuda` is the
    GPU, in float32, if there is one and numba-cuda is installed.
    """
    return [name for name, backend in REGISTRY.items() if backend.obstacle() is None]


def get(name: str, dtype: np.dtype[Any] | None = None) -> Backend:
    """The backend of that name; with a dtype, an error if the backend does not support it.

    It is the same object every time, until a user registers an operation.
    """
    changes, run = _latest.get(name, _NEVER) if isinstance(name, str) else _NEVER
    if run is None or changes != registry.changes:
        run = _made(checks.one_of("backend", name, REGISTRY))
    if dtype is not None and dtype not in run.dtypes:
        able = " or ".join(map(str, run.dtypes))
        raise checks.Error(f"backend {name!r} computes in {able}, not in {dtype}; use that dtype, or another backend")
    return run


_latest: dict[str, tuple[int, Backend | None]] = {}
"""Name -> `registry.changes` when the backend was made, and the backend."""

_NEVER = -1, None


def _made(name: str) -> Backend:
    missing = REGISTRY[name].obstacle()
    if missing:
        raise checks.Error(f"backend {name!r} does not work here: {missing}")
    run = REGISTRY[name]()
    _latest[name] = registry.changes, run
    return run


def check_threads(count: int | None, name: str) -> None:
    """Raise an error if this backend cannot use this number of threads in this process."""
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
    if count > 1 and not REGISTRY[name].uses_threads:
        able = " or ".join(other for other, backend in REGISTRY.items() if backend.uses_threads)
        raise checks.Error(f"backend {name!r} runs on one thread; for more, use {able}")


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """For `with`: kernels use this many threads; None leaves the choice to `thread_choice`."""
    if count is None:
        yield
        return
    start()
    before = thread_count()
    numba.set_num_threads(count)
    token = thread_choice.is_set_by_user.set(True)
    try:
        yield
    finally:
        thread_choice.is_set_by_user.reset(token)
        numba.set_num_threads(before)
