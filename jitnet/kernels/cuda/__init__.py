"""The same operations on the GPU, under the same names: each kernel describes one thread and is compiled by Numba.

A GPU runs a kernel as blocks of threads. The threads of a block share a small, fast memory and can wait for one another
(`syncthreads`); 32 of them, a warp, execute together. Global memory is large and slow. Two things matter: how often a
kernel reads each number from it, and whether the threads of a warp read neighboring addresses, which takes one memory
access for all of them.

    LADDERS["matmul"]["shared"](X, W, Z)     as on the CPU; NumPy arrays are copied to the GPU and back

All kernels are in float32. The letters are those of `jitnet.kernels`. The import needs the package numba-cuda, but no
GPU.
"""

import importlib
import pkgutil

from ...compiler.cuda.registry import LADDERS as LADDERS
from . import activations, losses

for file in pkgutil.iter_modules(__path__):  # each registers its operations
    importlib.import_module(f"{__name__}.{file.name}")


def complete() -> None:
    """Register for the GPU what was registered for the CPU since."""
    activations.complete()
    losses.complete()
