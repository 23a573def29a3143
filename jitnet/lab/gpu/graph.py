"""Code as blocks of instructions, and which can follow which: loops, and what every way leads through."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

Place = tuple[str, int]
"""File and line; ("", 0) where the compiler names none."""


Worth = tuple[int, ...]
"""Of some instructions: what comes first counts first, and each is added up."""


class Instruction(NamedTuple):
    text: str
    place: Place
    """The innermost, where functions were inlined."""


class Graph:
    """Blocks of instructions, and for each the blocks that can follow; `end` follows those that return."""

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
        """For each block, those that every way to it leads through, itself included."""
        found = [{0}, *(set(range(self.end)) for _ in range(1, self.end))]
        return _settled(found, self.before, [b for b in range(1, self.end) if b in self.reached])

    def postdominators(self) -> list[set[int]]:
        """For each block, those that every way from it to the end leads through, itself included."""
        found = [*(set(range(self.end + 1)) for _ in range(self.end)), {self.end}]
        return _settled(found, self.next, list(reversed(range(self.end))))

    def loops(self) -> dict[int, set[int]]:
        """Header -> the blocks of its loop: those from which one of its jumps back is reached without the header."""
        found: dict[int, set[int]] = {}
        dominators = self.dominators()
        for b in sorted(self.reached - {self.end}):
            for header in self.next[b]:
                if header in dominators[b]:
                    body = self.around([b], self.before, [header])
                    found[header] = found.get(header, {header}) | body
        return found

    def best_way(self, blocks: set[int], start: int, worth: Callable[[list[Instruction]], Worth]) -> list[int]:
        """The way from `start` through these blocks, each at most once, whose blocks are worth most together.

        It ends where it would go back to `start`, or leave the blocks for good.
        """
        best: dict[int, tuple[Worth, list[int]]] = {}
        for b in self._last_first(blocks, start):
            value = worth(self.blocks[b])
            further = [best[n] for n in self.next[b] if n in best and n != start]
            if start in self.next[b] or (not further and any(n not in blocks for n in self.next[b])):
                further = [((0,) * len(value), [])]
            if further:  # or else it only goes around in a loop inside
                most, way = max(further, key=lambda found: found[0])
                best[b] = tuple(x + y for x, y in zip(value, most, strict=True)), [b, *way]
        return best[start][1] if start in best else [start]

    def _last_first(self, blocks: set[int], start: int) -> list[int]:
        """The blocks in an order in which each comes after all that can follow it, jumps back left out."""
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
    """Each block together with what all of its neighbors have in common, until nothing changes."""
    changed = True
    while changed:
        changed = False
        for b in order:
            new = {b} | set.intersection(*(found[n] for n in neighbors[b]))
            changed |= new != found[b]
            found[b] = new
    return found
