"""When a training ends before its last epoch: early stopping, and callbacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from .. import checks
from .history import History

__all__ = ["EarlyStopping"]

Monitored = Literal["validation_loss", "validation_accuracy", "loss"]
"""The lists of a history that can be monitored."""

Callback = Callable[[Any, History], Any]
"""(net, history) after each epoch; True or "stop" ends the training, anything but None and False is an error."""


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after `patience` epochs without progress, and restore the weights of the best epoch.

    monitor   "validation_loss", "validation_accuracy" or "loss", a list of the history; the first two need validation
    min_delta         progress is more than this, below the lowest loss or above the highest accuracy so far
    restore           False keeps the weights of the last epoch

    patience ≥ 1, a whole number, min_delta ≥ 0; ValueError otherwise.
    """

    patience: int = 10
    monitor: Monitored = "validation_loss"
    min_delta: float = 0.0
    restore: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "patience", checks.whole("patience", self.patience, least=1))
        checks.one_of("monitor", self.monitor, get_args(Monitored))
        checks.store_number(self, "min_delta", least=0)
        checks.flag("restore", self.restore)

    def note(self, state: Any) -> None:
        """After an epoch: keep its weights if it is the best so far; stop if there was no progress for too long."""
        history = state.history
        value = getattr(history, self.monitor)[-1]
        if self.score(value) < self.score(state.best_loss) - self.min_delta or history.best_epoch is None:
            state.best_loss, history.best_epoch = value, history.epochs
            if self.restore:
                state.best_theta = state.theta.copy()
        elif history.epochs - history.best_epoch >= self.patience:
            history.stopped = "early"

    def continues(self, state: Any) -> bool:
        """True if an earlier part of the training has a best epoch by the same number, and its weights if needed."""
        best = state.history.best_epoch
        if (state.best_theta is not None) != self.restore:
            return False
        return best is not None and getattr(state.history, self.monitor)[best - 1 : best] == [state.best_loss]

    def score(self, value: float) -> float:
        """Lower is better."""
        return -value if self.monitor == "validation_accuracy" and math.isfinite(value) else value

    def settings(self) -> Any:
        """For files and messages: only the patience, if everything else is the default, as in older files."""
        return self.patience if self == EarlyStopping(self.patience) else asdict(self)


def checked(wanted: Any, is_validated: bool, has_accuracy: bool) -> EarlyStopping | None:
    """An EarlyStopping, also from a patience; an error if the monitored number is not measured."""
    if wanted is None:
        return None
    if wanted is EarlyStopping:
        raise checks.Error("early_stopping is a class; write EarlyStopping(...), with its settings")
    if not isinstance(wanted, EarlyStopping):
        wanted = EarlyStopping(checks.whole("early_stopping", wanted, least=1))
    stopping: EarlyStopping = wanted
    if stopping.monitor != "loss" and not is_validated:
        raise checks.Error("early_stopping needs validation=(X, Y): the validation loss decides when to stop")
    if stopping.monitor == "validation_accuracy" and not has_accuracy:
        raise checks.Error("early_stopping monitors the accuracy, which these targets do not have; monitor the loss")
    return stopping


def listed(callbacks: Callback | Sequence[Callback] | None) -> list[Callback]:
    """Callbacks as a list."""
    if callbacks is None:
        return []
    wanted: list[Any] = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
    for callback in wanted:
        if isinstance(callback, type) or not checks.accepts(callback, 2):
            raise checks.Error(f"a callback is {checks.shown(callback)}, but must be a function of (net, history)")
    return wanted


def asks_to_stop(answer: Any) -> bool:
    """The answer of a callback."""
    if answer is None or (isinstance(answer, bool | np.bool_ | str) and answer in (True, False, "stop")):
        return bool(answer)
    raise checks.Error(
        f"a callback returned {checks.shown(answer)}, but must return None or False to continue, True or 'stop' to stop"
    )
