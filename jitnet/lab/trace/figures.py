"""The figures of a trace: per source line and array the accesses, their stride, their reuse, and the misses."""

import linecache
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .caches import Hierarchy, Level, reuse_distances
from .recording import Accesses, Site

KEPT = 0.99
"""`reuse` is the size of a cache that keeps this part of the lines until they are used again."""


@dataclass(frozen=True)
class Counts:
    """What happened to each access."""

    accesses: Accesses
    levels: list[Level]
    misses: NDArray[np.int8]
    """How many levels miss it, when the caches are empty at the beginning."""
    misses_again: NDArray[np.int8]
    """The same when the kernel is called a second time."""
    reuse: NDArray[np.int64]
    """In lines; 0 at the first use of a line."""

    @property
    def conflicts(self) -> NDArray[np.bool_]:
        """Misses of L1 that it would not have if it were fully associative."""
        return (self.misses > 0) & (self.reuse > 0) & (self.reuse <= self.levels[0].lines)


def counted(accesses: Accesses, levels: list[Level]) -> Counts:
    caches = Hierarchy(levels)
    first, again = (caches.misses_of(accesses.addresses) for _ in range(2))
    return Counts(accesses, levels, first, again, reuse_distances(accesses.addresses, levels[0].line))


def rows(counts: Counts) -> list[dict[str, Any]]:
    """Per line and array: file, line, source, array, dtype, loads, stores, stride, reuse, misses, conflicts, ...

    The stride is the most frequent step in bytes from one access of an expression to its next one; None if it has only
    one access. `reuse` is in bytes; None if no line is used again. `misses` has a number for each level.
    """
    sites, at = counts.accesses.sites, _by_site(counts.accesses)
    groups: dict[tuple[str, int, str], list[int]] = {}
    for number, site in enumerate(sites):
        groups.setdefault((site.file, site.line, site.array), []).append(number)
    return [
        {"file": file, "line": line, "source": linecache.getline(file, line).strip(), "array": name}
        | _figures(counts, [sites[n] for n in numbers], [at[n] for n in numbers])
        for (file, line, name), numbers in sorted(groups.items(), key=lambda group: group[0][:2])
    ]  # fmt: skip


def _by_site(accesses: Accesses) -> list[NDArray[np.int64]]:
    """Per site, its accesses, in order."""
    order = np.argsort(accesses.site_of, kind="stable")
    ends = np.cumsum(np.bincount(accesses.site_of, minlength=len(accesses.sites)))
    return np.split(order, ends[:-1])


def _figures(counts: Counts, sites: list[Site], at: list[NDArray[np.int64]]) -> dict[str, Any]:
    every = np.concatenate(at)
    stored = np.concatenate([which for site, which in zip(sites, at, strict=True) if site.stores] or [every[:0]])
    loaded = np.concatenate([which for site, which in zip(sites, at, strict=True) if not site.stores] or [every[:0]])
    steps = np.concatenate([np.diff(counts.accesses.addresses[which]) for which in at])
    values, times = np.unique(steps, return_counts=True)
    reuse = counts.reuse[loaded if loaded.size else stored]
    reuse = reuse[reuse > 0]
    return {
        "loads": loaded.size, "stores": stored.size, "dtype": sites[0].dtype.name, "itemsize": sites[0].dtype.itemsize,
        "stride": int(values[times.argmax()]) if steps.size else None,
        "stride_share": float(times.max() / steps.size) if steps.size else None,
        "reuse": int(np.quantile(reuse, KEPT, method="lower")) * counts.levels[0].line if reuse.size else None,
        "misses": misses_per_level(counts.misses[every], counts.levels),
        "misses_again": misses_per_level(counts.misses_again[every], counts.levels),
        "conflicts": int(counts.conflicts[every].sum()),
    }  # fmt: skip


def misses_per_level(misses: NDArray[np.int8], levels: list[Level]) -> dict[str, int]:
    return {level.name: int((misses > depth).sum()) for depth, level in enumerate(levels)}


def sets_of_stride(stride: int, level: Level) -> int:
    """How many sets of a cache are used by addresses that are `stride` bytes apart."""
    period = level.sets * level.line
    return len(np.unique(np.arange(period, dtype=np.int64) * stride // level.line % level.sets))
