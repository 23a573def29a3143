"""The gradient of a batch from the gradients of its blocks.

The gradient of a mean over the batch is the sum of share·gradient over the blocks, where share is the fraction of the
batch's samples in a block or, with weights, of the sum of weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np

from .. import checks
from ..compiler.memory import aligned
from ..compiler.types import Vector
from .comm import Comm
from .tree import Node, Tree, cuts, subtrees

BLOCKS = 8
"""The blocks of a batch for "tree". Their number is part of the result, so it does not depend on that of the ranks."""

MOST = 4096
"""The maximum number of blocks."""

Reduction = Literal["tree", "fast"] | int
"""How gradients are added up: "fast", in any order; a number of blocks, in a fixed tree; "tree" is 8 blocks."""


def checked(reduction: Any, comm: Comm, is_given: bool) -> int | Literal["fast"] | None:
    """The number of blocks of the fixed tree, or "fast"; None for whole batches.

    is_given    there is a communicator, for which the tree is the default
    Errors      ValueError for other names, numbers that are not a power of two, and fewer blocks than ranks
    """
    if reduction is None and not is_given:
        return None
    if isinstance(reduction, str) and reduction.isdecimal() and len(reduction) < 6:
        reduction = int(reduction)
    if reduction is None or isinstance(reduction, str):
        name = "tree" if reduction is None else checks.one_of("reduction", reduction, ("tree", "fast"))
        if name == "fast":
            return "fast"
        reduction = BLOCKS
    blocks = checks.whole("reduction", reduction, least=1)
    if blocks & (blocks - 1) or blocks > MOST:
        raise checks.Error(f"reduction is {blocks}, but the number of blocks must be a power of two up to {MOST}")
    if blocks < comm.size:
        more = 2 ** (comm.size - 1).bit_length()
        raise checks.Error(
            f"there are {comm.size} ranks, but a batch has {blocks} blocks; write reduction={more}, whose bits are "
            'others, or reduction="fast", or use fewer ranks'
        )
    return blocks


class Sum(ABC):
    """The sum over all blocks of one batch: each rank adds its blocks, and `finish` has the total on all ranks.

    The last element of the vectors counts the ranks that want to stop, so that all see ^C after the same batch.
    """

    def __init__(self, comm: Comm, size: int, dtype: np.dtype[Any], blocks: int) -> None:
        self._comm, self.blocks = comm, blocks
        self.mine = range(*cuts(blocks, comm.size)[comm.rank : comm.rank + 2])
        self._total = aligned(size + 1, dtype)
        self.gradient: Vector = self._total[:-1]
        """The total, after `finish`."""

    @abstractmethod
    def add(self, block: int, gradient: Vector, share: float) -> None:
        """Add share·gradient of the next block of this rank."""

    @abstractmethod
    def finish(self, asks: bool) -> bool:
        """Complete the sum. True if any rank asks to stop."""


class TreeSum(Sum):
    """The same bits for any number of ranks.

    Each rank completes one part of the vector, and then all get all parts: as many bytes as a plain all-reduce.
    """

    def __init__(self, comm: Comm, size: int, dtype: np.dtype[Any], blocks: int) -> None:
        super().__init__(comm, size, dtype, blocks)
        self._tree = Tree()
        of_ranks = cuts(blocks, comm.size)
        self._of_rank = [subtrees(*of_ranks[rank : rank + 2]) for rank in range(comm.size)]
        self._parts = cuts(size + 1, comm.size)
        length = self._parts[comm.rank + 1] - self._parts[comm.rank]
        self._received = [[aligned(length, dtype) for _ in nodes] for nodes in self._of_rank]

    def add(self, block: int, gradient: Vector, share: float) -> None:
        spare = self._tree.spare
        vector = spare.pop() if spare else aligned(self._total.size, self._total.dtype)
        np.multiply(gradient, gradient.dtype.type(share), out=vector[:-1])
        vector[-1] = 0
        self._tree.add(Node(block, block + 1, vector))

    def finish(self, asks: bool) -> bool:
        nodes = self._tree.nodes
        nodes[0].sum[-1] = asks
        if self._comm.size == 1:
            self._total[...] = nodes[0].sum
        else:
            self._comm.allgather_parts(self._part([node.sum for node in nodes]), self._parts, self._total)
        self._tree.clear()
        return bool(self._total[-1])

    def _part(self, sums: list[Vector]) -> Vector:
        """This rank's part of the total."""
        for k in range(max(map(len, self._of_rank))):
            received = [parts[k] if k < len(parts) else None for parts in self._received]
            self._comm.exchange(sums[k] if k < len(sums) else None, self._parts, received)
        whole = Tree()
        for nodes, parts in zip(self._of_rank, self._received, strict=True):
            for (start, stop), part in zip(nodes, parts, strict=True):
                whole.add(Node(start, stop, part))
        return whole.nodes[0].sum


class FastSum(Sum):
    """One block for each rank, and the library's own all-reduce: fewer and larger products, but in an unknown order."""

    def __init__(self, comm: Comm, size: int, dtype: np.dtype[Any]) -> None:
        super().__init__(comm, size, dtype, comm.size)

    def add(self, block: int, gradient: Vector, share: float) -> None:
        np.multiply(gradient, gradient.dtype.type(share), out=self.gradient)

    def finish(self, asks: bool) -> bool:
        self._total[-1] = asks
        self._comm.allreduce(self._total)
        return bool(self._total[-1])


def sum_of(reduction: int | Literal["fast"], comm: Comm, size: int, dtype: np.dtype[Any]) -> Sum:
    """The sum for vectors of this size."""
    return FastSum(comm, size, dtype) if reduction == "fast" else TreeSum(comm, size, dtype, reduction)
