"""The registry: operation -> rung -> function.

Every test, benchmark and backend reads `LADDERS`, so a new rung touches one file: the one it is written in.
All rungs of an operation take the same arguments, inputs first and outputs last, and return None.
"""

from collections.abc import Callable

from .jit import Kernel, compiled

LADDERS: dict[str, dict[str, Kernel]] = {}

SIGNATURES: dict[str, str] = {}
"""Operation -> types of its arguments, in Numba's notation, with T for the dtype."""


def operation(signature: str) -> Callable[[Kernel], Kernel]:
    """Register an operation by its first body, under three compilers.

    `python`    the body, interpreted
    `njit`      the same body, compiled
    `parallel`  the same body, compiled with its `prange` loop spread over the threads
    """

    def register(body: Kernel) -> Kernel:
        SIGNATURES[body.__name__] = signature
        LADDERS[body.__name__] = {
            "python": body,
            "njit": compiled(body),
            "parallel": compiled(body, parallel=True),
        }
        return body

    return register


def rung(ladder: str, name: str, allocates: bool = False) -> Callable[[Kernel], Kernel]:
    """Register a body with a new idea as the next rung of a ladder, and its threaded twin above it."""

    def register(body: Kernel) -> Kernel:
        LADDERS[ladder][name] = compiled(body, allocates=allocates)
        LADDERS[ladder][f"{name}_parallel"] = compiled(body, parallel=True, allocates=allocates)
        return body

    return register


def baseline(ladder: str) -> Callable[[Kernel], Kernel]:
    """Register NumPy's own way beside the ladder, as rung `numpy`: something to measure against."""

    def register(body: Kernel) -> Kernel:
        LADDERS[ladder]["numpy"] = body
        return body

    return register
