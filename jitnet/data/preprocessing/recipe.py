"""Preprocessing, saved with the model: from a table to X and Y, and from the output back to class names or values."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ... import checks
from ...canonical import column_name
from ...checks import count, shown, some
from ..files.idx import scaled
from ..files.reading import read_table
from ..frames import are_counted, one_column, table_of, values_of
from ..sentinels import emptied
from ..table import Column, Kind, Table, expect_different, listed, listed_in
from ..values import PLAIN, labels_of
from .columns import Category, Number, Standard, from_plain, names_in, to_plain
from .decisions import Choices, Planner
from .ranges import Outside
from .target import TASKS, Target

FIRST = ("kind", "task", "features", "target", "mean", "scale", "classes", "target_mean", "target_scale")
SECOND = ("names", "has_header", "columns", "target_form", "decisions", "warnings", "reading", "extents", "fingerprint")
"""The fields in a model file: first those of the first version, which had only plain numbers, then later ones."""

READING = ("separator", "decimal", "encoding", "missing")
"""What a model stores about the reading of its file, and the values that are missing."""


@dataclass(frozen=True)
class Recipe:
    """What was learned from the columns of a table: how each becomes inputs of the network, and what the output means.

    The inputs are the standardized plain numbers, then those of the other columns, in the order of the table.
    Everything is learned from the training samples alone, except the names of the classes, how cells are written, and
    the words that count as missing because of --numeric.
    """

    kind: str
    names: list[str]
    """All columns but the target, in the order of the table, with those that are left out."""
    has_header: bool | None
    """Whether the names come from the file; None if the model does not know."""
    standard: Standard
    columns: list[Number | Category]
    target: Target
    decisions: list[str] = field(default_factory=list)
    """The decisions, as one sentence each, with the option that changes it."""
    warnings: list[str] = field(default_factory=list)
    """Those of the decisions that are most likely to be wrong."""
    reading: dict[str, str] = field(default_factory=dict)
    """How the file was read, see `Table.reading`: files for predictions are read in the same way."""
    fingerprint: list[int] = field(default_factory=list)
    """The number and checksum of the rows that training samples were taken from; [] if the model does not know."""

    @classmethod
    def learn(cls, table: Table, train: ArrayLike, task: str | None = None, choices: Choices | None = None) -> "Recipe":
        """Learn the recipe from the rows `train`, which have a target: their numbers, or True and False for each row.

        Errors    ValueError for cells that do not fit the kind of their column, an unknown task, a target with one
                  class only, or a regression target that is text
        """
        if not isinstance(table, Table):
            raise checks.Error(f"the table is a {type(table).__name__}; write jitnet.data.from_frame(X, y)")
        if table.target not in table:
            raise checks.Error("the table has no target")
        train = _row_numbers(train, len(table))
        choices = choices or Choices()
        table = emptied(table, choices.missing, learns=True)
        target, decisions, warnings = Target.learn(table, train, task)
        plan = Planner(table, train, choices).plan()
        names = [name for name in table.names if name != table.target]
        warnings = [*table.guesses, *warnings, *plan.warnings]
        decisions = [*(note for note in table.notes if note not in warnings), *decisions, *plan.decisions, *warnings]
        has_header = table.has_header if table.kind == "csv" else None
        return cls(
            table.kind, names, has_header, plan.standard, plan.columns, target, decisions, warnings, table.reading
        )

    @classmethod
    def from_plain(cls, content: Any) -> "Recipe":
        """From the content of a model file, which is validated."""
        try:
            is_new = isinstance(content, dict) and "columns" in content
            if is_new:
                content = {"extents": [], "fingerprint": [], **content}  # earlier versions did not save them
            c = checks.fields("it", content, [*FIRST, *SECOND] if is_new else FIRST)
            checks.one_of("kind", c["kind"], get_args(Kind))
            task = checks.one_of("task", c["task"], TASKS)
            standard = Standard(c["features"], c["mean"], c["scale"], c["extents"] if is_new else [])
            standard.check()  # below, names lose their spaces, which earlier versions saved
            standard = replace(standard, names=[column_name(name) for name in standard.names])
            target = Target(
                c["target"], c["classes"], c["target_mean"], c["target_scale"], c["target_form"] if is_new else PLAIN
            )
            target.check(task)
            target = replace(target, name=column_name(target.name))
            if not is_new:
                return cls(c["kind"], standard.names, None, standard, [], target)
            columns = [from_plain(column) for column in checks.listed("columns", c["columns"])]
            names = [column_name(name) for name in names_in("names", c["names"], least=1)]
            used = names_in("columns", [*standard.names, *(column.name for column in columns)], least=1)
            if not set(used) <= set(names):
                raise checks.Error(f"names is {shown(names)}, but must have all columns")
            if c["has_header"] is not None:
                checks.flag("has_header", c["has_header"])
            for what in ("decisions", "warnings"):
                for sentence in checks.listed(what, c[what]):
                    checks.text(f"one of {what}", sentence)
            for name, value in checks.fields("reading", c["reading"]).items():
                checks.one_of("way of reading", name, READING)
                checks.text(name, value)
            for number in checks.listed("fingerprint", c["fingerprint"]):
                checks.whole("a number of fingerprint", number, least=0)
            others = (c[name] for name in ("decisions", "warnings", "reading", "fingerprint"))
            return cls(c["kind"], names, c["has_header"], standard, columns, target, *others)
        except checks.Error as error:
            raise checks.Error(f"the model's recipe is damaged ({error}); train and save the model again") from None

    def plain(self) -> dict[str, Any]:
        """The content for a model file."""
        target = self.target
        return {
            "kind": self.kind, "task": self.task, "features": self.standard.names, "target": target.name,
            "mean": self.standard.mean, "scale": self.standard.scale, "classes": target.classes,
            "target_mean": target.mean, "target_scale": target.scale, "names": self.names,
            "has_header": self.has_header, "columns": [to_plain(column) for column in self.columns],
            "target_form": target.form, "decisions": self.decisions, "warnings": self.warnings,
            "reading": self.reading, "extents": self.standard.extents, "fingerprint": self.fingerprint,
        }  # fmt: skip

    @property
    def task(self) -> str:
        """classification or regression"""
        return "regression" if self.target.classes is None else "classification"

    @property
    def classes(self) -> list[str] | None:
        """The names of the classes, None for a regression."""
        return self.target.classes

    @property
    def labels(self) -> NDArray[Any] | None:
        """The classes as `predict` returns them: text or whole numbers; None for a regression."""
        return None if self.classes is None else labels_of(self.classes)

    @property
    def features(self) -> list[str]:
        """The columns that the network reads."""
        return [*self.standard.names, *(column.name for column in self.columns)]

    @property
    def inputs(self) -> int:
        """The number of inputs that a network needs for these columns."""
        return self.standard.width + sum(column.width for column in self.columns)

    @property
    def missing(self) -> list[str]:
        """The values that stand for a missing cell: "-999" in all columns, "age=0" in one."""
        return listed_in(self.reading.get("missing", ""))

    def read(self, path: str | Path, labels: str | Path | None = None, **how: Any) -> Table:
        """A file with rows to predict, read as the file of the training was.

        how    header, separator, decimal, encoding: see `read_table`
        """
        learned = (self.names, self.has_header)
        table = read_table(path, self.target.name, labels=labels, learned=learned, usual=self.reading, **how)
        table.decimal_is_given = how.get("decimal") is not None
        is_other = table.kind == "csv" and table.decimal != self.reading.get("decimal", table.decimal)
        table.has_other_decimal = is_other and not table.decimal_is_given
        return self._emptied(table)

    def _emptied(self, table: Table) -> Table:
        return emptied(table, self.missing, names=[*self.names, self.target.name])

    def _matched(self, table: Table) -> tuple[Table, list[str]]:
        """The table to predict for, with the column names of the model; and a sentence about new columns.

        Without names, the columns are those of the training in their order, with or without the target.

        Errors    ValueError with the names of columns that are missing
        """
        if (self.has_header is False or self.kind == "npz") and are_counted(table):  # neither has real names
            columns = [Column(str(j + 1), column.cells) for j, column in enumerate(table.columns)]
            kind: Kind = "npz" if self.kind == "npz" else "csv"
            table = replace(table, columns=columns, kind=kind, has_header=False)
        given = [name for name in table.names if table.kind == "csv" or name != table.target]
        if not table.has_header and len(given) == len(self.names) and given != self.names:
            # no target, so the numbers shift
            renamed = [Column(name, table[old].cells) for name, old in zip(self.names, given, strict=True)]
            others = [column for column in table.columns if column.name not in given]
            table = replace(table, columns=[*renamed, *others], matrix=None)
        has_target = table.kind == "csv" and self.target.name in table  # that of an NPZ file is y, which is no position
        allowed = (len(self.names), len(self.names) + has_target)
        if not table.has_header and len(given) not in allowed:
            raise checks.Error(
                f"{table.source} has {count(len(given), 'column')} without names, but the model learned from "
                f"{len(self.names)}: {some(self.names, 12)}"
            )
        needed = set(self.features)
        expect_different((name for name in table.names if name in needed), table.source)
        missing = [name for name in self.features if name not in table]
        if missing:
            what, them = ("column", "it") if len(missing) == 1 else ("columns", "them")
            folded = {name.casefold(): name for name in table.names}
            alike = [folded[name.casefold()] for name in missing if name.casefold() in folded]
            fix = f"Add {them}, or train a model without {them} (--drop)"
            if unread := [table.unread[name] for name in missing if name in table.unread]:
                fix = unread[0]
            elif alike:
                fix = f"Write {some(alike, 12)} as in training: upper and lower case must match"
            raise checks.Error(
                f"{table.source} lacks the {what} {some(missing, 12)} that the model learned from; it has "
                f"{some(table.names, 12)}. {fix}"
            )
        known = {*self.names, self.target.name}
        new = [name for name in table.names if name not in known] if table.has_header else []
        return table, [f"not used, since training did not have it: {listed(new)}"] if new else []

    def prepare(self, table: Table, dtype: str | np.dtype[Any] = "float32") -> tuple[NDArray[Any], list[str]]:
        """The inputs X (n, inputs), and sentences about missing cells, categories and numbers unlike those in training.

        Errors    ValueError if the table does not match the one that the recipe was learned from
        """
        table, new = self._matched(self._table(table))
        table = self._emptied(table)
        self._check_kind(table)
        out = np.empty((len(table), self.inputs), dtype)
        outside = Outside(table)
        notes = self.standard.prepare(table, out[:, : self.standard.width], outside)
        start = self.standard.width
        for column in self.columns:
            notes += column.prepare(table, out[:, start : start + column.width], outside)
            start += column.width
        if not np.isfinite(out).all():
            i, j = (int(place) for place in np.argwhere(~np.isfinite(out))[0])
            name = self._column_of(j)
            cell = table[name].cells[i]
            what = "too far from what was learned" if np.isfinite(cell) else "not a finite number; replace it"
            raise checks.Error(f"{table.where(i, name)}: {cell} is {what}")
        return out, new + notes + outside.sentences()

    def X(self, table: Table, dtype: str | np.dtype[Any] = "float32") -> NDArray[Any]:
        """The inputs (n, inputs); see `prepare`."""
        return self.prepare(table, dtype)[0]

    def Y(
        self, table: Table, dtype: str | np.dtype[Any] = "float32", rows: NDArray[np.int64] | None = None
    ) -> NDArray[Any]:
        """The target of the network for these rows, or all: class numbers (n,), or standardized values (n, 1)."""
        if table.target not in table:
            raise checks.Error("the table has no target")
        table = self._emptied(table)
        return self.target.Y(table, np.arange(len(table)) if rows is None else rows, dtype)

    def answers(self, A: NDArray[Any]) -> list[str] | list[float]:
        """The network's output (n, width) as class names or values of the original target."""
        return self.target.answers(A)

    def predicted(self, net: Any, X: Any, backend: Any) -> NDArray[Any]:
        """The predictions of a network for rows as they are, (m,): labels of classes, or values of the target.

        X    the path of a file, or anything that `table_of` takes
        """
        is_file = isinstance(X, (str, Path))
        table = self.read(X) if is_file else self._table(X)
        inputs, notes = self.prepare(table, net.dtype)
        # durations that were hours in training too are no news
        for note in [*(note for note in table.notes if is_file or note not in self.decisions), *notes]:
            warnings.warn(note, stacklevel=3)
        A = net.forward(inputs, backend)
        answers, labels = self.answers(A), self.labels
        return np.array(answers) if labels is None else labels[A.argmax(axis=1)]

    def samples(self, X: Any, Y: Any, dtype: str | np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Rows and targets as they are -> the inputs and targets of the network."""
        if Y is None:
            raise checks.Error("Y is None, but must hold one target for each row of X")
        targets = Table(
            [Column(self.target.name, values_of(one_column(Y), "Y"))], "Y", "frame", True, target=self.target.name
        )
        return self.X(self._table(X), dtype), self.Y(targets, dtype)

    def _table(self, X: Any) -> Table:
        """Rows as they are; the bytes of images become numbers from 0 to 1, as those of IDX files do."""
        is_bytes = self.kind == "pictures" and isinstance(X, np.ndarray) and X.dtype == np.uint8 and X.ndim > 1
        return table_of(scaled(X, "X") if is_bytes and X.size else X)

    def score(self, table: Table, answers: Sequence[Any]) -> dict[str, Any]:
        """{"accuracy": ...} or {"rmse": ...} of the answers, or {} if the table has no target."""
        return self.target.score(table, answers)

    def _check_kind(self, table: Table) -> None:
        if self.kind == table.kind or "pictures" not in (self.kind, table.kind):
            return
        largest = max((float(np.abs(table[name].values).max(initial=0)) for name in self.standard.names), default=0.0)
        if table.kind == "pictures" or largest > 1:
            other = "numbers that are not images"
            learned, here = ("images", other) if self.kind == "pictures" else (other, "images")
            raise checks.Error(
                f"the model learned from {learned}, but {table.source} holds {here}: images are scaled to "
                "numbers from 0 to 1, and other numbers are not; give a file of the same kind"
            )

    def _column_of(self, j: int) -> str:
        """The name of the column that input j comes from."""
        names = self.standard.names + [column.name for column in self.columns for _ in range(column.width)]
        return names[j]


def _row_numbers(rows: ArrayLike, n: int) -> NDArray[np.int64]:
    """The numbers of these rows of a table of n rows; for True and False, of those that are True."""
    chosen = np.asarray(rows)
    if chosen.dtype == bool and chosen.shape == (n,):
        chosen = np.flatnonzero(chosen)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or not chosen.size or chosen.min() < 0 or chosen.max() >= n:
        raise checks.Error(
            f"the training rows are {shown(rows)}, but must be numbers from 0 to {n - 1}, or True and False for each "
            f"of {count(n, 'row')}"
        )
    return chosen.astype(np.int64)
