"""A control-flow graph: blocks of instructions, dominators and loops."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

Place = tuple[str, int]
"""File and line; ("", 0) if the compiler gives none."""


Worth = tuple[int, ...]
"""The value of some instructions: tuples are added, and compared from the first number on."""


class Instruction(NamedTuple):
    text: str
    place: Place
    """The innermost place, if functions were inlined."""


class Graph:
    """Blocks of instructions, and the successors of each; `end` is the successor of those that return."""

    def __init__(self, blocks: list[list[Instruction]], following: list[list[int]]) -> None:
        self.blocks, self.next, self.end = blocks, following, len(blocks)
        self.before: list[list[int]] = [[] for _ in range(self.end + 1)]
        for b, others in enumerate(following):
            for other in others:
                self.before[other].append(b)
        self.reached = self.around([0], self.next)

    def around(self, start: Iterable[int], neighbors: list[list[int]], without: Iterable[int] = ()) -> set[int]:
        """All blocks that are reached from these by going to neighbors, but not into or through those `without`."""
        seen, todo, barred = set[int](), list(start), set(without)
        while todo:
            block = todo.pop()
            if block not in seen and block not in barred:
                seen.add(block)
                todo += neighbors[block] if block < self.end else []
        return seen

    def dominators(self) -> list[set[int]]:
        """The dominators of each block, itself included."""
        found = [{0}, *(set(range(self.end)) for _ in range(1, self.end))]
        return _settled(found, self.before, [b for b in range(1, self.end) if b in self.reached])

    def postdominators(self) -> list[set[int]]:
        """The postdominators of each block, itself included."""
        found = [*(set(range(self.end + 1)) for _ in range(self.end)), {self.end}]
        return _settled(found, self.next, list(reversed(range(self.end))))

    def loops(self) -> dict[int, set[int]]:
        """Header -> the blocks of its loop: those that reach one of its back edges without passing the header."""
        found: dict[int, set[int]] = {}
        dominators = self.dominators()
        for b in sorted(self.reached - {self.end}):
            for header in self.next[b]:
                if header in dominators[b]:
                    body = self.around([b], self.before, [header])
                    found[header] = found.get(header, {header}) | body
        return found

    def best_way(self, blocks: set[int], start: int, worth: Callable[[list[Instruction]], Worth]) -> list[int]:
        """The path from `start` through these blocks, each at most once, with the highest total worth.

        It ends before it would return to `start` or leave the blocks.
        """
        best: dict[int, tuple[Worth, list[int]]] = {}
        for b in self._last_first(blocks, start):
            value = worth(self.blocks[b])
            further = [best[n] for n in self.next[b] if n in best and n != start]
            if start in self.next[b] or (not further and any(n not in blocks for n in self.next[b])):
                further = [((0,) * len(value), [])]
            if further:  # otherwise it only leads into an inner loop
                most, way = max(further, key=lambda found: found[0])
                best[b] = tuple(x + y for x, y in zip(value, most, strict=True)), [b, *way]
        return best[start][1] if start in best else [start]

    def _last_first(self, blocks: set[int], start: int) -> list[int]:
        """The blocks in postorder: each comes after its successors, without back edges."""
        seen, order = set[int](), list[int]()
        todo = [(start, False)]
        while todo:
            b, done = todo.pop()
            if done:
                order.append(b)
            elif b not in seen and b in blocks:
                seen.add(b)
                todo.append((b, True))
                todo += [(n, False) for n in self.next[b]]
        return order


def _settled(found: list[set[int]], neighbors: list[list[int]], order: list[int]) -> list[set[int]]:
    """Each block together with the intersection of its neighbors, until nothing changes."""
    changed = True
    while changed:
        changed = False
        for b in order:
            new = {b} | set.intersection(*(found[n] for n in neighbors[b]))
            changed |= new != found[b]
            found[b] = new
    return found
