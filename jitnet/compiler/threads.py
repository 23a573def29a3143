"""When a loop uses more than one thread, and how it is partitioned.

Starting a parallel region costs a microsecond or two, so small work stays on one thread: a kernel calls `threads_pay`
and runs the same loop with `range` or with `prange`. The partition never changes the order of a sum, so it changes no
bit of any result.
"""

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
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


@type_callable(thread_count)
def _type_of_thread_count(context):
    start_layer()  # which defines the symbol
    return lambda: types.intp


@lower_builtin(thread_count)
def _thread_count(context, builder, signature, arguments):
    # By symbol: Numba's own version puts an address into the machine code, which differs from process to process.
    # It returns a C int; Numba's parallel loops declare a wider result, so the upper half is dropped here
    intp = context.get_value_type(types.intp)
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(intp, []), "get_num_threads")
    return builder.sext(builder.trunc(builder.call(function, []), ir.IntType(32)), intp)


@part_of_kernels
def threads_pay(flop: int) -> bool:
    """True if the work is large enough for a parallel region."""
    return flop >= LEAST_FLOP and thread_count() > 1


@part_of_kernels
def parts_of(size: int) -> int:
    """The number of parts into which a vector of that size is divided."""
    return (size + PART - 1) // PART
