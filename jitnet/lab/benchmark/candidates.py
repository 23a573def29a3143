"""The candidates of a ladder: the rungs of an operation and custom kernels, each checked before it is timed.

A candidate that is too slow for the requested size gets a smaller one.
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
from ..loading import Custom
from ..oracle import Case, Shape
from ..timing import Elsewhere, manageable
from . import gpu, judge, sandbox, training

PRODUCTS = ("matmul", "matmul_tn", "matmul_nt", "layer", "delta", "gradients", "descend", "train")
"""Operations whose work is multiply-adds, and that are measured in FLOP/s; the others in bytes/s."""

ALSO_CALLED = {"update": "sgd"}


def ignore(*_: object) -> None:
    """The listener where there is none."""


@dataclass
class Candidate:
    """A kernel at the size that it is timed at, or its error."""

    shape: Shape
    custom: bool = False
    threads: int = 1
    idea: str = ""
    work: float = 0.0
    """FLOP, or bytes."""
    moves: float = 0.0
    """Bytes that must at least be read and written."""
    kind: str = "copy"
    """How they move: "read" if hardly anything is written, else "copy"."""
    call: Callable[[], object] = ignore
    error: str | None = None


def known(operation: str) -> str:
    """The operation of this name, or an error that names the nearest."""
    return checks.one_of("operation", ALSO_CALLED.get(operation, operation), [*LADDERS, "train"])


def rungs_of(operation: str, on_gpu: bool = False) -> list[str]:
    """From the bottom to the top."""
    if on_gpu:
        return list(gpu.ladder_of(operation))
    return list(training.RUNGS if operation == "train" else LADDERS[operation])


def rung(operation: str, name: str, shape: Shape, dtype: np.dtype[Any], threads: int, most: float) -> Candidate:
    """A rung, at a size that takes at most `most` seconds. A wrong rung is a `checks.Error`."""
    call_for = functools.partial(prepared, operation, name, dtype)
    shape = manageable(lambda shape: call_for(shape)[0], shape, most)
    call, case = call_for(shape)
    if operation == "train":
        call()
        error = case.error()
    else:
        error = judge.error_of(LADDERS[operation][name], operation, shape, dtype)
    if error:
        raise checks.Error(f"{operation}.{name} {error}")
    return _measured(operation, shape, case, Candidate(shape, False, threads, _idea(operation, name), call=call))


def rung_of_gpu(operation: str, name: str, shape: Shape, most: float) -> Candidate:
    """A rung of the GPU, at a size that takes at most `most` seconds. A wrong rung is a `checks.Error`."""
    shape = manageable(lambda shape: gpu.prepare(operation, name, shape)[0], shape, most)
    call, case = gpu.prepare(operation, name, shape)
    who = _measured(operation, shape, case, Candidate(shape, idea=gpu.idea(operation, name), call=call))
    call()
    error = case.error()
    if error:
        raise checks.Error(f"{operation}.{name} of the GPU is wrong: {error}")
    return who


def custom(
    name: str, kernel: Custom, operation: str, shape: Shape, dtype: np.dtype[Any], threads: int, patience: float,
    most: float, report: Callable[[str], object], trials: contextlib.ExitStack, seed: int = 0,
) -> Candidate:  # fmt: skip
    """A custom kernel: tested, and later timed, in a separate process, which ends with `trials`."""
    tried = trials.enter_context(sandbox.Trial(name, kernel, operation, shape, dtype, threads, patience, seed))
    tried.examine(most, report)
    if tried.error:
        return Candidate(tried.shape, True, error=tried.error)
    who = Candidate(tried.shape, True, tried.threads, tried.idea, call=Elsewhere(tried.seconds_of))
    return _measured(operation, tried.shape, oracle.case(operation, tried.shape, dtype), who)


def prepared(operation: str, name: str, dtype: np.dtype[Any], shape: Shape) -> tuple[Callable[[], object], Case]:
    """A call of a rung on data of that shape, and the expected result."""
    if operation == "train":
        return training.prepare(name, shape, dtype)
    case = judge.placed(oracle.case(operation, shape, dtype))
    return functools.partial(LADDERS[operation][name], *case.arguments), case


def _measured(operation: str, shape: Shape, case: Case, who: Candidate) -> Candidate:
    """The candidate with its work. An array that is both read and written moves twice."""
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
    """The idea of a rung: the first sentence of its docstring."""
    if operation == "train":
        return training.RUNGS[name]
    base = name.removesuffix("_parallel")
    common = {
        "python": "the formula as a loop, interpreted", "njit": "the same loop, compiled",
        "parallel": "the same, divided among the threads", "numpy": "NumPy, the baseline",
    }  # fmt: skip
    if name in common:
        return common[name]
    text = " ".join((LADDERS[operation][base].__doc__ or base).split(".")[0].split())
    return f"{base}, divided among the threads" if base != name else text
