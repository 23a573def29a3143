"""The data caches of a machine, simulated: set-associative, least recently used (LRU), write-allocate.

The misses of a level go to the next level. There is no prefetcher, and an address is a physical one:
a real L2 cache is indexed by physical pages, which the system scatters.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ... import checks
from ...compiler.cpu_caches import DESCRIPTIONS, TYPICAL, bytes_of, data_caches
from ...compiler.jit import compiled, part_of_kernels
from ...compiler.memory import LINE
from ...compiler.types import Matrix, Vector
from ..formatting import kilobytes

LARGEST = 1 << 32
"""Bytes of a cache."""


@dataclass(frozen=True)
class Level:
    """One cache: `size` bytes, of which an address can only use the `ways` lines of its set."""

    name: str
    size: int
    ways: int
    line: int = LINE

    @property
    def sets(self) -> int:
        return self.size // (self.ways * self.line)

    @property
    def lines(self) -> int:
        return self.sets * self.ways

    def __str__(self) -> str:
        size = f"{self.size} bytes" if self.size % 1024 else kilobytes(self.size)
        return f"{self.name} {size}, {self.ways} ways"


UNKNOWN = [Level(f"L{level}", *described) for level, *described in TYPICAL.values()][:2]
"""Assumed if the system does not describe its caches: on anything but Linux."""


def of_this_machine(folder: Path = DESCRIPTIONS) -> list[Level]:
    """The data caches, as the system describes them; empty if it does not."""
    found = [Level(f"L{level}", *described) for level, *described in sorted(data_caches(folder).values())]
    return found if len({level.line for level in found}) == 1 else []


def parsed(texts: list[str]) -> list[Level]:
    """The levels of `["L1=48K/12", "L2=2M/16"]`: size, and number of ways."""
    levels: list[Level] = []
    for text in texts:
        match = re.fullmatch(r"L(\d)=(\d+[KMG]?)/(\d+)", text, re.IGNORECASE)
        if match is None or int(match[1]) != len(levels) + 1:
            raise checks.Error(
                f"cache {text!r} is not a cache; write size/ways of each level: --cache L1=48K/12 L2=2M/16"
            )
        size, ways = bytes_of(match[2].upper()), int(match[3])
        if not ways or not 0 < size <= LARGEST or size % (ways * LINE):
            raise checks.Error(
                f"cache {text!r} cannot be: its size must be a multiple of {ways or 1} ways × {LINE} bytes, up to 4G"
            )
        levels.append(Level(match[0].partition("=")[0].upper(), size, ways))
    return levels


def find_misses(lines: Vector, sets: Matrix, missed: Vector) -> None:
    """missed[t] = line t is not in its set. sets[s] holds the lines of set s, the most recently used first."""
    count, ways = sets.shape
    for t in range(lines.size):
        line = lines[t]
        held = sets[line % count]
        way = 0
        while way < ways and held[way] != line:
            way += 1
        missed[t] = way == ways
        if way == ways:
            way = ways - 1  # the least recently used line is evicted
        while way > 0:
            held[way] = held[way - 1]
            way -= 1
        held[0] = line


FIND_MISSES = compiled(find_misses)


@dataclass
class Hierarchy:
    """Caches and their content, empty at first."""

    levels: list[Level]
    sets: list[NDArray[np.int64]] = field(init=False)

    def __post_init__(self) -> None:
        self.sets = [np.full((level.sets, level.ways), -1, np.int64) for level in self.levels]

    def misses_of(self, addresses: NDArray[np.int64]) -> NDArray[np.int8]:
        """The number of levels that miss each access: 0 is a hit in L1, and so on."""
        misses = np.zeros(addresses.size, np.int8)
        asked = np.arange(addresses.size)
        lines = addresses // self.levels[0].line
        for sets in self.sets:
            missed = np.empty(asked.size, np.bool_)
            FIND_MISSES(lines[asked], sets, missed)
            asked = asked[missed]
            misses[asked] += 1
        return misses


@part_of_kernels
def add(tree: Vector, at: int, x: int) -> None:
    """Add x to the number at place `at` of a Fenwick tree, which keeps sums of its beginnings."""
    at += 1
    while at < tree.size:
        tree[at] += x
        at += at & -at


@part_of_kernels
def sum_before(tree: Vector, at: int) -> int:
    """The sum of the numbers before place `at`."""
    total = 0
    while at > 0:
        total += tree[at]
        at -= at & -at
    return total


def find_reuse(lines: Vector, latest: Vector, tree: Vector, distance: Vector) -> None:
    """distance[t] = how many different lines are used from the latest use of line t until now; 0 if there is none.

    latest    per line, the place of its latest use, at first -1
    tree      zeros: at each place 1, if it is the latest use of its line
    """
    for t in range(lines.size):
        before = latest[lines[t]]
        distance[t] = 0
        if before >= 0:
            distance[t] = sum_before(tree, t) - sum_before(tree, before)
            add(tree, before, -1)
        add(tree, t, 1)
        latest[lines[t]] = t


FIND_REUSE = compiled(find_reuse)


def reuse_distances(addresses: NDArray[np.int64], line: int = LINE) -> NDArray[np.int64]:
    """Per access: the lines that a fully associative cache needs to still hold this one; 0 at first use."""
    known, lines = np.unique(addresses // line, return_inverse=True)
    distance = np.empty(addresses.size, np.int64)
    tree = np.zeros(addresses.size + 1, np.int64)
    FIND_REUSE(lines.astype(np.int64), np.full(known.size, -1, np.int64), tree, distance)
    return distance
