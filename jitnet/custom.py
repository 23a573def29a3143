"""Activations and losses of users: plain functions of numbers, which every backend then trains with.

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

import functools
import inspect
import math
from collections.abc import Callable

from . import checks
from .compiler.registry import LADDERS
from .kernels.elementwise import ACTIVATIONS, Activation, Function
from .kernels.losses import LOSSES, Loss

POINTS = (-4.183, -2.718, -1.414, -0.577, -0.1357, 0.1973, 0.6931, 1.2345, 2.2361, 3.6056)
"""The numbers at which derivatives are compared; functions rarely have a kink there."""

H, TOLERANCE = 1e-3, 1e-6


class CustomActivation(Activation):
    """A user's activation; `derivative` completes it."""

    def derivative(self, slope: Function) -> Activation:
        """Set f', after comparing both; its parameter is z, or a if f' is computed from a = f(z)."""
        names = list(inspect.signature(slope).parameters)
        if names not in (["z"], ["a"]):
            raise checks.Error(
                f"the derivative of activation {self.name!r} takes ({', '.join(names)}); name its parameter z, or a if "
                "it is calculated from a = f(z)"
            )
        for z in POINTS:
            found = slope(z if names == ["z"] else self.f(z))
            _compare(f"activation {self.name!r}", f"z = {z}", self.f, z, found)
        _free(self.name, self.name in ACTIVATIONS)
        return super().derivative(slope)


class CustomLoss(Loss):
    """A user's loss; `derivative` completes it."""

    def derivative(self, slope: Function) -> Loss:
        """Set ∂ℓ/∂a, a function of (a, y), after comparing both."""
        for y in (-1.0, 0.0, 1.0, 0.3567):
            for a in POINTS:
                of_a = functools.partial(lambda y, a: self.f(a, y), y)
                _compare(f"loss {self.name!r}", f"a = {a}, y = {y}", of_a, a, slope(a, y))
        _free(self.name, self.name in LOSSES)
        return super().derivative(slope)


def activation(f: Function) -> CustomActivation:
    """A decorator that defines an activation by f(z), a function of one number; `@f.derivative` completes it.

    Errors    ValueError for a name that jitnet uses, and from `derivative` where f' is not what f's differences are
    """
    return CustomActivation(_name_of("activation", f, ["z"]), f)


def loss(f: Function) -> CustomLoss:
    """A decorator that defines a loss by ℓ(a, y), for one output; `@f.derivative`, ∂ℓ/∂a, completes it.

    It is averaged over outputs and batch.

    Errors    ValueError for a name that jitnet uses, and from `derivative` where ∂ℓ/∂a is not what ℓ's differences are
    """
    return CustomLoss(_name_of("loss", f, ["a", "y"]), f=f)


MADE: set[str] = set()
"""Names of users' functions, which can be replaced."""


def _name_of(what: str, f: Function, parameters: list[str]) -> str:
    name = f.__name__
    if not name.isidentifier() or (name in LADDERS and name not in MADE) or name == "cuda":
        raise checks.Error(f"{what} {name!r}: the name is taken; give the function another one")
    if len(inspect.signature(f).parameters) != len(parameters):
        raise checks.Error(f"{what} {name!r} must be a function of ({', '.join(parameters)}), numbers")
    return name


def _free(name: str, is_the_same_kind: bool) -> None:
    """Remove an earlier function of this name, as in a notebook."""
    if name in MADE and not is_the_same_kind:
        raise checks.Error(f"{name!r} is registered as something else already; give the function another name")
    for operation in (name, f"{name}_derivative"):
        LADDERS.pop(operation, None)
    MADE.update((name, f"{name}_derivative"))


def _compare(what: str, where: str, f: Callable[[float], float], x: float, found: float) -> None:
    expected = (f(x - 2 * H) - 8 * f(x - H) + 8 * f(x + H) - f(x + 2 * H)) / (12 * H)
    if not math.isfinite(expected):
        raise checks.Error(f"{what} is not finite near {where}")
    if not abs(found - expected) <= TOLERANCE * (1 + abs(expected)):
        raise checks.Error(
            f"the derivative of {what} is wrong at {where}: expected {expected:.6g} by finite differences, "
            f"found {found:.6g}"
        )
