"""The candidates of a ladder: the rungs of an operation and custom kernels, each checked before it is timed.

A candidate that is too slow for the requested size gets a smaller one.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import checks
from ...kernels import LADDERS
from ...process.progress import ignore
from ..formatting import first_sentence
from ..oracle import Case, Shape
from ..problems import Problem, of_operation, refuse_problem
from ..timing import RemoteCall, affordable_shape
from . import gpu, guarded, judge, sandbox, training

ALSO_CALLED = {"update": "sgd"}


@dataclass
class Candidate:
    """A kernel at the size that it is timed at, or its error."""

    shape: Shape
    custom: bool = False
    """Given beside the rungs."""
    threads: int = 1
    idea: str = ""
    flops: float = 0.0
    moves: float = 0.0
    """Bytes that must at least be read and written."""
    kind: str = "copy"
    """How they move: "read" if next to nothing is written, else "copy"."""
    call: Callable[[], object] = ignore
    error: str | None = None
    is_interpreted: bool = False
    """Whether it is a user's plain Python function."""
    untested: int = 0
    """How many shapes of the problem were left out of its test, because it is slow."""
    is_trusted: bool = True
    """Whether it has certainly done the work that was counted: kernels and problems of users may be wrong."""

    def work(self, unit: str) -> float:
        """FLOP or bytes."""
        return self.flops if unit == "GFLOP/s" else self.moves


def known(operation: str) -> str:
    """The operation of this name, or an error that names the nearest."""
    refuse_problem(operation, "jitnet ladder")
    return checks.one_of("operation", ALSO_CALLED.get(operation, operation), [*LADDERS, "train"])


def problem_of(operation: str | Problem) -> Problem:
    """The operation of this name as a problem, or the problem itself."""
    if isinstance(operation, Problem):
        return operation
    name = known(operation)
    return training.STEP if name == "train" else of_operation(name)


def rung(problem: Problem, name: str, shape: Shape, dtype: np.dtype[Any], threads: int, most: float) -> Candidate:
    """A rung, at a size that takes at most `most` seconds. A wrong rung of jitnet is a `checks.Error`."""
    call_for = functools.partial(prepared, problem, name, dtype)
    shape = affordable_shape(lambda shape: call_for(shape)[0], shape, most, problem.takes)
    call, case = call_for(shape)
    if problem is training.STEP:
        call()
        error = case.error()
    else:
        error = judge.error_of(problem.rungs[name], problem, shape, dtype)
    if error and problem.path is None:
        raise checks.Error(f"{problem.name}.{name} {error}")
    if error and problem.is_own:  # of its rungs, only the reference runs here
        error += f"; terms(shape) of {problem.name} may be too small, or its reference needs float64"
    who = Candidate(shape, False, threads, _idea(problem, name), call=call, error=error)
    return _measured(problem, shape, dtype, case, who)


def rung_of_gpu(operation: str, name: str, shape: Shape, most: float) -> Candidate:
    """A rung of the GPU, at a size that takes at most `most` seconds. A wrong rung is a `checks.Error`."""
    shape = affordable_shape(lambda shape: gpu.prepare(operation, name, shape)[0], shape, most)
    call, case = gpu.prepare(operation, name, shape)
    who = Candidate(shape, idea=gpu.idea(operation, name), call=call)
    who = _measured(of_operation(operation), shape, np.dtype(np.float32), case, who)
    call()
    error = case.error()
    if error:
        raise checks.Error(f"{operation}.{name} of the GPU is wrong: {error}")
    return who


def apart(tried: sandbox.Trial, most: float, report: Callable[[str], object]) -> Candidate:
    """A user's kernel, or a rung of a user's problem, tested and timed in its own process."""
    tried.examine(most, report)
    if tried.error:
        return Candidate(tried.shape, tried.is_custom, error=tried.error)
    who = Candidate(tried.shape, tried.is_custom, tried.threads, tried.idea, call=RemoteCall(tried.seconds_of))
    who.is_interpreted, who.untested = tried.is_interpreted, tried.untested
    return _measured(tried.problem, tried.shape, tried.dtype, tried.problem.case(tried.shape, tried.dtype), who)


def prepared(problem: Problem, name: str, dtype: np.dtype[Any], shape: Shape) -> tuple[Callable[[], object], Case]:
    """A call of a rung on data of that shape, and the expected result."""
    if problem is training.STEP:
        return training.prepare(name, shape, dtype)
    case = guarded.placed(problem.case(shape, dtype))
    return functools.partial(problem.rungs[name], *case.arguments), case


def _measured(problem: Problem, shape: Shape, dtype: np.dtype[Any], case: Case, who: Candidate) -> Candidate:
    """The candidate with its work."""
    who.is_trusted = not (who.custom or problem.is_own)
    who.flops, who.moves = problem.flops(shape), problem.memory(shape, dtype)
    who.kind = "read" if 8 * sum(output.nbytes for output in case.outputs) < who.moves else "copy"
    return who


def _idea(problem: Problem, name: str) -> str:
    """The idea of a rung: the first sentence of its docstring."""
    if problem is training.STEP:
        return training.RUNGS[name]
    common = {
        "python": "the formula as a loop, interpreted", "njit": "the same loop, compiled",
        "parallel": "the same, divided among the threads", "numpy": "NumPy, the baseline",
    }  # fmt: skip
    if name in common:
        return common[name]
    base = name.removesuffix("_parallel")
    if problem.path is None and base != name:  # its body is that of the rung below
        return f"{base}, divided among the threads"
    return first_sentence(problem.rungs[name].__doc__) or name
