"""Control flow of PTX: branches that depend on the thread, and barriers that some threads miss."""

import functools
import re
from collections.abc import Callable

from .control_flow import Graph, Instruction
from .program import blocks_of


class Flow(Graph):
    """The blocks of the PTX of a kernel. If it was compiled with line numbers, its instructions have places.

    A register depends on the thread if it is computed from the index of the thread, from a number at an address that
    depends on the thread, or from shared memory, or if only some threads write it. A barrier that only some threads
    reach makes them wait forever.
    """

    def __init__(self, text: str) -> None:
        blocks, labels = blocks_of(text)
        super().__init__(blocks, [_successors(b, blocks, labels) for b in range(len(blocks))])

        self.after = self.postdominators()
        self._moved = [[_registers(text) for text, _ in block] for block in blocks]

    @functools.cached_property
    def parting(self) -> dict[int, set[int]]:
        """Block that ends with a divergent branch -> the blocks that some threads miss.

        A register written between such a branch and the point where its paths meet depends on the thread from then on.
        """
        return self._parting(lambda region: self._written(region) & self._read(set(range(self.end)) - region))

    def _parting(self, changed: Callable[[set[int]], set[str]]) -> dict[int, set[int]]:
        """`changed` gives the registers that depend on the thread because some threads miss these blocks."""
        found: dict[int, set[int]] = {}
        depends: set[str] = set()
        before = -1
        while before != len(depends) + len(found):
            before = len(depends) + len(found)
            for b, block in enumerate(self.blocks):
                for (text, _), (written, read) in zip(block, self._moved[b], strict=True):
                    if depends & read or re.search(r"%tid|%laneid|ld\.shared|atom", text):
                        depends |= written
                last = block[-1].text if block else ""
                if b not in found and last.startswith("@") and depends & set(re.findall(r"%\w+", last)):
                    found[b] = self.around(self.next[b], self.next, self.after[b] - {b}) - {self.end}
            depends |= set[str]().union(*(changed(region) for region in found.values()))
        return found

    def _written(self, blocks: set[int]) -> set[str]:
        return {register for b in blocks for written, _ in self._moved[b] for register in written}

    def _read(self, blocks: set[int]) -> set[str]:
        return {register for b in blocks for _, read in self._moved[b] for register in read}

    def barriers_that_some_threads_miss(self) -> list[Instruction]:
        """Barriers that may be missed, if every register written in blocks that some threads miss depends on them."""
        missed = set[int]().union(*self._parting(self._written).values())
        return [i for b in sorted(missed) for i in self.blocks[b] if i.text.startswith(("bar.", "barrier"))]


def _successors(b: int, blocks: list[list[Instruction]], labels: dict[str, int]) -> list[int]:
    last = blocks[b][-1].text if blocks[b] else ""
    if last.startswith("ret"):
        return [len(blocks)]
    target = re.search(r"bra(?:\.uni)?\s+(\$L\w+)", last)
    if target is None:
        return [b + 1]
    return [labels[target[1]]] + ([b + 1] if last.startswith("@") else [])


def _registers(line: str) -> tuple[set[str], set[str]]:
    """The registers that an instruction writes, and those that it reads."""
    guard = re.match(r"@!?(%\w+)\s+", line)
    words = line[guard.end() if guard else 0 :].split(None, 1)
    if len(words) < 2 or re.match(r"st\.|bra|bar|ret|red", words[0]):
        return set(), set(re.findall(r"%\w+", line))
    target = re.match(r"\{[^}]*\}|[^,]*", words[1])
    written = set(re.findall(r"%\w+", target[0])) if target else set()
    read = set(re.findall(r"%\w+", words[1][len(target[0]) if target else 0 :]))
    return written, read | {guard[1]} if guard else read
