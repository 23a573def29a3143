"""The table of a class as CSV: a row for each submission, a column for each test.

A table is never lost: the rows of a later run replace those of the same submissions, and the others stay.
"""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ... import checks
from .assignment import Assignment
from .output import UNJUDGED, first_lost, first_unjudged, number, one_line, score

Row = list[str]

ENCODING = "utf-8-sig"
"""With a byte order mark, without which Excel takes the letters for those of Windows."""

FORMULA = re.compile(r"[=+\-@\t\r].*[(|!]", re.DOTALL)
"""A cell that calls a function, starts a program or reads another sheet; =cmd and -anna do nothing."""


def header(assignment: Assignment) -> Row:
    tests = [f"{kernel.name}: {test.title}" for kernel in assignment.kernels for test in kernel.tests]
    return ["submission", "points", "of", *tests, "first lost point", UNJUDGED, "disturbed by", "note"]


def rows_in(path: str, assignment: Assignment) -> list[Row]:
    """The rows of an existing table of this assignment; none if there is no such file yet."""
    if not Path(path).is_file() or not Path(path).stat().st_size:
        return []
    try:
        first, *rows = csv.reader(io.StringIO(Path(path).read_text(encoding=ENCODING)))
    except (UnicodeDecodeError, csv.Error, ValueError):
        first, rows = [], []
    if first != header(assignment):
        raise checks.Error(f"{path} exists, but is not a table of this assignment and its tests; name another file")
    return [row for row in rows if row]


def as_table(assignment: Assignment, results: Sequence[dict[str, Any]], earlier: Sequence[Row] = ()) -> str:
    """Earlier rows, of which new results replace those of the same name, and the other results below."""
    rows = {row[0]: row for row in [*earlier, *_named(results, earlier)]}
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header(assignment), *rows.values()])
    return text.getvalue()


def replaced(results: Sequence[dict[str, Any]], earlier: Sequence[Row]) -> str:
    """`35 rows: 1 replaced, 34 kept`."""
    old, new = {row[0] for row in earlier}, {row[0] for row in _named(results, earlier)}
    counts = (len(old & new), "replaced"), (len(old - new), "kept"), (len(new - old), "added")
    return f"{checks.count(len(old | new), 'row')}: {', '.join(f'{count} {what}' for count, what in counts if count)}"


def _named(results: Sequence[dict[str, Any]], earlier: Sequence[Row]) -> list[Row]:
    """The rows of results. A file that is graded alone, anna.py, has the name anna in the table of a class."""
    rows, old = [row_of(result) for result in results], {row[0] for row in earlier}
    for row in rows:
        stem = row[0].removesuffix(".py")
        if len(rows) == 1 and row[0] not in old and stem in old:
            row[0] = stem
    return rows


def row_of(result: dict[str, Any]) -> Row:
    cells = [result["submission"], number(result["points"]), number(result["of"]), *map(score, result["tests"])]
    disturbed_by = one_line(", ".join(result["disturbed_by"]))
    cells += [first_lost(result), first_unjudged(result), disturbed_by, result["note"]]
    return [_no_formula(cell) for cell in cells]


def _no_formula(cell: str) -> str:
    """A cell that no spreadsheet evaluates, because students choose file names, and messages quote their code."""
    return f"'{cell}" if FORMULA.match(cell) else cell
