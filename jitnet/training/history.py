"""The record of a training run, for programs and as plot and table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ..checks import count
from ..display import markup


class Ending(NamedTuple):
    words: str
    """For captions and the command line."""
    is_final: bool
    """True if a training that is resumed from its checkpoint remains ended; otherwise it continues."""


ENDINGS = {
    "": Ending("", False),
    "early": Ending("stopped early", True),
    "callback": Ending("stopped by a callback", True),
    "interrupted": Ending("interrupted", False),
}
"""Why training ended before the last epoch; "" if it did not."""


@dataclass(repr=False)
class History:
    """The record of a training run, one number per epoch."""

    loss: list[float] = field(default_factory=list)
    """Mean loss over the samples of the epoch, each with the weights before its batch was learned."""
    validation_loss: list[float] = field(default_factory=list)
    """Empty without validation; NaN for single epochs without validation, as a resumed training can have."""
    validation_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    compile_seconds: float = 0.0
    """Time for compiling kernels, or for loading them from the cache."""
    best_epoch: int | None = None
    """With early stopping: the best epoch (from 1), whose weights were restored."""
    threads: int = 1
    """The number of threads of the last steps; by default one or all, whichever is faster."""
    stopped: str = ""
    """Why training ended before the last epoch, a key of `ENDINGS`: "early", ...; "" if it did not."""
    checkpoint_error: str = ""
    """Why the latest checkpoint could not be written, and which one remains; "" if it was written."""

    @property
    def epochs(self) -> int:
        """The number of completed epochs."""
        return len(self.loss)

    @property
    def ending(self) -> Ending:
        return ENDINGS[self.stopped]

    def __repr__(self) -> str:
        """<History: 20 epochs, loss 1.88 to 0.12, validation accuracy 0.95, 3.2 s>"""
        facts = [count(self.epochs, "epoch")]
        if self.loss:
            facts.append(f"loss {self.loss[0]:.4g} to {self.loss[-1]:.4g}")
        for name in ("validation_loss", "validation_accuracy"):
            facts += [f"{name.replace('_', ' ')} {value:.4g}" for value in getattr(self, name)[-1:]]
        facts.append(f"{sum(self.seconds):.3g} s")
        if self.best_epoch is not None:
            facts.append(f"best epoch {self.best_epoch}")
        facts += [f"stopped: {self.stopped}"] if self.stopped else []
        facts += ["checkpoint failed"] if self.checkpoint_error else []
        return f"<History: {', '.join(facts)}>"

    def copy(self) -> History:
        """The same numbers, in lists of their own. `copy.deepcopy` would look at each number."""
        lists: dict[str, Any] = {name: list(value) for name, value in vars(self).items() if isinstance(value, list)}
        return replace(self, **lists)

    def add(self, loss: float, seconds: float, measured: Mapping[str, float]) -> None:
        """Add an epoch; `measured` has the loss and the accuracy of the validation samples, if there are any."""
        for name, values in (("loss", self.validation_loss), ("accuracy", self.validation_accuracy)):
            if values or name in measured:
                values += [math.nan] * (self.epochs - len(values)) + [measured.get(name, math.nan)]
        self.loss.append(loss)
        self.seconds.append(seconds)

    def plot(self, title: str = "") -> Any:
        """Loss and, for classes, accuracy per epoch, as a matplotlib figure, which a notebook shows.

        Errors    ValueError if matplotlib is not installed
        """
        from ..display import plots

        return plots.history_figure(self, title)

    def _repr_html_(self) -> str:
        """The loss as a curve, and the figures of about ten epochs."""
        return markup.history(self)
