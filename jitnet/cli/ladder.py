"""Check every rung of an operation against float64, then time the rungs in alternation on the same data."""

import argparse
import contextlib
import json
import os
import sys
from collections import Counter
from typing import Any

from .. import checks
from ..kernels import LADDERS
from ..lab import estimate, ladder, plots, problems
from ..lab.benchmark import candidates
from ..lab.loading import check_name
from ..lab.problems import Problem
from ..process import progress
from .shared import (
    check_paths,
    could_count,
    gpu_instrument,
    measuring,
    measuring_options,
    output_options,
    plot_option,
    say_where,
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "operation", nargs="?",
        help=f"{', '.join(sorted(LADDERS))}; or train, a whole training step (default: matmul)",
    )  # fmt: skip
    parser.add_argument(
        "--problem", metavar="NAME_OR_FILE",
        help="instead of an operation, a Python file with inputs, reference, SHAPES, TIMED, flops, memory; "
        f"or {', '.join(problems.NAMES)}. Its size is the first of TIMED by default",
    )  # fmt: skip
    measuring_options(parser)
    parser.set_defaults(size=None, dtype=None)  # the problem has its own
    parser.add_argument(
        "--with", dest="custom", action="append", default=[], metavar="FILE.PY:NAME",
        help="your kernel, to rank among the rungs; also module:name; repeatable. It runs in a separate process, "
        "with at most 3/4 of the memory, and files of at most 100 MiB",
    )  # fmt: skip
    parser.add_argument(
        "--patience", type=float, default=20.0, metavar="SECONDS",
        help="time limit for one call of your kernel, without compilation (default 20)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, metavar="N", help="with --with: draw the same test shapes as the run that printed this seed"
    )
    parser.add_argument("--backend", metavar="NAME", help="cuda: the GPU's rungs instead of the CPU's")
    parser.add_argument(
        "--count", action="store_true",
        help="with --backend cuda: count memory transactions per multiply-add instead of timing; this needs no GPU",
    )  # fmt: skip
    plot_option(parser, "the speed of each rung")
    output_options(parser)


def run(options: argparse.Namespace) -> int:
    if options.problem is not None and (options.operation, options.backend) != (None, None):
        raise checks.Error("--problem names what the kernels compute; leave the operation and --backend out")
    options.operation = options.operation or "matmul"
    if options.count:
        return _count(options)
    check_paths(options, writes=("plot",))
    on_gpu = _on_gpu(options)
    named = options.problem is not None
    problem = problems.tried(options.problem) if named else candidates.problem_of(options.operation)
    custom = _names(options.custom, problem)
    apart = len(custom) + (len(problem.rungs) - 1) * problem.is_own  # the reference runs here
    shape, dtype = ladder.shape_of(options.size, problem), ladder.dtype_of(options.dtype, problem)
    reference = problem.seconds_of_reference(shape, dtype)
    seconds = estimate.of_ladder(len(problem.rungs), apart, on_gpu, problem.flops(shape), reference)
    why = estimate.slow_reference(problem, reference, apart, seconds)
    with measuring(options, seconds, why) as show:
        if on_gpu:
            result = _measured_on_gpu(options, show)
        else:
            result = ladder.compare(
                problem, custom, options.size, options.dtype, options.threads, options.patience, show.measuring,
                tell=lambda error: progress.say(f"jitnet: {' '.join(error.split())}"), seed=options.seed,
            )  # fmt: skip
    if options.plot is not None:
        plots.draw_ladder(result, options.plot)
    say_where(options)
    print(json.dumps(result) if options.json else ladder.as_text(result, _at_the_same_place()))
    return 2 if ladder.errors(result) else 0


def _on_gpu(options: argparse.Namespace) -> bool:
    """Whether to take the rungs of the GPU; an error for options that they do not have."""
    if options.backend is None:
        return False
    if options.backend != "cuda":
        raise checks.Error("the CPU backends are rungs of jitnet ladder train; --backend can only be cuda")
    if options.custom or options.threads is not None or options.dtype not in (None, "float32"):
        raise checks.Error("with --backend cuda, --with, --threads and --dtype float64 have no effect; leave them out")
    return True


def _measured_on_gpu(options: argparse.Namespace, show: progress.Progress) -> dict[str, Any]:
    try:
        return ladder.measure_gpu(options.operation, options.size, show.measuring)
    except checks.Error as error:
        if not could_count():
            raise
        raise checks.Error(f"{error}; or count memory transactions per multiply-add, without a GPU: --count") from None


def _count(options: argparse.Namespace) -> int:
    if not _on_gpu(options) or options.plot is not None or options.size is not None:
        raise checks.Error("--count needs --backend cuda, and does not work with --plot or --size; leave these out")
    transactions = gpu_instrument("transactions")
    rungs = len(transactions.LADDERS.get(options.operation, ()))
    with measuring(options, estimate.of_count(options.operation, rungs)) as show:
        result = transactions.ladder(options.operation, report=show.measuring)
    print(json.dumps(result) if options.json else transactions.as_text(result))
    return 0


def _at_the_same_place() -> bool:
    """Whether standard output and standard error go to the same terminal, pipe or file."""
    with contextlib.suppress(OSError, ValueError):  # replaced streams have no file number
        return os.path.samestat(os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno()))
    return False


def _names(texts: list[str], problem: Problem) -> dict[str, str]:
    """Name on the ladder -> text of --with. The name is the function's, or the whole text if another has that name."""
    names = [check_name(text)[1] for text in texts]
    taken = {*problem.rungs, *(name for name, count in Counter(names).items() if count > 1)}
    custom = {text if name in taken else name: text for text, name in zip(texts, names, strict=True)}
    if len(custom) < len(texts):
        raise checks.Error("--with names the same function twice")
    return custom
