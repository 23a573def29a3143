"""The same operations on the GPU, under the same names: kernels that say what one thread does, compiled by Numba.

A GPU runs a kernel as blocks of threads. Threads of a block share a small, fast memory and can wait for one another
(`syncthreads`); 32 of them, a warp, run in step. Global memory is large and far: what counts is how often a number is
read from it, and whether neighbours in a warp read neighbours in memory, which costs them one trip together.

    LADDERS["matmul"]["shared"](X, W, Z)     as on the CPU; arrays of NumPy are copied to the GPU and back

All in float32. The letters are those of `jitnet.kernels`. Importing this needs the package numba-cuda, and no GPU.
"""

from ...compiler.cuda.registry import LADDERS
from . import activations, clock, dense, gather, losses, matmul, optimizers, softmax, tensorcore

__all__ = [
    "LADDERS", "activations", "clock", "dense", "gather", "losses", "matmul", "optimizers", "softmax", "tensorcore",
]  # fmt: skip
