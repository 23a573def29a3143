"""How the instruments say numbers, so that all say them alike."""

SPEEDS = {"GFLOP/s": "gflops", "GB/s": "gbytes"}
"""Unit of a speed -> its key in the result of a ladder."""


def count(number: int, what: str) -> str:
    """`1 thread`, `2 threads`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


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
