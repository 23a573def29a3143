"""The ways through a kernel's PTX: which depend on the thread, and the barriers that some threads miss."""

import functools
import re
from collections.abc import Callable

from .graph import Graph, Instruction
from .program import blocks_of


class Flow(Graph):
    """The blocks of a kernel's PTX. If it was compiled with lines, its instructions have places.

    A register depends on the thread if it is made from a thread's index, from something loaded from an address that
    does, or from shared memory, or is written where only some threads come. A barrier there makes the others wait.
    """

    def __init__(self, text: str) -> None:
        blocks, labels = blocks_of(text)
        super().__init__(blocks, [_successors(b, blocks, labels) for b in range(len(blocks))])

        self.after = self.postdominators()
        self._moved = [[_registers(text) for text, _ in block] for block in blocks]

    @functools.cached_property
    def parting(self) -> dict[int, set[int]]:
        """Blocks that end with a branch which the threads of a warp may take differently -> the blocks that some miss.

        What is made between such a branch and the place where its ways meet depends on the thread from there on.
        """
        return self._parting(lambda region: self._written(region) & self._read(set(range(self.end)) - region))

    def _parting(self, changed: Callable[[set[int]], set[str]]) -> dict[int, set[int]]:
        """`changed` says which registers depend on the thread because some threads miss these blocks."""
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
        """Found with all that is written in blocks that some threads miss taken to depend on the thread."""
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
    """What an instruction writes, and what it reads."""
    guard = re.match(r"@!?(%\w+)\s+", line)
    words = line[guard.end() if guard else 0 :].split(None, 1)
    if len(words) < 2 or re.match(r"st\.|bra|bar|ret|red", words[0]):
        return set(), set(re.findall(r"%\w+", line))
    target = re.match(r"\{[^}]*\}|[^,]*", words[1])
    written = set(re.findall(r"%\w+", target[0])) if target else set()
    read = set(re.findall(r"%\w+", words[1][len(target[0]) if target else 0 :]))
    return written, read | {guard[1]} if guard else read
