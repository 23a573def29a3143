"""An epoch on the GPU: parameters, batches and losses stay in GPU memory from the first epoch to the last.

Only three things are copied, each once per epoch: the order of the samples to the GPU, and the losses and the
parameters back. Data that do not fit into GPU memory are copied too, in portions that overlap with computation.
"""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import checks
from ..compiler.cuda.device import cuda, stream
from ..compiler.cuda.graph import Replay
from ..compiler.cuda.registry import recording
from ..kernels.activations import ACTIVATIONS
from ..kernels.cuda.clock import BEGIN, TICK
from ..kernels.cuda.optimizers import CHANGING, FROM_MEMORY
from ..step import ROWS_AT_ONCE, descent, mean, optimizers_of, order_of, passes
from .cuda_memory import free_memory

SHARE = 0.9
"""The usable fraction of the free memory; the driver needs some."""

PORTION = 64 * 2**20
"""Bytes of data per copy, if not all of them fit."""


class Samples(NamedTuple):
    """Samples on the GPU, their weights, and the order in which batches take them."""

    X: Any
    Y: Any
    w: Any
    """No elements, if the samples have no weights."""
    order: Any


class Resident:
    """All samples are on the GPU: one portion, which is the whole epoch."""

    def __init__(self, plan: Any) -> None:
        self.rows = len(plan.X)
        w = np.empty(0) if plan.weights is None else plan.weights
        X, Y, w = map(plan.backend.to_device, (plan.X, plan.Y, w.astype(np.float32)))
        self._all = Samples(X, Y, w, plan.backend.memory(self.rows, np.int64))

    def portions(self, order: Any) -> Iterator[tuple[Samples, int]]:
        self._all.order.copy_to_device(order, stream())
        yield self._all, self.rows


class Streamed:
    """Portions of `rows` rows. The CPU gathers a portion in pinned memory, and copies it while the GPU uses another."""

    def __init__(self, plan: Any, rows: int) -> None:
        self.rows, self._plan = rows, plan
        self._data = [plan.X, plan.Y, *([] if plan.weights is None else [plan.weights.astype(np.float32)])]
        order = plan.backend.to_device(np.arange(rows))
        self._slots = [self._slot(order) for _ in range(2)]
        self._copies = cuda.stream()

    def _slot(self, order: Any) -> tuple[Samples, list[Any], Any, Any]:
        """Samples on the GPU, their source in pinned memory, and two events: copied, and used."""
        shapes = [(self.rows, *data.shape[1:]) for data in self._data]
        X, Y, w = (self._plan.backend.memory(shape, np.float32) for shape in (*shapes, 0)[:3])
        pinned = [cuda.pinned_array(shape, np.float32) for shape in shapes]
        return Samples(X, Y, w, order), pinned, cuda.event(), cuda.event()

    def portions(self, order: Any) -> Iterator[tuple[Samples, int]]:
        for number, start in enumerate(range(0, len(order), self.rows)):
            samples, pinned, copied, used = self._slots[number % 2]
            chosen = order[start : start + self.rows]
            copied.synchronize()  # the last copy from here is complete
            used.wait(self._copies)  # and the GPU no longer needs it
            for data, here, there in zip(self._data, pinned, samples[: len(pinned)], strict=True):
                np.take(data, chosen, axis=0, out=here[: len(chosen)], mode="clip")  # "raise" would copy twice
                there[: len(chosen)].copy_to_device(here[: len(chosen)], self._copies)
            copied.record(self._copies)
            copied.wait(stream())
            yield samples, len(chosen)
            used.record(stream())


class GpuEpoch:
    """Like `step.Epoch`, on the GPU: each call trains on every sample once."""

    def __init__(self, plan: Any, state: Any) -> None:
        self._plan, self._state = plan, state
        n, backend = len(plan.X), plan.backend
        rows = rows_at_a_time(plan, len(state.memory))
        self._net = plan.net.on(backend)
        self._memory = [backend.to_device(vector) for vector in state.memory]
        self._data: Resident | Streamed = Resident(plan) if rows == n else Streamed(plan, rows)
        self._clock, self._losses = backend.memory(5, np.int64), backend.memory(n, np.float32)
        self._batches, count = -(-n // plan.batch_size), count_of_numbers(plan)
        self._numbers = backend.memory((self._batches, count), np.float32)
        self._numbers_of_step = backend.memory(count, np.float32)
        self._replays: dict[tuple[int, int], Replay] = {}
        for m in {min(plan.batch_size, n), n % plan.batch_size, *validation_batch_sizes(plan)} - {0}:
            self._net.workspace(m)
        if plan.held_out is not None and plan.held_out[0].nbytes < SHARE * free_memory():
            plan.held_out = backend.to_device(plan.held_out[0]), plan.held_out[1]  # it is needed after each epoch

    def __call__(self, interrupt: Any, show: Any) -> float | None:
        plan, state = self._plan, self._state
        n, m = len(plan.X), plan.batch_size
        self._clock.copy_to_device(np.array([plan.seed % 2**63, state.step + 1, 0, 0, 0]), stream())
        if numbers_are_a_vector(plan):
            optimizers = itertools.islice(optimizers_of(plan, state, self._batches), self._batches)
            numbers = [optimizer.numbers(state.step + 1 + k) for k, optimizer in enumerate(optimizers)]
            self._numbers.copy_to_device(np.array(numbers, np.float32), stream())
        seen = 0
        order = order_of(n, state.history.epochs, plan.seed, plan.shuffle)
        for samples, rows in self._data.portions(order):
            for start in range(0, rows, m):
                count = min(m, rows - start)
                self._replay(count, samples)()
                state.step += 1
                seen += count
                show.batch(seen, n)
                if interrupt.asked and seen < n:
                    self._parameters_to_host()
                    return None
        losses = plan.backend.to_host(self._losses)
        self._parameters_to_host()
        return mean(losses, plan.weights, order)

    def _parameters_to_host(self) -> None:
        self._state.theta[...] = self._plan.backend.to_host(self._net.theta)

    def sync_optimizer(self) -> None:
        for here, there in zip(self._state.memory, self._memory, strict=True):
            here[...] = self._plan.backend.to_host(there)

    def _replay(self, m: int, samples: Samples) -> Replay:
        """The step for a batch of m of these samples, recorded the first time."""
        key = m, id(samples)
        if key not in self._replays:
            plan, net, work = self._plan, self._net, self._net.workspace(m)
            descends = descent(plan.backend, plan.optimizer, plan.extras)
            with recording() as first:
                BEGIN(
                    *samples, self._numbers, self._clock, self._numbers_of_step, work.clock, work.w, work.X, work.Y
                )  # fmt: skip
            calls = passes(net, work, plan.loss, descends, plan.extras)
            launches = plan.backend.bound(calls, net.dtype)
            with recording() as last:
                if not descends:
                    self._update()
                TICK(work.losses, self._data.rows, self._clock, self._losses)
            self._replays[key] = Replay([*first, *launches, *last])
        return self._replays[key]

    def _update(self) -> None:
        optimizer, net = self._plan.optimizer, self._net
        if numbers_are_a_vector(self._plan):
            FROM_MEMORY[optimizer.kernel](net.grad, self._numbers_of_step, *self._memory, net.theta)
        else:
            numbers = map(np.float32, optimizer.numbers(1))
            self._plan.backend.kernels[optimizer.kernel](net.grad, *numbers, *self._memory, net.theta)


def numbers_are_a_vector(plan: Any) -> bool:
    """True if the numbers of the optimizer change from step to step, or its kernel takes them as a vector."""
    return plan.schedule is not None or plan.optimizer.kernel in CHANGING


def count_of_numbers(plan: Any) -> int:
    """The numbers of the optimizer for each step, if they change."""
    return len(plan.optimizer.numbers(1)) if numbers_are_a_vector(plan) else 0


def validation_batch_sizes(plan: Any) -> set[int]:
    """The number of validation samples per portion."""
    samples = 0 if plan.held_out is None else len(plan.held_out[0])
    return {min(samples, ROWS_AT_ONCE), samples % ROWS_AT_ONCE}


def rows_at_a_time(plan: Any, vectors: int) -> int:
    """The number of samples on the GPU at a time, in addition to the memory of a training step: all if possible.

    vectors   number of vectors of the optimizer, each as long as theta
    Errors    checks.Error if there is no memory for two portions of one batch
    """
    n, m = len(plan.X), min(plan.batch_size, len(plan.X))
    layers = plan.net.layers
    row = 4 * (layers[0].n_in + layers[-1].n_out + (plan.weights is not None))
    of_layers = sum(
        layer.n_out * (2 + ACTIVATIONS[layer.activation].keeps_Z) + layer.kept_per_sample for layer in layers
    )
    of_sample = row + 4 * (layers[-1].n_out + of_layers + 1)
    parameters = plan.net.theta.nbytes * (2 + vectors) + sum(validation_batch_sizes(plan)) * of_sample

    def fixed(m: int) -> int:
        """All but the samples, for batches of m."""
        numbers = 4 * -(-n // m) * count_of_numbers(plan)
        return int(parameters + numbers + 12 * n + (m + n % m) * of_sample)

    free = SHARE * free_memory()
    if fixed(m) + n * (row + 8) <= free:
        return n
    rows: int = min(int((free - fixed(m)) // (2 * (row + 8))), max(m, PORTION // row)) // m * m
    if rows >= m:
        return rows
    fitting = next((k for k in range(m - 1, 0, -1) if fixed(k) + 2 * k * (row + 8) <= free), 0)
    needed = checks.byte_count((fixed(m) + 2 * m * (row + 8)) / SHARE)
    fix = f"a batch_size of {fitting} fits" if fitting > 0 else "take a smaller network, or another backend"
    raise checks.Error(
        f"batch_size {m} needs {needed} on the GPU, where {checks.byte_count(free / SHARE)} are free; {fix}"
    )
