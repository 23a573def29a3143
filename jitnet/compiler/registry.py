"""The registry: operation -> rung -> function.

Every test, benchmark and backend reads `LADDERS`, so a new rung touches one file: the one it is written in.
All rungs of an operation take the same arguments, inputs first and outputs last, and return None.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .jit import Kernel, compiled_later
from .lazy import LazyFunctions

LADDERS: dict[str, LazyFunctions] = {}

SIGNATURES: dict[str, str] = {}
"""Operation -> types of its arguments, in Numba's notation, with T for the dtype."""

FLOP: dict[str, Callable[..., int]] = {}
"""Operation -> approximate FLOP of a call with these arguments, which decides whether it uses threads."""

USER_DEFINED: dict[str, str] = {}
"""Operation that a user has defined -> its owner, such as "activation 'mish'"."""


class Call(NamedTuple):
    """An operation and its arguments; a backend chooses the rung."""

    operation: str
    arguments: tuple[Any, ...]

    @property
    def flop(self) -> int:
        return FLOP[self.operation](*self.arguments)


def one_for_each_number(*arguments: Any) -> int:
    """The default FLOP count of an operation."""
    return sum(argument.size for argument in arguments if isinstance(argument, np.ndarray))


changes = 0
"""The number of registrations; backends compare it to detect new kernels."""


def _changed() -> None:
    global changes
    changes += 1


def expect_new(what: str, old: Any, new: Any) -> None:
    """An error if the name belongs to another function or class, `old`; but a cell of a notebook can run again."""
    old = getattr(old, "py_func", old)
    if old is not None and (old.__module__, old.__qualname__) != (new.__module__, new.__qualname__):
        raise ValueError(f"{what} exists already: {old.__module__}.{old.__qualname__}; give the new one another name")


def operation(signature: str, flop: Callable[..., int] = one_for_each_number) -> Callable[[Kernel], Kernel]:
    """Register an operation by its first body, under three compilers; `flop` counts the FLOP of a call.

    `python`    the body, interpreted
    `njit`      the same body, compiled
    `parallel`  the same body, compiled with its `prange` loop on several threads
    """

    def register(body: Kernel) -> Kernel:
        name = body.__name__
        expect_new(f"operation {name!r}", LADDERS[name]["python"] if name in LADDERS else None, body)
        SIGNATURES[name] = signature
        FLOP[name] = flop
        LADDERS[name] = ladder = LazyFunctions()
        ladder["python"] = body
        ladder.add("njit", compiled_later(body))
        ladder.add("parallel", compiled_later(body, parallel=True))
        _changed()
        return body

    return register


def rung(ladder: str, name: str, allocates: bool = False) -> Callable[[Kernel], Kernel]:
    """Register a body with a new idea as the next rung of a ladder, and its threaded version above it."""

    def register(body: Kernel) -> Kernel:
        for each in (name, f"{name}_parallel"):
            expect_new(f"rung {each!r} of {ladder}", LADDERS[ladder].get(each), body)
        LADDERS[ladder].add(name, compiled_later(body, allocates=allocates))
        LADDERS[ladder].add(f"{name}_parallel", compiled_later(body, parallel=True, allocates=allocates))
        _changed()
        return body

    return register


def baseline(ladder: str) -> Callable[[Kernel], Kernel]:
    """Register the NumPy baseline of a ladder, as rung `numpy`; it replaces the one that an activation implies."""

    def register(body: Kernel) -> Kernel:
        LADDERS[ladder]["numpy"] = body
        _changed()
        return body

    return register
