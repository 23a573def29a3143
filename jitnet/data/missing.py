"""The words that stand for a missing cell, such as NA. Numbers that do, such as −999, are in `sentinels.py`."""

MISSING = (
    "", "?", "na", "n/a", "nan", "-nan", "null", "(null)", "[null]", "<null>", "<na>", "#na", "#n/a", "#n/a n/a", "\\n",
)  # fmt: skip
"""Spellings of a missing cell in any column, in lower case, as programs write them: \\N is that of databases."""
LONGEST = max(map(len, MISSING))

MISSING_WORDS = frozenset((
    *MISSING[1:], "-", "--", "‐", "–", "—", ".", "...", "*", "n.a.", "n.d.", "k.a.", "nil", "none", "nat",
    "missing", "unknown", "undefined", "(blank)", "no data", "not available", "not applicable", "not known",
    "not reported", "1.#qnan", "1.#ind", "-1.#ind", "#nv", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!",
    "0000-00-00", "0000-00-00 00:00:00",
))  # fmt: skip
"""Spellings only among numbers and dates, where they can mean nothing else; those with # are errors of spreadsheets."""


def is_missing(cell: str) -> bool:
    """True for the spellings in MISSING."""
    return len(cell) <= LONGEST and cell.lower() in MISSING


def is_missing_word(cell: str) -> bool:
    return cell.casefold() in MISSING_WORDS
