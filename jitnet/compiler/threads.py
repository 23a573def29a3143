"""When a loop is worth more than one thread, and how it is cut up.

Starting a parallel region costs a microsecond or two, so small work stays on one thread: a kernel asks `threads_pay`
and takes the same loop with `range` or with `prange`. Where work is cut never decides what is added to what, so it
changes no bit of any result.
"""

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable

from .jit import part_of_kernels
from .parallel_for import start_layer

LEAST_FLOP = 2_000_000
"""Measured: below two million FLOP, some 20 µs of work, two threads took as long as one, or longer."""

PART = 8192
"""Numbers in one part of an operation that works on each number alone: 32 KB of float32, about an L1 cache."""


def thread_count() -> int:
    """How many threads a parallel loop would get."""
    start_layer()
    return int(numba.get_num_threads())


@type_callable(thread_count)
def _type_of_thread_count(context):
    start_layer()  # which defines the symbol
    return lambda: types.intp


@lower_builtin(thread_count)
def _thread_count(context, builder, signature, arguments):
    # By its symbol: Numba's own version puts an address into the machine code, which is another one in every process.
    # It returns a C int; Numba's parallel loops declare it as wider, so the upper half is dropped here
    intp = context.get_value_type(types.intp)
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(intp, []), "get_num_threads")
    return builder.sext(builder.trunc(builder.call(function, []), ir.IntType(32)), intp)


@part_of_kernels
def threads_pay(flop: int) -> bool:
    """True if the work is worth the start of a parallel region."""
    return flop >= LEAST_FLOP and thread_count() > 1


@part_of_kernels
def parts_of(size: int) -> int:
    """How many parts a vector of that size is cut into."""
    return (size + PART - 1) // PART
