"""The loop over the epochs of a training: train on every sample, validate, call back, save."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .. import backend as backends
from .. import checks, distributed
from ..compiler.registry import Call
from ..process import disturbance
from ..process.interruption import Interrupt
from ..process.progress import Progress
from . import ranks
from .blocks import BlockEpoch
from .checkpoint import Checkpoint
from .history import History
from .initial_state import initial_state
from .plan import Plan, Trainable, steps
from .state import State
from .stopping import Callback, asks_to_stop
from .stream import StreamEpoch


class Epochs(Protocol):
    """Each call trains on every sample once: `step.Epoch`, or its equivalent for blocks, a stream or a GPU."""

    def __call__(self, interrupt: Any, show: Any) -> float | None: ...
    def sync_optimizer(self) -> None:
        """Copy the optimizer's vectors into the state, if they are elsewhere."""


class Diverged(checks.Error):
    """The loss or the weights are not finite; the last good weights of the network have been restored."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history

    def __reduce__(self) -> tuple[Any, ...]:  # otherwise pickle would call it with only the message
        return type(self), (str(self), self.history), vars(self)


@dataclass
class Training:
    """One call of `fit` or `partial_fit`, with validated options."""

    net: Trainable
    plan: Plan
    threads: int | None
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    resume: bool = False
    callbacks: Sequence[Callback] = ()
    show: Progress = field(default_factory=Progress)

    _state: State = field(init=False)
    _train_epoch: Epochs = field(init=False)
    _interrupt: Interrupt | ranks.SharedInterrupt = field(init=False)

    def run(self) -> History:
        """Train until the last epoch, or until something stops the training."""
        with self.net.in_training() as self.plan.net:
            step_calls, validation_calls = self._begin()
            with backends.threads(self._threads(step_calls)), np.errstate(all="ignore"), self.show:
                self._compile([*step_calls, *validation_calls])
                self._train()
            self._end()
        return self._state.history

    def _begin(self) -> tuple[list[Call], list[Call]]:
        """The ranks compare their options, and begin with the state of rank 0.

        Returns the calls of the steps and of the validation, whose kernels are compiled before the first epoch.
        """
        plan, comm = self.plan, self.plan.comm
        ranks.compare(plan, {
            "callbacks": len(self.callbacks), "a checkpoint": self.checkpoint.is_wanted,
            "checkpoint_every": self.checkpoint.every, "resume": self.resume,
        })  # fmt: skip
        if self.checkpoint.is_wanted and comm.size > 1:
            ranks.read_together(plan)
        with comm.together():
            step_calls = steps(plan)
            validation_calls = plan.net.needed(len(plan.held_out[0]), plan.loss) if plan.held_out else []
            plan.backend.check([*step_calls, *validation_calls])
            self._state = initial_state(self.net, plan, self.checkpoint, self.resume)
        ranks.broadcast_state(self._state, plan)
        self.net._state = None
        plan.record_task(self.net, self.resume)
        return step_calls, validation_calls

    def _threads(self, step_calls: list[Call]) -> int | None:
        """The number of threads of all kernels; None leaves it to the backend."""
        backend, comm = self.plan.backend, self.plan.comm
        if self.threads is not None or not backend.uses_threads:
            return self.threads
        if not backend.can_use_threads(step_calls):
            return 1  # for validation too, which is shorter than the steps, so that no threaded kernel is compiled
        return None if comm.threads is None else min(comm.threads, max(backends.thread_choice.possible()))

    def _compile(self, calls: list[Call]) -> None:
        began = time.perf_counter()
        ranks.prepare(self.plan, calls, self.show)
        self._state.history.compile_seconds = time.perf_counter() - began

    def _train(self) -> None:
        """All epochs. ^C takes effect after a batch or an epoch."""
        plan, history = self.plan, self._state.history
        self.show.training(history.epochs, plan.epochs)
        self._train_epoch = _epochs(plan, self._state)
        watch = self._watch()
        with Interrupt() as pressed:
            self._interrupt = pressed if plan.reduction is None else ranks.SharedInterrupt(pressed)
            while self._goes_on():
                self._one_epoch()
                self._call_back()
                self._save()
                if self._interrupt.asked and self._goes_on():
                    history.stopped = "interrupted"
                if watch and (news := watch.news()):
                    self.show.note(news)
        self._train_epoch.sync_optimizer()

    def _goes_on(self) -> bool:
        history = self._state.history
        return history.epochs < self.plan.epochs and not history.stopped

    def _one_epoch(self) -> None:
        """Train on every sample once, then validate; the result is in the history."""
        plan, state, history = self.plan, self._state, self._state.history
        began, good = time.perf_counter(), state.theta.copy()
        mean = self._train_epoch(self._interrupt, self.show)
        is_good = bool(np.isfinite(state.theta).all())
        if mean is None:  # ^C
            history.stopped = "interrupted"
            if not is_good:
                state.theta[...] = good
            return
        try:
            measured = self._validated(mean, is_good)
        except checks.NotFiniteError as error:
            state.theta[...] = good
            raise distributed.on_all_ranks(_diverged(history, error)) from None
        history.add(mean, ranks.agree_on_epoch(plan, state, time.perf_counter() - began, self._interrupt), measured)
        if plan.early_stopping is not None:
            plan.early_stopping.note(state)
        self.show.epoch(history, plan.epochs)

    def _validated(self, mean: float, is_good: bool) -> Mapping[str, float]:
        """The loss and the accuracy of the validation samples, if there are any.

        Errors    NotFiniteError if one of the losses or the weights are not finite
        """
        plan = self.plan
        if not (is_good and math.isfinite(mean)):
            raise checks.NotFiniteError(f"the loss is {mean:g}")
        if plan.held_out is None:
            return {}
        try:
            return plan.net.measure(plan.backend, *plan.held_out, plan.loss, plan.validation_task, comm=plan.comm)
        except checks.NotFiniteError as error:
            raise checks.NotFiniteError(f"on the validation samples {error}") from None

    def _call_back(self) -> None:
        """Each rank has its callbacks, and any of them can end the training of all."""
        history, comm = self._state.history, self.plan.comm
        if history.stopped == "interrupted":
            return
        for callback in self.callbacks:
            with comm.together():
                asks = asks_to_stop(callback(self.net, history))
            if any(comm.allgather(asks)) and not history.stopped:
                history.stopped = "callback"

    def _save(self) -> None:
        """Write the checkpoint, if it is due."""
        plan, state, checkpoint = self.plan, self._state, self.checkpoint
        if checkpoint.is_due(state.history, plan.epochs, self._interrupt.asked):
            self._train_epoch.sync_optimizer()
            with plan.comm.together():
                checkpoint.write_or_warn(state, plan)

    def _watch(self) -> disturbance.Watch | None:
        """A watch for disturbances; none if `show` would not display them, because it reads many files."""
        is_shown = getattr(self.show.note, "__func__", None) is not Progress.note
        return disturbance.Watch(self.plan.backend.cores()).begin() if is_shown and self.plan.comm.size == 1 else None

    def _end(self) -> None:
        """The network keeps the state, and gets the weights of the best epoch with early stopping."""
        state = self._state
        if state.history.stopped != "interrupted":  # otherwise the optimizer's vectors can belong to other weights
            self.net._state = state
        if state.best_theta is not None:
            state.last_theta = state.theta.copy()
            state.theta[...] = state.best_theta


def _epochs(plan: Plan, state: State) -> Epochs:
    if plan.batches:
        return StreamEpoch(plan, state)
    epochs: Epochs = plan.backend.epoch(plan, state) if plan.reduction is None else BlockEpoch(plan, state)
    return epochs


def _diverged(history: History, error: checks.NotFiniteError) -> Diverged:
    return Diverged(
        f"training diverged in epoch {history.epochs + 1}: {error}; the weights of "
        f"{f'epoch {history.epochs}' if history.epochs else 'the start'} were restored; "
        "lower the learning rate, or scale the inputs", history,
    )  # fmt: skip
