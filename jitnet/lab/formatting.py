"""How the instruments say numbers, so that all say them alike."""

import textwrap
from collections.abc import Iterable

SPEEDS = {"GFLOP/s": "gflops", "GB/s": "gbytes"}
"""Unit of a speed -> its key in the result of a ladder."""

WIDTH = 80
"""Columns of a terminal, which every table fits."""


def wrapped(*sentences: str) -> list[str]:
    """Each sentence as lines that fit a terminal; empty ones are left out."""
    return [line for sentence in sentences for line in textwrap.wrap(sentence, WIDTH, break_on_hyphens=False)]


def row(name: str, cells: Iterable[str], widths: Iterable[int], column: int) -> list[str]:
    """A row of a table: a name, and each cell at the right of its column. A longer name has a line of its own."""
    figures = "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False)).rstrip()
    if len(name) <= column or not figures:
        return [f"{name:{column}}{figures}".rstrip()]
    return [*textwrap.wrap(name, WIDTH, break_on_hyphens=False), " " * column + figures]


def count(number: int, what: str) -> str:
    """`1 thread`, `2 threads`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def nothing_to_fix(limit: str, reached: float | None = None) -> str:
    """The summary of a loop whose instructions are as they should be: what limits it, if a measurement agrees.

    limit       "arithmetic" or "memory", by its instructions
    reached     the share of that limit that was measured; None if nothing was
    """
    text = "Its instructions show nothing to fix"
    if reached is None:
        return f"{text}; by them, {limit} should be the limit."
    if reached >= REACHED:
        return f"{text}, and {limit} is the limit."
    return f"{text}, but something outside of this loop keeps it from the limit, which is {limit}."


REACHED = 0.8
"""A loop that reaches this share of a limit is held back by nothing else worth naming."""


def kilobytes(size: int) -> str:
    """`48 KB`, `300 MB`."""
    return f"{size >> 10} KB" if size < 10 << 20 else f"{size >> 20} MB"


def duration(seconds: float) -> str:
    """Four figures and the unit that suits them: `1.234 ms`."""
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or unit == "µs":
            return f"{seconds * factor:.4g} {unit}"
    return ""


def share(part: float | None) -> str:
    """Of a limit: `12.3%`, or a dash where it is not known."""
    return "–" if part is None else f"{part:.1%}"


def spread(low: float, middle: float, high: float) -> str:
    """Half of what lies between the quartiles, as a share of the median: `±3%`."""
    return f"±{(high - low) / middle / 2:.0%}"
