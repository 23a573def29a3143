"""The backend `cuda`: the best GPU rungs, and GPU memory. If something is missing, one line says what."""

import importlib.util
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..compiler.registry import Call
from ..process.progress import Progress
from .base import Backend, register
from .cuda_memory import to_gpu

BEST = ("pipelined", "rows", "columns", "elements")
"""The GPU rungs that the backend uses. `tensorcore` is faster, but less accurate."""


def obstacle() -> str | None:
    """Why the backend does not work here (package, driver or GPU), and how to fix it; None if it works."""
    if importlib.util.find_spec("numba_cuda") is None:
        return "the package numba-cuda is missing: pip install 'jitnet[cuda]', or 'jitnet[cuda12]' for an older driver"
    from ..compiler.cuda import device

    return device.obstacle()


@register
class GpuBackend(Backend):
    """The GPU: kernels of `kernels/cuda`, arrays in GPU memory."""

    name = "cuda"
    dtypes = (np.dtype(np.float32),)
    descends = True
    is_remote = True

    def __init__(self) -> None:
        from ..kernels.cuda import LADDERS, complete

        complete()

        self.kernels = {
            operation: next(ladder[rung] for rung in BEST if rung in ladder) for operation, ladder in LADDERS.items()
        }

    @staticmethod
    def obstacle() -> str | None:
        return obstacle()

    def ladder(self, operation: str) -> dict[str, Any]:
        from ..kernels.cuda import LADDERS

        return LADDERS[operation]

    def kernel(self, call: Call, threads: int) -> Any:
        self.check([call])
        return self.kernels[call.operation]

    @staticmethod
    def memory(shape: Any, dtype: Any) -> Any:
        return to_gpu(np.zeros(shape, dtype))

    def to_device(self, array: Any) -> Any:
        return to_gpu(array) if isinstance(array, np.ndarray) else array

    def to_host(self, array: Any) -> Any:
        if isinstance(array, np.ndarray):
            return array
        from ..compiler.cuda.device import stream

        copy = array.copy_to_host(stream=stream())
        stream().synchronize()
        return copy

    def bound(self, calls: list[Call], dtype: np.dtype[Any], threads: int = 1) -> list[Any]:
        """The launches of these calls."""
        from ..compiler.cuda.registry import recording

        with recording() as launches:
            self.run(calls)
        return launches

    def compile(self, operations: Iterable[str], dtype: np.dtype[Any], show: Progress | None = None) -> int:
        launches = {launch: name for name in operations for launch in self._launches(name)}
        wanted = [launch for launch in launches if not launch.is_compiled]
        missing = {launch for launch in wanted if not launch.is_cached}
        done = 0
        for launch in wanted:
            if launch in missing and show:
                show.compiling(done, len(missing), launches[launch])
            launch.compile()
            done += launch in missing
        if missing and show:
            show.compiling(len(missing), len(missing), "")
        return len(missing)

    @property
    def compiles(self) -> int:
        return len({launch for name in self.kernels for launch in self._launches(name)})

    def _launches(self, operation: str) -> list[Any]:
        """The launches of its rung, and those that replace it in a recorded step."""
        from ..kernels.cuda.clock import RECORDED

        return [*self.kernels[operation].launches, *RECORDED.get(operation, [])]  # type: ignore[attr-defined]

    def epoch(self, plan: Any, state: Any) -> Any:
        from .cuda_epoch import GpuEpoch

        return GpuEpoch(plan, state)
