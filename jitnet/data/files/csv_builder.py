"""A column, built from portions of its cells."""

import math
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cells import are_whole, has_code, numbers_of
from ..missing import LONGEST, is_missing
from ..text_column import Chain, Words

MOST = 50_000
"""The number of texts that are remembered, so that equal cells share one."""


class Builder:
    """Numbers until a cell is not; then the column starts again as text.

    A column of whole numbers with leading zeros, or with too many digits for float64, is text too.
    """

    def __init__(self, decimal: str = ".", is_text: bool = False, array: NDArray[np.float64] | None = None) -> None:
        """array: memory for the numbers, if their count is known in advance."""
        self.is_text = is_text
        self._decimal, self._array, self._at = decimal, array, 0
        self._parts: list[NDArray[Any]] = []  # numbers, or the places of texts
        self._texts: list[Sequence[str]] = []
        self._count = 0  # of all texts
        self._latest: list[str] = []  # the last of these sequences, while texts are added to it
        self._known: dict[str, int] = {}  # their places; −1 for spellings of a missing cell
        self._failed = False
        self._are_numbers, self._are_whole, self._has_code = True, True, False

    def add(self, cells: list[str]) -> None:
        """More cells, stripped."""
        if self._failed:
            return
        if not self.is_text:
            numbers = self._numbers(cells)
            if numbers is not None:
                self._place(numbers)
                if self._are_whole:
                    self._look(cells)
                return
            if self._at:
                self._failed, self._parts = True, []
                return
            self.is_text = True
        words = list(dict.fromkeys(cells))
        self._judge(words)
        self._remember(words)
        self._parts.append(np.fromiter(map(self._known.__getitem__, cells), self._smallest(), len(cells)))

    def add_words(self, words: list[str], places: NDArray[Any]) -> None:
        """More cells: words[place], none of them missing; a missing cell has the place len(words)."""
        if self._failed:
            return
        if self.is_text:
            self._judge(words)
            self._remember(words)
            codes = np.array([*map(self._known.__getitem__, words), -1], self._smallest())
            self._parts.append(codes[places])
            return
        numbers = self._numbers(words)
        if numbers is None:
            self._failed, self._parts = True, []
            return
        self._look(words)
        self._place(np.append(numbers, np.nan)[places])

    def add_texts(self, texts: Sequence[str], missing: NDArray[np.bool_]) -> None:
        """More cells of a column of text, stripped; equal ones are kept twice. A missing cell can have any text."""
        if self._are_numbers:
            present = (text for text, is_missing in zip(texts, missing.tolist(), strict=True) if not is_missing)
            first = list(islice(present, 8))
            self._judge(first)
            if self._are_numbers:
                self._judge([*first, *present])
        self._texts.append(texts)
        self._count += len(texts)
        codes = np.arange(self._count - len(texts), self._count, dtype=self._smallest())
        codes[missing] = -1
        self._parts.append(codes)
        self._latest, self._known = [], {}

    def add_numbers(self, numbers: NDArray[np.float64], are_whole: bool) -> None:
        """More cells that are plain numbers, without codes, and NaN."""
        if not self._failed:
            self._place(numbers)
            self._are_whole = self._are_whole and are_whole

    def must_restart(self) -> bool:
        """True if all cells must be added again, as text."""
        if self.is_text or not (self._failed or (self._are_whole and self._has_code)):
            return False
        self.__init__(self._decimal, True)  # type: ignore[misc]
        return True

    def cells(self) -> NDArray[np.float64] | Words:
        """All cells: numbers and NaN, or words."""
        if self._array is not None:
            return self._array
        parts, self._parts, self._known = self._parts, [], {}
        if not self.is_text:
            return np.concatenate(parts) if len(parts) > 1 else parts[0]
        codes = np.concatenate(parts)
        texts = self._texts[0] if len(self._texts) == 1 else Chain(self._texts)
        if not self._are_numbers or (self._are_whole and self._has_code):
            return Words(texts, codes)
        numbers = self._numbers(list(texts))
        assert numbers is not None
        cells: NDArray[np.float64] = np.append(numbers, math.nan)[codes]
        return cells

    def _smallest(self) -> np.dtype[Any]:
        """The smallest type for −1 and the places of all texts up to now."""
        return np.min_scalar_type(-max(self._count, 1))

    def _place(self, numbers: NDArray[np.float64]) -> None:
        if self._array is not None:
            self._array[self._at : self._at + len(numbers)] = numbers
        else:
            self._parts.append(numbers)
        self._at += len(numbers)

    def _numbers(self, cells: list[str]) -> NDArray[np.float64] | None:
        if self._decimal == ",":
            if any("." in cell for cell in cells):
                return None
            cells = [cell.replace(",", ".") for cell in cells]
        return numbers_of(cells)

    def _judge(self, words: list[str]) -> None:
        """Whether words of a column of text are all numbers."""
        if self._are_numbers:
            self._are_numbers = self._numbers(words) is not None
            if self._are_numbers:
                self._look(words)

    def _look(self, cells: list[str]) -> None:
        self._are_whole = self._are_whole and are_whole(cells)
        self._has_code = self._has_code or (self._are_whole and has_code(cells))

    def _remember(self, words: Iterable[str]) -> None:
        """Places for these words, new ones if they are not known."""
        known = self._known
        if len(known) > MOST:
            known.clear()
        if not self._latest:
            self._latest = []
            self._texts.append(self._latest)
        for word in words:
            if word not in known:
                if len(word) <= LONGEST and is_missing(word):
                    known[word] = -1
                else:
                    known[word] = self._count
                    self._latest.append(word)
                    self._count += 1
