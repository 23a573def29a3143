"""The hottest loop of a kernel, in PTX or in machine code, and the memory accesses and arithmetic of its instructions.

A kernel checks the bounds of its matrix, so there are many paths through a loop. The one that is shown and counted is
the usual path: it loads most bytes, in the fewest loads. The others are for the edges.
"""

import re
from typing import NamedTuple

from ..machine_code import sources
from .control_flow import Graph, Instruction, Place
from .occupancy import WARP

ITERATIONS = 10
"""Assumed number of iterations of a loop, to compare loops of different depth."""

_PTX = re.compile(r"(?:@\S+\s+)?(ld|st)\.(?:\w+\.)*?(global|shared|local)\.(?:\w+\.)*?(?:v(\d)\.)?[bfsu](\d+)\b")
_SASS = re.compile(r"(?:@\S+ )?(LD|ST)([GSL])\b((?:\.\w+)*)")
_SPACES = {"G": "global", "S": "shared", "L": "local"}
_ARITHMETIC = re.compile(
    r"(?:@\S+\s+)?(?:(?:add|sub|mul|div|fma|sqrt|rsqrt|rcp|ex2|lg2|sin|cos|tanh|min|max)\.\S*f(?:16|32|64)\b|mma\."
    r"|[FDH](?:ADD|MUL|FMA|MNMX|MMA)\b|MUFU)"
)
_MATRIX = re.compile(r"(?:mma\.\S*m(\d+)n(\d+)k(\d+)|HMMA\.(16)(8)(\d+))")


class Access(NamedTuple):
    """A load or store."""

    loads: bool
    space: str
    """global, shared or local."""
    bytes: int
    """Bytes per thread."""


def access(text: str) -> Access | None:
    if found := _PTX.match(text):
        return Access(found[1] == "ld", found[2], int(found[3] or 1) * int(found[4]) // 8)
    if found := _SASS.match(text):
        wide = re.search(r"\.(64|128)\b", found[3])
        narrow = re.search(r"\.[US](8|16)\b", found[3])
        bits = int(wide[1]) if wide else int(narrow[1]) if narrow else 32
        return Access(found[1] == "LD", _SPACES[found[2]], bits // 8)
    return None


def multiply_adds(text: str) -> int:
    """Multiply-adds per thread: 1 for a fused one; for a matrix instruction, those of the warp divided by 32."""
    if found := _MATRIX.match(text):
        m, n, k = (int(part) for part in found.groups() if part)
        return m * n * k // WARP
    return int(re.match(r"(@\S+\s+)?(fma\.|FFMA|DFMA)", text) is not None)


def is_arithmetic(text: str) -> bool:
    """True for arithmetic on floats."""
    return _ARITHMETIC.match(text) is not None


class Loop(NamedTuple):
    """A loop without its inner loops, or a whole kernel without loops."""

    depth: int
    """Nesting depth; 0 for a kernel without loops."""
    way: list[int]
    """The blocks of the usual path."""
    instructions: list[Instruction]
    """The instructions of the usual path."""
    left_out: int
    """Number of instructions on other paths and of inner loops."""
    around: list[Instruction]
    """The instructions on the usual path of the outer loop, without this loop."""

    @property
    def place(self) -> Place:
        """The line of the `for`, which the back edge belongs to."""
        lines = [place for _, place in self.instructions if place[1] and sources.is_loop(*place)]
        if lines or not self.depth:
            return (lines or [place for _, place in self.instructions if place[1]] or [("", 0)])[-1]
        places = [place for _, place in self.instructions if place[1]]
        if not places:
            return "", 0
        file = max({file for file, _ in places}, key=[file for file, _ in places].count)
        inside = {line for name, line in places if name == file}
        return file, sources.loop_around(file, frozenset(inside)) or min(inside)

    @property
    def multiply_adds(self) -> int:
        return sum(multiply_adds(text) for text, _ in self.instructions)

    @property
    def work(self) -> float:
        arithmetic = sum(is_arithmetic(text) for text, _ in self.instructions)
        return (self.multiply_adds + 0.1 * arithmetic + 0.001 * len(self.instructions)) * float(ITERATIONS**self.depth)

    def loads(self, space: str) -> list[int]:
        """The bytes of each load."""
        found = [access(text) for text, _ in self.instructions]
        return [a.bytes for a in found if a and a.loads and a.space == space]

    @property
    def sums(self) -> int:
        """Independent chains of multiply-adds: the sums that no other multiply-add of the path has written."""
        made: set[str] = set()
        chains = 0
        for text, _ in self.instructions:
            if multiply_adds(text):
                groups = re.findall(r"\{[^}]*\}|[%\w.]+", re.sub(r"^(@\S+\s+)?\S+\s+", "", text))
                chains += groups[-1] not in made
                made.add(groups[0])
        return chains


def hottest(graph: Graph) -> Loop:
    """The loop that computes most, without its inner loops; the whole kernel if it has no loop."""
    loops = graph.loops()
    found = [_loop(graph, loops, header) for header in loops]
    if not found:
        way = graph.best_way(graph.reached - {graph.end}, 0, _worth)
        found = [Loop(0, way, _on(graph, way), _count(graph, graph.reached - {graph.end} - set(way)), [])]
    return max(found, key=lambda loop: loop.work)


def _loop(graph: Graph, loops: dict[int, set[int]], header: int) -> Loop:
    blocks = loops[header]
    inner = set[int]().union(*(others for h, others in loops.items() if h != header and h in blocks))
    way = [b for b in graph.best_way(blocks, header, _worth) if b not in inner]
    outer = [h for h, others in loops.items() if h != header and header in others]
    around: list[Instruction] = []
    if outer:
        nearest = min(outer, key=lambda h: len(loops[h]))
        whole = graph.best_way(loops[nearest], nearest, _worth)
        around = _on(graph, [b for b in whole if b not in blocks])
    return Loop(len(outer) + 1, way, _on(graph, way), _count(graph, blocks - set(way)), around)


def _on(graph: Graph, way: list[int]) -> list[Instruction]:
    return [instruction for b in way for instruction in graph.blocks[b]]


def _count(graph: Graph, blocks: set[int]) -> int:
    return sum(len(graph.blocks[b]) for b in blocks)


def _worth(block: list[Instruction]) -> tuple[int, ...]:
    """More bytes loaded, then fewer loads, then more arithmetic, then fewer instructions."""
    loads = [a.bytes for text, _ in block if (a := access(text)) and a.loads and a.space == "global"]
    return sum(loads), -len(loads), sum(is_arithmetic(text) for text, _ in block), -len(block)
