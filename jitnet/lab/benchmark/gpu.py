"""The rungs of the GPU: the same operations with arrays in GPU memory; each call waits until the GPU is done.

A call is timed from the launch to the end, so the time includes the launch. There is no Python loop and no NumPy here,
so the other rungs are compared with the first.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ... import backend, checks
from .. import oracle
from ..formatting import first_sentence
from ..oracle import Case, Shape


@dataclass
class CaseOnGpu(Case):
    """A case whose outputs are copied to the host before they are checked."""

    placed: list[Any] = field(default_factory=list)
    """Its arguments in GPU memory."""

    def error(self) -> str | None:
        for output, there in zip(self.outputs, self.placed[-len(self.outputs) :], strict=True):
            output[...] = backend.get("cuda").to_host(there)
        return super().error()


def ladder_of(operation: str) -> dict[str, Any]:
    """Rung -> kernel. Without a GPU, or such an operation on it, an error in one line."""
    backend.get("cuda")  # raises if something is missing
    from ...kernels.cuda import LADDERS

    return LADDERS[checks.one_of("operation of the GPU", operation, LADDERS)]


def prepare(operation: str, name: str, shape: Shape) -> tuple[Callable[[], object], Case]:
    """A call of a rung on data of that shape, and the expected result."""
    from ...compiler.cuda.device import stream

    rung, case = ladder_of(operation)[name], oracle.case(operation, shape, np.float32)
    placed = [backend.get("cuda").to_device(argument) for argument in case.arguments]

    def call() -> None:
        rung(*placed)
        stream().synchronize()

    case.allow(rung.eps)  # other arithmetic rounds differently
    return call, CaseOnGpu(case.arguments, case.expected, case.bounds, case.typical, placed)


def idea(operation: str, name: str) -> str:
    """The idea of a rung: the first sentence of its docstring."""
    return first_sentence(ladder_of(operation)[name].__doc__) or name


def name() -> str:
    """The name of the GPU."""
    from ...compiler.cuda import device

    return device.name()
