"""The roofline: an upper bound of the speed of a loop on this machine.

A loop with many multiply-adds per byte is limited by arithmetic, one with few by memory. With rate R(level) of bytes/s
from a cache and peak P of FLOP/s,

    limit(level) = min(P, intensity · R(level)),    intensity = FLOP / bytes that have to be moved at least

Operations that are measured in bytes/s are limited by the bandwidth of the smallest cache that holds their data, which
falls in steps as the data grow.

Source: S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful visual performance model for multicore
architectures", Communications of the ACM 52 (2009).
"""

from itertools import accumulate
from typing import Any

from .formatting import SPEEDS
from .machine import for_threads, rooms

Roof = dict[str, Any]


def roofline(result: dict[str, Any], limits: dict[str, Any]) -> dict[str, Any]:
    """The machine peaks as lines, and the rungs of a ladder as points below them.

    Keys: x, y (labels with units), roofs (name, threads, x, y), points (name, custom, x, y). x is FLOP/byte for
    products, and bytes for other operations; y is FLOP/s or bytes/s.
    """
    is_product = result["unit"] == "GFLOP/s"
    key = SPEEDS[result["unit"]]
    points = [
        {
            "name": rung["name"], "custom": rung["custom"],
            "x": rung["intensity"] if is_product else rung["bytes"], "y": rung[key] * 1e9,
        }
        for rung in result["rungs"] if rung["checked"]
    ]  # fmt: skip
    counts = sorted({1, result["threads"]})
    xs = [point["x"] for point in points]
    kind = result["limit_kind"]
    roofs = _slopes(limits, result["dtype"], counts, xs) if is_product else _stairs(limits, counts, xs, kind)
    return {
        "x": "FLOP per byte moved" if is_product else "bytes of data",
        "y": "FLOP/s" if is_product else "bytes/s", "roofs": roofs, "points": points,
    }  # fmt: skip


def _slopes(limits: dict[str, Any], dtype: str, counts: list[int], xs: list[float]) -> list[Roof]:
    """For each number of threads the compute peak; for the highest, also the line of each cache up to it."""
    peaks = limits["peak"][dtype]
    most = for_threads(peaks, counts[-1])
    rates = {level: moving(limits, level, "read", counts[-1]) for level in limits["bandwidth"]}
    ridges = {level: most / rate for level, rate in rates.items()}
    left, right = min(*xs, *ridges.values()) / 4, max(*xs, *ridges.values()) * 2
    slopes = [
        {"name": level, "threads": counts[-1], "x": [left, ridge], "y": [left * rates[level], most]}
        for level, ridge in ridges.items()
    ]
    first = min(ridges.values())
    return slopes + [
        {"name": "multiply-adds", "threads": count, "x": [first, right], "y": [for_threads(peaks, count)] * 2}
        for count in counts
    ]  # fmt: skip


def _stairs(limits: dict[str, Any], counts: list[int], xs: list[float], kind: str) -> list[Roof]:
    """For each cache the bandwidth of copying or reading, over the data sizes that fit into it but no smaller one."""
    roofs = []
    for count in counts:
        sizes = list(accumulate(rooms(limits["caches"], count).values(), max))
        edges = [min(*xs, sizes[0]) / 2, *sizes, max(*xs, sizes[-1]) * 4]
        for level, start, end in zip([*limits["caches"], "memory"], edges, edges[1:], strict=False):
            if start < end:
                speed = moving(limits, level, kind, count)
                roofs.append({"name": level, "threads": count, "x": [start, end], "y": [speed] * 2})
    return roofs


def moving(limits: dict[str, Any], level: str, kind: str, threads: int) -> float:
    """The bandwidth of a cache in bytes/s."""
    return for_threads({count: rates[kind] for count, rates in limits["bandwidth"][level].items()}, threads)
