"""The shapes on which a kernel is tested: many small ones, and a large one."""

import math
from collections.abc import Iterator

import numpy as np

from ... import checks
from ..oracle import Shape
from ..problems import Problem

NOT_SMALL = {1: (8_000, 250_000), 2: (90, 500), 3: (20, 200)}
"""Number of dimensions -> size limits of the random shapes without a small size."""

LARGE = (513, 640)
"""Limits of each size of the large shape of an operation, above the usual sizes of blocks."""

MEMORY = 1 << 26
"""Bytes of a random shape; for a matrix with n rows and n columns, a large n needs many GiB."""


def drawn_shapes(problem: Problem, seed: int) -> Iterator[Shape]:
    """Shapes in random order; each size has every value up to 255, so every remainder of every block up to 128.

    Some sizes are larger, up to 1100, and some shapes have no small size. Others are shapes of the problem with one
    size larger or smaller by one. A size that all shapes of the problem share is not changed.
    """
    rng = np.random.default_rng(seed)
    known = np.array([*problem.shapes, *problem.timed])
    fixed = (known == known[0]).all(axis=0)
    least, most = NOT_SMALL.get(int((~fixed).sum()), (4, 40))
    shapes = [rng.integers(least, most, fixed.size) for _ in range(8)]
    for axis in np.flatnonzero(~fixed):
        one = np.eye(fixed.size, dtype=int)[axis]
        for size in (*range(1, 256), *rng.integers(256, 1100, 24)):
            small = rng.integers(1, 12, fixed.size)
            shapes.append(np.where(one, size, small))
        shapes += [shape + step * one for shape in known[: len(problem.shapes)] for step in (-1, 1)]
    for place in rng.permutation(len(shapes)):
        shape = tuple(np.where(fixed, known[0], shapes[place]).tolist())
        if min(shape) > 0 and _needed(problem, shape) <= MEMORY:
            yield shape


def _needed(problem: Problem, shape: Shape) -> float:
    """The bytes of a shape; 0 for one that the problem refuses, as its inputs will."""
    try:
        return problem.memory(shape, np.dtype(problem.dtypes[0]))
    except checks.Error:
        return 0.0


def growing_shapes(problem: Problem, seed: int) -> Iterator[Shape]:
    """A shape without a small size; before it, shapes whose sizes double up to it, the largest of them from 16 to 31.

    The time of a call shows whether the next takes too long. Each size of the last shape is in `LARGE`; or near that of
    the largest timed shape, for a problem, whose reference may not scale.
    """
    rng = np.random.default_rng(seed)
    fixed = (np.array([*problem.shapes, *problem.timed]) == problem.timed[0]).all(axis=0)
    largest = np.array(max(problem.timed, key=math.prod))
    whole = largest - rng.integers(0, largest // 16 + 1) if problem.path else rng.integers(*LARGE, largest.size)
    for halvings in reversed(range(max(int(whole.max()).bit_length() - 4, 1))):
        yield tuple(np.where(fixed, largest, -(-whole >> halvings)).tolist())
