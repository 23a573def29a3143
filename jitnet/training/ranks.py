"""What the ranks of a training agree on: options, initial parameters, and the end of each epoch."""

from __future__ import annotations

import sys
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks, distributed
from ..compiler.registry import Call
from ..process.interruption import Interrupt
from ..process.progress import Progress
from .plan import Plan
from .state import State

SAMPLES = 64
"""How many rows of X are compared between ranks; comparing all would require every rank to read all data."""


class SharedInterrupt:
    """^C, which stops all ranks after the same batch."""

    def __init__(self, own: Interrupt) -> None:
        self._own = own
        self.asked = False

    @property
    def pressed(self) -> bool:
        """True if this rank received it."""
        return bool(self._own.asked)


def compare(plan: Plan, others: dict[str, Any]) -> None:
    """Compare versions, options and data; `others` are options that are not in the plan.

    Errors    ValueError on all ranks, which names the first that differs from rank 0, and in what
    """
    if plan.comm.size == 1:
        return
    version = sys.modules[__package__.partition(".")[0]].__version__  # of the package, which is above this module
    with plan.comm.together():
        described = _described(plan) | others
    its = {"the version of jitnet": version}  # separately: another version can compare other things
    plan.comm.compare(its, "install the same version for all ranks")
    plan.comm.compare(described, "start all ranks with the same options and data")


def _described(plan: Plan) -> dict[str, Any]:
    arrays = dict(zip(("validation X", "validation Y"), plan.held_out or (None, None), strict=True))
    if plan.batches is None:
        rows = np.unique(np.linspace(0, len(plan.X) - 1, SAMPLES).astype(int))
        arrays |= {"X": plan.X[rows], "Y": plan.Y, "weights": plan.weights}
    described = {"an iterator of batches": plan.batches is not None} | plan.choices() | {
        "shape of X": plan.X.shape, "task": plan.task, "task of the validation": plan.validation_task,
        "classes": None if plan.classes is None else plan.classes.tolist(),
        "epochs": plan.epochs, "backend": plan.backend.name,
        **{f"checksum of {name}": None if array is None else _checksum(array) for name, array in arrays.items()},
    }  # fmt: skip
    of_rank = ("seed",) if plan.batches is None else ("seed", "batch_size", "shape of X")  # the seed of rank 0 counts
    return {name: value for name, value in described.items() if name not in of_rank}


def prepare(plan: Plan, calls: list[Call], show: Progress) -> None:
    """Load the kernels: the first rank of a machine compiles those that are not in the cache, and the others wait."""
    for is_turn in (True, False):
        with plan.comm.together():
            if plan.comm.is_first_here is is_turn:
                plan.backend.prepare(calls, plan.net.dtype, show)


def read_together(plan: Plan) -> None:
    """Each rank reads its part of the data for the fingerprint in the checkpoint, which rank 0 alone writes."""
    assert plan.fingerprint  # which is kept


def broadcast_state(state: State, plan: Plan) -> None:
    """All ranks begin with what rank 0 has: its parameters, and what it continues."""
    comm = plan.comm
    if comm.size == 1:
        return
    numbers = (state.seed, plan.epochs, state.step, state.history, state.best_loss, state.best_theta is not None)
    state.seed, plan.epochs, state.step, state.history, state.best_loss, has_best = comm.allgather(numbers)[0]
    plan.seed = state.seed
    vectors = [state.theta, *state.memory]
    if has_best:
        state.best_theta = state.theta.copy() if state.best_theta is None else state.best_theta
        vectors.append(state.best_theta)
    else:
        state.best_theta = None
    for vector in vectors:
        comm.broadcast(vector)


def weight_of(batch: float | None, plan: Plan, place: str) -> float | None:
    """The weight of a batch of which each rank has samples; None at the end of the epoch.

    batch     the weight of this rank's samples; None if its iterator has ended

    Errors    ValueError if the iterators of some ranks have ended, and those of others have not
    """
    of_ranks = plan.comm.allgather(batch)
    if None not in of_ranks:
        return float(sum(of_ranks))
    longer = next((rank for rank, weight in enumerate(of_ranks) if weight is not None), None)
    if longer is None:
        return None
    raise distributed.on_all_ranks(checks.Error(
        f"rank {of_ranks.index(None)}: its iterator has no {place}, but that of rank {longer} has; give all ranks the "
        "same number of batches, or batches_per_epoch"
    ))  # fmt: skip


def agree_on_epoch(plan: Plan, state: State, seconds: float, interrupt: Any) -> float:
    """After an epoch, return its seconds on rank 0, and agree on ^C between batches.

    Errors    ValueError if the parameters of the ranks differ
    """
    if plan.comm.size == 1:
        return seconds
    ranks = plan.comm.allgather((seconds, _checksum(state.theta), interrupt.pressed))
    for rank, (_, checksum, _) in enumerate(ranks):
        if checksum != ranks[0][1]:
            raise distributed.on_all_ranks(checks.Error(
                f"rank {rank}: its parameters are not those of rank 0 after epoch {state.history.epochs + 1}: its "
                "machine computes differently, or a callback has changed them; use processors of one kind"
            ))  # fmt: skip
    interrupt.asked |= any(pressed for _, _, pressed in ranks)
    return float(ranks[0][0])


def _checksum(array: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(array).data)
