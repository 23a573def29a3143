"""When a loop uses more than one thread, and how it is partitioned.

Each rung is compiled twice from the same body: without threads, where `prange` is `range`, and as `<rung>_parallel`. A
backend chooses by the FLOP of a call, since starting a parallel region costs a microsecond or two. The partition never
changes the order of a sum, so it changes no bit of any result.
"""

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.targetconfig import ConfigStack
from numba.extending import lower_builtin, type_callable

from .jit import part_of_kernels
from .parallel_for import start_layer

LEAST_FLOP = 2_000_000
"""Measured: below two million FLOP, about 20 µs of work, two threads took as long as one, or longer."""

PART = 8192
"""Numbers in one part of an elementwise operation: 32 KB of float32, about an L1 cache."""


def thread_count() -> int:
    """The number of threads that a parallel loop would get."""
    start_layer()
    return int(numba.get_num_threads())


def loop_threads() -> int:
    """The number of threads of a `prange` loop in the calling kernel: 1 if it was compiled without threads."""
    return thread_count()


@type_callable(loop_threads)
def _type_of_loop_threads(context):
    start_layer()  # which defines the symbol
    return lambda: types.intp


@lower_builtin(loop_threads)
def _loop_threads(context, builder, signature, arguments):
    intp = context.get_value_type(types.intp)
    if not ConfigStack().top().auto_parallel.enabled:
        return intp(1)
    # By symbol: Numba's own version puts an address into the machine code, which differs from process to process.
    # It returns a C int; Numba's parallel loops declare a wider result, so the upper half is dropped here
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(intp, []), "get_num_threads")
    return builder.sext(builder.trunc(builder.call(function, []), ir.IntType(32)), intp)


@part_of_kernels
def parts_of(size: int) -> int:
    """The number of parts into which a vector of that size is divided."""
    return (size + PART - 1) // PART
