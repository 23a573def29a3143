"""Options and checks that several commands share."""

import argparse
import importlib
import importlib.util
import json
import math
import os
from collections.abc import Sequence
from typing import Any

from .. import backend, checks, storage
from ..backend import cuda
from ..display.plots import ENDINGS, check_drawing
from ..process import progress

NAMED = ("digits", "mnist", "fashion_mnist")
"""Data sets that have a name."""


def backend_option(group: Any) -> None:
    group.add_argument(
        "--backend", default="fast", metavar="NAME", help=f"{', '.join(backend.REGISTRY)} (default fast)"
    )


def dtype_option(group: Any, text: str = "float32 (default) or float64") -> None:
    group.add_argument("--dtype", default="float32", metavar="NAME", help=text)


def call_options(group: Any, examples: str, shape: str = "") -> None:
    """The options that say with which arguments a user's function is called.

    examples    those of --args, and what else there is to say
    shape       the one that is taken of a problem
    """
    group.add_argument(
        "--as", dest="operation", metavar="OPERATION", help="your function takes the arguments of matmul, ..."
    )
    group.add_argument(
        "--problem", metavar="NAME_OR_FILE",
        help=f"or those of a problem: conv2d.py, or one that comes with jitnet{shape}",
    )  # fmt: skip
    group.add_argument("--args", metavar="EXPR", help=f"or these, in Python: {examples}")


def plot_option(group: Any, what: str) -> None:
    group.add_argument("--plot", metavar="FILE", help=f"draw {what}: {', '.join(ENDINGS)}")


def measuring_options(group: Any) -> None:
    group.add_argument("--size", default="512", metavar="N", help="512 (default), or m x n_in x n_out: 64x784x128")
    dtype_option(group)
    group.add_argument("--threads", type=int, metavar="N", help="threads of the parallel rungs (default: all)")


def output_options(group: Any) -> None:
    group.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    group.add_argument("--quiet", action="store_true", help="show no progress")


def check_paths(options: argparse.Namespace, reads: Sequence[str] = (), writes: Sequence[str] = ()) -> None:
    """Check that every file to be written can be written, that no two of them are the same, and that --plot can draw.

    reads, writes    names of the options that hold paths
    """
    names: dict[str, str] = {}
    for option in (*reads, *writes):
        path = getattr(options, option)
        if path is None or (option == "data" and path in (*NAMED, "-")):
            continue
        real = os.path.realpath(path)
        if real in names and option in writes:
            raise checks.Error(f"{path} is both {names[real]} and {option}; name another file")
        names[real] = option
        if option in writes:
            storage.check_writable(path)
    if "plot" in writes and options.plot is not None:
        check_drawing(options.plot)


def as_json(result: dict[str, Any]) -> str:
    """One line of JSON. JSON has no NaN and no infinity: they become null."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(part) for name, part in value.items()}
        if isinstance(value, list):
            return [plain(part) for part in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(plain(result), allow_nan=False)


def shown(options: argparse.Namespace, intro: str = "") -> progress.Progress:
    """The progress that a command shows on standard error; none with --quiet."""
    return progress.Progress() if options.quiet else progress.on_standard_error(intro)


def measuring(options: argparse.Namespace, seconds: float, why: str = "") -> progress.Progress:
    """The progress of a tool of the lab, after checking that compiled loops can run.

    seconds    an estimate of how long the command takes
    why        a sentence about what takes most of it
    """
    from ..lab import estimate  # jitnet train does not import the lab

    backend.start()
    show = shown(options)
    show.expected, show.expected_seconds = "\n".join(filter(None, [estimate.in_words(seconds), why])), seconds
    return show


def say_where(options: argparse.Namespace) -> None:
    """Print where --plot wrote its file."""
    if options.plot is not None and not options.quiet:
        progress.say(f"plot in {options.plot}")


def gpu_instrument(name: str) -> Any:
    """A module of `lab/gpu`; an error in one line if numba-cuda is missing or cannot compile."""
    try:
        explaining = importlib.import_module("jitnet.lab.gpu.explaining")
    except ImportError as error:
        raise checks.Error(str(error)) from None
    if missing := explaining.obstacle():
        raise checks.Error(missing)
    return importlib.import_module(f"jitnet.lab.gpu.{name}")


def could_count() -> bool:
    """Whether numba-cuda is installed, but no GPU can be used: then memory transactions can still be counted."""
    return cuda.obstacle() is not None and importlib.util.find_spec("numba_cuda") is not None
