"""A training step on one mini-batch, for users' own loops: streams, schedules, several machines."""

from __future__ import annotations

import math
import secrets
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import backend as backends
from ..compiler.types import BackendName
from ..losses import Loss, LossName
from ..optimizers import Optimizer, OptimizerName
from ..process import progress
from ..process.interruption import Interrupt
from ..step import descent
from . import loop
from .plan import Plan, steps, validated
from .state import State, new_state


class Recorded(NamedTuple):
    """The latest step, bound to its kernels; the next step with the same settings reuses it."""

    settings: tuple[Any, ...]
    plan: Plan
    train: loop.Epochs


def step(
    net: Any,
    X: ArrayLike,
    Y: ArrayLike,
    optimizer: OptimizerName | Optimizer = "sgd",
    *,
    loss: LossName | Loss | None = None,
    backend: BackendName = "fast",
    threads: int | None = None,
    sample_weight: ArrayLike | None = None,
    clip_norm: float | None = None,
) -> float:
    """One training step on one mini-batch; returns its mean loss, with the weights before the step.

    Formula   the four formulas, then theta ← optimizer(theta, grad)
    Shapes    X (m, n_in), Y (m, n_out), or labels (m,) of `net.classes`; m can change from step to step
    optimizer         "sgd", "momentum", "adam", ..., or an object such as SGD(0.5). The network keeps its state, which
                      is the number of steps and its vectors. The next step continues with it, and so does the first
                      step after `fit`. Settings such as lr can change; another kind of optimizer starts with a new
                      state, as `fit` does. `state_dict` contains the state; copies of the network and files of `save`
                      do not
    loss              its name; None selects the one that suits the last layer
    threads           as in `fit`; it never changes a bit of the result
    sample_weight     (m,), as in `fit`: the loss is a weighted mean
    clip_norm         scale the gradient down to this length if it is longer

    The bits are those of `fit` with the same batches. ^C takes effect after the step, which is then complete.

    Errors    ValueError for invalid input; `Diverged`, a ValueError, if the loss or the weights are not finite: the
              weights and the optimizer's state are then those before the step

    >>> import jitnet, numpy as np
    >>> net = jitnet.Network(jitnet.Dense(1, 1), seed=0)
    >>> X = np.linspace(-1, 1, 8).reshape(8, 1)
    >>> for _ in range(100):
    ...     loss = net.step(X, 3 * X + 1, jitnet.SGD(0.5))
    >>> print(net.layers[0].W.round(3), net.layers[0].b.round(3))
    [[3.]] [1.]
    """
    plan = validated(
        net, X, Y, optimizer=optimizer, loss=loss, backend=backend, sample_weight=sample_weight, clip_norm=clip_norm
    )
    plan.batch_size = len(plan.X)
    backends.check_threads(threads, backend)
    with net.in_training() as plan.net, backends.threads(threads), np.errstate(all="ignore"):
        state = _continued(net, plan)
        recorded = _recorded(net, plan, state, threads)
        before = [vector.copy() for vector in (state.theta, *state.memory)]
        with Interrupt() as interrupt:
            mean = recorded(interrupt, progress.Progress())
            recorded.sync_optimizer()
        assert mean is not None  # an epoch of one batch cannot end early
        if not (math.isfinite(mean) and np.isfinite(state.theta).all()):
            for vector, good in zip((state.theta, *state.memory), before, strict=True):
                vector[...] = good
            state.step -= 1
            raise loop.Diverged(
                f"training diverged in step {state.step + 1}: the loss is {mean:g}; the weights before it were "
                "restored; lower the learning rate, or scale the inputs", state.history,
            )  # fmt: skip
        net._state = state
        plan.record_task(net, is_continued=True)
    if interrupt.asked:
        raise KeyboardInterrupt
    return mean


def _continued(net: Any, plan: Plan) -> State:
    """The state of the network, or a new one for the first step and for another kind of optimizer."""
    state: State | None = net._state
    if state is None or state.optimizer != plan.optimizer.name or not state.is_current:
        state = new_state(net, plan.optimizer)
        state.seed = secrets.randbits(32) if plan.seed is None else plan.seed
    plan.seed = state.seed
    return state


def _recorded(net: Any, plan: Plan, state: State, threads: int | None) -> loop.Epochs:
    """The step for these settings, compiled if necessary. On a GPU each batch is copied there by a new one."""
    plan.optimizer.check(net.dtype)
    settings = (
        plan.net, state, plan.backend, len(plan.X), plan.loss, plan.optimizer.kernel, threads, plan.extras
    )  # fmt: skip
    latest: Recorded | None = net._recorded
    is_compiled = latest is not None and latest.settings == settings
    if latest and is_compiled and not plan.backend.is_remote:
        before, now = (descent(plan.backend, kind, plan.extras) for kind in (latest.plan.optimizer, plan.optimizer))
        if before == now:  # otherwise lr is part of what is bound
            latest.plan.X, latest.plan.Y, latest.plan.optimizer = plan.X, plan.Y, plan.optimizer
            latest.plan.weights = plan.weights
            return latest.train
    if not is_compiled:
        calls = steps(plan)
        plan.backend.check(calls)
        plan.backend.prepare(calls, net.dtype)
    latest = net._recorded = Recorded(settings, plan, plan.backend.epoch(plan, state))
    return latest.train
