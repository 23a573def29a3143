"""Numba's simulator for GPUs, made quick and without its race. `device` imports this where there is no GPU."""

import sys
from typing import Any

import numpy as np
from numba.cuda.np.numpy_support import as_dtype
from numba.cuda.simulator.kernelapi import FakeCUDAShared

sys.setswitchinterval(1e-4)  # it waits for threads by asking again and again; the usual 5 ms are long for that


def shared_array(self: Any, shape: Any, dtype: Any, alignment: int | None = None) -> Any:
    """The array of this line of the kernel, the same for all threads, whoever comes first.

    Its own version looks for the array and then makes it, and another thread may do so in between.
    """
    caller = sys._getframe(1)
    key = caller.f_code.co_filename, caller.f_lineno
    return self._allocations.setdefault(key, np.empty(shape, as_dtype(dtype)))


FakeCUDAShared.array = shared_array
