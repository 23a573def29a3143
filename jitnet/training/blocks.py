"""Epochs whose batches are cut into blocks: on several ranks, or on one rank with the same bits."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import distributed
from ..compiler.memory import aligned
from ..compiler.types import Vector
from ..distributed.tree import cuts
from ..optimizers import Optimizer
from ..step import SUMS, Epoch, clipping, update_of
from .plan import Plan, steps
from .state import State


class BlockEpoch(Epoch):
    """Like `step.Epoch`, but each rank computes the gradients of its blocks of every batch.

    Their sum is the same on all ranks, and each rank updates all parameters, so parameters and optimizer need not be
    sent.
    """

    part = 1.0
    """The fraction of the weight of the whole batch that the samples in X have."""

    def __init__(self, plan: Plan, state: State) -> None:
        super().__init__(plan, state)
        net: Any = plan.net
        assert plan.reduction is not None
        self._sum = distributed.sum_of(plan.reduction, plan.comm, net.theta.size, net.dtype)
        self._squares = aligned(SUMS, net.dtype)
        self._updates: dict[bool, tuple[list[Any], Any]] = {}
        """With threads or without -> the bound calls that clip the gradient, and the kernel of the optimizer."""
        self._flop = plan.backend.flop_for_threads(steps(plan))
        seeds = (np.random.SeedSequence((plan.seed or 0, block)) for block in self._sum.mine)
        self._seeds = [int(seed.generate_state(1, np.uint64)[0]) % 2**63 for seed in seeds]  # Dropout in each block
        self._interrupt: Any = None

    def __call__(self, interrupt: Any, show: Any) -> float | None:
        """`interrupt.asked` becomes true on all ranks after the same batch, if it is `pressed` on one of them."""
        self._interrupt = interrupt
        return super().__call__(interrupt, show)

    def _train(
        self, order: NDArray[np.int64], start: int, stop: int, optimizer: Optimizer, threads: int, losses: Vector
    ) -> None:
        total, weights = self._sum, self._plan.weights
        edges = itertools.pairwise(self._edges(stop - start))
        whole = stop - start if weights is None else weights[order[start:stop]].sum()
        for block, seed, (first, last) in zip(total.mine, self._seeds, edges, strict=True):
            rows = slice(start + first, start + last)
            of_block = last - first if weights is None else weights[order[rows]].sum()
            losses[rows] = self._gradient(order, rows, threads, seed)
            total.add(block, self._plan.net.grad, self.part * of_block / whole if whole else 0.0)
        self._interrupt.asked = total.finish(self._interrupt.pressed)
        self._update(optimizer, threads)

    def _edges(self, size: int) -> list[int]:
        """Where this rank's blocks of a batch of this many samples begin, and the end of the last one."""
        mine = self._sum.mine
        return cuts(size, self._sum.blocks)[mine.start : mine.stop + 1]

    def _gradient(self, order: NDArray[np.int64], rows: slice, threads: int, seed: int) -> Vector:
        """The gradient of the mean over these samples, into grad; returns their losses."""
        if rows.start == rows.stop:  # a batch can have fewer samples than blocks
            self._plan.net.grad[...] = 0
            return np.empty(0)
        step = self._loaded(order, rows.start, rows.stop, threads)
        step.work.clock[0] = seed
        step.backpropagate(self._state.step)
        return step.work.losses  # type: ignore[no-any-return]

    def _update(self, optimizer: Optimizer, threads: int) -> None:
        """One step of the optimizer with the gradient of the whole batch."""
        if (threads > 1) not in self._updates:
            backend, net, grad = self._plan.backend, self._plan.net, self._sum.gradient
            clips = clipping(grad, self._squares, self._plan.extras)
            *bound_clips, update = backend.bound([*clips, update_of(net, optimizer)], net.dtype, threads)
            self._updates[threads > 1] = bound_clips, update[0]
        bound_clips, update_kernel = self._updates[threads > 1]
        for kernel, arguments in bound_clips:
            kernel(*arguments)
        optimizer.step(update_kernel, self._state.step, self._sum.gradient, self._state.memory, self._plan.net.theta)

    def _all(self, losses: Vector) -> Vector:
        """Each rank has the losses of its samples, and zeros for the others."""
        self._plan.comm.allreduce(losses)
        return losses


class OwnBlocks(BlockEpoch):
    """The same if each rank has its own samples, which together are the batch."""

    def _edges(self, size: int) -> list[int]:
        return cuts(size, len(self._sum.mine))

    def _all(self, losses: Vector) -> Vector:
        return losses
