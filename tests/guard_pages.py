"""Runs every compiled rung on arrays at the start or end of a mapped page: an access outside an array ends the process.

    python tests/guard_pages.py float32 [--twins] [WORD ...]

--twins also runs the parallel rungs, which have the same loops. WORD selects the operations whose names contain it;
`views` selects products with views of other layouts.

Prints each rung before it runs, so that the last line names a rung that accessed other memory, and "whole" at the end.
"""

import ctypes
import mmap
import sys

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from jitnet.compiler.jit import is_compiled
from jitnet.kernels import LADDERS
from jitnet.lab import oracle

PAGE = mmap.PAGESIZE
LIBRARY = ctypes.CDLL(None)
SHAPES = [
    (1, 1, 1), (1, 3, 2), (4, 16, 7), (5, 17, 33), (7, 40, 10), (13, 5, 64), (2, 15, 65), (100, 150, 30), (6, 33, 450),
    (11, 129, 1), (3, 64, 16), (210, 9, 31), (9, 26, 45), (12, 21, 60), (70, 19, 3), (49, 2, 18),
]  # fmt: skip


def placed(array, at_the_end):
    """A copy of an array; its last byte is before a protected page, or its first byte after one."""
    room = max(-(-array.nbytes // PAGE), 1) * PAGE
    memory = mmap.mmap(-1, room + 2 * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in (start, start + PAGE + room):
        assert LIBRARY.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0) == 0
    offset = PAGE + (room - array.nbytes if at_the_end else 0)
    copy = np.frombuffer(memory, array.dtype, array.size, offset=offset).reshape(array.shape)
    copy[...] = array
    return copy, memory


def run(operation, rung, shape, dtype, at_the_end):
    print(f"{operation}.{rung}, {shape}, {dtype}, {'end' if at_the_end else 'start'}", flush=True)
    case = oracle.case(operation, shape, dtype)
    memories = []
    for i, argument in enumerate(case.arguments):
        if isinstance(argument, np.ndarray) and argument.size:
            case.arguments[i], memory = placed(argument, at_the_end)
            memories.append(memory)
    LADDERS[operation][rung](*case.arguments)
    case.check()


def run_on_views(dtype):
    """A view whose rows run backwards, overlap or are the same row: what comes after a row need not be the next one."""
    n, depth = 45, 7
    numbers = np.arange(depth * n, dtype=dtype)
    whole, few, row = (placed(each, True) for each in (numbers, numbers[: n + depth - 1], numbers[:n]))
    A = np.ones((9, depth), dtype)
    for name, B in (
        ("backwards", whole[0].reshape(depth, n)[::-1]), ("overlapping", sliding_window_view(few[0], n)),
        ("the same", np.broadcast_to(row[0], (depth, n))),
    ):  # fmt: skip
        print(f"matmul.packed, rows {name}, {dtype}", flush=True)
        C = np.empty((9, n), dtype)
        LADDERS["matmul"]["packed"](A, B, C)
        np.testing.assert_array_equal(C, A @ B)


def main(dtype, *words):
    twins, words = "--twins" in words, [word for word in words if word != "--twins"]
    for operation, ladder in LADDERS.items():
        if not words or any(word in operation for word in words):
            compiled = [name for name, kernel in ladder.items() if is_compiled(kernel)]
            for rung in compiled if twins else [name for name in compiled if not name.endswith("_parallel")]:
                for shape in SHAPES:
                    for at_the_end in (True, False):
                        run(operation, rung, shape, dtype, at_the_end)
    if not words or "views" in words:
        run_on_views(dtype)
    print("whole")


if __name__ == "__main__":
    main(*sys.argv[1:])
