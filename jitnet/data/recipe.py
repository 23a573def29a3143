"""Preprocessing, saved with the model: from a table to X and Y, and from the output back to class names or values."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..checks import shown
from .table import Table, is_number

KINDS = ("csv", "npz", "pictures")
"""The kinds of files."""
TASKS = ("classification", "regression")

FEW = 20
"""Integers with at most this many distinct values, each twice or more on average, are taken for classes."""


@dataclass(frozen=True)
class Recipe:
    """How a table is preprocessed: standardized columns, numbered classes.

    X = (columns − mean) / scale, with one common scale for the pixels of images. Classes are numbered in sorted order;
    the target of a regression is standardized like a column. Mean and scale come from the training samples alone.
    """

    kind: str
    task: str
    features: list[str]
    target: str
    mean: list[float]
    scale: list[float]
    classes: list[str] | None
    target_mean: float
    target_scale: float

    @classmethod
    def learn(cls, table: Table, train: NDArray[np.int64], task: str | None) -> "Recipe":
        """Learn the recipe from the rows `train`; only the class names are taken from all rows.

        Errors    ValueError for numbers that are not finite, an unknown task, a target with one class only, or a
                  regression target that is text
        """
        y, X = table.y, table.X
        if y is None:
            raise checks.Error("the table has no target")
        if not np.isfinite(X).all():
            raise checks.Error("X holds NaN or infinity; replace or leave out values that are not finite")
        values = _numbers(y)
        if values is not None and not np.isfinite(values).all():
            raise checks.Error("the target holds NaN or infinity; replace or leave out values that are not finite")
        task = checks.one_of("task", task or _likely_task(y, values), TASKS)
        classes = None
        target_mean, target_scale = np.zeros(()), np.ones(())
        if task == "classification":
            classes = _names(y, values)
            _check_classes(classes, table)
        elif values is None:
            text = next(str(cell) for cell in y if not is_number(str(cell)))
            raise checks.Error(f"the target {shown(table.target)} holds {shown(text)}, which regression cannot learn")
        else:
            target_mean, target_scale = _mean_and_scale(values[train])
        mean, scale = _mean_and_scale(X[train])
        if table.kind == "pictures":  # one scale for all, or pixels that are nearly always 0 would become very large
            scale = np.full(len(mean), _mean_and_scale(X[train].ravel())[1])
        for name, *extent in [
            *zip(table.features, mean, scale, strict=True),
            (table.target, target_mean, target_scale),
        ]:
            if not np.isfinite(extent).all():
                raise checks.Error(
                    f"the numbers of column {shown(name)} are too large to be standardized; divide them first"
                )
        return cls(
            table.kind, task, table.features, table.target, mean.tolist(), scale.tolist(),
            classes, float(target_mean), float(target_scale),
        )  # fmt: skip

    @classmethod
    def from_plain(cls, content: Any) -> "Recipe":
        """From the content of a model file, which is validated."""
        try:
            recipe = cls(**checks.fields("it", content, [field.name for field in fields(cls)]))
            checks.one_of("kind", recipe.kind, KINDS)
            checks.one_of("task", recipe.task, TASKS)
            checks.text("target", recipe.target)
            checks.number("target_mean", recipe.target_mean)
            checks.number("target_scale", recipe.target_scale, above=0)
            columns = len(_names_of("features", recipe.features, least=1))
            for mean in checks.listed("mean", recipe.mean, columns):
                checks.number("a mean", mean)
            for scale in checks.listed("scale", recipe.scale, columns):
                checks.number("a scale", scale, above=0)
            if recipe.task == "classification":
                _names_of("classes", recipe.classes, least=2)
            elif recipe.classes is not None:
                raise checks.Error(f"a regression has classes, {shown(recipe.classes)}")
            return recipe
        except checks.Error as error:
            raise checks.Error(f"the model's recipe is damaged ({error}); train and save the model again") from None

    def plain(self) -> dict[str, Any]:
        """The content for a model file."""
        return asdict(self)

    @property
    def width(self) -> int:
        """The number of outputs that a network needs for this task."""
        return len(self.classes) if self.classes else 1

    def X(self, table: Table, dtype: str | np.dtype[Any] = "float32") -> NDArray[Any]:
        """The standardized columns.

        Errors    ValueError if the table does not match the one that the recipe was learned from
        """
        X = table.X
        if X.shape[1] != len(self.features):
            raise checks.Error(
                f"the file has {X.shape[1]} columns besides the target, but the model needs {len(self.features)}"
            )
        if "pictures" in (self.kind, table.kind) and self.kind != table.kind and (
            table.kind == "pictures" or np.abs(X).max() > 1
        ):  # fmt: skip
            raise checks.Error(
                f"the model learned from {self.kind}, the file holds {table.kind}: IDX images are scaled to numbers "
                "from 0 to 1, and numbers of other files are not; give a file of the same kind"
            )
        own = X.dtype  # float32 for images, which can be many
        with np.errstate(all="ignore"):
            standard = np.asarray((X - np.array(self.mean, own)) / np.array(self.scale, own), dtype)
        if not np.isfinite(standard).all():
            i, j = np.argwhere(~np.isfinite(standard))[0]
            raise checks.Error(
                f"row {i + 1}, column {shown(self.features[j])}: {X[i, j]:g} is too far from what was learned"
            )
        return standard

    def Y(self, table: Table, dtype: str | np.dtype[Any] = "float32") -> NDArray[Any]:
        """The target of the network: class numbers (n,), or standardized values (n, 1)."""
        y = table.y
        if y is None:
            raise checks.Error("the table has no target")
        if self.classes is None:
            values = _numbers(y)
            if values is None:
                raise checks.Error(f"the target {shown(self.target)} holds text, but the model learned numbers")
            return ((values - self.target_mean) / self.target_scale).astype(dtype).reshape(-1, 1)
        number = {name: i for i, name in enumerate(self.classes)}
        names = [_name(value) for value in y]
        unknown = next((name for name in names if name not in number), None)
        if unknown is not None:
            raise checks.Error(f"class {shown(unknown)} is not one that the model learned: {checks.some(self.classes)}")
        return np.array([number[name] for name in names], np.int64)

    def answers(self, A: NDArray[Any]) -> list[str] | list[float]:
        """The network's output (n, width) as class names or values of the original target."""
        if self.classes is None:
            with np.errstate(all="ignore"):
                A = A[:, :1].astype(np.float64) * self.target_scale + self.target_mean
        if not np.isfinite(A).all():
            raise checks.Error(
                f"the answer for row {np.argwhere(~np.isfinite(A))[0, 0] + 1} is not finite: its columns are too large"
            )
        if self.classes is None:
            return [float(a) for a in A[:, 0]]
        return [self.classes[j] for j in A.argmax(axis=1)]

    def score(self, table: Table, answers: Sequence[Any]) -> dict[str, float]:
        """{"accuracy": ...} or {"rmse": ...} of the answers, or {} if the table has no target."""
        if self.target not in table or table[self.target].missing.any():
            return {}
        y = table[self.target].values
        if self.classes is not None:
            return {"accuracy": float(np.mean([_name(y) == answer for y, answer in zip(y, answers, strict=True)]))}
        values = _numbers(y)
        with np.errstate(over="ignore"):  # an error of 1e200 is infinite when it is squared
            return {} if values is None else {"rmse": math.sqrt(np.mean((values - np.array(answers)) ** 2))}


def _names_of(what: str, value: Any, least: int) -> list[str]:
    """A list of at least `least` distinct strings."""
    names = checks.listed(what, value)
    for name in names:
        checks.text(f"one of {what}", name)
    if len(names) < least or len(set(names)) < len(names):
        raise checks.Error(f"{what} is {shown(names)}, but must be at least {least}, each of them once")
    return names


def _numbers(y: NDArray[Any]) -> NDArray[np.float64] | None:
    """The target as numbers, or None if it is text."""
    if y.dtype.kind in "UO" and not all(is_number(cell) for cell in y):
        return None
    return y.astype(np.float64)


def _names(y: NDArray[Any], values: NDArray[np.float64] | None) -> list[str]:
    """The distinct values as strings, in numerical or alphabetical order."""
    names = [_name(value) for value in np.unique(y)]
    return names if values is None else sorted(names, key=lambda name: (float(name), name))


def _name(value: Any) -> str:
    """The name of a class: a whole number is written without a decimal point."""
    if isinstance(value, (float, np.floating)):
        return str(int(value)) if value == int(value) else repr(float(value))
    return str(value)


def _likely_task(y: NDArray[Any], values: NDArray[np.float64] | None) -> str:
    whole = values is not None and bool((values % 1 == 0).all())
    few = len(np.unique(y)) <= min(FEW, len(y) // 2)
    return "classification" if values is None or (whole and few) else "regression"


def _check_classes(classes: list[str], table: Table) -> None:
    target = shown(table.target)
    if len(classes) < 2:
        raise checks.Error(
            f"the target {shown(table.target)} has only one class, {shown(classes[0])}; at least two are needed"
        )
    if len(classes) > max(FEW, len(table) // 2):
        text = next((name for name in classes if not is_number(name)), classes[0])
        raise checks.Error(
            f"the target {target} has {len(classes)} values in {len(table)} rows, such as {shown(text)}: "
            "too many for classes; if they should be numbers, fix those that are not, and use the task regression"
        )


def _mean_and_scale(values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    # A constant column carries no information; so does one whose spread is only rounding
    return mean, np.where(scale <= 1e-12 * np.abs(mean), 1.0, scale)
