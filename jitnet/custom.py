"""Users' activations and losses: plain functions of numbers, with which every backend can train.

    @jitnet.activation
    def mish(z):
        return z * math.tanh(math.log1p(math.exp(z)))

    @mish.derivative
    def _(z):
        ...

    jitnet.Dense(64, 32, mish)

The derivative is compared with finite differences of the function before anything is registered. Loops over functions
with `math.exp` and `math.tanh` are vectorized. A saved model contains the name of its activation, and can be loaded
where a function of that name is registered.
"""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from . import checks
from .compiler.registry import FLOP, LADDERS, SIGNATURES, USER_DEFINED
from .kernels.elementwise import ACTIVATIONS, Activation, Function
from .kernels.losses import LOSSES, Loss

POINTS = (-4.183, -2.718, -1.414, -0.577, -0.1357, 0.1973, 0.4142, 0.6931, 0.8862, 1.2345, 2.2361, 3.6056)
"""The points at which derivatives are compared; functions rarely have a kink there."""

H, TOLERANCE = 1e-3, 1e-6


class CustomActivation(Activation):
    """A user's activation; `derivative` completes it."""

    def derivative(self, f_prime: Function) -> Activation:
        """Set f', compared with differences of f; its parameter is z, or a if f' is computed from a = f(z)."""
        what = f"activation {self.name!r}"
        f_prime = _plain(f"the derivative of {what}", f_prime)
        names = list(inspect.signature(f_prime).parameters)
        if names not in (["z"], ["a"]):
            raise checks.Error(
                f"the derivative of activation {self.name!r} takes ({', '.join(names)}); name its parameter z, or a if "
                "it is calculated from a = f(z)"
            )
        with _registering(what, self, [self.name, f"{self.name}_derivative"]):
            of_z = f_prime if names == ["z"] else lambda z: f_prime(self.f(z))
            for z in POINTS:
                _compare(what, f"z = {z}", self.f, of_z, z)
            return super().derivative(f_prime)


class CustomLoss(Loss):
    """A user's loss; `derivative` completes it."""

    def derivative(self, f_prime: Function) -> Loss:
        """Set ∂ℓ/∂a, a function of (a, y), after comparing it with finite differences of ℓ.

        Where ℓ is not defined, as a cross-entropy is not outside of 0 < a < 1, nothing is compared.
        """
        what = f"loss {self.name!r}"
        f_prime = _plain(f"the derivative of {what}", f_prime)
        _takes(f"the derivative of {what}", f_prime, ["a", "y"])
        with _registering(what, self, [self.name]):
            for y in (-1.0, 0.0, 1.0, 0.3567):
                for a in POINTS:
                    if 0 < a < 1 or math.isfinite(_difference(self.f, a, y)):
                        _compare(what, f"a = {a}, y = {y}", self.f, f_prime, a, y)
            return super().derivative(f_prime)


def activation(f: Function) -> CustomActivation:
    """A decorator that defines an activation by f(z), a function of one number; `@f.derivative` completes it.

    Errors    ValueError for a name that jitnet uses, and from `derivative` where f' is not what f's differences are
    """
    f = _plain("an activation", f, is_named=True)
    what = f"activation {f.__name__!r}"
    _check_that_free(what, [f.__name__, f"{f.__name__}_derivative"])
    return CustomActivation(f.__name__, _takes(what, f, ["z"]))


def loss(f: Function) -> CustomLoss:
    """A decorator that defines a loss by ℓ(a, y), for one output; `@f.derivative`, ∂ℓ/∂a, completes it.

    It is averaged over outputs and batch.

    Errors    ValueError for a name that jitnet uses, and from `derivative` where ∂ℓ/∂a is not what ℓ's differences are
    """
    f = _plain("a loss", f, is_named=True)
    what = f"loss {f.__name__!r}"
    _check_that_free(what, [f.__name__])
    return CustomLoss(f.__name__, _takes(what, f, ["a", "y"]))


def _plain(what: str, f: Any, is_named: bool = False) -> Function:
    """The Python function, even if a Numba decorator has compiled it: jitnet compiles it itself."""
    f = getattr(f, "py_func", f)
    if not isinstance(f, FunctionType):
        raise checks.Error(f"{what} must be a Python function of numbers, written with def, but is {checks.shown(f)}")
    if is_named and not f.__name__.isidentifier():
        raise checks.Error(f"{what} needs a name, which a lambda does not have; write it with def")
    return f


def _takes(what: str, f: Function, parameters: list[str]) -> Function:
    if len(inspect.signature(f).parameters) != len(parameters):
        raise checks.Error(f"{what} must be a function of ({', '.join(parameters)}), numbers")
    return f


def _check_that_free(what: str, operations: list[str]) -> None:
    """A user's function can be replaced by one of the same kind, as happens in a notebook."""
    for operation in operations:
        is_taken = operation in {*LADDERS, *ACTIVATIONS, *LOSSES, "cuda"}
        if is_taken and USER_DEFINED.get(operation) != what:
            owner = f" by {USER_DEFINED[operation]}" if operation in USER_DEFINED else ""
            raise checks.Error(f"{what}: the name is taken{owner}; give the function another one")


@contextlib.contextmanager
def _registering(what: str, entry: Any, operations: list[str]) -> Iterator[None]:
    """For `with`: if registering fails, everything is as before, including an earlier function of this name."""
    registries: list[dict[str, Any]] = [LADDERS, SIGNATURES, FLOP, ACTIVATIONS, LOSSES, USER_DEFINED, vars(entry)]
    before = [dict(registry) for registry in registries]
    try:
        _check_that_free(what, operations)
        for operation in operations:
            LADDERS.pop(operation, None)
            USER_DEFINED[operation] = what
        yield
    except BaseException as error:
        for registry, content in zip(registries, before, strict=True):
            registry.clear()
            registry.update(content)
        if isinstance(error, RecursionError):
            raise checks.Error(f"{what}, or a helper of it, calls itself; write it as a loop") from None
        raise


def _compare(what: str, where: str, f: Function, f_prime: Function, x: float, *y: float) -> None:
    expected, found = _difference(f, x, *y), _value(f_prime, x, *y)
    if not math.isfinite(expected):
        raise checks.Error(f"{what} is not finite near {where}")
    if math.isnan(found):
        raise checks.Error(f"the derivative of {what} is not defined at {where}")
    if not abs(found - expected) <= TOLERANCE * (1 + abs(expected)):
        raise checks.Error(
            f"the derivative of {what} is wrong at {where}: expected {expected:.6g} by finite differences, "
            f"found {found:.6g}"
        )


def _difference(f: Function, x: float, *y: float) -> float:
    """The derivative with respect to x by finite differences; NaN if f is not defined near x."""
    return _value(lambda x: (f(x - 2 * H, *y) - 8 * f(x - H, *y) + 8 * f(x + H, *y) - f(x + 2 * H, *y)) / (12 * H), x)


def _value(f: Function, *numbers: float) -> float:
    """The value of f; NaN where it is not defined: 1 / 0, log(−1), or the complex (−1)**0.5."""
    try:
        value = f(*numbers)
    except (ArithmeticError, ValueError):
        return math.nan
    return math.nan if isinstance(value, complex) else value
