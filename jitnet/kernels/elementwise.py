"""Elementwise operations: all of their rungs follow from a function of one number.

    @activation("tanh", fast=tanh_of)
    def hyperbolic_tangent(z):
        return math.tanh(z)

    @hyperbolic_tangent.derivative
    def _(a):
        return 1 - a * a

This is all that an activation needs. The name of the derivative's parameter is the input of f': `a`, the activation, or
`z`, the pre-activation, which a network then stores. This registers the operations `tanh` and `tanh_derivative`, with
loops like those of `sigmoid`, which are written out in activations.py. The GPU uses the same two functions
(`cuda/activations.py`).
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange

from ..compiler.fingerprint import fingerprint
from ..compiler.intrinsics import wide, window
from ..compiler.jit import Kernel, linked
from ..compiler.registry import LADDERS, baseline, expect_new, operation, rung
from ..compiler.scalar import ON_ARRAYS, calls, on_arrays, scalar
from ..compiler.threads import PART, parts_of
from ..compiler.types import Matrix, Vector
from .exponential import exponential, log1p_of, tanh_of

Function = Callable[..., Any]


def log1p(e: float) -> float:
    """log(1 + e) for 0 ≤ e ≤ 1."""
    return math.log1p(e)


FAST: dict[Any, Function] = {
    math.exp: exponential, np.exp: exponential, math.tanh: tanh_of, np.tanh: tanh_of, log1p: log1p_of
}  # fmt: skip
"""Function -> its replacement in the rung `polynomial`, which can be vectorized."""

FUSED = ("identity", "sigmoid", "tanh", "relu")
"""The activations that the kernels in `dense.py` apply to a product while it is in the cache. The others are
separate kernels after the product."""

ACTIVATIONS: dict[str, "Activation"] = {}
"""All registered activations, in the order of messages."""


class Activation:
    """An activation: f, f', and what a layer needs to know."""

    def __init__(self, name: str, f: Function, fast: Function | None = None, jacobian: Function | None = None) -> None:
        self.name, self.f, self.jacobian = name, f, jacobian
        self.__doc__, self.__wrapped__ = f.__doc__, f
        self.f_prime: Function
        """f'."""
        self.reads_Z = False
        """True if f' is computed from Z, not from A = f(Z)."""
        if fast:
            FAST[f] = FAST[self] = fast

    @property
    def keeps_Z(self) -> bool:
        """True if a network stores Z: f' needs it, or the loop of f is vectorized only if A is not Z."""
        return self.reads_Z or (hasattr(self, "f_prime") and self.name not in FUSED)

    def __call__(self, z: float) -> float:
        return self.f(z)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<activation {self.name!r}>"

    def derivative(self, f_prime: Function) -> "Activation":
        """Set f', and register both functions."""
        self.f_prime = f_prime
        (argument,) = inspect.signature(f_prime).parameters
        self.reads_Z = argument == "z"
        register_activation(self)
        ACTIVATIONS[self.name] = self
        return self


def activation(name: str, fast: Function | None = None) -> Callable[[Function], Activation]:
    """Define an activation by f; `derivative` completes it.

    fast      computes f without a call into the math library, if replacing e^x (`FAST`) is not enough
    """

    def define(f: Function) -> Activation:
        expect_new(f"activation {name!r}", getattr(ACTIVATIONS.get(name), "f", None), f)
        return Activation(name, f, fast)

    return define


def flop(Z: Matrix, *others: Matrix) -> int:
    """FLOP of an exponential and the arithmetic around it."""
    return 32 * Z.size


POLYNOMIAL = "without a call into the math library (`exponential.py`); saves a call for each number"
WIDE = "in parts, with the widest vectors; saves up to half of the instructions"
"""The ideas of the fast rungs, and what they save."""


def register_activation(entry: Activation) -> None:
    """The operations `name` and `name_derivative`, each with all its rungs."""
    name, name_of_back = entry.name, f"{entry.name}_derivative"
    if name not in LADDERS:
        operation("T[:,::1], T[:,::1]", flop)(named(loop_forward(scalar(entry.f, {})), name, entry.f))
    if name_of_back not in LADDERS:
        back = loop_back(scalar(entry.f_prime, {}))
        operation("T[:,::1], T[:,::1], T[:,::1]", flop)(named(back, name_of_back, entry.f_prime))
    for operation_name, f, loops in ((name, entry.f, fast_forward), (name_of_back, entry.f_prime, fast_back)):
        has_e = calls(f, FAST) or f in FAST
        if has_e or name not in FUSED:
            body = loops(operation_name, FAST.get(f) or scalar(f, FAST))
            rung_name, how = ("polynomial", POLYNOMIAL) if has_e else ("wide", WIDE)
            rung(operation_name, rung_name)(named(body, f"{operation_name}_{rung_name}", f, how=how))
    f, f_prime = on_arrays(entry.f), on_arrays(entry.f_prime)
    ON_ARRAYS[entry] = ON_ARRAYS[entry.f] = f

    def numpy_forward(Z: Matrix, A: Matrix) -> None:
        A[...] = f(Z)

    def numpy_back(S: Matrix, dA: Matrix, delta: Matrix) -> None:
        np.multiply(dA, f_prime(S), out=delta)

    baseline(name)(numpy_forward)
    baseline(name_of_back)(numpy_back)


def named(body: Kernel, name: str, *functions: Function, how: str = "") -> Kernel:
    """A loop with a unique name, for the cache and for linking; its docstring names f."""
    about = (functions[0].__doc__ or functions[0].__name__).splitlines()[0].rstrip(".")
    body.__name__, body.__qualname__ = name, "_".join([name, *map(fingerprint, functions)])
    body.__doc__ = body.__doc__ and body.__doc__.format(f=about, how=how)
    return body


def loop_forward(f: Function) -> Kernel:
    def forward(Z: Matrix, A: Matrix) -> None:
        """{f}. Z (m, n), A (m, n), which may be Z; NaN stays NaN."""
        m, n = Z.shape
        for i in prange(m):
            for j in range(n):
                A[i, j] = f(Z[i, j])

    return forward


def loop_back(f_prime: Function) -> Kernel:
    def back(S: Matrix, dA: Matrix, delta: Matrix) -> None:
        """delta = dA ⊙ f'. S is A or Z, the input of f'; shapes (m, n) each; delta may be dA."""
        m, n = S.shape
        for i in prange(m):
            for j in range(n):
                delta[i, j] = dA[i, j] * f_prime(S[i, j])

    return back


def fast_forward(name: str, f: Function) -> Kernel:
    def part(z: Vector, a: Vector) -> None:
        wide(z)
        for j in range(z.size):
            a[j] = f(z[j])

    all_of = linked(named(part, f"{name}_all_{fingerprint(f)}", f))

    def forward(Z: Matrix, A: Matrix) -> None:
        """Like the rung above, but {how}."""
        for t in prange(parts_of(Z.size)):
            size = min(PART, Z.size - t * PART)
            all_of(window(Z, t * PART, size), window(A, t * PART, size))

    return forward


def fast_back(name: str, f_prime: Function) -> Kernel:
    def part(s: Vector, da: Vector, delta: Vector) -> None:
        wide(s)
        if da.ctypes.data != delta.ctypes.data:
            for j in range(s.size):
                delta[j] = da[j]
        for j in range(s.size):  # two arrays: if dA is delta, a loop over three would not be vectorized
            delta[j] = delta[j] * f_prime(s[j])

    all_of = linked(named(part, f"{name}_all_{fingerprint(f_prime)}", f_prime))

    def back(S: Matrix, dA: Matrix, delta: Matrix) -> None:
        """Like the rung above, but {how}."""
        for t in prange(parts_of(S.size)):
            at, size = t * PART, min(PART, S.size - t * PART)
            all_of(window(S, at, size), window(dA, at, size), window(delta, at, size))

    return back
