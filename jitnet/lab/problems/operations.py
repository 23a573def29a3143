"""The operations of jitnet as problems: the oracle draws their inputs and knows what they should give."""

import functools
import inspect
import math
from collections.abc import Sequence

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


def size_in_words(name: str, shape: Sequence[int], times: str = "x") -> str:
    """The sizes that an operation uses: `512x784x10` of matmul, `512x10` of sigmoid, `7,840 parameters` of adam.

    A problem of another name uses all of its sizes.
    """
    if name not in LADDERS:
        return times.join(map(str, shape))
    sizes = [math.prod(shape[axis] for axis in of) for of in _axes(name)]
    return times.join(map(str, sizes)) if len(sizes) > 1 else f"{sizes[0]:,} parameters"


_PROBE = (53, 59, 61)
"""Prime, so that the length of an axis has them as factors."""


@functools.cache
def _axes(name: str) -> tuple[tuple[int, ...], ...]:
    """The axes of its largest array, each as the positions of the sizes that it is a product of; or all three sizes, if
    several arrays use them."""
    arrays = [a.shape for a in oracle.case(name, _PROBE, "float32").arguments if isinstance(a, np.ndarray)]
    used = [
        tuple(tuple(at for at, size in enumerate(_PROBE) if length % size == 0) for length in shape) for shape in arrays
    ]
    if {at for of in used for axis in of for at in axis} == {0, 1, 2}:
        return (0,), (1,), (2,)
    return max(used, key=lambda of: sum(map(len, of)))


@functools.lru_cache(maxsize=64)
def _moved(operation: str, shape: Shape, dtype: str) -> float:
    return moved(oracle.case(operation, shape, dtype))


def moved(case: Case) -> float:
    """Bytes that must at least be read and written. An array that is both moves twice."""
    arrays = [argument for argument in case.arguments if isinstance(argument, np.ndarray)]
    updated = [output for output in case.outputs if not oracle.holds_nothing(output)]
    return float(sum(array.nbytes for array in [*arrays, *updated]))
