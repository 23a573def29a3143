"""From a batch to an epoch: the work space, a step recorded as a list of calls, and the loop over all steps."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .compiler.memory import aligned
from .compiler.registry import Call
from .compiler.types import Vector
from .kernels.activations import ACTIVATIONS
from .layers import Context
from .losses import Loss
from .optimizers import Optimizer

ROWS_AT_ONCE = 1024
"""forward, predict and evaluate process this many samples at a time, to limit the memory."""

SUMS = 64
"""The number of parts of the squared length of a gradient; more would not be faster."""

Memory = Callable[[Any, np.dtype[Any]], Any]
"""(shape, dtype) -> zeros in the memory of a backend."""


class Runner(Protocol):
    """The interface of a backend for a step."""

    @property
    def descends(self) -> bool: ...
    def bound(self, calls: list[Call], dtype: np.dtype[Any], threads: int = 1) -> list[Any]: ...


class Workspace:
    """Memory for the passes over m samples: the batch itself, A and delta of every layer, and the Z that are needed.

    Z is stored for the last layer, for the loss, and for layers whose activation needs it. The others have no rows.
    """

    def __init__(self, layers: Sequence[Any], m: int, dtype: np.dtype[Any], memory: Memory = aligned) -> None:
        self.m = m
        self.X = memory((m, layers[0].n_in), dtype)
        self.Y = memory((m, layers[-1].n_out), dtype)
        is_read = [layer is layers[-1] or ACTIVATIONS[layer.activation].keeps_Z for layer in layers]
        self.Z = [memory((m * is_read[l], layer.n_out), dtype) for l, layer in enumerate(layers)]
        self.A = [memory((m, layer.n_out), dtype) for layer in layers]
        self.delta = [memory((m, layer.n_out), dtype) for layer in layers]
        self.losses = memory(m, dtype)
        self.w = memory(m, dtype)  # weights of the samples, if there are any
        self.sums = memory(SUMS, dtype)
        self.clock = memory(2, np.dtype(np.int64))
        self.bound_forward: tuple[Any, list[Any]] | None = None
        """A backend, and the forward pass of X bound to its kernels, if `forward` keeps it."""
        self.contexts = [
            Context(l, self.clock, memory((m, layer.kept_per_sample), dtype) if layer.kept_per_sample else None)
            for l, layer in enumerate(layers)
        ]


class Extras(NamedTuple):
    """What a training adds to a plain step."""

    is_weighted: bool = False
    """The samples have weights, in work.w."""
    is_scheduled: bool = False
    """The learning rate changes from step to step."""
    clip_norm: float | None = None
    """The largest length of the gradient."""
    is_in_blocks: bool = False
    """The batch is one of several blocks, whose gradients are added up before they are clipped and used."""


PLAIN = Extras()


def descent(backend: Runner, optimizer: Optimizer, extras: Extras = PLAIN) -> tuple[float, float] | None:
    """lr and weight decay, if this backend fuses the update of this optimizer with the gradients."""
    is_plain = not (extras.is_scheduled or extras.is_in_blocks) and extras.clip_norm is None
    return optimizer.descent if backend.descends and is_plain else None


def passes(net: Any, work: Any, loss: Loss, descends: tuple[float, float] | None, extras: Extras = PLAIN) -> list[Call]:
    """The calls of the three passes over the batch in work.X, work.Y and work.w."""
    calls = [
        *net.pass_forward(work.X, work, loss.reads_Z, training=True),
        *net.pass_output(work.Y, loss, work, extras.is_weighted),
        *net.pass_back(work.X, work, descends, training=True),
    ]
    return calls if extras.is_in_blocks else [*calls, *clipping(net.grad, work.sums, extras)]


def clipping(grad: Vector, sums: Vector, extras: Extras) -> list[Call]:
    """The calls that clip the gradient of a batch, if there is a limit."""
    if extras.clip_norm is None:
        return []
    limit = grad.dtype.type(extras.clip_norm)
    return [Call("squares", (grad, sums)), Call("shrink", (sums, limit, grad, grad))]


def _gathering(work: Any) -> Call:
    """A placeholder with the right types and sizes; the data and the order come with each epoch."""
    return Call("gather", (work.X, work.Y, np.empty(0, np.int64), 0, work.X, work.Y))


def update_of(net: Any, optimizer: Optimizer) -> Call:
    """A placeholder with the right types and sizes; its memory and its numbers come with each step."""
    numbers, memory = optimizer.given(1, net.dtype), [net.grad for _ in optimizer.memory]
    return Call(optimizer.kernel, (net.grad, *numbers, *memory, net.theta))


def needed(net: Any, backend: Runner, m: int, loss: Loss, optimizer: Optimizer, extras: Extras = PLAIN) -> list[Call]:
    """The calls of a step of m samples on empty arrays: the kernels to compile."""
    work, descends = Workspace(net.layers, m, net.dtype, np.empty), descent(backend, optimizer, extras)
    update = [] if descends else [update_of(net, optimizer)]
    clips = clipping(net.grad, work.sums, extras) if extras.is_in_blocks else []
    return [_gathering(work), *passes(net, work, loss, descends, extras), *clips, *update]


class Step:
    """One training step for batches of m samples: bound once, then repeated without Python between the kernels.

    The random numbers of a layer depend on `seed` and the index of the step, so a resumed run has the same numbers.
    """

    def __init__(
        self,
        net: Any,
        backend: Runner,
        m: int,
        loss: Loss,
        optimizer: Optimizer,
        threads: int = 1,
        seed: int = 0,
        extras: Extras = PLAIN,
    ) -> None:
        descends = descent(backend, optimizer, extras)
        self.work = net.workspace(m)
        self._calls = backend.bound(passes(net, self.work, loss, descends, extras), net.dtype, threads)
        self.gather = backend.bound([_gathering(self.work)], net.dtype, threads)[0][0]
        update = [] if descends else backend.bound([update_of(net, optimizer)], net.dtype, threads)
        self._update = update[0][0] if update else None
        self.optimizer, self._net = optimizer, net
        self.work.clock[0] = seed % 2**63
        self._draws = any(layer.only_in_training for layer in net.layers)

    def __call__(self, t: int, memory: list[Vector]) -> Vector:
        """Train on the batch in work.X and work.Y as step t = 1, 2, ...; returns the loss of each sample."""
        self.backpropagate(t)
        if self._update:
            self.optimizer.step(self._update, t, self._net.grad, memory, self._net.theta)
        return self.work.losses  # type: ignore[no-any-return]

    def backpropagate(self, t: int) -> None:
        """The gradient of the batch, into grad; or the new parameters, if the update is fused with it."""
        if self._draws:
            self.work.clock[1] = t
        for kernel, arguments in self._calls:
            kernel(*arguments)


def optimizers_of(plan: Any, state: Any, batches: int) -> Iterator[Optimizer]:
    """The optimizer of each step of the coming epoch, with the learning rate of that step."""
    optimizer, schedule, history = plan.optimizer, plan.schedule, state.history
    if schedule is None:
        return itertools.repeat(optimizer)
    if not getattr(schedule, "within_epochs", False):
        return itertools.repeat(optimizer.scaled(schedule(history.epochs, history)))
    return (optimizer.scaled(schedule(history.epochs + k / batches, history)) for k in range(batches))


def order_of(n: int, epoch: int, seed: int | None, shuffle: bool) -> NDArray[np.int64]:
    """The order of the samples in this epoch. It depends on seed and epoch alone, so a run can be resumed."""
    if not shuffle:
        return np.arange(n, dtype=np.int64)
    return np.random.default_rng((seed or 0, epoch)).permutation(n)


def mean(losses: Vector, weights: Vector | None, order: NDArray[np.int64] | None = None) -> float:
    """The mean of the losses in float64, or their weighted mean; losses[i] belongs to sample order[i].

    It is 0 if all weights are 0, which can happen in a batch.
    """
    if weights is None:
        return float(losses.mean(dtype=np.float64))
    if not weights.any():
        return 0.0
    return float(np.average(losses.astype(np.float64), weights=weights if order is None else weights[order]))


class Epoch:
    """Each call trains on every sample once. `plan` and `state` are those of `training`."""

    def __init__(self, plan: Any, state: Any) -> None:
        self._plan, self._state = plan, state
        self._steps: dict[tuple[int, bool], Step] = {}
        m = min(plan.batch_size, len(plan.X))
        batch = needed(plan.net, plan.backend, m, plan.loss, plan.optimizer, plan.extras)
        self._flop = plan.backend.flop_for_threads(batch)

    def __call__(self, interrupt: Any, show: Any) -> float | None:
        """The mean loss over the samples, or None if ^C interrupted the epoch."""
        plan, state = self._plan, self._state
        n, m = len(plan.X), min(plan.batch_size, len(plan.X))
        order = order_of(n, state.history.epochs, plan.seed, plan.shuffle)
        losses = np.zeros(n, plan.net.dtype)
        optimizers = optimizers_of(plan, state, -(-n // m))
        with self._choose_threads(m) as slices:
            for start in range(0, n, m):
                seen = min(start + m, n)
                state.step += 1
                self._train(order, start, seen, next(optimizers), slices.threads, losses)
                slices.done(seen - start)
                show.batch(seen, n)
                if interrupt.asked and seen < n:
                    break
        state.history.threads = slices.best
        if seen < n:
            return None
        return mean(self._all(losses), plan.weights, order)

    def _train(
        self, order: NDArray[np.int64], start: int, stop: int, optimizer: Optimizer, threads: int, losses: Vector
    ) -> None:
        """One step on the samples order[start:stop]; their losses are stored in losses[start:stop]."""
        step = self._loaded(order, start, stop, threads)
        step.optimizer = optimizer  # its settings can change from one step to the next
        losses[start:stop] = step(self._state.step, self._state.memory)

    def _loaded(self, order: NDArray[np.int64], start: int, stop: int, threads: int) -> Step:
        """The step for these samples, with them in its work space."""
        step, plan = self._step(stop - start, threads), self._plan
        step.gather(plan.X, plan.Y, order, start, step.work.X, step.work.Y)
        if plan.weights is not None:
            step.work.w[...] = plan.weights[order[start:stop]]
        return step

    def _all(self, losses: Vector) -> Vector:
        """The losses of all samples."""
        return losses

    def _choose_threads(self, m: int) -> Any:
        """For `with`: steps of m samples, which are timed per sample to choose the number of threads."""
        net, plan = self._plan.net, self._plan
        kind = "step", net.theta.size, m, net.dtype, plan.optimizer.kernel
        return plan.backend.choose_threads(self._flop, *kind, is_repeated=True)

    def _step(self, m: int, threads: int) -> Step:
        """The step for a batch of m samples; the last batch of an epoch can be smaller than the others."""
        key = m, threads > 1
        if key not in self._steps:
            plan = self._plan
            self._steps[key] = Step(
                plan.net, plan.backend, m, plan.loss, plan.optimizer, threads, plan.seed, plan.extras
            )
        return self._steps[key]

    def sync_optimizer(self) -> None:
        """Nothing to do: on the CPU, the optimizer's vectors are those of the state."""
