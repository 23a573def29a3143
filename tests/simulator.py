"""Numba's simulator for cards, made quick and without its race: to be imported by the tests that run in it."""

import sys

import numpy as np
from numba.cuda.np.numpy_support import as_dtype
from numba.cuda.simulator.kernelapi import FakeCUDAShared

from jitnet.kernels.cuda import device

assert device.SIMULATED
sys.setswitchinterval(1e-4)  # it waits for threads by asking again and again; the usual 5 ms are long for that


def shared_array(self, shape, dtype, alignment=None):
    """The array of this line of the kernel, the same for all threads, whoever comes first.

    Its own version looks for the array and then makes it, and another thread may do so in between.
    """
    caller = sys._getframe(1)
    key = caller.f_code.co_filename, caller.f_lineno
    return self._allocations.setdefault(key, np.empty(shape, as_dtype(dtype)))


FakeCUDAShared.array = shared_array
