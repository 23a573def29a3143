"""A column of text: a list of texts, and the place of each cell's text in it."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Words:
    """The cells of a column of text.

    Most columns of text have few different texts, so this takes less memory than a string per cell, and what depends
    only on the text of a cell is computed once per text.
    """

    def __init__(self, texts: Sequence[str], codes: NDArray[Any]) -> None:
        """texts: in the order of their first cells; a text can occur twice, if most differ.
        codes: (n,) the place of each cell's text, −1 where the cell is missing."""
        self.texts = texts
        self.codes = codes

    @classmethod
    def of(cls, cells: Iterable[str | None]) -> "Words":
        """Strings, and None for missing cells."""
        places: dict[str, int] = {}
        codes = [-1 if cell is None else places.setdefault(cell, len(places)) for cell in cells]
        return cls(list(places), np.array(codes, np.int32))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Any:
        """The cell of a row; for several rows, their cells as Words."""
        codes = self.codes[rows]
        if isinstance(codes, np.ndarray):
            return Words(self.texts, codes)
        return None if codes < 0 else self.texts[int(codes)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """(n,) strings and None."""
        cells: NDArray[Any] = np.array([*self.texts, None], object)[self.codes]
        return cells

    @property
    def missing(self) -> NDArray[np.bool_]:
        """(n,) True where the cell is missing."""
        return np.asarray(self.codes < 0)

    @property
    def used(self) -> dict[int, str]:
        """The places of the texts that occur in the cells, and these texts."""
        occur = np.bincount(self.codes[self.codes >= 0], minlength=len(self.texts)) > 0
        return {
            place: text for place, (text, occurs) in enumerate(zip(self.texts, occur.tolist(), strict=True)) if occurs
        }

    def counted(self) -> dict[str, int]:
        """How often each text occurs, for those that do."""
        times: dict[str, int] = {}
        counts = np.bincount(self.codes[self.codes >= 0], minlength=len(self.texts)).tolist()
        for text, count in zip(self.texts, counts, strict=True):
            if count:
                times[text] = times.get(text, 0) + count
        return times

    def row_of(self, text: str) -> int:
        """The first row with this text."""
        return int(self.equal(text).argmax())

    def equal(self, text: str) -> NDArray[np.bool_]:
        """The rows with this text."""
        return np.isin(self.codes, [place for place, other in enumerate(self.texts) if other == text])


class Chain(Sequence[str]):
    """Several sequences of texts as one, without a copy."""

    def __init__(self, parts: list[Sequence[str]]) -> None:
        self._parts = parts
        self._ends = list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, place: Any) -> Any:
        which = bisect_right(self._ends, place)
        return self._parts[which][place - (self._ends[which - 1] if which else 0)]

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._parts)
