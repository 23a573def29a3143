"""Problems for kernels: what is computed, on which inputs, how much work it is, and loops from naive to good.

files/          the problems of jitnet, one Python file each; a problem of your own is such a file, too
problem.py      the interface of a problem
reading.py      a problem from a file; each mistake in it is one line
bounds.py       bounds for the rounding errors of a kernel
operations.py   the operations of jitnet as problems
"""

import os
from pathlib import Path

from ... import checks
from ...kernels import LADDERS
from .. import worker
from .operations import of_operation as of_operation
from .operations import size_in_words as size_in_words
from .problem import Problem as Problem
from .reading import FOLDER, from_file
from .reading import ProblemError as ProblemError

NAMES = sorted(file.stem for file in FOLDER.glob("[!_]*.py"))
"""The problems that come with jitnet."""

LOADING = 60.0
"""Seconds in which a user's file must be loaded."""


def operation_called(name: str) -> str:
    """`name`, if an operation has it; the error about a problem names the option for problems."""
    refuse_problem(name)
    return checks.one_of("operation", name, LADDERS)


def rung_called(target: str) -> tuple[str, str]:
    """The operation and the rung of `operation.rung`."""
    if target.endswith(".py"):
        raise checks.Error(f"which function of {target}? Write {target}:function")
    operation, dot, rung = target.partition(".")
    ladder = LADDERS[operation_called(operation)]
    if not dot:
        raise checks.Error(
            f"which rung of {operation}? Write {operation}.{list(ladder)[-2]}; rungs: {', '.join(ladder)}"
        )
    return operation, checks.one_of(f"rung of {operation}", rung, ladder)


def refuse_problem(name: str, instead: str = "write file.py:function") -> None:
    """An error if a problem has this name, and no operation; `instead` takes `--problem`."""
    if name in NAMES and name not in LADDERS:
        raise checks.Error(f"{name} is a problem, not an operation: {instead} --problem {name}")


def load(name_or_path: str | os.PathLike[str]) -> Problem:
    """The problem in a Python file, or one that comes with jitnet, by its name; else the operation of that name.

    Errors    checks.Error: there is no such problem; or a mistake in its file, in one line that names it
    """
    text = os.fspath(name_or_path)
    if text in NAMES:
        return from_file(FOLDER / f"{text}.py")
    if text.endswith(".py") and Path(text).is_file():
        return from_file(text)
    if ".py:" in text:
        raise checks.Error(f"{text!r} names a function, but a problem is a whole file; name the file alone")
    if text.endswith(".py") or os.sep in text:
        raise checks.Error(f"there is no file {text}")
    if text not in LADDERS:
        nearest = checks.did_you_mean(text, [*NAMES, *LADDERS])
        known = f"known: {', '.join(NAMES)}, operations such as matmul, and files such as mine.py"
        raise checks.Error(f"unknown problem {checks.shown(text)}; {known}{nearest}")
    return of_operation(text)


def tried(name_or_path: str | os.PathLike[str]) -> Problem:
    """Like `load`, but first loads a user's file in a process of its own, which it may end, crash, or never leave."""
    path = Path(name_or_path)
    if path.suffix == ".py" and path.is_file():
        worker.tried(path.name, load, str(path.resolve()), LOADING)
    return load(name_or_path)


def again(path: str | None, name: str) -> Problem:
    """The same problem in another process."""
    return from_file(path) if path else of_operation(name)
