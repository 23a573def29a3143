"""The GPU: the only file that imports `cuda`, and what is different where there is no GPU but Numba's simulator.

Numba's simulator (NUMBA_ENABLE_CUDASIM=1) runs kernels as Python threads, so that they can be tested on any machine.
What it cannot do is switched here, by `SIMULATED`: it knows no alignment and no warps, and a block of more than some 64
threads takes for ever, so tiles are small there.
"""

import functools
import importlib.metadata
import importlib.util
import warnings
from typing import Any

import numba
import numpy as np
from numba import int64, uint32

if importlib.util.find_spec("numba_cuda") is None:  # what Numba itself still carries under that name is an old copy
    raise ImportError("the package numba-cuda is missing: pip install 'jitnet[cuda]'")

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's, for a timedelta that numba-cuda makes on import
    from numba import cuda as cuda
    from numba.cuda.core import config

SIMULATED = bool(numba.config.ENABLE_CUDASIM)

if not SIMULATED and not hasattr(np, "row_stack"):  # NumPy 2.5 dropped it, and numba-cuda 0.30 overloads it on import
    vars(np)["row_stack"] = np.vstack  # a name that type checkers know or not, by NumPy's version
    try:
        import numba.cuda.np.arrayobj
    finally:
        del vars(np)["row_stack"]

config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # a small network fills no GPU, and its user need not hear of it at each launch

if SIMULATED:
    from . import simulator  # noqa: F401  makes it quick

ALIGNMENT = None if SIMULATED else 16
"""Of shared memory, in bytes: then four floats can be moved at once."""

WARP = 32
"""Threads that run in step, and whose loads are served together."""

device: Any = cuda.jit(device=True) if SIMULATED else cuda.jit(device=True, forceinline=True, lineinfo=True)
"""For helpers that kernels call: each is inlined, with its constants, so that loops over them can be unrolled."""


@device
def unsigned(i):
    """i, which is not negative and fits into 32 bits. The compiler has to be told: an index that might be negative is
    looked at, each time, since in Python it would count from the end."""
    return int64(uint32(i))


@device
def thread():
    """The number of this thread in its block."""
    return unsigned(cuda.threadIdx.x)


@device
def block():
    """The number of this block."""
    return unsigned(cuda.blockIdx.x)


def name() -> str:
    """What the GPU calls itself."""
    if SIMULATED:
        return "Numba's simulator"
    found = cuda.get_current_device().name  # bytes from NVIDIA's bindings of the driver, text from cuda-core
    return found.decode() if isinstance(found, bytes) else str(found)


@functools.cache
def stream() -> Any:
    """Where all work of this process queues up: kernels and copies run in the order in which they were asked for."""
    return cuda.stream()


def transposed(A: Any) -> Any:
    """The transpose of a matrix on the GPU as a view; Numba's own `.T` would start a kernel that copies it."""
    if isinstance(A, np.ndarray) or SIMULATED:
        return A.T
    from numba.cuda.cudadrv.devicearray import DeviceNDArray

    return DeviceNDArray(A.shape[::-1], A.strides[::-1], A.dtype, A.stream, A.gpu_data)


def free_memory() -> float:
    """Bytes that can still be had on the GPU."""
    return float(cuda.current_context().get_memory_info().free)


OLDEST = {"12": (5, 0), "13": (7, 5)}
"""Version of CUDA -> compute capability of the oldest GPUs that it knows."""


def obstacle() -> str | None:
    """Why nothing can be calculated on a GPU here, and how to fix it; None if something can."""
    if SIMULATED:
        return None
    from cuda.bindings import driver

    try:
        (status,) = driver.cuInit(0)
    except RuntimeError:  # which is how it says that there is no such library
        return "there is no NVIDIA driver: install the one for your GPU, https://www.nvidia.com/drivers"
    if status in (driver.CUresult.CUDA_ERROR_NO_DEVICE, driver.CUresult.CUDA_ERROR_INVALID_DEVICE):
        return "the driver finds no NVIDIA gpu: plug one in, or see what hides it (CUDA_VISIBLE_DEVICES, a container)"
    if status != driver.CUresult.CUDA_SUCCESS:
        return f"the NVIDIA driver does not start ({status.name}): install it anew, https://www.nvidia.com/drivers"
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


def unsuitable(toolkit: str, speaks: int, capability: tuple[int, int]) -> str | None:
    """Why gpu, driver and the installed version of CUDA do not go together, and which extra would.

    toolkit     version of the installed packages, such as "13.0.1"
    speaks      newest version of CUDA that the driver knows, such as 12040 for 12.4
    capability  of the GPU, such as (9, 0)
    """
    major = toolkit.split(".")[0]
    of_gpu = f"the GPU has compute capability {capability[0]}.{capability[1]}"
    if capability < OLDEST["12"]:
        return f"{of_gpu}, and CUDA 12, the oldest that numba-cuda works with, begins at 5.0: it needs a newer GPU"
    if capability < OLDEST.get(major, (0, 0)):
        return f"{of_gpu}, and the installed CUDA {major} begins at 7.5: pip install 'jitnet[cuda12]'"
    if speaks // 1000 < 12:
        return f"the driver knows CUDA {speaks // 1000}, and numba-cuda needs 12 or 13: update the driver"
    if speaks // 1000 < int(major):
        return (
            f"the driver knows CUDA {speaks // 1000}.{speaks % 1000 // 10}, and the installed packages are of CUDA "
            f"{major}: update the driver, or pip install 'jitnet[cuda12]'"
        )
    return None
