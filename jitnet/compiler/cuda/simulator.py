"""Numba's CUDA simulator, made faster and without its race. `device` imports this when the simulator is on."""

import sys
from typing import Any

import numpy as np
from numba.cuda.np.numpy_support import as_dtype
from numba.cuda.simulator.kernelapi import FakeCUDAShared

sys.setswitchinterval(1e-4)  # the simulator polls its threads, and the default of 5 ms is long for that


def shared_array(self: Any, shape: Any, dtype: Any, alignment: int | None = None) -> Any:
    """The shared array of this line of the kernel, one for all threads.

    Numba's version looks the array up and then creates it, and another thread can do the same in between.
    """
    caller = sys._getframe(1)
    key = caller.f_code.co_filename, caller.f_lineno
    return self._allocations.setdefault(key, np.empty(shape, as_dtype(dtype)))


FakeCUDAShared.array = shared_array
