"""The state that a training begins with: a new one, that of the latest training, or that of a checkpoint."""

from __future__ import annotations

import math
import secrets
from dataclasses import replace

from .. import checks, storage
from .checkpoint import Checkpoint
from .plan import Plan, Trainable
from .state import State, new_state


def initial_state(net: Trainable, plan: Plan, checkpoint: Checkpoint, resume: bool) -> State:
    """The state before the first epoch. The plan gets its seed and, without a checkpoint, the epochs of both parts."""
    state = _continued(net, plan) if resume and not checkpoint.is_wanted else new_state(net, plan.optimizer)
    if checkpoint.is_wanted and plan.comm.rank == 0:
        storage.check_writable(checkpoint.path, kind="checkpoint")
        if resume:
            checkpoint.restore(state, plan)
        else:
            checkpoint.warn_of_replacing()
    state.seed = plan.seed = secrets.randbits(32) if plan.seed is None else plan.seed
    return state


def _continued(net: Trainable, plan: Plan) -> State:
    """The state of the latest training, for more epochs; its history is copied."""
    state = net._state
    if state is None:
        raise checks.Error(
            "resume continues the latest training of this network, and there is none in memory: it was not trained "
            "here, diverged, or was ended by ^C; fit without resume, or name its checkpoint"
        )
    if state.optimizer != plan.optimizer.name:
        raise checks.Error(
            f"the training to continue has optimizer {state.optimizer}, not {plan.optimizer.name}; use the same, or "
            "start another training by fit without resume"
        )
    plan.optimizer.check(net.dtype)
    plan.epochs += state.history.epochs
    plan.seed = state.seed if plan.seed is None else plan.seed
    history = state.history.copy()  # the earlier history belongs to the user
    history.stopped = history.checkpoint_error = ""
    if state.last_theta is not None:  # the network has the best weights instead of the last ones
        net.theta[...] = state.last_theta
    continued = replace(state, history=history, last_theta=None)
    if plan.early_stopping is None or not plan.early_stopping.continues(state):
        history.best_epoch = continued.best_theta = None
        continued.best_loss = math.inf
    return continued
