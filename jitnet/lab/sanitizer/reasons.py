"""Why a result is wrong: a pattern that its numbers confirm, and the line of the source that wrote the first wrong one.

The line comes from a run of the kernel's Python source on arrays that record. Without a pattern nothing is guessed.
"""

import linecache
import os
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..oracle import Case, Shape, holds_nothing
from ..problems import Problem
from .argument_copies import as_python, recording_copies
from .arrays import Traced
from .checking import limited, names_of
from .findings import Report
from .instrumented import Instrumenter
from .places import here
from .races import Memory, Run, TooLongError, numbers_of
from .syntax import renamed
from .targets import opened

ACCESSES = 200_000
"""Accesses of an interpreted run, a second or two."""

SECONDS = 5.0
"""The time limit of that run."""

BEFORE = 77
"""What the outputs hold before that run: it fits into every type."""

NARROWER = {"float64": "float32", "float32": "float16"}

SHOWN = 60
"""Characters of a line of the source."""

LAST_WRITE = "the last write to"

OUTSIDE = "is out of bounds"

BESIDE = "writes outside"
"""The beginning of the error of a kernel that changed what is beside its arrays."""

WRITES = "[...] = ... writes"
"""The end of an error that gives the cause itself."""

INFINITE = (
    "NaN or infinity follows from its inputs alone, as from x/0 or ∞/∞: e to a large number is infinite; subtract the "
    "largest number first, or write e^{-|x|}"
)

ENDS_TOO_EARLY = "let the loop run to the end, and after whole blocks of B handle the rest, from n - n % B on"

Array = NDArray[Any]


def reasons(kernel: Callable[..., Any], problem: Problem, shape: Shape, dtype: Any, case: Case) -> str:
    """What is known about the wrong outputs of a kernel on this case of the problem; "" or "; ...; ..."."""
    where, line, unread = first_wrong(case), "", ""
    if where:
        line, unread = source(kernel, problem, shape, dtype, *where)
    return joined(line, pattern(case, line) or unread)


def joined(*parts: str) -> str:
    return "".join(f"; {part}" for part in parts if part)


def outside(kernel: Callable[..., Any], problem: Problem, shape: Shape, dtype: Any) -> str:
    """The index outside of an array on these shapes, with its line; "" if a run of the source has none."""
    line, _ = source(kernel, problem, shape, dtype, *first_of(problem.case(shape, dtype)))
    return line if OUTSIDE in line else ""


def only_from_zeros(results: Sequence[str]) -> str:
    """The error of a kernel whose result is right after its outputs were cleared."""
    return f"is right only if {' and '.join(results)} is 0 before: begin with {results[0]}[...] = 0"


def writes_nothing(results: Sequence[str], kernel: Callable[..., Any] | None = None) -> str:
    """The error of a kernel that leaves its outputs as they were; with the cause, unless its source shows another."""
    into, first = " and ".join(results), results[0]
    names_another = kernel is not None and renamed(kernel) != {}
    return f"writes nothing into {into}" + (
        f"; {first} = ... names another array, {first}{WRITES}" if names_another else ""
    )


def first_of(case: Case) -> tuple[int, list[int]]:
    """The first output and the index of its first number, to run a source of which no other number is known."""
    return 0, [0] * case.outputs[0].ndim


def first_wrong(case: Case) -> tuple[int, list[int]] | None:
    """The output and the index of the number that the message about a wrong result names."""
    for output, wrong in enumerate(case.wrong()):
        if wrong.any():
            return output, np.argwhere(wrong)[0].tolist()
    return None


def pattern(case: Case, line: str = "") -> str:
    """The usual cause of numbers that are wrong in this way, and its fix; "" if they show none, or `line` gives it.

    line    what `source` says about the first of them: NaN that a line has written is not what a loop has left out
    """
    if OUTSIDE in line:
        return ""
    for got, expected, bound, wrong in zip(case.outputs, case.expected, case.bounds, case.wrong(), strict=True):
        if wrong.any():
            with np.errstate(all="ignore"):
                if not (line.startswith(LAST_WRITE) and np.isnan(got[wrong][0])):
                    return _pattern(got, expected, np.broadcast_to(bound, wrong.shape), wrong)
                return ""
    # none is wrong, but all together have the errors of a narrower dtype
    return f"keep sums and products in {case.outputs[0].dtype}"


def _pattern(got: Array, expected: Array, bound: Array, wrong: NDArray[np.bool_]) -> str:
    several = np.unique(expected[wrong]).size > 2  # two numbers fit a wrong cause too easily
    narrower = NARROWER.get(str(got.dtype))
    if got.ndim == 2 and several and (np.abs(got.reshape(expected.T.shape).T - expected) <= bound).all():
        return "it is the transpose of what is expected: exchange its two indices"
    if several and narrower and _is_exact(got, narrower) and not _is_exact(expected[wrong], narrower):
        coarser = float(np.finfo(narrower).eps) / float(np.finfo(got.dtype).eps)
        if (np.abs(got - expected) <= coarser * bound).all():
            return f"every number is rounded to {narrower}: keep sums and products in {got.dtype}"
    exact = got.astype(np.float64)
    factor = float((exact * expected).sum() / (expected * expected).sum())
    shown = f"{factor:.6g}"
    is_another = factor != 0 and shown != "1"
    if several and is_another and (np.abs(exact - factor * expected) <= max(1.0, abs(factor)) * bound).all():
        return f"every number is {shown} times what is expected: check constant factors, such as the 1/n of a mean"
    edge = edge_of(wrong)
    return f"it is wrong only in {edge}: {ENDS_TOO_EARLY}" if edge else ""


def only_in(dtype: str, case: Case) -> str:
    """Why a kernel is wrong on this case in this dtype alone: its numbers are as exact as those of a narrower one."""
    narrower = NARROWER.get(dtype)
    if not narrower:
        return ""
    coarser = float(np.finfo(narrower).eps) / float(np.finfo(dtype).eps)
    triples = zip(case.outputs, case.expected, case.bounds, strict=True)
    if not all((np.abs(got - expected) <= coarser * bound).all() for got, expected, bound in triples):
        return ""
    return f"it is computed in a narrower type, {narrower}: keep sums and products in {dtype}"


def _is_exact(numbers: Array, dtype: str) -> bool:
    return bool((numbers == numbers.astype(dtype)).all())


def edge_of(marked: NDArray[np.bool_]) -> str:
    """`the last 2 of 9 rows and the last 3 of 11 columns` if exactly these are marked, at most half of each; or ""."""
    if marked.all() or not marked.any():
        return ""
    sizes = np.argwhere(~marked).max(axis=0) + 1
    others = np.ones_like(marked)
    others[tuple(map(slice, sizes))] = False
    is_one_of_two = (sizes == 1) & (np.array(marked.shape) == 2)  # which may as well be each second one
    if (others != marked).any() or (2 * sizes < marked.shape).any() or is_one_of_two.any():
        return ""
    axes = [f"along axis {axis}" for axis in range(marked.ndim)]
    names = {1: ["elements"], 2: ["rows", "columns"]}.get(marked.ndim, axes)
    triples = zip(names, marked.shape, marked.shape - sizes, strict=True)
    return " and ".join(f"the last {f'{rest} ' * int(rest > 1)}of {n} {name}" for name, n, rest in triples if rest)


def source(
    kernel: Callable[..., Any], problem: Problem, shape: Shape, dtype: Any, output: int, index: list[int],
    seed: int = 0,
) -> tuple[str, str]:  # fmt: skip
    """The line that wrote this element last, and the end of an input that no line reads though the result needs it.

    An index outside of an array takes the place of both.
    """
    report = Report("")
    found = _found(kernel, problem.case(shape, dtype, seed), problem, output, index, report)
    outside = [error for error in report.errors if error.kind == "outside"]
    return (str(outside[0]), "") if outside else found


def _found(
    kernel: Callable[..., Any], case: Case, problem: Problem, output: int, index: list[int], report: Report
) -> tuple[str, str]:
    """The line and the end; `report` gets what else the run finds."""
    inputs = len(case.arguments) - len(case.expected)
    for array in case.outputs:
        if holds_nothing(array):
            array.fill(BEFORE)
    try:
        function, bound = opened(kernel)
        arguments = [as_python(argument) for argument in (*bound, *case.arguments)]
        run = _Watching(report)
        instrumenter = Instrumenter(run)
        body = instrumenter.instrumented(function, as_compiled=True)
        everything = recording_copies(instrumenter, arguments, names_of(function, arguments), lambda *_: True)
        given = everything[len(bound) :]
        target = given[inputs + output]
        run.watch(target, index, given[:inputs])
        with np.errstate(all="ignore"), limited(SECONDS):
            body(*everything)
    except (Exception, SystemExit, TooLongError):  # it has no source, or cannot be run to its end
        return "", ""
    name = f"{problem.results[output]}[{', '.join(map(str, index))}]"
    if run.written_at is None:
        is_left = bool(target.data.size) and target.data[tuple(index)] == BEFORE
        return f"no line writes {name}" if is_left else "", ""
    case.arguments[inputs + output] = target.data
    is_right = not case.wrong()[output][tuple(index)]
    file, line = run.written_at
    text = textwrap.shorten(linecache.getline(file, line), SHOWN, placeholder=" ...")
    said = f"{LAST_WRITE} {name} is in line {line} of {os.path.basename(file)}"
    outputs = [array.data for array in given[inputs:]]
    is_finite = bool(np.isfinite(target.data[tuple(index)]))
    said += f": {text}" if text else ""
    if is_right:  # as with numbers that np.empty finds, or that an earlier call left
        return f"{said}; a first call, run as Python, writes the right number there", ""
    return said, _unread(problem, case, outputs, run.unread) if is_finite else INFINITE


def _unread(problem: Problem, case: Case, outputs: list[Array], unread: dict[int, NDArray[np.bool_]]) -> str:
    """The end of an input that is never read, if the result is the one that zeros there would give."""
    for position, marked in unread.items():
        edge = edge_of(marked)
        if edge:
            found = [*case.arguments[: -len(outputs)], *(np.copy(array) for array in case.outputs)]
            found[position] = np.where(marked, 0, found[position]).astype(found[position].dtype)
            problem.rungs["numpy"](*found)
            pairs = zip(outputs, found[-len(outputs) :], case.bounds, strict=True)
            if all((np.abs(got - without) <= 2 * bound).all() for got, without, bound in pairs):
                return f"it never reads {edge} of {problem.parameters[position]}: {ENDS_TOO_EARLY}"
    return ""


class _Watching(Run):
    """A run that notes the last write to one element, and which elements of the inputs are read."""

    def __init__(self, report: Report) -> None:
        super().__init__(report, 1)
        self.most = ACCESSES
        self.written_at: tuple[str, int] | None = None

    def watch(self, target: Traced, index: list[int], inputs: list[Any]) -> None:
        self.memory, places = target.memory, numbers_of(target.data, target.memory)
        self.number = int(places[tuple(index)]) if places.size else -1  # only indices outside of it matter then
        self.inputs = {i: array for i, array in enumerate(inputs) if isinstance(array, Traced)}
        self.were_read = {id(array.memory): np.zeros(array.memory.count, np.bool_) for array in self.inputs.values()}

    @property
    def unread(self) -> dict[int, NDArray[np.bool_]]:
        """Position of an input -> its elements that were never read."""
        return {i: ~self.were_read[id(a.memory)][numbers_of(a.data, a.memory)] for i, a in self.inputs.items()}

    def touched(self, memory: Memory, at: Any, stores: bool) -> None:
        super().touched(memory, at, stores)
        if stores and memory is self.memory and np.any(at == self.number):
            self.written_at = here()
        elif not stores and id(memory) in self.were_read:
            self.were_read[id(memory)][at] = True
