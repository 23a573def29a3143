"""The operations of jitnet as problems: the oracle draws their inputs and knows what they should give."""

import functools
import inspect
import math

import numpy as np

from ...kernels import LADDERS
from .. import oracle
from ..oracle import Case, Shape
from .problem import Problem

PRODUCTS = ("matmul", "matmul_tn", "matmul_nt", "layer", "delta", "gradients", "descend", "train")
"""Operations whose work is multiply-adds, and that are measured in FLOP/s; the others in bytes/s."""


def of_operation(name: str) -> Problem:
    """An operation as a problem; its rungs are those of its ladder, and its shapes are (m, n_in, n_out)."""
    body = LADDERS[name]["python"]
    parameters = tuple(inspect.signature(body).parameters)
    count = len(oracle.case(name, (1, 1, 1), "float32").expected)
    return Problem(
        name=name, about=inspect.getdoc(body) or name, parameters=parameters,
        results=parameters[-count:], draw=functools.partial(oracle.case, name),
        shapes=tuple(oracle.ugly_shapes(name)), timed=((512, 512, 512),),
        flops=lambda shape: 2.0 * math.prod(shape) if name in PRODUCTS else 0.0,
        memory=lambda shape, dtype: _moved(name, shape, dtype.name), rungs=LADDERS[name],
        unit="GFLOP/s" if name in PRODUCTS else "GB/s",
    )  # fmt: skip


@functools.lru_cache(maxsize=64)
def _moved(operation: str, shape: Shape, dtype: str) -> float:
    return moved(oracle.case(operation, shape, dtype))


def moved(case: Case) -> float:
    """Bytes that must at least be read and written. An array that is both moves twice."""
    arrays = [argument for argument in case.arguments if isinstance(argument, np.ndarray)]
    updated = [output for output in case.outputs if not oracle.holds_nothing(output)]
    return float(sum(array.nbytes for array in [*arrays, *updated]))
