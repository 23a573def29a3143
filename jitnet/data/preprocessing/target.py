"""The target of a table: classes, each value in one spelling, or numbers."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import checks
from ...canonical import canonical, is_code, is_number
from ...checks import shown, some
from ..missing import is_missing_word
from ..notation import (
    are_quantities,
    as_number,
    codes_among_numbers,
    different_units,
    how_to_learn,
    nearly_equal,
    unread_in,
    zeros_as_dashes,
)
from ..sentinels import sentinel_notes, sentinels
from ..table import Table, as_option, called
from ..text_column import Words
from ..values import NUMBERS, PLAIN, distinct, form_at_all, form_of, form_of_dates, in_order, numbers_in, units_in
from .columns import expect_finite, mean_and_scale, names_in
from .number_cells import can_be_two_numbers, form_in, too_large

TASKS = ("classification", "regression")

FEW = 20
"""Whole numbers with at most this many distinct values, each twice or more on average, are taken for classes."""

LEAST_NUMBERED = 5
"""From this many on, texts with digits of which few repeat, such as ~107.5, are numbers that are not read."""

AS_CLASSES = "--task classification"


@dataclass(frozen=True)
class Target:
    """What the network learns: numbered classes, or standardized numbers."""

    name: str
    classes: list[str] | None
    mean: float
    scale: float
    form: str
    """The form of the numbers, a key of `NUMBERS`."""

    @classmethod
    def learn(cls, table: Table, train: NDArray[np.int64], task: str | None) -> tuple["Target", list[str], list[str]]:
        """Classes or numbers, a sentence for each decision, and warnings about decisions that may be wrong.

        Errors    ValueError for an unknown task, a target with one class only, one with more classes than rows can
                  teach, or a regression target that is text
        """
        if task is not None:
            checks.one_of("task", task, TASKS)
        elif table.kind == "pictures" or table[table.target].is_category:  # then the labels are always classes
            task = "classification"
        cells = table[table.target].cells
        decisions: list[str] = []
        warnings: list[str] = []
        name = called(table.target)
        is_text = isinstance(cells, Words)
        form = None if is_text and task == "classification" else _form(table, cells, anyhow=task == "regression")
        if form is not None:
            numbers = _numbers(table, form)
            task = task or _likely(table, numbers, form, decisions, warnings)
        if form is None or task == "classification":
            classes = in_order(distinct(cells)[0])
            codes = None
            if isinstance(cells, Words) and task is None and form is None:
                codes = codes_among_numbers(name, cells.counted(), partial(table.place_of, table.target))
            _check_classes(classes, table, codes, is_guess=task is None)
            warnings += [codes] if codes else []
            if sentence := nearly_equal(name, "classes", classes):
                warnings.append(sentence)
            if task is None and (unread := unread_in(classes, is_target=True)):
                warnings.append(unread.sentence(table.target))
            # none is a class, as of treatments; None is also what Python writes for a missing value
            no_words = [shown(one) for one in classes if is_missing_word(one) and one not in ("none", "NONE")]
            if no_words:
                warnings.append(
                    f"{name} has the class {some(no_words, 3)}; if it means that the target is missing, empty "
                    "these cells"
                )
            return cls(table.target, classes, 0.0, 1.0, PLAIN), decisions, warnings
        known = numbers[~np.isnan(numbers)]
        if len(known) > 1 and known.min() == known.max():
            raise checks.Error(f"the target {shown(table.target)} is {known[0]:.15g} in all rows: nothing to learn")
        found = {_written(cells, form, value): {table.target: rows} for value, rows in sentinels(known).items()}
        warnings += sentinel_notes(found)
        known = numbers[train]
        mean, scale = mean_and_scale(known[~np.isnan(known)])
        expect_finite(table.target, [mean, scale])
        return cls(table.target, None, float(mean), float(scale), form), decisions, warnings

    def check(self, task: str) -> None:
        checks.text("target", self.name)
        checks.number("target_mean", self.mean)
        checks.number("target_scale", self.scale, above=0)
        checks.one_of("target_form", self.form, NUMBERS)
        if task == "classification":
            names_in("classes", self.classes, least=2)
        elif self.classes is not None:
            raise checks.Error(f"a regression has classes, {shown(self.classes)}")

    @property
    def width(self) -> int:
        """The number of outputs that a network needs."""
        return len(self.classes) if self.classes else 1

    def Y(self, table: Table, rows: NDArray[np.int64], dtype: Any) -> NDArray[Any]:
        """Class numbers (n,), or standardized values (n, 1), of rows that have a target."""
        if self.classes is None:
            return ((_numbers(table, self.form)[rows] - self.mean) / self.scale).astype(dtype).reshape(-1, 1)
        names, codes = distinct(table[table.target].cells)
        unknown = self.unknown(table)
        if unknown:
            raise checks.Error(f"class {shown(unknown[0])} is not one that the model learned: {some(self.classes)}")
        if (codes[rows] < 0).any():
            raise checks.Error(f"{table.where(int(rows[int((codes[rows] < 0).argmax())]))}: the target is missing")
        number = {canonical(name): j for j, name in enumerate(self.classes)}
        return np.array([number[name] for name in names], np.int64)[codes[rows]]

    def unknown(self, table: Table) -> list[str]:
        """The classes in the table that the model does not know."""
        if self.classes is None or table.target not in table:
            return []
        known = set(map(canonical, self.classes))
        return [name for name in distinct(table[table.target].cells)[0] if name not in known]

    def answers(self, A: NDArray[Any]) -> list[str] | list[float]:
        """The network's output (n, width) as class names or values of the original target."""
        if self.classes is None:
            with np.errstate(all="ignore"):
                A = A[:, :1].astype(np.float64) * self.scale + self.mean
        if not np.isfinite(A).all():
            raise checks.Error(
                f"the answer for row {np.argwhere(~np.isfinite(A))[0, 0] + 1} is not finite: its columns are too large"
            )
        if self.classes is None:
            return [float(a) for a in A[:, 0]]
        return [self.classes[j] for j in A.argmax(axis=1)]

    def score(self, table: Table, answers: Sequence[Any]) -> dict[str, Any]:
        """{"accuracy": ...} or {"rmse": ...}, and the number of "judged" rows if some have no target; {} if all."""
        if table.target not in table:
            return {}
        cells, result = table[table.target].cells, {}
        if self.classes is not None:
            names, codes = distinct(cells)
            there = np.flatnonzero(codes >= 0)
            if len(there):
                result["accuracy"] = float(np.mean([names[codes[i]] == canonical(answers[i]) for i in there.tolist()]))
        else:
            numbers, odd, _ = numbers_in(cells, form_in(table, self.form), table.decimal)
            there = np.flatnonzero(~np.isnan(numbers[:, 0]))
            is_clear = odd is None and can_be_two_numbers(table, table.target, self.form) is None
            if is_clear and len(there):
                with np.errstate(over="ignore"):  # an error of 1e200 is infinite when it is squared
                    result["rmse"] = math.sqrt(np.mean((numbers[there, 0] - np.array(answers)[there]) ** 2))
        return {**result, "judged": len(there)} if result and len(there) < len(table) else result

    def why_not_compared(self, table: Table) -> str:
        """The end of the sentence about the targets of a regression for which `score` returns {}."""
        found = can_be_two_numbers(table, table.target, self.form)
        if found is None:
            return ", which has cells that are not numbers"
        row, why = found
        return f": {table.where(row)}: {why}"


def _form(table: Table, cells: NDArray[np.float64] | Words, anyhow: bool) -> str | None:
    """The form of the target's numbers; None if it has words, which are an error with `anyhow`.

    Errors    ValueError for a few words among numbers
    """
    if not isinstance(cells, Words):
        return PLAIN
    texts = cells.counted()
    form, odd = form_of(list(texts), np.array(list(texts.values()), np.int64), table.decimal)
    if form is not None and form not in NUMBERS:
        form = None
    few = len(texts) <= min(FEW, len(cells) // 2)
    unknown = [text for text in texts if is_missing_word(text)]
    if form is not None and odd and few and not unknown and all(texts[text] > 1 for text in odd):
        form = None  # classes such as 0, 1, 2, "other"
    elif form is None and _are_quantities(texts):  # otherwise each price would be a class
        form = form_at_all(list(texts))
    if form is None and not anyhow:
        return None
    if form is None or odd or unknown:
        reads = NUMBERS[form or PLAIN]
        text = next((text for text in texts if reads(text) is None), None)
        text = text or next(filter(is_code, texts), next(iter(texts)))
        where = table.where(cells.row_of(text), table.target)
        if form is None:
            how = how_to_learn(list(texts)) or "it needs numbers"
            if reads(text) is not None and is_code(text):
                how = f"it is taken for a code; if it is a number, write {as_number(text)}"
            raise checks.Error(f"{where}: regression cannot learn {shown(text)}; {how}")
        option = f" ({as_option('missing', f'{table.target}={text}')})" if is_missing_word(text) else ""
        numbers = sum(number for text, number in texts.items() if reads(text) is not None)
        also = f", or learn every value as a class with {AS_CLASSES}" if _can_be_classes(len(texts), len(cells)) else ""
        units = table.has_header and cells.row_of(text) == 0 and not is_missing_word(text)
        header = "if the line belongs to the header, as a row of units does, remove it; otherwise " * units
        raise checks.Error(
            f"{where}: {shown(text)} is not a number, but {numbers} of {len(cells)} targets are; {header}replace it or "
            f"leave the row out{option}{also}"
        )
    return form


def _are_quantities(texts: dict[str, int]) -> bool:
    """True if most cells are numbers, and most of these differ; `texts` counts how often each occurs."""
    form = None if any(map(is_code, texts)) else form_at_all(list(texts))
    times = [] if form is None else [number for text, number in texts.items() if NUMBERS[form](text) is not None]
    return 2 * sum(times) > sum(texts.values()) and 2 * len(times) > sum(times)


def _likely(table: Table, numbers: NDArray[np.float64], form: str, decisions: list[str], warnings: list[str]) -> str:
    """The task for a target of numbers, with the sentences that say so."""
    target = called(table.target)
    different = np.unique(numbers[~np.isnan(numbers)])
    is_whole, rows = bool((different % 1 == 0).all()), len(numbers)
    cells, has_unit = table[table.target].cells, False
    if form != PLAIN and isinstance(cells, Words):
        texts = list(cells.counted())
        example = max(texts, key=len)
        decisions.append(f"{target} is a number in text: {shown(example)} is {(NUMBERS[form](example) or [0])[0]:.15g}")
        has_unit = any(units_in(texts))
        sentences = different_units(target, texts), zeros_as_dashes(target, texts)
        warnings += filter(None, sentences)
    # whole numbers beside images are nearly always labels
    most = rows // 2 if table.are_images else min(FEW, rows // 2)
    if is_whole and len(different) <= most and not has_unit:
        decisions.append(f"{target} has {len(different)} different whole numbers: classes (--task regression)")
        return "classification"
    if not is_whole or 2 * len(different) > rows or has_unit:  # $1000 is a quantity
        kind = "whole numbers" if is_whole else "numbers"
        option = f" ({AS_CLASSES})" if _can_be_classes(len(different), rows) else ""
        decisions.append(f"{target} has {len(different)} different {kind}: a regression{option}")
    else:
        warnings.append(
            f"{target} has {len(different)} different whole numbers, learned as quantities; if they are classes, use "
            f"{AS_CLASSES}"
        )
    if form_of_dates(different):
        example = canonical(different[0])
        warnings.append(f"{target} has dates, such as {example}, learned as numbers; write the days since a fixed date")
    return "regression"


def _numbers(table: Table, form: str) -> NDArray[np.float64]:
    """The target as numbers (n,), NaN where it is missing."""
    numbers, odd, text = numbers_in(table[table.target].cells, form, table.decimal)
    if odd is not None:
        where = table.where(odd, table.target)
        raise checks.Error(f"{where}: the target {shown(text)} is not a number, but the model learned numbers")
    infinite = np.isinf(numbers[:, 0])
    if infinite.any():
        raise too_large(table, int(infinite.argmax()), table.target)
    return numbers[:, 0]


def _written(cells: NDArray[np.float64] | Words, form: str, number: float) -> str:
    """The number as the cells write it: --missing compares texts."""
    texts = cells.used.values() if isinstance(cells, Words) else ()
    return next((text for text in texts if NUMBERS[form](text) == (number,)), canonical(number))


def empty_target_hint(table: Table) -> str:
    """What a sentence about missing targets adds if they can be a class, such as an empty cell beside "reject"."""
    column = table[table.target]
    if table.gap or not column.missing.any() or len(distinct(column.cells)[0]) > FEW:
        return ""
    return f", or, if an empty cell has a meaning, write {'a word' if column.is_text else 'a number'} into it"


def _can_be_classes(different: int, rows: int) -> bool:
    """True if the rows suffice to learn this many classes."""
    return different <= max(FEW, rows // 2)


def _check_classes(classes: list[str], table: Table, codes: str | None, is_guess: bool) -> None:
    """codes: the sentence about codes among numbers, if there are some; is_guess: without --task"""
    target = shown(table.target)
    if not classes:
        raise checks.Error(f"the target {target} is missing in all rows")
    if len(classes) < 2:
        one = f"the target {target} has only one class, {shown(classes[0])}; at least two are needed"
        raise checks.Error(f"{one}{empty_target_hint(table)}{table.gap_hint}")
    can_be_classes = _can_be_classes(len(classes), len(table))
    are_many = len(classes) >= LEAST_NUMBERED and 2 * len(classes) > len(table)
    differ = are_many and all(re.search(r"\d", name) for name in classes)
    if not can_be_classes or (is_guess and (differ or (len(classes) > FEW and are_quantities(classes)))):
        words = [name for name in classes if is_code(name) or not is_number(name)]
        if words:
            how = (
                how_to_learn(classes)
                or codes
                or "if they should be numbers, fix those that are not, or name another target"
            )
        else:
            how = "learn them as quantities with --task regression"
        example = shown((words or classes)[0])
        raise checks.Error(
            f"the target {target} has {len(classes)} values in {len(table)} rows, such as {example}: too many for "
            f"classes; {how}{f', or learn each as a class with {AS_CLASSES}' * can_be_classes}"
        )
