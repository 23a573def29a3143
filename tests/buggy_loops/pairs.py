"""Registers kernels with a bug and their corrected twins, and makes their argument arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from .rules import RULES

parallel = njit(parallel=True)
N, M = 7, 5


@dataclass
class Pair:
    """A kernel with one bug, and what the sanitizer should find."""

    rule: str
    """The broken rule, a key of `RULES`."""
    arguments: Callable[[], tuple[Any, ...]]
    kind: str
    """The kind of the finding."""
    says: str
    """A regular expression for the message."""
    writes: str | None
    wrong: Callable[..., Any]
    right: Callable[..., Any] | None = None


PAIRS: dict[str, Pair] = {}


def pair(rule, arguments, kind, says, writes=None):
    """Register the function and, below it, its corrected twin: `@pair(...) def f`, then `@twin_of("f") def _`."""
    assert rule in RULES

    def register(wrong):
        PAIRS[wrong.__name__] = Pair(rule, arguments, kind, says, writes, parallel(wrong))
        return wrong

    return register


def twin_of(name):
    def register(right):
        PAIRS[name].right = parallel(right)
        return right

    return register


def vector(n=N, dtype="f4"):
    return (1 + np.arange(n)).astype(dtype)


def matrix(m=M, n=N, dtype="f4"):
    return (1 + np.arange(m * n)).reshape(m, n).astype(dtype)


def unset(*shape, dtype="f4"):
    return np.full(shape, np.nan, dtype)
