"""The formatting of numbers and text in the lab."""

import math
import textwrap
from collections.abc import Iterable

from ..checks import count as count  # the tools of the lab import it from here

SPEEDS = {"GFLOP/s": "gflops", "GB/s": "gbytes"}
"""Unit of a speed -> its key in the result of a ladder."""

WIDTH = 80
"""Columns of a terminal; every table fits."""


def wrapped(*sentences: str) -> list[str]:
    """Each sentence as lines that fit a terminal, without empty ones."""
    return [line for sentence in sentences for line in textwrap.wrap(sentence, WIDTH, break_on_hyphens=False)]


def row(name: str, cells: Iterable[str], widths: Iterable[int], column: int) -> list[str]:
    """A row of a table: a name, and each cell at the right of its column. A long name gets its own line."""
    figures = "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False)).rstrip()
    if len(name) <= column or not figures:
        return [f"{name:{column}}{figures}".rstrip()]
    return [*textwrap.wrap(name, WIDTH, break_on_hyphens=False), " " * column + figures]


def first_sentence(text: str | None) -> str:
    """The first sentence of a docstring, without its point; "" without one."""
    return " ".join((text or "").split(".")[0].split())


def nothing_to_fix(limit: str, reached: float | None = None, where: str = "") -> str:
    """The summary of a loop with nothing to fix: its limit, and whether the measurement confirms it.

    limit       "arithmetic" or "memory", by its instructions
    reached     the measured fraction of that limit; None if it was not measured
    where       for which data it should be the limit
    """
    text = "Its instructions show nothing to fix"
    if reached is None:
        return f"{text}; {limit} should be the limit{where}."
    if reached >= REACHED:
        return f"{text}, and {limit} is the limit."
    return f"{text}; its limit is {limit}, but something outside of the loop slows it down."


REACHED = 0.8
"""A loop that reaches this fraction of a limit is limited by it."""


def kilobytes(size: int) -> str:
    """`48 KB`, `300 MB`."""
    return f"{size >> 10} KB" if size < 10 << 20 else f"{size >> 20} MB"


def duration(seconds: float) -> str:
    """Four digits and a unit: `1.234 ms`."""
    units = ("s", 1.0), ("ms", 1e3)
    unit, factor = next((one for one in units if seconds * one[1] >= 1), ("µs", 1e6))
    return f"{seconds * factor:.4g} {unit}"


def ratio(value: float, digits: int = 3, decimals: int = 1) -> str:
    """A ratio of two times with as many digits as mean something: `21,800`, `21.8`, `2.2`."""
    rounded = float(f"{value:.{digits}g}")
    places = digits - 1 - math.floor(math.log10(rounded)) if rounded else 0
    if 0 < rounded < 10.0**-decimals:
        return small(value, decimals)
    return f"{rounded:,.{min(max(places, 0), decimals)}f}"


def small(value: float, decimals: int) -> str:
    """With this many decimals, or with more if it would otherwise be shown as 0: `0.0002`."""
    places = -math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{max(places, decimals)}f}"


def share(part: float | None) -> str:
    """A fraction of a peak: `12.3%`, `0.002%`, or a dash if it is unknown."""
    return "–" if part is None else f"{small(100 * part, 1)}%"


def spread(low: float, middle: float, high: float) -> str:
    """Half of the interquartile range, as a fraction of the median: `±3%`."""
    return f"±{(high - low) / middle / 2:.0%}"
