"""Samples for training and prediction: data sets by name, and files."""

import argparse
import os
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks, data
from ..data import Column, Recipe, Table
from ..data.preprocessing.decisions import Choices
from ..data.preprocessing.target import Target, empty_target_hint
from ..data.sentinels import emptied
from ..data.split import split_rows
from ..data.table import as_named, called, listed_in
from ..data.text_column import Words
from ..data.values import distinct
from .shared import NAMED

REPEATED = 0.05
"""The part of the rows from which repetitions are a warning."""


@dataclass
class Samples:
    """Prepared samples, each part as (X, Y), and the recipe that prepares others in the same way."""

    recipe: Recipe
    train: tuple[NDArray[Any], NDArray[Any]]
    validation: tuple[NDArray[Any], NDArray[Any]]
    test: tuple[NDArray[Any], NDArray[Any]]


def typed_name(argument: str) -> str:
    """The name of a column or sheet. In the locale C, Python decodes its UTF-8 as single bytes."""
    try:
        argument.encode()
        return argument
    except UnicodeEncodeError:
        return os.fsencode(argument).decode("utf-8", "replace")


def reading_options(group: Any) -> None:
    """Options for the format of a CSV, and for workbooks."""
    group.add_argument(
        "--header", action=argparse.BooleanOptionalAction,
        help="the first row contains the column names, or does not (default: decided by the first rows)",
    )  # fmt: skip
    group.add_argument("--separator", metavar="C", help="separator of the cells of a CSV: , ; | tab or space")
    group.add_argument("--decimal", metavar="C", help="decimal sign of a CSV, and of text in a workbook: . or ,")
    group.add_argument("--encoding", metavar="NAME", help="encoding of the CSV: utf-8, utf-16, cp1252, ...")
    group.add_argument(
        "--sheet", type=typed_name, metavar="NAME", help="sheet of a workbook (default: the first that is not empty)"
    )


def reading(options: argparse.Namespace) -> dict[str, Any]:
    """The options for a CSV or workbook, as arguments of `read_table`."""
    given = {name: getattr(options, name) for name in ("header", "separator", "decimal", "encoding", "sheet")}
    for name, value in given.items():
        if value is not None and options.data in NAMED:
            what = "workbook" if name == "sheet" else "CSV file"
            raise checks.Error(f"--{name} works with a {what}, not with {options.data}")
    return given


def read(options: argparse.Namespace) -> Samples:
    """Read the data, hold out the test samples, and learn the recipe from the training samples."""
    fraction = _checked_fraction(options)
    table, test_table = _tables(options)
    choices = Choices(*(_names(options, option) for option in ("drop", "categorical", "numeric", "missing")))
    table = emptied(table, choices.missing, learns=True)  # rows without a target are left out
    warnings: list[str] = []
    rows = used = _rows_with_target(table, warnings)
    warnings += _repeated_rows_notes(table)
    codes = _codes(table, rows, options.task)
    held_out = rows[:0]
    if test_table is None:
        rows, held_out = split_rows(rows, codes, fraction, options.seed)
    aside = held_out
    if options.early_stopping is not None:  # the test samples must not decide when to stop
        if len(rows) < 2:
            raise checks.Error(
                f"--early-stopping sets training samples aside, but there is {len(rows)}; give more rows, or omit it"
            )
        rows, aside = split_rows(rows, codes, 0.2, options.seed)
    if codes is not None and len(np.unique(codes[rows])) < 2:
        raise checks.Error(
            f"the training samples of {options.data} ({len(rows)} of {checks.count(len(table), 'row')}) have one class "
            "only; give more rows, or a smaller --test"
        )
    recipe = Recipe.learn(table, rows, options.task, choices)
    dtype = checks.dtype_of(options.dtype)
    X, notes = _prepared(recipe, table, used, dtype)
    if test_table is None:
        test = X[held_out], recipe.Y(table, dtype, held_out)
        warnings += _missing_classes(recipe, table, rows, held_out)
    else:
        test = recipe.X(test_table, dtype), recipe.Y(test_table, dtype)
    validation = test if options.early_stopping is None else (X[aside], recipe.Y(table, dtype, aside))
    warnings += notes
    recipe = replace(
        recipe, decisions=[*recipe.decisions, *warnings], warnings=[*recipe.warnings, *warnings],
        fingerprint=fingerprint(X[used]),
    )  # fmt: skip
    return Samples(recipe, (X[rows], recipe.Y(table, dtype, rows)), validation, test)


def fingerprint(X: NDArray[Any]) -> list[int]:
    """The number of rows and their checksum, for `Recipe.fingerprint`."""
    return [len(X), zlib.crc32(np.ascontiguousarray(X).data)]


def _hashable(cells: NDArray[Any] | Words) -> NDArray[np.uint64]:
    """A number for each cell, the same for the same cells; a text can have several places in `Words`."""
    codes = distinct(cells)[1].astype(np.float64) if isinstance(cells, Words) else cells
    return codes.astype(np.float64, copy=False).view(np.uint64)


def _prepared(recipe: Recipe, table: Table, used: NDArray[np.int64], dtype: Any) -> tuple[NDArray[Any], list[str]]:
    """The inputs (n, inputs), and sentences about them; 0 and none for rows that are not used."""
    if len(used) == len(table):
        return recipe.prepare(table, dtype)
    X = np.zeros((len(table), recipe.inputs), dtype)
    X[used], notes = recipe.prepare(table.of_rows(used), dtype)
    return X, notes


def _checked_fraction(options: argparse.Namespace) -> float:
    """The fraction of test samples, after validating the options that apply only to some kinds of data."""
    for name, value, works_with in (
        ("--target", options.target, "a CSV file"),
        ("--labels", options.labels, "IDX images"),
    ):
        if value is not None and options.data in NAMED:
            raise checks.Error(f"{name} works with {works_with}, not with {options.data}")
    if options.path is not None and options.data not in NAMED[1:]:
        raise checks.Error("--path works with mnist and fashion_mnist")
    if options.test is not None and options.data in NAMED[1:]:
        raise checks.Error(f"--test does not work with {options.data}, which has its own test samples")
    checks.whole("--seed", options.seed, least=0)
    return 0.2 if options.test is None else checks.number("--test", options.test, above=0, below=1)


def _tables(options: argparse.Namespace) -> tuple[Table, Table | None]:
    """The samples, and the test samples of a data set that has its own."""
    how = reading(options)
    if options.data in NAMED:
        return named(options.data, options.path)
    path = Path(options.data)
    if options.data != "-" and not path.suffix and not path.exists():  # a misspelled data set?
        try:
            checks.one_of("data set", options.data, NAMED)
        except checks.Error as error:
            raise checks.Error(f"{error}; and there is no file of that name") from None
    target = None if options.target is None else as_named(options.target)
    return data.read_table(options.data, target, labels=options.labels, **how), None


def _names(options: argparse.Namespace, option: str) -> list[str]:
    """The names or values in an option, which can be given several times."""
    return [entry for text in getattr(options, option) for entry in listed_in(text) or [""]]


def _rows_with_target(table: Table, warnings: list[str]) -> NDArray[np.int64]:
    """The rows to learn from.

    Errors    ValueError if half of the rows or more have no target, and an empty cell can be a class; or nine of ten
    """
    missing = table[table.target].missing
    rows, gaps = np.flatnonzero(~missing), int(missing.sum())
    if gaps:
        first = table.where(int(missing.argmax()))
        text = f"{gaps} of {checks.count(len(table), 'row')} {'has' if gaps == 1 else 'have'} no {called(table.target)}"
        meaning = f"{empty_target_hint(table)}{table.gap_hint}"
        if len(rows) <= len(table) / (2 if meaning else 10):
            how = "name another target, or leave these rows out of the file"
            raise checks.Error(f"{text} (first: {first}); {how}{meaning}")
        warnings.append(f"{text} and {'is' if gaps == 1 else 'are'} left out (first: {first}){table.gap_hint}")
    return rows


def _repeated_rows_notes(table: Table) -> list[str]:
    """A warning about rows that are the same in all columns, as if a file had been appended to itself.

    A few are no harm, and in a table of categories they are no mistake: a column needs many different cells.
    """
    if table.matrix is not None:  # images
        return []
    hashes = np.zeros(len(table), np.uint64)
    for column in table.columns:  # multiplied by the golden ratio, and the upper bits added to the lower ones
        hashes = (hashes ^ _hashable(column.cells)) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(32)
    firsts = np.sort(np.unique(hashes, return_index=True)[1])
    some_rows = firsts[:1000]
    different = max(len(np.unique(_hashable(column.cells[some_rows]))) for column in table.columns)
    if len(firsts) > (1 - REPEATED) * len(table) or different < max(20, len(some_rows) / 3):
        return []
    repeated = np.setdiff1d(np.arange(len(table)), firsts)
    return [
        f"{len(repeated)} of {checks.count(len(table), 'row')} repeat another row (first: "
        f"{table.where(int(repeated[0]))}), so test samples can be among the training samples; remove them if they are "
        "a mistake"
    ]


def _codes(table: Table, rows: NDArray[np.int64], task: str | None) -> NDArray[np.int64] | None:
    """The class of each row; None for a regression."""
    target, _, _ = Target.learn(table, rows, task)
    return None if target.classes is None else distinct(table[table.target].cells)[1]


def _missing_classes(recipe: Recipe, table: Table, train: NDArray[np.int64], test: NDArray[np.int64]) -> list[str]:
    """Sentences about classes without training samples or without test samples."""
    if recipe.classes is None:
        return []
    names, codes = distinct(table[table.target].cells)
    rows, learned, judged = (np.bincount(codes[part] + 1, minlength=len(names) + 1)[1:] for part in (..., train, test))
    notes = []
    for lacking, what in ((learned == 0, "training sample, so it is never an answer"), (judged == 0, "test sample")):
        classes = [f"{names[j]} ({checks.count(int(rows[j]), 'row')})" for j in np.flatnonzero(lacking)]
        if classes:
            notes.append(f"{'class' if len(classes) == 1 else 'classes'} without a {what}: {checks.some(classes, 8)}")
    return notes


def named(name: str, path: str | None = None) -> tuple[Table, Table | None]:
    """A data set by its name: its training samples, and its test samples if it has any."""
    if name == "digits":
        return _pictures(name, *data.digits()), None
    train, test = data.mnist(path) if name == "mnist" else data.fashion_mnist(path)
    return _pictures(name, *train), _pictures(name, *test)


def _pictures(name: str, X: NDArray[Any], y: NDArray[Any]) -> Table:
    return Table([Column("label", y.astype(np.float64))], name, "pictures", target="label", matrix=X)
