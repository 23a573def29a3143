"""What the commands of the lab do. Their words are in cli.py, which imports this file when one of them is called."""

import argparse
import contextlib
import importlib.util
import json
import os
import sys
from collections import Counter
from typing import Any

from .. import checks, disturbance, progress
from ..backend import cuda
from ..kernels import LADDERS
from ..lab import compile_cost, doctor, estimate, explain, formatting, ladder, machine, plots, report
from ..lab.loading import check_name
from ..plots import check_drawing
from .commands import check_paths


def _shown(options: argparse.Namespace, seconds: float) -> progress.Progress:
    """What shows the progress of a command that takes about so long."""
    if options.quiet:
        return progress.Progress()
    show = progress.on_standard_error()
    show.expected = estimate.said(seconds)
    return show


def machine_command(options: argparse.Namespace) -> int:
    """jitnet machine."""
    with _shown(options, estimate.LIMITS) as show:
        found = machine.limits(options.again, show.measuring)
    print(json.dumps(found) if options.json else machine.as_text(found))
    return 0


def ladder_command(options: argparse.Namespace) -> int:
    """jitnet ladder."""
    if options.count:
        return _count(options)
    check_paths(options, reads=(), writes=("plot",))
    if options.plot is not None:
        check_drawing(options.plot)
    own = _own(options.own, options.operation)
    on_gpu = _on_gpu(options)
    with _shown(options, estimate.of_ladder(options.operation, len(own), on_gpu)) as show:
        if on_gpu:
            result = _measured_on_gpu(options, show)
        else:
            result = ladder.compare(
                options.operation, own, options.size, options.dtype, options.threads, options.patience, show.measuring,
                tell=lambda fault: progress.say(f"jitnet: {' '.join(fault.split())}"),
            )  # fmt: skip
    if options.plot is not None:
        plots.draw_ladder(result, options.plot)
        _say_where(options)
    print(json.dumps(result) if options.json else ladder.as_text(result, _at_the_same_place()))
    return 2 if ladder.faults(result) else 0


def _on_gpu(options: argparse.Namespace) -> bool:
    """Whether the rungs of the GPU are asked for, and nothing with them that they have not."""
    if options.backend is None:
        return False
    if options.backend != "cuda":
        raise checks.Error("the backends of the processor are rungs of jitnet ladder train; --backend can be cuda")
    if options.own or options.threads is not None or options.dtype != "float32":
        raise checks.Error("with --backend cuda, --with, --threads and --dtype float64 mean nothing; leave them out")
    return True


def _say_where(options: argparse.Namespace) -> None:
    if not options.quiet:
        progress.say(f"picture in {options.plot}")


def _measured_on_gpu(options: argparse.Namespace, show: progress.Progress) -> dict[str, Any]:
    try:
        return ladder.measure_gpu(options.operation, options.size, show.measuring)
    except checks.Error as error:
        if cuda.obstacle() is None or importlib.util.find_spec("numba_cuda") is None:
            raise
        raise checks.Error(f"{error}; or count what the rungs ask of memory, without a GPU: --count") from None


def _count(options: argparse.Namespace) -> int:
    """jitnet ladder --count."""
    if not _on_gpu(options) or options.plot is not None or options.size != "512":
        raise checks.Error("--count goes with --backend cuda, and neither with --plot nor --size; leave them out")
    traffic = _for_gpu("traffic")
    rungs = len(traffic.LADDERS.get(options.operation, ()))
    with _shown(options, estimate.of_count(options.operation, rungs)) as show:
        result = traffic.ladder(options.operation, report=show.measuring)
    print(json.dumps(result) if options.json else traffic.as_text(result))
    return 0


def _for_gpu(name: str) -> Any:
    """An instrument of `lab/gpu`, which needs numba-cuda, and that it compiles: else an error in one line."""
    try:
        explaining = importlib.import_module(f"{__package__}.gpu.explaining")
    except ImportError as error:
        raise checks.Error(str(error)) from None
    if missing := explaining.obstacle():
        raise checks.Error(missing)
    return importlib.import_module(f"{__package__}.gpu.{name}")


def _at_the_same_place() -> bool:
    """Whether standard output and standard error go to the same terminal, pipe or file."""
    with contextlib.suppress(OSError, ValueError):  # stand-ins for them have no number
        return os.path.samestat(os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno()))
    return False


def _own(texts: list[str], operation: str) -> dict[str, str]:
    """The name that each function has on the ladder: its own, or the whole text where that could be another's."""
    names = [check_name(text)[1] for text in texts]
    taken = {*LADDERS.get(operation, ()), *(name for name, count in Counter(names).items() if count > 1)}
    own = {text if name in taken else name: text for text, name in zip(texts, names, strict=True)}
    if len(own) < len(texts):
        raise checks.Error("--with names the same function twice")
    return own


def explain_command(options: argparse.Namespace) -> int:
    """jitnet explain."""
    if _gpu_is_asked_for(options):
        return _explain_gpu(options)
    with _shown(options, 2 * estimate.EXPLAINED) as show:
        found = explain.explain(
            options.target, options.dtype, options.args, options.types, options.options, options.operation,
            show.measuring,
        )  # fmt: skip
    print(json.dumps(found) if options.json else explain.as_text(found))
    return 0


def _gpu_is_asked_for(options: argparse.Namespace) -> bool:
    """Whether a rung of the GPU is to be explained, and nothing with it that it has not."""
    if options.backend is None:
        if options.capability is not None:
            raise checks.Error("--capability is that of a GPU; give --backend cuda too, or leave it out")
        return False
    if options.backend != "cuda":
        raise checks.Error("what is explained without --backend is compiled for the processor; --backend can be cuda")
    if (options.args, options.types, options.options) != (None, None, None) or options.dtype != "float32":
        raise checks.Error(
            "with --backend cuda, --args, --types, --options and --dtype float64 mean nothing; leave them out"
        )
    return True


def _explain_gpu(options: argparse.Namespace) -> int:
    explaining = _for_gpu("explaining")
    with _shown(options, estimate.ON_GPU) as show:
        found = explaining.explain(options.target, options.capability or "9.0", report=show.measuring)
    print(json.dumps(found) if options.json else explaining.as_text(found))
    return 0


def report_command(options: argparse.Namespace) -> int:
    """jitnet report."""
    check_paths(options, reads=(), writes=("out",))
    report.check_report()
    expected = estimate.of_report(options.operations, compile_cost.WARM, report.rungs_on_gpu(options.operations))
    with _shown(options, expected) as show:
        found = report.investigate(options.operations, options.size, options.dtype, options.threads, show.measuring)
    report.write(found, options.out, "jitnet report " + " ".join(options.operations))
    told = dict.fromkeys(reason for chapter in found["chapters"] for part in ("ladder", "ledger")
                         for reason in chapter[part]["disturbed_by"])  # fmt: skip
    text = formatting.wrapped(f"{options.out}: open it in a browser", disturbance.sentence(told))
    print(json.dumps(found) if options.json else "\n".join(text))
    return 0


def ledger_command(options: argparse.Namespace) -> int:
    """jitnet ledger."""
    check_paths(options, reads=(), writes=("plot",))
    if options.plot is not None:
        check_drawing(options.plot)
    with _shown(options, estimate.of_ledger(options.what, compile_cost.WARM)) as show:
        result = compile_cost.account(options.what, options.size, options.dtype, show.measuring)
    if options.plot is not None:
        plots.draw_ledger(result, options.plot)
        _say_where(options)
    print(json.dumps(result) if options.json else compile_cost.as_text(result))
    return 0


def doctor_command(options: argparse.Namespace) -> int:
    """jitnet doctor."""
    with progress.Progress() if options.quiet else progress.on_standard_error() as show:
        found = doctor.examine(show.measuring)
    print(json.dumps(found) if options.json else doctor.as_text(found))
    return 0 if found["healthy"] else 1
