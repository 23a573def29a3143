"""Who takes part in a ladder: the rungs of an operation and kernels of a user's own, each checked before it is timed.

A candidate that needs too long for the size that was asked for gets a smaller one.
"""

import contextlib
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import checks
from ...kernels import LADDERS
from .. import oracle
from ..loading import Own
from ..oracle import Case, Shape
from ..timing import Elsewhere, manageable
from . import gpu, judge, sandbox, training

PRODUCTS = ("matmul", "matmul_tn", "matmul_nt", "layer", "delta", "gradients", "descend", "train")
"""Operations whose work is multiply-adds, and that are measured in FLOP/s; the others in bytes/s."""

ALSO_CALLED = {"update": "sgd"}


def nobody(*_: object) -> None:
    """Who listens where nobody does."""


@dataclass
class Candidate:
    """A kernel at the size that it is timed at, or what is wrong with it."""

    shape: Shape
    own: bool = False
    threads: int = 1
    idea: str = ""
    work: float = 0.0
    """FLOP, or bytes."""
    moves: float = 0.0
    """Bytes that have to be read and written at least."""
    kind: str = "copy"
    """How they move: "read" where hardly anything is written."""
    call: Callable[[], object] = nobody
    fault: str | None = None


def known(operation: str) -> str:
    """The operation of this name, or an error that names the nearest."""
    return checks.one_of("operation", ALSO_CALLED.get(operation, operation), [*LADDERS, "train"])


def rungs_of(operation: str, on_gpu: bool = False) -> list[str]:
    """From the bottom to the top."""
    if on_gpu:
        return list(gpu.ladder_of(operation))
    return list(training.RUNGS if operation == "train" else LADDERS[operation])


def rung(operation: str, name: str, shape: Shape, dtype: np.dtype[Any], threads: int, most: float) -> Candidate:
    """A rung of ours, at a size that it does in `most` seconds. That one is wrong is an error."""
    call_for = functools.partial(prepared, operation, name, dtype)
    shape = manageable(lambda shape: call_for(shape)[0], shape, most)
    call, case = call_for(shape)
    if operation == "train":
        call()
        fault = case.fault()
    else:
        fault = judge.fault(LADDERS[operation][name], operation, shape, dtype)
    if fault:
        raise checks.Error(f"{operation}.{name} {fault}")
    return _measured(operation, shape, case, Candidate(shape, False, threads, _idea(operation, name), call=call))


def rung_of_gpu(operation: str, name: str, shape: Shape, most: float) -> Candidate:
    """A rung of the GPU, at a size that it does in `most` seconds. That one is wrong is an error."""
    shape = manageable(lambda shape: gpu.prepare(operation, name, shape)[0], shape, most)
    call, case = gpu.prepare(operation, name, shape)
    who = _measured(operation, shape, case, Candidate(shape, idea=gpu.idea(operation, name), call=call))
    call()
    fault = case.fault()
    if fault:
        raise checks.Error(f"{operation}.{name} of the GPU is wrong: {fault}")
    return who


def yours(
    name: str, own: Own, operation: str, shape: Shape, dtype: np.dtype[Any], threads: int, patience: float, most: float,
    report: Callable[[str], object], trials: contextlib.ExitStack,
) -> Candidate:  # fmt: skip
    """A function of a user's own: examined, and later timed, in a process of its own, which ends with `trials`."""
    tried = trials.enter_context(sandbox.Trial(name, own, operation, shape, dtype, threads, patience))
    tried.examine(most, report)
    if tried.fault:
        return Candidate(tried.shape, True, fault=tried.fault)
    who = Candidate(tried.shape, True, tried.threads, tried.idea, call=Elsewhere(tried.turn))
    return _measured(operation, tried.shape, oracle.case(operation, tried.shape, dtype), who)


def prepared(operation: str, name: str, dtype: np.dtype[Any], shape: Shape) -> tuple[Callable[[], object], Case]:
    """A call of a rung on data of that shape, and what it has to come to."""
    if operation == "train":
        return training.prepare(name, shape, dtype)
    case = judge.placed(oracle.case(operation, shape, dtype))
    return functools.partial(LADDERS[operation][name], *case.arguments), case


def _measured(operation: str, shape: Shape, case: Case, who: Candidate) -> Candidate:
    """The same, with its work. What is both read and written moves twice."""
    arrays = [argument for argument in case.arguments if isinstance(argument, np.ndarray)]
    updated = [output for output in case.outputs if not np.isnan(output).any()]
    who.moves = float(sum(array.nbytes for array in [*arrays, *updated]))
    who.kind = "read" if 8 * sum(output.nbytes for output in case.outputs) < who.moves else "copy"
    if operation == "train":
        who.work = training.flop(shape)
    else:
        who.work = 2.0 * math.prod(shape) if operation in PRODUCTS else who.moves
    return who


def _idea(operation: str, name: str) -> str:
    """What a rung does differently, in its own words."""
    if operation == "train":
        return training.RUNGS[name]
    base = name.removesuffix("_parallel")
    common = {
        "python": "the formula as a loop, interpreted", "njit": "the same loop, compiled",
        "parallel": "the same, spread over the threads", "numpy": "NumPy's own way, the baseline",
    }  # fmt: skip
    if name in common:
        return common[name]
    text = " ".join((LADDERS[operation][base].__doc__ or base).split(".")[0].split())
    return f"{base}, spread over the threads" if base != name else text
