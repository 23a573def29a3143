"""The GPU: the only file that imports `cuda`, with the differences between a GPU and Numba's simulator.

Numba's simulator (NUMBA_ENABLE_CUDASIM=1) runs kernels as Python threads, so that they can be tested on any machine.
`SIMULATED` selects what the simulator cannot do: it has no alignment and no warps, and a block of more than about 64
threads takes too long, so tiles are small there.
"""

import functools
import importlib.metadata
import importlib.util
import warnings
from typing import Any

import numba
import numpy as np
from numba import int64, uint32

if importlib.util.find_spec("numba_cuda") is None:  # Numba's built-in numba.cuda is an old copy
    raise ImportError("the package numba-cuda is missing: pip install 'jitnet[cuda]'")

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy, for a timedelta in numba-cuda
    from numba import cuda as cuda
    from numba.cuda.core import config

SIMULATED = bool(numba.config.ENABLE_CUDASIM)

if not SIMULATED and not hasattr(np, "row_stack"):  # NumPy 2.5 removed it, and numba-cuda 0.30 overloads it
    vars(np)["row_stack"] = np.vstack  # vars(): type checkers know this name or not, depending on NumPy's version
    try:
        import numba.cuda.np.arrayobj
    finally:
        del vars(np)["row_stack"]

config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # a small network does not fill a GPU, and each launch would warn

if SIMULATED:
    from . import simulator  # noqa: F401  makes the simulator faster

ALIGNMENT = None if SIMULATED else 16
"""Alignment of shared memory in bytes, for float4 loads and stores."""

WARP = 32
"""Threads that execute together, and whose memory accesses are combined."""

device: Any = cuda.jit(device=True) if SIMULATED else cuda.jit(device=True, forceinline=True, lineinfo=True)
"""For helpers that kernels call: each is inlined with its constants, so that loops can be unrolled."""


@device
def unsigned(i):
    """i, which is not negative and fits into 32 bits. Otherwise the compiler tests each index, because a negative index
    counts from the end in Python."""
    return int64(uint32(i))


@device
def thread():
    """The index of this thread in its block."""
    return unsigned(cuda.threadIdx.x)


@device
def block():
    """The index of this block."""
    return unsigned(cuda.blockIdx.x)


def name() -> str:
    """The name of the GPU."""
    if SIMULATED:
        return "Numba's simulator"
    found = cuda.get_current_device().name  # bytes from the driver bindings, str from cuda-core
    return found.decode() if isinstance(found, bytes) else str(found)


@functools.cache
def stream() -> Any:
    """The CUDA stream of this process: its kernels and copies run in the order of the calls."""
    return cuda.stream()


def transposed(A: Any) -> Any:
    """The transpose of a matrix on the GPU as a view; Numba's own `.T` would launch a kernel that copies it."""
    if isinstance(A, np.ndarray) or SIMULATED:
        return A.T
    from numba.cuda.cudadrv.devicearray import DeviceNDArray

    return DeviceNDArray(A.shape[::-1], A.strides[::-1], A.dtype, A.stream, A.gpu_data)


def free_memory() -> float:
    """Free memory of the GPU in bytes."""
    return float(cuda.current_context().get_memory_info().free)


OLDEST = {"12": (5, 0), "13": (7, 5)}
"""Version of CUDA -> compute capability of the oldest GPUs that it supports."""


def obstacle() -> str | None:
    """Why the GPU cannot be used, and how to fix it; None if it can."""
    if SIMULATED:
        return None
    from cuda.bindings import driver

    try:
        (status,) = driver.cuInit(0)
    except RuntimeError:  # there is no driver library
        return "there is no NVIDIA driver: install the one for your GPU, https://www.nvidia.com/drivers"
    if status in (driver.CUresult.CUDA_ERROR_NO_DEVICE, driver.CUresult.CUDA_ERROR_INVALID_DEVICE):
        return "the driver finds no NVIDIA GPU: install one, or check what hides it (CUDA_VISIBLE_DEVICES, a container)"
    if status != driver.CUresult.CUDA_SUCCESS:
        return f"the NVIDIA driver does not start ({status.name}): reinstall it, https://www.nvidia.com/drivers"
    toolkit = importlib.metadata.version("cuda-bindings")
    found = unsuitable(toolkit, driver.cuDriverGetVersion()[1], _capability(driver))
    if found is None and not cuda.nvvm.is_available():
        return f"the compiler for the GPU is missing: pip install 'jitnet[{'cuda12' if toolkit < '13' else 'cuda'}]'"
    return found


def _capability(driver: Any) -> tuple[int, int]:
    kind = driver.CUdevice_attribute
    asked = kind.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, kind.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
    major, minor = (driver.cuDeviceGetAttribute(attribute, driver.cuDeviceGet(0)[1])[1] for attribute in asked)
    return major, minor


def unsuitable(toolkit: str, supports: int, capability: tuple[int, int]) -> str | None:
    """Why GPU, driver and the installed version of CUDA do not work together, and which extra to install.

    toolkit     version of the installed packages, such as "13.0.1"
    supports    newest version of CUDA that the driver supports, such as 12040 for 12.4
    capability  of the GPU, such as (9, 0)
    """
    major = toolkit.split(".")[0]
    of_gpu = f"the GPU has compute capability {capability[0]}.{capability[1]}"
    if capability < OLDEST["12"]:
        return f"{of_gpu}, but CUDA 12, the oldest that numba-cuda supports, needs 5.0: use a newer GPU"
    if capability < OLDEST.get(major, (0, 0)):
        return f"{of_gpu}, but the installed CUDA {major} needs 7.5: pip install 'jitnet[cuda12]'"
    if supports // 1000 < 12:
        return f"the driver supports CUDA {supports // 1000}, but numba-cuda needs 12 or 13: update the driver"
    if supports // 1000 < int(major):
        return (
            f"the driver supports CUDA {supports // 1000}.{supports % 1000 // 10}, but the installed packages are for "
            f"CUDA {major}: update the driver, or pip install 'jitnet[cuda12]'"
        )
    return None
