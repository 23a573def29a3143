"""From the rows of a table to X and Y, and from the output back to words: learned once, kept with the model."""

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks
from .table import Table

FEW = 20
"""Whole numbers with at most this many different values are taken for classes, unless one says otherwise."""


@dataclass(frozen=True)
class Recipe:
    """How a table is prepared: standardised columns, numbered classes.

    X = (columns − mean) / scale, with one common scale for the pixels of pictures. Classes are numbered in sorted
    order; a regression's target is standardised like a column. All of it is learned from the training part alone.
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
        """Learn the recipe from the rows `train`; only the names of the classes are taken from all rows.

        Errors    ValueError for numbers that are not finite, an unknown task, a target of one class only, or of text
                  where numbers are asked for
        """
        if table.y is None:
            raise checks.Error("the table has no target")
        if not np.isfinite(table.X).all():
            raise checks.Error("X holds NaN or infinity; replace or leave out values that are not finite")
        if table.y.dtype.kind == "f" and not np.isfinite(table.y).all():
            raise checks.Error("the target holds NaN or infinity; replace or leave out values that are not finite")
        task = checks.one_of("task", task or _likely_task(table.y), ("classification", "regression"))
        classes = None
        target_mean, target_scale = np.zeros(()), np.ones(())
        if task == "classification":
            classes = [str(name) for name in np.unique(table.y)]
            if len(classes) < 2:
                raise checks.Error(
                    f"the target {table.target!r} has only one class, {classes[0]!r}; at least two are needed"
                )
        else:
            if table.y.dtype.kind == "U":
                raise checks.Error(
                    f"the target {table.target!r} is text, which regression cannot learn; use classification"
                )
            target_mean, target_scale = _mean_and_scale(table.y[train].astype(np.float64))
        mean, scale = _mean_and_scale(table.X[train])
        if table.kind == "pictures":  # one scale for all: a pixel that is nearly always 0 must not be blown up
            scale = np.full(len(mean), _mean_and_scale(table.X[train].ravel())[1])
        return cls(
            table.kind, task, table.features, table.target, mean.tolist(), scale.tolist(),
            classes, float(target_mean), float(target_scale),
        )  # fmt: skip

    @classmethod
    def from_plain(cls, content: Any) -> "Recipe":
        """From what a model file says, checked."""
        try:
            recipe = cls(**content)
            lengths = {len(recipe.features), len(recipe.mean), len(recipe.scale)}
            numbers = np.array([*recipe.mean, *recipe.scale, recipe.target_mean, recipe.target_scale], np.float64)
            if len(lengths) != 1 or not np.isfinite(numbers).all() or 0.0 in (*recipe.scale, recipe.target_scale):
                raise ValueError("its numbers do not fit together")
            return recipe
        except (TypeError, ValueError) as error:
            known = ", ".join(field.name for field in fields(cls))
            raise checks.Error(f"the model's recipe is damaged ({error}); it needs: {known}") from None

    def plain(self) -> dict[str, Any]:
        """As it goes into a model file."""
        return asdict(self)

    @property
    def width(self) -> int:
        """Outputs that a network for this task needs."""
        return len(self.classes) if self.classes else 1

    def X(self, table: Table) -> NDArray[np.float32]:
        """The columns, standardised."""
        if table.X.shape[1] != len(self.features):
            raise checks.Error(
                f"the file has {table.X.shape[1]} columns besides the target, but the model needs {len(self.features)}"
            )
        dtype = table.X.dtype  # of pictures float32, of which there may be many
        standard = (table.X - np.array(self.mean, dtype)) / np.array(self.scale, dtype)
        return np.asarray(standard, np.float32)

    def Y(self, table: Table) -> NDArray[Any]:
        """The target as the network is to learn it: class numbers (n,), or standardised numbers (n, 1)."""
        if table.y is None:
            raise checks.Error("the table has no target")
        if self.classes is None:
            standard = (table.y.astype(np.float64) - self.target_mean) / self.target_scale
            return standard.astype(np.float32).reshape(-1, 1)
        number = {name: i for i, name in enumerate(self.classes)}
        unknown = next((str(name) for name in table.y if str(name) not in number), None)
        if unknown is not None:
            raise checks.Error(f"class {unknown!r} is none that the model learned: {', '.join(self.classes)}")
        return np.array([number[str(name)] for name in table.y], np.int64)

    def answers(self, A: NDArray[Any]) -> list[str] | list[float]:
        """The network's output (n, width) in the words or numbers of the original target."""
        if self.classes is None:
            return [float(a) for a in A[:, 0].astype(np.float64) * self.target_scale + self.target_mean]
        return [self.classes[j] for j in A.argmax(axis=1)]


def _likely_task(y: NDArray[Any]) -> str:
    whole = y.dtype.kind in "iu" and len(np.unique(y)) <= FEW
    return "classification" if whole or y.dtype.kind == "U" else "regression"


def _mean_and_scale(values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, scale = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    # A constant column carries no information; so does one whose spread is only rounding
    return mean, np.where(scale > 1e-12 * np.abs(mean), scale, 1.0)
