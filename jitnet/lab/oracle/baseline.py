"""The results of the NumPy baseline in float64, for operations without a formula, such as those of a layer."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ...kernels import LADDERS, SIGNATURES
from ..rounding import Rounded
from .case import Case


def case_by_baseline(operation: str, sizes: dict[str, int], dtype: np.dtype[Any], rng: np.random.Generator) -> Case:
    """What the NumPy baseline gives in float64, for an operation without a formula here, such as that of a layer.

    The docstring of the operation gives the shapes of its arguments, and those that it writes, which are the last.
    """
    body = LADDERS[operation]["python"]
    shapes, written = described(body)
    arguments: list[Any] = []
    for name, kind in zip(inspect.signature(body).parameters, SIGNATURES[operation].split(", "), strict=True):
        shape = tuple(sizes[size] if size in sizes else int(size) for size in shapes.get(name, ()))
        if len(shape) != (kind.count(",") + 1 if "[" in kind else 0):
            raise ValueError(f"{operation} needs the shape of {name} in its docstring, as in: Shapes    {name} (m, n)")
        if kind.startswith("int64"):
            arguments.append(rng.integers(0, 2**62, shape) if shape else int(rng.integers(0, 2**32)))
        elif shape:
            arguments.append(rng.standard_normal(shape).astype(dtype))
        else:
            arguments.append(dtype.type(abs(0.1 * rng.standard_normal())))
    outputs = arguments[-len(written) :]
    for output in outputs:
        output.fill(np.nan)
    eps = float(np.finfo(dtype).eps)
    given = [Rounded(a, eps) if np.asarray(a).dtype == dtype else a for a in arguments]
    LADDERS[operation]["numpy"](*given)
    found: list[Any] = given[-len(written) :]
    bounds = [2 * output.error for output in found]
    if not all(np.isfinite(bound).all() for bound in bounds):
        raise ValueError(f"the NumPy baseline of {operation} has no bound for these inputs")
    return Case(arguments, [output.value for output in found], bounds)


def described(body: Callable[..., Any]) -> tuple[dict[str, list[str]], list[str]]:
    """The shape of each argument, and those that are written, from the docstring of an operation."""
    parts = re.split(r"^([A-Z][a-z]+) {2,}", inspect.getdoc(body) or "", flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    shapes = {
        name: re.findall(r"\w+", shape)
        for names, shape in re.findall(r"((?:\w+, )*\w+) \(([^()]*)\)", sections.get("Shapes", ""))
        for name in names.split(", ")
    }
    names = re.findall(r"\w+", sections.get("Writes", "").partition(", which")[0])
    parameters = list(inspect.signature(body).parameters)
    written = [name for name in parameters if name in names]
    if written != parameters[-len(written) :]:
        raise ValueError(f"the docstring of {body.__name__} needs its outputs, its last arguments, as in: Writes    Z")
    return shapes, written
