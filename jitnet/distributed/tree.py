"""A sum in a fixed order: the blocks of a batch are the leaves of a binary tree, whichever rank computes them.

Each rank has consecutive blocks and adds up the subtrees within them; then the ranks complete the tree. Floating-point
addition is not associative, but the additions of the tree are the same for any number of ranks.

           0-7                  1 rank      has this sum
       /         \\
     0-3         4-7            2 ranks     have one of these each
    /   \\       /   \\
   0-1  2-3    4-5  6-7         3 ranks     have 0-1; 2-3 and 4; 5 and 6-7
   / \\  / \\    / \\  / \\
  0  1 2  3   4  5 6  7
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..compiler.types import Vector


def cuts(size: int, parts: int) -> list[int]:
    """Where this many nearly equal parts of `size` elements begin, and the end of the last one."""
    return [part * size // parts for part in range(parts + 1)]


def subtrees(start: int, stop: int) -> list[tuple[int, int]]:
    """The largest subtrees within blocks start to stop − 1, in order, as (start, stop)."""
    found = []
    while start < stop:
        size = 1
        while start % (2 * size) == 0 and start + 2 * size <= stop:
            size *= 2
        found.append((start, start + size))
        start += size
    return found


@dataclass
class Node:
    """The sum of the vectors of blocks start to stop − 1."""

    start: int
    stop: int
    sum: Vector

    def is_left_of(self, other: Node) -> bool:
        """True if the two are the children of one node."""
        size = self.stop - self.start
        return other.stop - other.start == size and other.start == self.stop and self.start % (2 * size) == 0


class Tree:
    """Takes nodes from left to right, and adds two as soon as they are children of one node."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.spare: list[Vector] = []
        """Vectors whose content has been added to a sum, for reuse."""

    def add(self, node: Node) -> None:
        """The next node to the right. Its vector belongs to the tree from now on."""
        self.nodes.append(node)
        while len(self.nodes) > 1 and self.nodes[-2].is_left_of(self.nodes[-1]):
            right = self.nodes.pop()
            left = self.nodes[-1]
            np.add(left.sum, right.sum, out=left.sum)
            left.stop = right.stop
            self.spare.append(right.sum)

    def clear(self) -> None:
        """Start a new sum, which reuses the vectors."""
        self.spare += [node.sum for node in self.nodes]
        self.nodes.clear()
