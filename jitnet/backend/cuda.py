"""The backend `cuda`: the best rungs for the GPU, and memory there. What is missing is said in one line."""

import contextlib
import importlib.util
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .. import checks
from ..compiler.registry import Call
from . import Backend, Report

BEST = ("pipelined", "rows", "elements")
"""Rungs of the GPU that the backend takes. `tensorcore` is faster, and calculates with fewer digits."""


def obstacle() -> str | None:
    """What keeps the backend from working here, the package, the driver or the GPU, and how to get it; else None."""
    if importlib.util.find_spec("numba_cuda") is None:
        return "the package numba-cuda is missing: pip install 'jitnet[cuda]', or 'jitnet[cuda12]' for an older driver"
    from ..compiler.cuda import device

    return device.obstacle()


class GpuBackend(Backend):
    """The GPU: kernels of `kernels/cuda`, arrays in its memory."""

    dtypes = (np.dtype(np.float32),)
    threaded = {}  # noqa: RUF012

    def __init__(self) -> None:
        missing = obstacle()
        if missing:
            raise checks.Error(f"backend 'cuda' does not work here: {missing}")
        from ..kernels.cuda import LADDERS

        self.name = "cuda"
        self.kernels = {
            operation: next(ladder[rung] for rung in BEST if rung in ladder) for operation, ladder in LADDERS.items()
        }

    @staticmethod
    def memory(shape: Any, dtype: Any) -> Any:
        return _to_gpu(np.zeros(shape, dtype))

    def to_device(self, array: Any) -> Any:
        return _to_gpu(array) if isinstance(array, np.ndarray) else array

    def to_host(self, array: Any) -> Any:
        if isinstance(array, np.ndarray):
            return array
        from ..compiler.cuda.device import stream

        copy = array.copy_to_host(stream=stream())
        stream().synchronize()
        return copy

    def bound(self, calls: list[Call], dtype: np.dtype[Any], threads: int = 1) -> list[Any]:
        """The launches that the calls come to."""
        from ..compiler.cuda.registry import recording

        with recording() as launches:
            self.run(calls)
        return launches

    def prepare(self, calls: list[Call], dtype: np.dtype[Any], report: Report | None = None) -> int:
        return self.compile(dict.fromkeys(call.operation for call in calls), dtype, report)

    def compile(self, operations: Iterable[str], dtype: np.dtype[Any], report: Report | None = None) -> int:
        launches = {launch: name for name in operations for launch in self._launches(name)}
        wanted = [launch for launch in launches if not launch.is_compiled]
        missing = {launch for launch in wanted if not launch.is_cached}
        done = 0
        for launch in wanted:
            if launch in missing and report:
                report(done, len(missing), launches[launch])
            launch.compile()
            done += launch in missing
        if missing and report:
            report(len(missing), len(missing), "")
        return len(missing)

    @property
    def compiles(self) -> int:
        return len({launch for name in self.kernels for launch in self._launches(name)})

    def _launches(self, operation: str) -> list[Any]:
        """Of its rung, and those that stand for it in a recorded step."""
        from ..kernels.cuda.clock import RECORDED

        return [*self.kernels[operation].launches, *RECORDED.get(operation, [])]  # type: ignore[attr-defined]


def _to_gpu(array: Any) -> Any:
    from ..compiler.cuda.device import cuda, stream

    with _room_for(array.nbytes):
        return cuda.to_device(array, stream())


@contextlib.contextmanager
def _room_for(size: int) -> Iterator[None]:
    """Turns the driver's word for "no memory" into ours."""
    from numba.cuda.cudadrv.driver import CudaAPIError

    try:
        yield
    except CudaAPIError as error:
        if "OUT_OF_MEMORY" not in str(error):
            raise
        raise checks.Error(
            f"the GPU has no room for {in_words(size)}: {in_words(free_memory())} are free; "
            "take fewer samples at a time, or another backend"
        ) from None


def free_memory() -> float:
    """Bytes that can still be had on the GPU."""
    from ..compiler.cuda import device

    return device.free_memory()


def in_words(size: float) -> str:
    """Bytes for people: 1.5 GB."""
    for unit, factor in (("GB", 2**30), ("MB", 2**20), ("KB", 2**10)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}" if math.isfinite(size) else f"any number of {unit}"
    return f"{size:.0f} bytes"
