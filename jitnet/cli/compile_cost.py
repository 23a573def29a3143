"""Compile from an empty cache, load from a warm one, call, and compare with the interpreter."""

import argparse
import json

from ..lab import compile_cost, estimate, plots
from .shared import check_paths, dtype_option, measuring, output_options, plot_option, say_where


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", nargs="?", default="fast", metavar="OPERATION | BACKEND",
        help="matmul, sigmoid, ... or njit, parallel, fast (default): a training step of a small network",
    )  # fmt: skip
    parser.add_argument(
        "--size", metavar="N",
        help="128 for an operation, 32x64x32 for a step: batch x inputs x hidden units (defaults)",
    )  # fmt: skip
    dtype_option(parser)
    plot_option(parser, "the seconds spent against the number of calls")
    output_options(parser)


def run(options: argparse.Namespace) -> int:
    check_paths(options, writes=("plot",))
    with measuring(options, estimate.of_compile_cost(options.what, compile_cost.WARM)) as show:
        result = compile_cost.account(options.what, options.size, options.dtype, show.measuring)
    if options.plot is not None:
        plots.draw_compile_cost(result, options.plot)
    say_where(options)
    print(json.dumps(result) if options.json else compile_cost.as_text(result))
    return 0
