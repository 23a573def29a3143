"""Show the hottest loop of a function next to its machine code, with verdicts in plain words."""

import argparse
import json

from .. import checks
from ..lab import estimate, explain
from .shared import call_options, dtype_option, gpu_instrument, measuring, output_options

SIZE = "512"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", help="operation.rung such as matmul.packed, or your function: file.py:function, module:function"
    )
    dtype_option(parser, "of a rung, or with --as: float32 (default) or float64")
    call_options(parser, "'np.ones(9), 3', 'np.ones((64, 64)), 3'")
    parser.add_argument("--types", metavar="TYPES", help="or of these types: 'float32[::1], int64', 'float32[:,::1]'")
    parser.add_argument(
        "--options", metavar="EXPR", help="compile with these options instead: 'fastmath=True, error_model=\"numpy\"'"
    )
    parser.add_argument(
        "--analyzer",
        metavar="PROGRAM",
        help="predict cycles with llvm-mca, osaca or this path (default: the first one found)",
    )
    parser.add_argument(
        "--size", metavar="N",
        help="size of a rung, or with --as: 512 (default), or m x n_in x n_out: 64x784x128; with --problem: one of its "
        "sizes (default: the first of TIMED)",
    )  # fmt: skip
    parser.add_argument("--no-run", action="store_true", help="predict only; do not run it to measure cycles and lines")
    parser.add_argument("--backend", metavar="NAME", help="cuda: a rung of the GPU; this needs no GPU and no driver")
    parser.add_argument("--capability", metavar="N.N", help="compute capability of that GPU (default 9.0)")
    output_options(parser)


def run(options: argparse.Namespace) -> int:
    if _on_gpu(options):
        return _explain_gpu(options)
    size = options.size or ("" if options.problem else SIZE)
    with measuring(options, 2 * estimate.EXPLAINED) as show:
        found = explain.explain(
            options.target, options.dtype, options.args, options.types, options.options, options.operation,
            show.measuring, options.analyzer, None if options.no_run else size, options.problem,
        )  # fmt: skip
    print(json.dumps(found) if options.json else explain.as_text(found))
    return 0


def _on_gpu(options: argparse.Namespace) -> bool:
    """Whether to explain a rung of the GPU; an error for options that it does not have."""
    if options.backend is None:
        if options.capability is not None:
            raise checks.Error("--capability is for a GPU; give --backend cuda too, or leave it out")
        return False
    if options.backend != "cuda":
        raise checks.Error("without --backend, explain compiles for the CPU; --backend can only be cuda")
    given = (
        options.args, options.types, options.problem, options.options, options.analyzer, options.size,
        options.no_run or None,
    )  # fmt: skip
    if any(option is not None for option in given) or options.dtype != "float32":
        raise checks.Error(
            "with --backend cuda, --args, --types, --problem, --options, --analyzer, --size, --no-run and --dtype "
            "float64 have no effect; leave them out"
        )
    return True


def _explain_gpu(options: argparse.Namespace) -> int:
    explaining = gpu_instrument("explaining")
    with measuring(options, estimate.ON_GPU) as show:
        found = explaining.explain(options.target, options.capability or "9.0", report=show.measuring)
    print(json.dumps(found) if options.json else explaining.as_text(found))
    return 0
