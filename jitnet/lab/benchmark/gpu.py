"""The rungs of the GPU: the same operations, their arrays in its memory, and each call waited for.

A call is timed from the launch until the GPU has done it, so the time holds what starting a kernel costs. There is no
naive loop in Python and no NumPy there; the first rung is what the others are compared with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import backend, checks
from .. import oracle
from ..oracle import Case, Shape


@dataclass
class CaseOnCard(Case):
    """A case whose outputs are fetched when it is asked what is wrong with them."""

    placed: list[Any]
    """Its arguments, in the memory of the GPU."""

    def fault(self) -> str | None:
        for output, there in zip(self.outputs, self.placed[-len(self.outputs) :], strict=True):
            output[...] = backend.get("cuda").to_host(there)
        return super().fault()


def ladder_of(operation: str) -> dict[str, Any]:
    """Rung -> kernel. That there is no GPU, or no such operation on it, is an error in one line."""
    backend.get("cuda")  # which says what is missing
    from ...kernels.cuda import LADDERS

    return LADDERS[checks.one_of("operation of the GPU", operation, LADDERS)]


def prepare(operation: str, name: str, shape: Shape) -> tuple[Callable[[], object], Case]:
    """A call of a rung on data of that shape, and what it has to come to."""
    from ...compiler.cuda.device import stream

    rung, case = ladder_of(operation)[name], oracle.case(operation, shape, np.float32)
    placed = [backend.get("cuda").to_device(argument) for argument in case.arguments]

    def call() -> None:
        rung(*placed)
        stream().synchronize()

    case.allow(rung.eps)  # other arithmetic has other roundings
    return call, CaseOnCard(case.arguments, case.expected, case.bounds, placed)


def idea(operation: str, name: str) -> str:
    """What a rung does differently, in its own words."""
    return " ".join((ladder_of(operation)[name].__doc__ or name).split(".")[0].split())


def name() -> str:
    """What the GPU calls itself."""
    from ...compiler.cuda import device

    return device.name()
