"""The interface of a problem: the inputs of a kernel, its expected results, and the amount of work."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..loading import body_of
from ..oracle import Case, Shape

Function = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Problem:
    """A problem, which may be an operation of jitnet. A kernel takes its inputs, then arrays for its results."""

    name: str
    about: str
    """Its docstring; the first line says in one sentence what it computes."""
    parameters: tuple[str, ...]
    """Names of the arguments of a kernel, inputs first and results last."""
    results: tuple[str, ...]
    """Names of those that it writes."""
    draw: Callable[[Shape, np.dtype[Any], int], Case]
    """Arguments for a shape and a dtype, drawn from a seed, and the expected results: see `case`."""
    shapes: tuple[Shape, ...]
    """Shapes on which loops fail: one, primes, a block and one more, or one less, and nothing at all."""
    timed: tuple[Shape, ...]
    """Shapes for timing; the first is the default."""
    flops: Callable[[Shape], float]
    """Floating-point operations, at least."""
    memory: Callable[[Shape, np.dtype[Any]], float]
    """Bytes that must be read and written, at least."""
    rungs: Mapping[str, Function]
    """Name -> kernel, from naive to fast."""
    dtypes: tuple[str, ...] = ("float32", "float64")
    unit: str | None = None
    """GFLOP/s or GB/s; None where the lower of the two peaks of the machine decides."""
    path: str | None = None
    """Its file; None for an operation."""
    is_own: bool = False
    """Whether a user wrote it, so that its rungs may crash."""
    takes: Callable[[Shape], bool] = lambda shape: True
    """Whether its `inputs` accept this shape."""
    draw_inputs: Callable[[Shape, np.dtype[Any], int], list[Any]] | None = None
    """The inputs of `draw` alone, if its reference may be slow."""
    seconds_of_reference: Callable[[Shape, np.dtype[Any]], float] = lambda shape, dtype: 0.0
    """Seconds of one call of its reference, measured; 0 for an operation."""

    @property
    def title(self) -> str:
        """The formula, or what it is about, in one sentence."""
        return self.about.partition("\n")[0]

    @property
    def statement(self) -> str:
        """The paragraphs `Formula` and `Shape`, or `Shapes`, of its docstring; empty if it has none."""
        lines, is_part = [], False
        for line in self.about.split("\n"):
            if line[:1].strip():  # it begins a paragraph; an indented line continues one
                is_part = line.split()[0] in ("Formula", "Shape", "Shapes")
            if is_part and line.strip():
                lines.append(line)
        return "\n".join(lines)

    def case(self, shape: Shape, dtype: Any, seed: int = 0) -> Case:
        """Arguments with cleared outputs, the expected results in float64, and their bounds."""
        return self.draw(shape, np.dtype(dtype), seed)

    def numbers(self, shape: Shape, dtype: np.dtype[Any], seed: int) -> list[Any]:
        """The arguments of `case`; if its reference may be slow, without those that a kernel only writes."""
        return (self.draw_inputs or (lambda *drawn: self.draw(*drawn).arguments))(shape, dtype, seed)

    def misfit(self, kernel: Function, name: str) -> str | None:
        """The error of a kernel whose parameters do not fit the call, or None."""
        signature = _signature(kernel)
        try:
            if signature:
                signature.bind(*self.parameters)
        except TypeError:
            into = " and ".join(self.results)
            return f"has the parameters {signature}, but is called as {self._call(name)}, to write {into}"
        return None

    def reordered(self, kernel: Function, name: str) -> str | None:
        """Why a kernel with the parameters of the problem, but in another order, is wrong; None for other kernels."""
        signature = _signature(kernel)
        return self.order_of(tuple(signature.parameters) if signature else (), name)

    def order_of(self, theirs: Sequence[str], name: str) -> str | None:
        """The same for the names of a kernel's parameters."""
        if tuple(theirs) == self.parameters or sorted(theirs) != sorted(self.parameters):
            return None
        return f"its parameters are ({', '.join(theirs)}), but the call is {self._call(name)}"

    def _call(self, name: str) -> str:
        return f"{name}({', '.join(self.parameters)})"

    def given(self, case: Case) -> str:
        """`given A (2, 3), r = 1, B (2, 3)`."""
        pairs = zip(self.parameters, case.arguments, strict=True)
        return "given " + ", ".join(
            f"{name} {value.shape}" if isinstance(value, np.ndarray) else f"{name} = {value!s:.40}"
            for name, value in pairs
        )


def _signature(kernel: Function) -> inspect.Signature | None:
    """None for some built-in functions."""
    try:
        return inspect.signature(body_of(kernel))
    except (TypeError, ValueError):
        return None
