"""A forgotten tail: a kernel that works in blocks, and skips the elements after the last whole block.

Guessed arrays hold numbers, so an element that nothing writes is no error by itself: the border of a stencil is left as
it is, a histogram counts in some elements only, and a kernel that exchanges neighbors leaves a last one alone. A tail
is one if the kernel writes the whole array for some lengths, and all but the last n mod b elements for every other
length n, unless that is always a single one, and the kernel only changes the order of what is there.
"""

import contextlib
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checking import results, written
from .findings import Finding
from .reasons import edge_of

LONGER = (10, 12)
"""Lengths that confirm a tail: multiples of 5 and of 3, with another remainder for larger blocks."""


def unwritten_tails(
    kernel: Callable[..., Any], cases: Sequence[Sequence[Any]], more: Callable[[], Iterable[Sequence[Any]]],
    writes: Sequence[str],
) -> list[Finding]:  # fmt: skip
    """A finding for each array with a tail that nothing writes: an error for those that it is known to write.

    cases     arguments of several lengths
    more      makes others, if those show a tail
    """
    runs = [written(kernel, case) for case in cases]
    if not any(_may_be_one(~mask) for run in runs for mask in run.values()):
        return []
    with contextlib.redirect_stdout(io.StringIO()):  # what a kernel prints is counted in the usual runs
        runs += [written(kernel, case) for case in more()]
        exchanged = dict(zip(runs[0], _exchanges(kernel, cases[0]), strict=False))
    found = []
    for name in runs[0]:
        masks = [run[name] for run in runs if name in run]
        if exchanged.get(name) and all(_has_one_left(mask) for mask in masks if mask.any() and not mask.all()):
            continue
        tail = next((mask for mask in masks if mask.any() and not mask.all()), None)
        whole = next((mask for mask in masks if mask.all()), None)
        if tail is None or whole is None or not _is_of_blocks(masks):
            continue
        element = [int(i) for i in np.argwhere(~tail)[0]]
        message = (
            f"never writes {edge_of(~tail)} of {name}, first {name}{element}, if its shape is {tail.shape}; it writes "
            f"all of it if its shape is {whole.shape}"
        )
        found.append(Finding("unwritten" if name in writes else "tail", message, array=name, element=element))
    return found


def _exchanges(kernel: Callable[..., Any], case: Sequence[Any]) -> list[bool]:
    """For each array, whether it has the same numbers after a call, in another order."""
    arrays = [array for array in case if isinstance(array, np.ndarray)]
    return [
        not np.array_equal(before, after) and np.array_equal(np.sort(before, None), np.sort(after, None))
        for before, after in zip(arrays, results(kernel, case), strict=False)
    ]


def _has_one_left(written: NDArray[np.bool_]) -> bool:
    """Whether all but the last element, row or column is written."""
    sizes = np.argwhere(written).max(axis=0) + 1
    return bool((np.array(written.shape) - sizes <= 1).all())


def _may_be_one(unwritten: NDArray[np.bool_]) -> bool:
    """Whether the end of an array is not written, or nothing is, as if it were shorter than a block."""
    return bool(edge_of(unwritten)) or bool(unwritten.all())


def _is_of_blocks(masks: list[NDArray[np.bool_]]) -> bool:
    """Whether what is written along each axis ends with the last whole block of one size, in every run that writes."""
    extents: list[list[tuple[int, int]]] = []
    """Run -> axis -> the length, and how much of it is written."""
    for mask in (mask for mask in masks if mask.any()):
        sizes = np.argwhere(mask).max(axis=0) + 1
        if not mask[tuple(map(slice, sizes))].all():
            return False
        extents.append(list(zip(mask.shape, map(int, sizes), strict=True)))
    return all(
        any(all(size == n - n % block for n, size in axis) for block in range(1, max(n for n, _ in axis) + 1))
        for axis in zip(*extents, strict=True)
    )
