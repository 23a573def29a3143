"""What the layout of a sheet leaves in a table: rows that belong to the header, such as the questions of a survey, and
missing cells where others were merged. Both would be learned as data."""

from itertools import takewhile

from ...checks import count
from ..table import Table, called
from ..text_column import Words

EXAMINED = 3
"""How many of the first rows are examined."""
LEAST_OTHERS = 3
"""How many other rows there are at least."""
LEAST_COLUMNS = 2
"""Columns of categories in which the text must occur once; in a single one it can be a rare category."""
REPEATS = 4
"""Texts that occur this often on average are categories."""


def layout_notes(table: Table) -> list[str]:
    """Sentences about what seems to be layout; arrays and images have none."""
    return [] if table.matrix is not None else _header_rows(table) + _merged_cells(table)


def _header_rows(table: Table) -> list[str]:
    """A sentence about the first rows, if their texts occur in no other row, but those of the other rows repeat."""
    if not table.has_header or not table[table.target].is_text:
        return []
    rows = list(takewhile(lambda row: _is_of_header(table, row), range(min(EXAMINED, len(table) - LEAST_OTHERS))))
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
    occurring_once = 0
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
        occurring_once += repeat
    return occurring_once >= LEAST_COLUMNS


def _merged_cells(table: Table) -> list[str]:
    """A sentence about each of the first columns that has a value in the first row, but mostly none below it."""
    features = (column for column in table.columns if column.name != table.target)
    columns = takewhile(lambda one: not one.missing[0] and 2 * one.missing.sum() > len(table), features)
    return [
        f"{called(one.name)} has a value in the first row, but {one.missing.sum()} of {count(len(table), 'cell')} are "
        "missing; if an empty cell means the one above it, as in merged cells, fill it in"
        for one in columns
    ]
