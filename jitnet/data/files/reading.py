"""Reading a file as a table, whatever its kind."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ... import checks
from ...canonical import canonical, column_name, is_number
from ...checks import shown
from ..missing import is_missing_word
from ..table import Column, Table, expect_different
from .content import WORDS, Content, Form, content_of
from .csv_file import read_csv
from .csv_header import is_like
from .folder import read_folder
from .idx import read_images
from .npz import read_npz
from .parquet import read_parquet
from .workbook import sheet_as_csv


def read_table(
    path: str | Path,
    target: str | None = None,
    *,
    labels: str | Path | None = None,
    features: list[str] | None = None,
    header: bool | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    sheet: str | int | None = None,
    learned: tuple[list[str], bool | None] | None = None,
    usual: dict[str, str] | None = None,
) -> Table:
    """Read a file as a table. Its first bytes, not its name, decide what it is; it may be gzipped.

    CSV       text separated by commas, semicolons, tabs, bars or spaces; `target` names the column to learn
    NPZ       arrays X (n, ...) and y (n,)
    IDX       images; the labels are in the file `labels`, or in the one that MNIST's naming scheme gives
    -         a CSV from standard input
    Parquet   like a CSV; needs pyarrow (the extra data)
    workbook  a sheet of a .xlsx, .xlsm, .xlsb, .xls or .ods, like a CSV; needs python-calamine (the extra data)
    folder    one folder for each class, with PNG or JPEG images of one size; needs Pillow (the extra data). For
              predictions, a folder of images, or one image
    features  for predictions: the columns that must be there; `target` is then optional
    header    whether the first row of a CSV or sheet has the names of the columns; None decides by the first rows, see
              `jitnet.data.files.csv_header.looks_like_a_header`
    learned   for predictions, instead of features: the names of the model's columns, and whether its file had a header,
              which the header of a CSV is to agree with; `Recipe.prepare` then looks for the columns
    usual     for predictions: how the file of the model was read, see `Table.reading`; a CSV that plainly has another
              separator is read in its own way, and a note says so
    separator, decimal, encoding    of a CSV; None decides by its first lines, and says so in the table's notes. In a
              workbook, only `decimal` applies, and only to numbers that are stored as text
    sheet     the name of a sheet of a workbook, such as "2024" or 2024; None reads the first that is not empty, and
              says so if there are others

    Limits    memory: a table becomes float64, images float32. An NPZ or gzipped file whose headers declare more than
              the file can hold is rejected before memory is allocated; see `jitnet.npz`
    Errors    FileNotFoundError; ValueError with the file, line and column of the error, or with the memory that is
              needed
    """
    with checks.fits_into_memory(path):
        content = content_of(path)
        names, had_header = ([], None) if learned is None else learned
        features = [] if learned is not None else features
        given: dict[str, Any] = {"header": header, "separator": separator, "decimal": decimal, "encoding": encoding}
        given["sheet"] = str(sheet) if type(sheet) is int else sheet  # a year
        given = {name: value for name, value in given.items() if value is not None}
        for name, value in given.items():
            (checks.flag if name == "header" else checks.text)(name, value)
        if features is not None:
            checks.listed("features", features)
        if labels is not None and content.kind != "idx":
            raise checks.Error(f"a separate file of labels belongs to IDX images, not to {content.source}")
        if content.kind == "workbook":
            return _chosen(_read_workbook(content, names, had_header, features, usual, target, given), target, features)
        if sheet is not None:
            raise _misplaced("sheet", "workbooks", content)
        if content.kind == "text":
            table = _read_text(content, names, had_header, features, {"usual": usual, "target": target, **given})
            return _chosen(table, target, features)
        if given:
            raise _misplaced(next(iter(given)), "CSV files", content)
        if content.kind == "parquet":
            return _chosen(read_parquet(content.data, content.source), target, features)
        return _read_arrays(path, content.kind, target, labels, names, features)


def _misplaced(name: str, what: str, content: Content) -> checks.Error:
    """The error about an option that does not fit the kind of the file."""
    return checks.Error(f"--{name} (in Python {name}=) is for {what}; {content.source} is {WORDS[content.kind]}")


def _read_workbook(
    content: Content, names: list[str], had_header: bool | None, features: list[str] | None,
    usual: dict[str, str] | None, target: str | None, given: dict[str, Any],
) -> Table:  # fmt: skip
    """A sheet, by the rules for a CSV. Only the notation of numbers that are stored as text is guessed."""
    for name in ("separator", "encoding"):
        if name in given:
            raise _misplaced(name, "CSV files", content)
    decimal = given.get("decimal") or (usual or {}).get("decimal")
    header = given.get("header", False if had_header is False else None)
    wanted = names or features or ([target] if target is not None and features is None else [])
    sheet = sheet_as_csv(content.data, content.source, content.notes, given.get("sheet"), decimal, header, wanted)
    how = {"separator": ",", "decimal": sheet.decimal, "encoding": "utf-8"}
    how |= {"header": given["header"]} if "header" in given else {}
    table = _read_text(
        Content("text", sheet.source, sheet.text, content.notes, "row"),
        names,
        had_header,
        features,
        {"target": target, **how},
    )
    table.is_sheet = True
    table.guesses += sheet.guesses
    return table


def _read_text(
    content: Content, names: list[str], had_header: bool | None, features: list[str] | None, given: dict[str, Any]
) -> Table:
    """A CSV; it has a header if the file of the model had one."""
    by_model = "header" not in given
    if by_model and had_header is False:
        given = {**given, "header": False}
    table = read_csv(content, **given, expected=names or features or ())
    if by_model and had_header and not table.has_header:
        # a first row with an empty name only is a blank line
        how = "add a first row with the names of its columns" if any(names) else "train a model whose column has a name"
        raise checks.Error(
            f"{content.source} has no header, but the model knows its columns by their names, "
            f"{checks.some(names, 12)}; {how}"
        )
    if by_model and had_header is False:
        if row := _header_above(table):
            raise checks.Error(
                f"{content.source} seems to have a header, {checks.some(row, 12)}, but the file that the model learned "
                "from had none; remove the first row"
            )
        first = [_first(column) for column in table.columns]
        if first in [[str(i + j) for j in range(len(first))] for i in (0, 1)]:
            said = f"the first row, {checks.some(first, 5)}, is taken for data; if it is a header, remove it"
            table.notes.append(said)
    if had_header is False and not table.has_header and len(table.names) == len(names):
        return _renamed(table, names)
    return table


def _read_arrays(
    path: str | Path, kind: Form, target: str | None, labels: str | Path | None, names: list[str],
    features: list[str] | None,
) -> Table:  # fmt: skip
    """Arrays and images: their target has no name to choose, and their features have none."""
    if target is not None and features is None and kind != "picture":
        raise checks.Error(
            f"a target is named only for a CSV or Parquet file; that of {path} is y, or the labels of the images"
        )
    if kind == "npz":
        return read_npz(path, needs_target=features is None)
    if kind == "idx":
        return read_images(path, labels, needs_target=features is None or labels is not None)
    if kind == "picture" and features is None:
        raise checks.Error(f"{path} is one image; give the folder whose folders hold the images of each class")
    return read_folder(path, None if features is None else len(names or features))


def _chosen(table: Table, target: str | None, features: list[str] | None) -> Table:
    """The table, with its target and features; an error if one is not there."""
    path, target = table.source, None if target is None else column_name(target)
    features = None if features is None else [column_name(name) for name in features]
    needed = None if features is None else {*features, target}
    names = [name for name in table.names if needed is None or name in needed]
    if (nameless := names.count("")) > 1:
        raise checks.Error(
            f"{path} has {nameless} columns without a name; name them in the first row, or remove it if it is a title"
        )
    expect_different(names, path)
    table.target = target or ""
    if features is None:
        if target is None:
            raise checks.Error(
                f"name the column of {path} to learn with --target NAME (in Python target=NAME); columns: "
                f"{checks.some(table.names)}"
            )
        if target not in table.names:
            hint = checks.did_you_mean(target, table.names)
            if table.kind == "csv" and len(table.names) == 1 and not table.is_sheet:
                hint += "; if it has several, name what separates them with --separator"
            elif table.kind == "csv" and (row := _row_with(table, target)) is not None:
                fix = f"remove the {table.line}s above it" if row or table.has_header else "add --header"
                hint += f"; {table.where(row)} has this cell: if it is the header, {fix}"
            hint += "".join(f"; {note}" for note in table.notes if note.endswith(("(--encoding)", "(--sheet NAME)")))
            hint += f"; {table.unread[target]}" if target in table.unread else ""
            raise checks.Error(f"{path} has no column {shown(target)}; its columns: {checks.some(table.names)}{hint}")
        if len(table.names) == 1:
            unread = "".join(f"; {sentence}" for sentence in table.unread.values())
            raise checks.Error(f"{path} has no column besides the target {shown(target)} to learn from{unread}")
        if target.isdigit():  # without the header, it would be a position
            table.guesses += [note for note in table.notes if note.endswith("(--no-header)")]
        return table
    if not table.has_header and len(table.names) == len(features):  # no target column, so numbers shift
        table = _renamed(table, features)
    missing = [name for name in features if name not in table]
    if missing:
        hint = "" if table.has_header else "; it seems to have no header"
        hint += "".join(f"; {table.unread[name]}" for name in missing if name in table.unread)
        raise checks.Error(f"{path} lacks the columns {checks.some(missing, 5)} that the model learned from{hint}")
    table.chosen = features
    return table


def _renamed(table: Table, names: list[str]) -> Table:
    columns = [Column(name, column.cells) for name, column in zip(names, table.columns, strict=True)]
    return replace(table, columns=columns)


def _header_above(table: Table) -> list[str]:
    """The first row, if one of its words is above a column of numbers, and none of its cells is like those below it."""
    if len(table) < 2 or not all(column.is_text and column.cells[0] is not None for column in table.columns):
        return []
    first = [str(column.cells[0]) for column in table.columns]
    below = [[cell for cell in column.values[1:100] if cell is not None] for column in table.columns]
    columns = list(zip(first, below, strict=True))
    above = any(cells and all(map(is_number, cells)) and not is_missing_word(cell) for cell, cells in columns)
    return first if above and not any(is_number(cell) or is_like(cell, cells) for cell, cells in columns) else []


def _row_with(table: Table, name: str) -> int | None:
    """The first of a few rows that has this cell."""
    rows = zip(*(column.values[:20].tolist() for column in table.columns), strict=True)
    return next(
        (i for i, row in enumerate(rows) if name in [canonical(cell) for cell in row if cell is not None]), None
    )


def _first(column: Column) -> str:
    """The first cell as text."""
    cell = column.cells[0]
    return f"{cell:g}" if isinstance(cell, float) else str(cell)
