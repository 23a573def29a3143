"""A column, built from portions of its cells."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cells import LONGEST, are_whole, has_code, is_missing, numbers_of

MOST = 50_000
"""The number of texts that are remembered, so that equal cells share one string."""


class Builder:
    """Numbers until a cell is not; then the column starts again as text.

    A column of whole numbers with leading zeros, or with too many digits for float64, is text too.
    """

    def __init__(self, decimal: str = ".", is_text: bool = False, array: NDArray[np.float64] | None = None) -> None:
        """array: memory for the numbers, if their count is known in advance."""
        self.is_text = is_text
        self._decimal, self._array, self._at = decimal, array, 0
        self._parts: list[NDArray[Any]] = []
        self._known: dict[str, str | None] = {}
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
        words = list(set(cells))
        self._judge(words)
        self._remember(words)
        self._parts.append(np.array([self._known[cell] for cell in cells], object))

    def add_words(self, words: list[str], places: NDArray[Any]) -> None:
        """More cells: words[place], none of them missing; a missing cell has the place len(words)."""
        if self._failed:
            return
        if self.is_text:
            self._judge(words)
            if len(words) < MOST:
                self._remember(words)
                words = [self._known[word] for word in words]  # type: ignore[misc]
            self._parts.append(np.array([*words, None], object)[places])
            return
        numbers = self._numbers(words)
        if numbers is None:
            self._failed, self._parts = True, []
            return
        self._look(words)
        self._place(np.append(numbers, np.nan)[places])

    def add_texts(self, texts: NDArray[Any]) -> None:
        """More cells of a column of text: strings, stripped, and None."""
        if self._are_numbers:
            self._judge([text for text in texts if text is not None])
        self._parts.append(texts)

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

    def values(self) -> NDArray[Any]:
        """All cells: float64 and NaN, or strings and None."""
        if self._array is not None:
            return self._array
        parts, self._parts = self._parts, []
        values = np.concatenate(parts) if len(parts) > 1 else parts[0]
        if not self.is_text or not self._are_numbers or (self._are_whole and self._has_code):
            return values
        missing = np.array([math.nan])
        return np.concatenate([missing if cell is None else self._numbers([cell]) for cell in values])

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
            self._look(words)

    def _look(self, cells: list[str]) -> None:
        self._are_whole = self._are_whole and are_whole(cells)
        self._has_code = self._has_code or (self._are_whole and has_code(cells))

    def _remember(self, words: list[str]) -> None:
        known = self._known
        if len(known) > MOST:
            known.clear()
        for word in words:
            if word not in known:
                known[word] = None if len(word) <= LONGEST and is_missing(word) else word
