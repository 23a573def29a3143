"""Rows below the header that belong to it, such as the questions of a survey, which would be learned as data."""

from itertools import takewhile

from ..table import Table
from ..text_column import Words

MOST = 3
"""How many of the first rows are examined."""
LEAST = 2
"""A text that occurs once in a single column is a rare category."""
REPEATS = 4
"""Texts that occur this often on average are categories."""


def header_rows_notes(table: Table) -> list[str]:
    """A sentence about the first rows, if their texts occur in no other row, but those of the other rows repeat."""
    if table.matrix is not None or not table.has_header or not table[table.target].is_text:
        return []
    rows = list(takewhile(lambda row: _is_of_header(table, row), range(min(MOST, len(table) - MOST))))
    if not rows:
        return []
    alone = "only texts that occur in no other row; if"
    if len(rows) == 1:
        fix = "it belongs to the header, as a row of questions or units does, remove it"
        return [f"{table.where(0)} has {alone} {fix}"]
    kind, first = table.place(0).split()
    last = table.place(rows[-1]).split()[1]
    fix = "they belong to the header, as rows of questions and units do, remove them"
    return [f"{table.source}, {kind}s {first} to {last} have {alone} {fix}"]


def _is_of_header(table: Table, row: int) -> bool:
    """True if all cells of a row are texts that occur once in columns of categories, or missing."""
    unlike = 0
    for column in table.columns:
        if column.missing[row]:
            if column.name == table.target:  # then the row is not learned
                return False
            continue
        if not isinstance(column.cells, Words):
            return False
        occurs_once = int((column.cells.codes == column.cells.codes[row]).sum()) == 1
        repeat = REPEATS * len(column.cells.used) < len(column.cells)
        if repeat and not occurs_once:
            return False
        unlike += repeat
    return unlike >= LEAST
