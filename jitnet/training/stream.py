"""Data from an iterator of batches, so that they can be larger than memory.

    def batches():
        for path in paths:
            part = numpy.load(path)
            yield part["X"], part["y"]

    net.fit(batches, epochs=10)

The source is a function that returns an iterator, or an object that can be iterated several times, such as a list or a
data loader: each epoch starts over. An iterator can be read only once: it has the batches of one epoch or, with
`batches_per_epoch`, of as many epochs as it lasts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import replace
from typing import Any

import numpy as np

from .. import checks, distributed
from ..process.progress import Progress
from . import ranks
from .blocks import OwnBlocks
from .plan import Batch, Plan
from .state import State

Source = Iterable[Any] | Callable[[], Iterable[Any]]
"""Batches (X, Y) or (X, Y, sample_weight), or a function that returns them."""

SIZES = 4
"""Batch sizes whose recorded steps are kept."""


class Batches:
    """The batches of each epoch in turn, as (X, Y, weights or None)."""

    def __init__(self, source: Any, epochs: int, per_epoch: int | None) -> None:
        is_array = isinstance(source, np.ndarray) or hasattr(source, "__array__")
        if is_array or not (callable(source) or isinstance(source, Iterable)):
            raise checks.Error(
                "Y is missing; write fit(X, Y), or fit(batches) for an iterator of pairs (X, Y) or a function that "
                "returns one"
            )
        self._source: Callable[[], Any] | Iterable[Any] = source
        self.per_epoch = None if per_epoch is None else checks.whole("batches_per_epoch", per_epoch, least=1)
        length = len(source) if isinstance(source, Sized) and not callable(source) else None
        self.expected = self.per_epoch or length
        """The number of batches of an epoch, if it is known."""
        self._is_used_up = not callable(source) and iter(source) is source
        if self._is_used_up and epochs > 1 and per_epoch is None:
            raise checks.Error(
                f"an iterator of batches ends after one epoch, but epochs is {epochs}; give fit a function that "
                "returns a new iterator, or batches_per_epoch"
            )
        self._iterator: Iterator[Any] = self._begun()
        first = next(self._iterator, None)
        if first is None:
            raise checks.Error("there are no batches: the iterator ended before the first one")
        self.first = _parts(first, 1)
        self._waiting: list[Any] = [first]

    def _begun(self) -> Iterator[Any]:
        made = self._source() if callable(self._source) else self._source
        if not isinstance(made, Iterable):
            raise checks.Error(f"the function of batches returned {checks.shown(made)}, but must return an iterator")
        return iter(made)

    def epoch(self, number: int) -> Iterator[tuple[Any, Any, Any]]:
        """The batches of this epoch.

        Errors    ValueError if there are none, or fewer than `per_epoch`
        """
        if not self._waiting and not self._is_used_up:
            self._iterator = self._begun()
        iterator = itertools.chain(self._waiting, self._iterator) if self._waiting else self._iterator
        self._waiting, count = [], 0
        for count, batch in enumerate(itertools.islice(iterator, self.per_epoch), 1):
            yield _parts(batch, count)
        if count < (self.per_epoch or 1):
            raise checks.Error(
                f"the iterator ended after {checks.count(count, 'batch', 'batches')} of epoch {number}"
                + (f", but batches_per_epoch is {self.per_epoch}" if self.per_epoch else "")
                + "; give fit a function that returns a new iterator, or fewer epochs"
            )


def _parts(batch: Any, number: int) -> tuple[Any, Any, Any]:
    if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
        raise checks.Error(
            f"batch {number} is {checks.shown(batch)}, but must be a pair (X, Y) or a triple (X, Y, sample_weight)"
        )
    return batch[0], batch[1], batch[2] if len(batch) == 3 else None


class StreamEpoch:
    """Like `step.Epoch`, but each call trains on the batches of one epoch of an iterator, one step per batch."""

    def __init__(self, plan: Plan, state: State) -> None:
        self._plan, self._state = plan, state
        self._steps: dict[Any, tuple[Plan, Any]] = {}
        self._samples = 0

    def __call__(self, interrupt: Any, show: Any) -> float | None:
        plan, state = self._plan, self._state
        epoch = state.history.epochs
        batches = plan.batches.expected or state.step // max(epoch, 1)  # as in earlier epochs; 0 in the first one
        seen, total, mass = 0, 0.0, 0.0
        for k, (batch, whole) in enumerate(self._validated(epoch + 1)):
            time = epoch + (min(k / batches, 1) if batches and plan.schedules_within_epochs else 0)
            mean = self._train(batch, time, batch.weight / whole if whole else 0.0, interrupt)
            seen, total, mass = seen + len(batch.X), total + mean * batch.weight, mass + batch.weight
            if self._samples:
                show.batch(min(seen, self._samples), self._samples)
            if interrupt.asked:
                return None
        total, mass = (sum(of_ranks) for of_ranks in zip(*plan.comm.allgather((total, mass)), strict=True))
        if mass == 0:
            message = f"the weight is 0 for all samples of epoch {epoch + 1}; give some a weight above 0"
            raise distributed.on_all_ranks(checks.Error(message))
        self._samples = seen
        return float(total / mass)

    def _train(self, batch: Batch, time: float, part: float, interrupt: Any) -> float:
        """One step at this time, in epochs; returns the mean loss of the samples.

        part    their share of the weight of all ranks
        """
        plan, state = self._plan, self._state
        batch_plan, train = self._step(batch)
        batch_plan.X, batch_plan.Y, batch_plan.weights = batch.X, batch.Y, batch.weights
        if plan.schedule is not None:
            batch_plan.optimizer = plan.optimizer.scaled(plan.schedule(time, state.history))
        train = train or plan.backend.epoch(batch_plan, state)  # on a GPU, a new `Epoch` copies the batch
        if plan.reduction is not None:
            train.part = part
        mean: float = train(interrupt, Progress())
        train.sync_optimizer()
        return mean

    def _validated(self, epoch: int) -> Iterator[tuple[Batch, float]]:
        """The batches of this rank, each with the weight of those of all ranks."""
        plan = self._plan
        batches = plan.batches.epoch(epoch)
        for k in itertools.count(1):
            with plan.comm.together():
                batch = next(batches, None)
                try:
                    mine = None if batch is None else plan.validated_batch(*batch)
                except checks.Error as error:
                    raise checks.Error(f"batch {k} of epoch {epoch}: {error}") from None
            whole = ranks.weight_of(mine and mine.weight, plan, f"batch {k} in epoch {epoch}")
            if mine is None or whole is None:
                return
            yield mine, whole

    def _step(self, batch: Batch) -> tuple[Plan, Any]:
        """The step for batches of this size: an epoch of one batch."""
        plan, m, is_weighted = self._plan, len(batch.X), batch.weights is not None
        key = m, is_weighted
        if key not in self._steps:
            if len(self._steps) == SIZES:
                del self._steps[next(iter(self._steps))]
            extras = plan.extras._replace(is_weighted=is_weighted)
            batch_plan = replace(
                plan, X=batch.X, Y=batch.Y, batch_size=m, shuffle=False, held_out=None, schedule=None, extras=extras
            )
            epoch_of = plan.backend.epoch if plan.reduction is None else OwnBlocks
            self._steps[key] = batch_plan, None if plan.backend.is_remote else epoch_of(batch_plan, self._state)
        return self._steps[key]

    def sync_optimizer(self) -> None:
        """Nothing to do: it is done after each batch."""
