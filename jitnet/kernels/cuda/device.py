"""The card: the only file that imports `cuda`, and what is different where there is no card but Numba's simulator.

Numba's simulator (NUMBA_ENABLE_CUDASIM=1) runs kernels as Python threads, so that they can be tested on any machine.
What it cannot do is switched here, by `SIMULATED`: it knows no alignment and no warps, and a block of more than some 64
threads takes for ever, so tiles are small there.
"""

import functools
import importlib.util
from typing import Any

import numba

if importlib.util.find_spec("numba_cuda") is None:  # what Numba itself still carries under that name is an old copy
    raise ImportError("the package numba-cuda is missing: pip install 'jitnet[cuda]'")

from numba import cuda as cuda

SIMULATED = bool(numba.config.ENABLE_CUDASIM)

ALIGNMENT = None if SIMULATED else 16
"""Of shared memory, in bytes: then four floats can be moved at once."""

WARP = 32
"""Threads that run in step, and whose loads are served together."""

device: Any = cuda.jit(device=True) if SIMULATED else cuda.jit(device=True, forceinline=True)
"""For helpers that kernels call: each is inlined, with its constants, so that loops over them can be unrolled."""


@functools.cache
def stream() -> Any:
    """Where all work of this process queues up: kernels and copies run in the order in which they were asked for."""
    return cuda.stream()


def transposed(A: Any) -> Any:
    """The transpose of a matrix on the card as a view; Numba's own `.T` would start a kernel that copies it."""
    if SIMULATED:
        return A.T
    from numba.cuda.cudadrv.devicearray import DeviceNDArray

    return DeviceNDArray(A.shape[::-1], A.strides[::-1], A.dtype, A.stream, A.gpu_data)
