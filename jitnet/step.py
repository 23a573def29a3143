"""From a batch to an epoch: the memory of the passes, a step recorded as a list of calls, and all steps in turn."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .backend import DESCENDING, Backend
from .backend.thread_choice import used
from .compiler.memory import aligned
from .compiler.types import Matrix, Vector
from .losses import Loss
from .optimizers import Optimizer

Memory = Callable[[Any, np.dtype[Any]], Any]
"""(shape, dtype) -> zeros, where a backend calculates."""


class Pass(NamedTuple):
    """What the kernels take from a layer. Without a bias, b and db are empty vectors."""

    W: Matrix
    b: Vector
    f: str
    dW: Matrix
    db: Vector


class Workspace:
    """Memory for the passes over m samples: the batch itself, A and delta of every layer, and Z of the last."""

    def __init__(self, layers: list[Any], m: int, dtype: np.dtype[Any], memory: Memory = aligned) -> None:
        self.m = m
        self.X = memory((m, layers[0].n_in), dtype)
        self.Y = memory((m, layers[-1].n_out), dtype)
        self.Z = memory((m, layers[-1].n_out), dtype)  # hidden layers need theirs no longer than a kernel runs
        self.A = [memory((m, layer.n_out), dtype) for layer in layers]
        self.delta = [memory((m, layer.n_out), dtype) for layer in layers]
        self.losses = memory(m, dtype)


def descent(run: Backend, optimizer: Optimizer) -> tuple[float, float] | None:
    """lr and weight decay, if this backend takes the steps of this optimizer along with the gradients."""
    return optimizer.descent if run.name in DESCENDING else None


def operations(net: Any, run: Backend, loss: Loss, optimizer: Optimizer) -> list[str]:
    """The kernels that a step needs."""
    needed = net.operations(loss)
    if descent(run, optimizer):
        return ["descend" if name == "gradients" else name for name in needed]
    return [*needed, optimizer.kernel]


def recorded(net: Any, run: Backend, work: Any, loss: Loss, descends: tuple[float, float] | None) -> list[Any]:
    """The calls of the three passes over the batch in work.X and work.Y, noted down and not made.

    The arrays of a network and of its work space stay where they are from batch to batch, so they can be repeated.
    """

    def passes(run: Backend) -> None:
        net.pass_forward(run, work.X, work, loss.reads_Z)
        net.pass_output(run, work.Y, loss, work)
        net.pass_back(run, work.X, work, descends)

    return run.recorded(net.dtype, passes)


def flop_of_a_step(net: Any, m: int) -> int:
    """About how many FLOP a step of m samples takes; an upper limit for each of its kernels."""
    parameters, n_out = int(net.theta.size), sum(int(layer.n_out) for layer in net.layers)
    return (6 * m + 20) * parameters + 40 * m * n_out


class Step:
    """One training step for batches of m samples: recorded once, then repeated with no Python between the kernels."""

    def __init__(self, net: Any, run: Backend, m: int, loss: Loss, optimizer: Optimizer) -> None:
        descends = descent(run, optimizer)
        self.work = net.workspace(m)
        self._calls = recorded(net, run, self.work, loss, descends)
        self._update = None if descends else run.direct(optimizer.kernel, net.dtype)
        self._optimizer, self._net = optimizer, net

    def __call__(self, t: int, memory: list[Vector]) -> Vector:
        """Learn from the batch in work.X and work.Y as step t = 1, 2, ...; the loss of each sample."""
        for kernel, arguments in self._calls:
            kernel(*arguments)
        if self._update:
            self._optimizer.step(self._update, t, self._net.grad, memory, self._net.theta)
        return self.work.losses  # type: ignore[no-any-return]


def order_of(n: int, epoch: int, seed: int | None, shuffle: bool) -> NDArray[np.int64]:
    """The samples in the order of this epoch. It depends on seed and epoch alone, so a resumed run needs no more."""
    if not shuffle:
        return np.arange(n, dtype=np.int64)
    return np.random.default_rng((seed or 0, epoch)).permutation(n)


class Epoch:
    """Sees every sample once, each time it is called. `plan` and `state` are those of `training`."""

    def __init__(self, plan: Any, state: Any) -> None:
        self._plan, self._state = plan, state
        self._gather = plan.run.direct("gather", plan.net.dtype)
        self._steps: dict[int, Step] = {}

    def __call__(self, interrupt: Any, show: Any) -> float | None:
        """The mean loss over the samples, or None if ^C cut it short."""
        plan, state = self._plan, self._state
        n, m = len(plan.X), min(plan.batch_size, len(plan.X))
        order = order_of(n, state.history.epochs, plan.seed, plan.shuffle)
        losses = np.empty(n, plan.net.dtype)
        with self._spread(m) as turns:
            for start in range(0, n, m):
                seen = min(start + m, n)
                step = self._step(seen - start)
                self._gather(plan.X, plan.Y, order, start, step.work.X, step.work.Y)
                state.step += 1
                losses[start:seen] = step(state.step, state.memory)
                if turns is not None:
                    turns.done(seen - start)
                show.batch(seen, n)
                if interrupt.asked and seen < n:
                    break
        state.history.threads = used(turns)
        if seen < n:
            return None
        return float(losses.mean(dtype=np.float64))

    def _spread(self, m: int) -> Any:
        net, run = self._plan.net, self._plan.run
        kind = ("step", net.theta.size, m, net.dtype, self._plan.optimizer.kernel)
        return run.spread(flop_of_a_step(net, m), *kind, is_repeated=True)

    def _step(self, m: int) -> Step:
        """The step for a batch of m samples; the last batch of an epoch may be shorter than the others."""
        if m not in self._steps:
            self._steps[m] = Step(self._plan.net, self._plan.run, m, self._plan.loss, self._plan.optimizer)
        return self._steps[m]

    def settle(self) -> None:
        """See to it that the optimizer's memory in `state` is up to date, as it always is here."""
