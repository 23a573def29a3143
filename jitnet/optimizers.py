"""The optimizers that a user names. Each is one kernel over the flat vector of parameters (kernels/optimizers.py)."""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from . import checks
from .compiler.jit import Kernel
from .compiler.memory import aligned
from .compiler.registry import LADDERS, expect_new
from .compiler.types import Vector
from .kernels.optimizers import register_rule

__all__ = ["SGD", "Adam", "AdamW", "Momentum", "RMSprop"]

OptimizerName = Literal["sgd", "momentum", "adam", "adamw", "rmsprop"]
"""The names for type checkers."""

OPTIMIZERS: dict[str, "Callable[..., Optimizer]"] = {}
"""All registered optimizers, in the order of messages."""

USUAL_LR: dict[str, float] = {}
"""The learning rates that names stand for, which suit small networks. The classes have the defaults of the papers."""


class Optimizer(ABC):
    """A rule for one gradient step. The settings are fields; the caller keeps its vectors from step to step."""

    kernel: str
    """Name of the operation of a step."""
    memory: tuple[str, ...]
    """Names of the state vectors, each as long as theta."""
    rule: Callable[..., Any] | None = None
    """The step of one parameter, unless its kernel is written out; see `register_rule`."""

    @property
    def name(self) -> str:
        """Its name as a string: "adam" for Adam(0.01)."""
        return type(self).__name__.lower()

    def start(self, theta: Vector) -> list[Vector]:
        """New state, all zeros.

        Errors    ValueError if a setting becomes 0 or infinity in theta's dtype
        """
        self.check(theta.dtype)
        return [aligned(theta.size, theta.dtype) for _ in self.memory]

    def check(self, dtype: np.dtype[Any]) -> None:
        """An error if a setting becomes 0 or infinity in this dtype."""
        name = repr(self)
        for number in self.numbers(1):
            checks.expect_representable(name, number, dtype)

    @abstractmethod
    def numbers(self, t: int) -> tuple[float, ...]:
        """The kernel's numbers at step t = 1, 2, ..., between its gradient and its vectors."""

    def step(self, kernel: Kernel, t: int, grad: Vector, memory: list[Vector], theta: Vector) -> None:
        """Update theta in place, by a kernel for theta's dtype; its numbers are rounded to that dtype."""
        kernel(grad, *self.given(t, theta.dtype), *memory, theta)

    def given(self, t: int, dtype: np.dtype[Any]) -> Sequence[Any]:
        """The numbers of step t as arguments of the kernel: one by one or, for a rule, as a vector."""
        return self.numbers(t) if self.rule is None else [np.array(self.numbers(t), dtype)]

    @property
    def descent(self) -> tuple[float, float] | None:
        """lr and weight_decay, if the step needs only the gradient: it can then be fused with the gradient."""
        return None

    def scaled(self, factor: float) -> "Optimizer":
        """A copy with factor times the learning rate, which may be 0 for some steps.

        Errors    ValueError for a factor that is negative or not finite, as from the schedule of a user
        """
        other, lr = copy.copy(self), getattr(self, "lr", None)
        if lr is None:
            raise checks.Error(f"{self!r} has no learning rate lr, which a schedule would change")
        object.__setattr__(other, "lr", lr * checks.number("the factor of the schedule", factor, least=0))
        return other

    def settings(self) -> dict[str, Any]:
        """Name and settings, for files and messages."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]


Class = TypeVar("Class", bound=type[Optimizer])


def registered(usual_lr: float) -> Callable[[Class], Class]:
    """Register an optimizer under its name in lower case; if it has a rule, create its loops."""

    def register(optimizer: Class) -> Class:
        name = optimizer.__name__.lower()
        expect_new(f"optimizer {name!r}", OPTIMIZERS.get(name), optimizer)
        if optimizer.rule is not None:
            make: Callable[..., Optimizer] = optimizer
            optimizer.rule.__doc__, usual = optimizer.__doc__, make(lr=usual_lr)
            is_again = getattr(OPTIMIZERS.get(name), "kernel", None) == usual.kernel  # a cell of a notebook
            before = LADDERS.pop(usual.kernel, None) if is_again else None
            try:
                register_rule(usual.kernel, optimizer.rule, len(usual.numbers(1)), len(usual.memory))
            except Exception:
                LADDERS.update({usual.kernel: before} if before is not None else {})
                raise
        OPTIMIZERS[name], USUAL_LR[name] = optimizer, usual_lr
        return optimizer

    return register


@registered(usual_lr=0.1)
@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: theta ← theta − lr·(grad + weight_decay·theta).

    lr > 0 and weight_decay ≥ 0 have no units; ValueError otherwise.
    """

    lr: float
    weight_decay: float = 0.0

    kernel = "sgd"
    memory = ()

    def __post_init__(self) -> None:
        checks.store_number(self, "lr", above=0)
        checks.store_number(self, "weight_decay", least=0)

    def numbers(self, t: int) -> tuple[float, ...]:
        return self.lr, self.weight_decay

    @property
    def descent(self) -> tuple[float, float]:
        return self.lr, self.weight_decay


@registered(usual_lr=0.05)
@dataclass(frozen=True)
class Momentum(Optimizer):
    """Gradient descent with momentum: velocity ← beta·velocity + g, theta ← theta − lr·velocity.

    With `nesterov` the step is lr·(g + beta·velocity). g = grad + weight_decay·theta. lr > 0, 0 ≤ beta < 1,
    weight_decay ≥ 0; ValueError otherwise.
    """

    lr: float
    beta: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0

    memory = ("velocity",)

    def __post_init__(self) -> None:
        checks.store_number(self, "lr", above=0)
        checks.store_number(self, "beta", least=0, below=1)
        checks.flag("nesterov", self.nesterov)
        checks.store_number(self, "weight_decay", least=0)

    @property
    def kernel(self) -> str:  # type: ignore[override]
        return "nesterov" if self.nesterov else "momentum"

    def numbers(self, t: int) -> tuple[float, ...]:
        return self.lr, self.beta, self.weight_decay


@registered(usual_lr=0.003)
@dataclass(frozen=True)
class Adam(Optimizer):
    """Steps of a similar size for every parameter: theta ← theta − lr·mean/(√square + epsilon), bias-corrected.

    mean and square are running averages of g and g², g = grad + weight_decay·theta. lr > 0, 0 ≤ beta1, beta2 < 1,
    epsilon > 0, weight_decay ≥ 0; ValueError otherwise. The name "adam" stands for lr=0.003. Kingma and Ba, 2015.
    """

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    kernel = "adam"
    memory = ("mean", "square")

    def __post_init__(self) -> None:
        checks.store_number(self, "lr", above=0)
        checks.store_number(self, "beta1", least=0, below=1)
        checks.store_number(self, "beta2", least=0, below=1)
        checks.store_number(self, "epsilon", above=0)
        checks.store_number(self, "weight_decay", least=0)

    def numbers(self, t: int) -> tuple[float, ...]:
        return (
            self.lr, self.beta1, self.beta2, 1 - self.beta1, 1 - self.beta2, self.epsilon, self.weight_decay,
            *self.corrections(t),
        )  # fmt: skip

    def corrections(self, t: int) -> tuple[float, float]:
        """The bias corrections of mean and square, which start at 0, for step t."""
        return 1 - self.beta1**t, 1 - self.beta2**t


@registered(usual_lr=0.003)
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam, with a weight decay that is not part of the gradient: theta ← theta − lr·weight_decay·theta − Adam's step.

    mean and square are running averages of grad and grad². lr > 0, 0 ≤ beta1, beta2 < 1, epsilon > 0, weight_decay ≥ 0;
    ValueError otherwise. Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019.
    """

    weight_decay: float = 0.01

    kernel = "adamw"

    def numbers(self, t: int) -> tuple[float, ...]:
        of_mean, of_square = self.corrections(t)
        return (
            self.lr / of_mean, self.lr * self.weight_decay, self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2,
            1 / math.sqrt(of_square), self.epsilon,
        )  # fmt: skip

    @staticmethod
    def rule(g: float, w: float, mean: float, square: float, numbers: tuple[float, ...]) -> tuple[float, ...]:
        step, decay, beta1, rest1, beta2, rest2, shrink, epsilon = numbers
        mean = beta1 * mean + rest1 * g
        square = beta2 * square + rest2 * (g * g)
        return mean, square, w - decay * w - step * mean / (math.sqrt(square) * shrink + epsilon)


@registered(usual_lr=0.003)
@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Steps of a similar size for every parameter, without momentum: theta ← theta − lr·g/(√square + epsilon).

    square ← alpha·square + (1 − alpha)·g², g = grad + weight_decay·theta. lr > 0, 0 ≤ alpha < 1, epsilon > 0,
    weight_decay ≥ 0; ValueError otherwise. Tieleman and Hinton, lecture 6.5 of a course, 2012.
    """

    lr: float = 0.01
    alpha: float = 0.99
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    kernel = "rmsprop"
    memory = ("square",)

    def __post_init__(self) -> None:
        checks.store_number(self, "lr", above=0)
        checks.store_number(self, "alpha", least=0, below=1)
        checks.store_number(self, "epsilon", above=0)
        checks.store_number(self, "weight_decay", least=0)

    def numbers(self, t: int) -> tuple[float, ...]:
        return self.lr, self.alpha, 1 - self.alpha, self.epsilon, self.weight_decay

    @staticmethod
    def rule(g: float, w: float, square: float, numbers: tuple[float, ...]) -> tuple[float, ...]:
        lr, alpha, rest, epsilon, weight_decay = numbers
        g = g + weight_decay * w
        square = alpha * square + rest * (g * g)
        return square, w - lr * g / (math.sqrt(square) + epsilon)


def get(optimizer: str | Optimizer, **settings: float) -> Optimizer:
    """An optimizer by its name and settings; an optimizer object is returned unchanged."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, type):
        raise checks.Error(f"the optimizer is a class; write {optimizer.__name__}(...), with its settings")
    if isinstance(optimizer, (int, float)):
        raise checks.Error(f"the optimizer is {optimizer}; write optimizer=jitnet.SGD({optimizer})")
    name = checks.one_of("optimizer", optimizer, OPTIMIZERS)
    return OPTIMIZERS[name](**{"lr": USUAL_LR[name], **settings})
