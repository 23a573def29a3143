"""Estimates of how long a command takes: the number of measurements, times the usual time of one on an idle machine."""

import os

from ..backend import REGISTRY
from ..compiler.jit import is_compiled
from ..kernels import LADDERS
from ..process.progress import WORTH_SAYING
from . import machine
from .benchmark import training
from .formatting import duration
from .problems import Problem
from .problems.operations import PRODUCTS

RUNG, TRIAL, LIMITS = 1.5, 4.0, 6.0
"""Seconds to check and time a rung, to test a custom kernel in its process, and to measure the machine peaks."""

EXPECTED = 9 / 30e9
"""Seconds for each FLOP of a call: three cases, each with three products in float64, at 30 GFLOP/s."""

REFERENCE, REFERENCE_APART = 30, 140
"""Calls of a problem's reference: for its own row, and for a kernel in its process. The bounds of an expected result
need eight of the nine that it takes."""

COUNTED = 3.0
"""Seconds to count the memory transactions of a GPU kernel that is not a product."""

PROCESS, PROCESS_OF_STEP, EXPLAINED, ON_GPU = 1.5, 3.0, 2.0, 9.0
"""Seconds of a process that measures the compile cost of a rung, or of a step; to explain a rung, or one of the GPU."""


def in_words(seconds: float) -> str:
    """The estimate in words; empty for a short time."""
    if seconds < WORTH_SAYING:
        return ""
    return f"this takes about {about(seconds)} on an idle machine (an estimate)"


def about(seconds: float) -> str:
    """`20 s`, `4 min`."""
    return f"{max(5, round(seconds / 5) * 5)} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def of_ladder(rungs: int, custom: int = 0, on_gpu: bool = False, flops: float = 0.0, reference: float = 0.0) -> float:
    """Seconds of a ladder with this many rungs, and this many kernels that are tested in separate processes.

    flops        of a call at the size to be timed: for a large call, computing the expected result takes long
    reference    seconds of a call of the problem's reference
    """
    limits = 0 if on_gpu or machine.cached() else LIMITS
    expected = EXPECTED * flops * (rungs + 4 * custom) + of_reference(reference, custom)
    return RUNG * rungs + (RUNG + TRIAL) * custom + limits + expected


def of_reference(seconds: float, custom: int) -> float:
    """Seconds for all calls of a reference, given the seconds for one."""
    return seconds * (REFERENCE + REFERENCE_APART * custom)


def slow_reference(problem: Problem, seconds: float, custom: int, whole: float) -> str:
    """A sentence about a user's reference that takes most of the time of a ladder; empty for another."""
    if not problem.path or of_reference(seconds, custom) < max(whole / 2, WORTH_SAYING):
        return ""
    file, each = os.path.basename(problem.path), duration(float(f"{seconds:.2g}"))
    return f"the reference of {file} takes {each} per call; write it with NumPy to make this faster"


def of_compile_cost(what: str, warm: int) -> float:
    """Seconds to measure compile cost, where `warm` processes load each rung."""
    if what in REGISTRY:
        return PROCESS_OF_STEP * (2 + warm)
    return PROCESS * (1 + len(_compiled(what)) * (1 + warm))


def of_count(operation: str, rungs: int) -> float:
    """Seconds to count the transactions of this many GPU rungs; a product takes as long as its explanation."""
    return (ON_GPU if operation in PRODUCTS else COUNTED) * rungs


def of_report(operations: list[str], warm: int, with_gpu: int) -> float:
    """Seconds of a report that explains this many GPU rungs."""
    ladders = sum(of_ladder(len(_rungs(operation))) for operation in operations)
    costs = sum(of_compile_cost("fast" if operation == "train" else operation, warm) for operation in operations)
    return ladders + costs + sum(EXPLAINED * len(_compiled(one)) for one in operations) + ON_GPU * with_gpu


def _rungs(operation: str) -> list[str]:
    return list(training.RUNGS if operation == "train" else LADDERS.get(operation, ()))


def _compiled(operation: str) -> list[str]:
    return [name for name, kernel in LADDERS.get(operation, {}).items() if is_compiled(kernel)]
