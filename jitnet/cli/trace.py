"""Show how a kernel accesses memory: strides, reuse and cache misses of each source line, as a table and a plot.

The kernel's source is interpreted, and every array access is recorded. The data caches of this machine are simulated
for these accesses, and the time predicted from them is compared with the measured time. Use small sizes, because each
access takes about 5 µs. A few rows often show the same as many: --size 2x64x512, or 12x64x512 for tiles of six rows.

Not simulated are changes by the compiler (numbers kept in registers, interchanged loops), accesses inside NumPy
functions except to their arguments and results, prefetchers, address translation and other cores. A parallel loop is
traced as the work of one thread that executes all iterations in order. With --cache, the given caches are simulated
instead of those of this machine, and no time is predicted.
"""

import argparse
import contextlib
import math
import sys
from collections.abc import Callable
from typing import Any

from .. import checks
from ..lab import estimate, loading, machine, oracle, problems
from ..lab.ladder import shape_of
from ..lab.problems.operations import PRODUCTS
from ..lab.sanitizer import arguments
from ..lab.trace import caches, plots, recording, table, tracing
from .check import check_fits, kernel_of
from .shared import as_json, call_options, check_paths, dtype_option, measuring, output_options, plot_option, say_where

SIZE = "64"

SMALL = 12, 24
"""Sizes of guessed arguments, from whose access counts those of other sizes are extrapolated."""

SMALL_SHAPE = 12, 64, 64
"""The same for an operation: two tiles of six rows, as wide as the widest."""

ACCESS = 5e-6
"""Seconds to record an access, on an idle machine."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="operation.rung such as matmul.njit, file.py:function, or module:function")
    parser.add_argument(
        "--size", metavar="N", help="64 (default), or m x n_in x n_out: 2x64x512; for guessed arguments a number"
    )
    call_options(
        parser, "'ones((64, 64), float32), empty(64)'. Without these options, the arguments are guessed, as by `jitnet "
        "check`", "; of its largest small shape, or of --size",
    )  # fmt: skip
    parser.add_argument(
        "--cache", nargs="+", metavar="LEVEL", help="size/ways of each level, such as L1=48K/12 L2=2M/16"
    )
    dtype_option(parser)
    plot_option(parser, "the arrays at several times, colored by when their elements are accessed")
    output_options(parser)


def run(options: argparse.Namespace) -> int:
    check_paths(options, writes=("plot",))
    checks.dtype_of(options.dtype)
    levels = caches.parsed(options.cache) if options.cache else None
    with contextlib.redirect_stdout(sys.stderr):  # what the kernel prints is not a result
        kernel, operation = kernel_of(options)
        given, expected = _arguments(options, kernel, operation)
        if levels is None and not machine.cached():
            expected += estimate.LIMITS
        with measuring(options, expected) as show:
            found = tracing.trace(
                kernel, given, operation, levels, time=levels is None, name=options.target, report=show.measuring
            )
            if options.plot is not None:
                plots.draw(found, options.plot)
    say_where(options)
    print(as_json(found) if options.json else table.as_text(found))
    return 0


def _arguments(options: argparse.Namespace, kernel: Callable[..., Any], operation: str | None) -> tuple[Any, float]:
    """The arguments, and about how many seconds their trace takes."""
    size = options.size or SIZE
    if options.args is not None:
        if options.size is not None:
            raise checks.Error("--size and --args both give a size; leave one out")
        return loading.evaluated(options.args, function=kernel), 0.0
    if options.problem is not None:
        problem = problems.tried(options.problem)
        check_fits(problem, kernel)
        shape = shape_of(size, problem) if options.size else max(arguments.small_shapes(problem), key=math.prod)
        dtype = options.dtype if options.dtype in problem.dtypes else problem.dtypes[0]
        return problem.case(shape, dtype).arguments, 0.0
    if operation is not None:
        check_fits(problems.of_operation(problems.operation_called(operation)), kernel)
        expected = _expected(kernel, operation, shape_of(size), options.dtype)
        _check_count(size, int(expected), "fewer rows, such as 12x64x512")
        return oracle.case(operation, shape_of(size), options.dtype).arguments, expected * ACCESS
    if not size.isdecimal() or not int(size):
        raise checks.Error(f"size is {size!r}, but must be a whole number such as 64; m x n_in x n_out needs --as")
    cases = arguments.guessed(kernel, options.dtype, [*SMALL, int(size)])
    few, more = (len(tracing.recorded(kernel, next(cases))[-1]) for _ in SMALL)
    expected = more * (more / few) ** math.log2(int(size) / SMALL[-1])
    _check_count(size, int(expected), "a smaller --size")
    return next(cases), expected * ACCESS


def _expected(kernel: Callable[..., Any], operation: str, shape: oracle.Shape, dtype: str) -> float:
    """The number of accesses at this shape, from those at a small one."""
    rows, *columns = SMALL_SHAPE
    small = tuple(map(min, shape, (rows if operation in PRODUCTS else max(columns), *columns)))
    try:
        few = len(tracing.recorded(kernel, oracle.case(operation, small, dtype).arguments)[-1])
    except checks.Error:  # a user's kernel may need multiples of its blocks: then two accesses per multiply-add
        return 2.0 * _work(operation, shape)
    return few * _work(operation, shape) / _work(operation, small)


def _work(operation: str, shape: oracle.Shape) -> int:
    """Multiply-adds of a product; the numbers of the largest array of another operation."""
    return math.prod(shape if operation in PRODUCTS else sorted(shape)[-2:])


def _check_count(size: str, count: int, instead: str) -> None:
    """An error if this estimate is far above the limit; a recording counts accesses exactly."""
    if count > 2 * recording.MOST:
        raise checks.Error(f"size {size} has too many accesses to trace, about {count:,}; take {instead}")
