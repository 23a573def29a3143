"""Schedules of the learning rate: `fit(..., schedule=CosineDecay(30))`.

A schedule is a function of the time, in epochs since the start, and of the history. It returns the factor by which the
optimizer's learning rate is multiplied. A schedule has no state, so a resumed run has the same rates.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from .. import checks
from .history import History

__all__ = ["CosineDecay", "ReduceOnPlateau", "StepDecay", "Warmup"]


class Schedule(ABC):
    """A factor of the learning rate over time."""

    within_epochs: ClassVar[bool] = False
    """True if the factor changes in each step, not only in each epoch."""

    @abstractmethod
    def __call__(self, epoch: float, history: History) -> float:
        """The factor after this many epochs: 2.5 is in the middle of the third one."""

    def settings(self) -> dict[str, Any]:
        """Name and settings, for files and messages."""
        return {"name": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]


@dataclass(frozen=True)
class StepDecay(Schedule):
    """factor to the power of the number of complete periods of `every` epochs: a tenth of the rate every 10 epochs.

    every ≥ 1, a whole number; 0 < factor ≤ 1. ValueError otherwise.
    """

    every: int = 10
    factor: float = 0.1

    def __post_init__(self) -> None:
        checks.whole("every", self.every, least=1)
        checks.store_number(self, "factor", above=0, most=1)

    def __call__(self, epoch: float, history: History) -> float:
        return float(self.factor ** (int(epoch) // self.every))


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """From 1 to `least` in `epochs` epochs, along half a cosine, in each step; afterwards `least`.

    epochs > 0, 0 ≤ least ≤ 1; ValueError otherwise. Loshchilov and Hutter, SGDR, 2017, without restarts.
    """

    epochs: float
    least: float = 0.0

    within_epochs = True

    def __post_init__(self) -> None:
        checks.store_number(self, "epochs", above=0)
        checks.store_number(self, "least", least=0, most=1)

    def __call__(self, epoch: float, history: History) -> float:
        part = min(epoch / self.epochs, 1)
        return self.least + (1 - self.least) * 0.5 * (1 + math.cos(math.pi * part))


@dataclass(frozen=True)
class Warmup(Schedule):
    """Linearly from `start` to 1 in `epochs` epochs, in each step; then another schedule, which begins at its time 0.

    epochs > 0, 0 < start ≤ 1; `then` is a schedule, or None for a constant rate. ValueError otherwise.
    """

    epochs: float = 1.0
    then: Any = None
    start: float = 0.1

    within_epochs = True

    def __post_init__(self) -> None:
        checks.store_number(self, "epochs", above=0)
        checks.store_number(self, "start", above=0, most=1)
        checked(self.then, "then")

    def __call__(self, epoch: float, history: History) -> float:
        if epoch < self.epochs:
            return self.start + (1 - self.start) * epoch / self.epochs
        return 1.0 if self.then is None else float(self.then(epoch - self.epochs, history))

    def settings(self) -> dict[str, Any]:
        return {"name": "Warmup", "epochs": self.epochs, "then": settings(self.then), "start": self.start}


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Times `factor` after every `patience` epochs without a lower loss (the validation loss, if there is one).

    A loss is lower if it is below the lowest one by more than min_delta. 0 < factor < 1, patience ≥ 1, a whole number;
    min_delta ≥ 0, 0 ≤ least ≤ 1: the smallest factor. ValueError otherwise.
    """

    factor: float = 0.1
    patience: int = 10
    min_delta: float = 1e-4
    least: float = 0.0

    def __post_init__(self) -> None:
        checks.store_number(self, "factor", above=0, below=1)
        checks.whole("patience", self.patience, least=1)
        checks.store_number(self, "min_delta", least=0)
        checks.store_number(self, "least", least=0, most=1)

    def __call__(self, epoch: float, history: History) -> float:
        lowest, waited, factor = math.inf, 0, 1.0
        losses = history.validation_loss
        if not losses or math.isnan(losses[-1]):  # a resumed training can have validation in earlier epochs only
            losses = history.loss
        for loss in filter(math.isfinite, losses):
            if loss < lowest - self.min_delta:
                lowest, waited = loss, 0
            elif (waited := waited + 1) == self.patience:
                factor, waited = max(self.least, factor * self.factor), 0
        return factor


Factor = Callable[[float, History], float]
"""Schedules and a user's functions: (epoch, history) -> factor of the learning rate."""


def checked(schedule: Any, what: str = "schedule") -> Any:
    """A schedule, or a function of (epoch, history), or None."""
    if isinstance(schedule, type) and issubclass(schedule, Schedule):
        raise checks.Error(f"{what} is a class; write {schedule.__name__}(...), with its settings")
    if schedule is not None and not checks.accepts(schedule, 2):
        raise checks.Error(
            f"{what} is {checks.shown(schedule)}, but must be a schedule, such as CosineDecay(30), or a function "
            "(epoch, history) -> factor of the learning rate"
        )
    return schedule


def settings(schedule: Factor | None) -> Any:
    """The schedule in files and messages; a function by its name."""
    if schedule is None or isinstance(schedule, Schedule):
        return schedule and schedule.settings()
    return {"name": getattr(schedule, "__qualname__", type(schedule).__name__)}
