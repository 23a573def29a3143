"""The simulated caches of `jitnet trace` equal counts by hand, a simple model, and another simulator."""

import random
from collections import OrderedDict

import numpy as np
import pytest

from jitnet import checks
from jitnet.compiler import cpu_caches as described
from jitnet.lab.trace import caches
from jitnet.lab.trace.caches import Hierarchy, Level

L1, L2 = Level("L1", 48 << 10, 12), Level("L2", 2 << 20, 16)
TINY = Level("L1", 2 * 2 * 64, 2)  # two sets of two lines


def addresses_of(lines):
    return np.array(lines, np.int64) * 64


# -- what Linux says about the CPU -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "level", "size", "ways", "line", "expected"),
    [
        ("Data", "1", "48K", "12", "64", described.Cache(1, 48 << 10, 12, 64)),
        ("Unified", "2", "2M", "16", "128", described.Cache(2, 2 << 20, 16, 128)),
        ("Unified", "3", "1024", "16", "64", described.Cache(3, 1024, 16, 64)),  # one set
        ("Unified", "3", "1023", "16", "64", None),
        ("Instruction", "1", "32K", "8", "64", None),
        ("Data", "1", "32K", "0", "64", None),
        ("Data", "1", "32K", "8", "0", None),
        ("Data", "one", "32K", "8", "64", None),
    ],
)
def test_caches_are_those_that_linux_describes(kind, level, size, ways, line, expected, tmp_path):
    """Virtual machines describe some with zeros; these are left out."""
    (tmp_path / "index0").mkdir()
    files = {"type": kind, "level": level, "size": size, "ways_of_associativity": ways, "coherency_line_size": line}
    for name, text in files.items():
        (tmp_path / "index0" / name).write_text(f"{text}\n")
    assert described.data_caches(tmp_path) == ({expected.level: expected} if expected else {})


def test_usual_caches_grow_with_the_level():
    assert [cache.level for cache in described.TYPICAL.values()] == list(described.TYPICAL) == [1, 2, 3]
    sizes = [cache.size for cache in described.TYPICAL.values()]
    assert sizes == sorted(set(sizes))


# -- the caches ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "misses"),
    [
        ([0, 0, 1, 1], [1, 0, 1, 0]),
        ([0, 2, 0, 2], [1, 1, 0, 0]),  # one set, two ways
        ([0, 2, 4, 0, 2, 4], [1, 1, 1, 1, 1, 1]),  # three lines in one set: each is evicted before it is used again
        ([0, 2, 0, 4, 0, 2], [1, 1, 0, 1, 0, 1]),  # 2 is the least recently used when 4 arrives
        ([0, 1, 2, 3, 0, 1, 2, 3], [1, 1, 1, 1, 0, 0, 0, 0]),  # the cache holds all four lines
        ([], []),
    ],
)
def test_misses_equal_those_counted_by_hand(lines, misses):
    assert Hierarchy([TINY]).misses_of(addresses_of(lines)).tolist() == misses


def test_second_level_gets_the_misses_of_the_first():
    both = Hierarchy([TINY, Level("L2", 8 * 64, 4)])  # two sets of four lines
    assert both.misses_of(addresses_of([0, 2, 4, 0, 2, 4, 4])).tolist() == [2, 2, 2, 1, 1, 1, 0]
    assert both.misses_of(addresses_of([0, 4])).tolist() == [1, 0]  # lines stay between calls: 2, 4; then 4, 0


def by_dictionaries(lines, level):
    """A simple model of the same cache: one dictionary per set, in the order of use."""
    sets = [OrderedDict() for _ in range(level.sets)]
    for line in lines:
        held = sets[line % level.sets]
        yield line not in held
        held[line] = held.pop(line, None)
        if len(held) > level.ways:
            held.popitem(last=False)


def some_lines(count, seed):
    """Random lines with small and large strides, forward, backward and repeated."""
    draw = random.Random(seed)
    lines = []
    while len(lines) < count:
        start, step = draw.randrange(400), draw.choice([1, 1, 3, 8, 64, -1])
        lines += [start + step * k + 4096 for k in range(draw.randrange(1, 40))] * draw.randrange(1, 3)
    return lines[:count]


@pytest.mark.parametrize("level", [TINY, Level("L1", 64, 1), Level("L1", 3 * 5 * 64, 5), Level("L1", 64 * 64, 64)])
def test_misses_equal_those_of_a_simple_model(level):
    lines = some_lines(3000, level.ways)
    assert Hierarchy([level]).misses_of(addresses_of(lines)).tolist() == list(by_dictionaries(lines, level))


def test_misses_equal_those_of_pycachesim():
    cachesim = pytest.importorskip("cachesim", reason="needs pycachesim, which a C compiler builds")
    level, below = Level("L1", 4096, 4), Level("L2", 32768, 8)
    memory = cachesim.MainMemory()
    second = cachesim.Cache("L2", below.sets, below.ways, 64, "LRU")
    first = cachesim.Cache("L1", level.sets, level.ways, 64, "LRU", store_to=second, load_from=second)
    memory.load_to(second)
    memory.store_from(second)
    simulator = cachesim.CacheSimulator(first, memory)
    addresses = addresses_of(some_lines(20_000, 1))
    for address in addresses.tolist():
        simulator.load(address, length=4)
    misses = Hierarchy([level, below]).misses_of(addresses)
    for depth, cache in enumerate((first, second)):
        assert cache.stats()["MISS_count"] == int((misses > depth).sum()) > 100


def test_reuse_distances_equal_a_count():
    lines = some_lines(400, 3)
    found = caches.reuse_distances(addresses_of(lines))
    for t, line in enumerate(lines):
        before = [s for s in range(t) if lines[s] == line]
        assert found[t] == (len(set(lines[before[-1] : t])) if before else 0)


def test_reuse_distance_predicts_the_misses_of_a_cache_with_one_set():
    lines = some_lines(2000, 4)
    reuse = caches.reuse_distances(addresses_of(lines))
    misses = Hierarchy([Level("L1", 16 * 64, 16)]).misses_of(addresses_of(lines))
    assert np.array_equal(misses > 0, (reuse == 0) | (reuse > 16))


def test_caches_of_this_machine_are_read_from_the_system(tmp_path):
    def describe(index, **files):
        (tmp_path / f"index{index}").mkdir()
        for name, text in files.items():
            (tmp_path / f"index{index}" / name).write_text(f"{text}\n")

    ways = {"coherency_line_size": 64, "ways_of_associativity": 12}
    describe(0, type="Data", level=1, size="48K", **ways)
    describe(1, type="Instruction", level=1, size="32K", **ways)
    describe(2, type="Unified", level=2, size="1536K", **ways)
    describe(3, type="Unified", level=3)  # a virtual machine gives no more information
    assert caches.of_this_machine(tmp_path) == [L1, Level("L2", 1536 << 10, 12)]
    assert caches.of_this_machine(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("texts", [["L1"], ["L2=1M/16"], ["L1=48K"], ["L1=48K/0"], ["L1=48K/13"], ["L1=0/1"],
                                   ["L1=9G/8"], ["L1=32K/8", "L1=32K/8"], ["L1=-32K/8"]])  # fmt: skip
def test_impossible_caches_are_an_error(texts):
    with pytest.raises(checks.Error, match="cache"):
        caches.parsed(texts)


# -- the recording ---------------------------------------------------------------------------------
