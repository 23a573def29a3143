"""Columns of pyarrow, added to a `Builder` with the values that Python reads from the same texts."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...canonical import DIGITS
from ..missing import is_missing
from .csv_builder import Builder

BLOCK = 1 << 12
"""Strings that are converted to Python's at a time."""
WHITESPACE = "".join(character for character in map(chr, range(0x3001)) if character.isspace())
"""All that `str.strip` removes. pyarrow's own list is a table that takes 0.2 s to fill."""
SHORT = 10**6
"""A text that is read as a smaller number, and has as many characters as its digits and sign, is written like it.

Larger numbers can have other texts of that length, such as 0xFFFFF.
"""


class UnusualError(Exception):
    """pyarrow might read something else than Python."""


def add_column(builder: Builder, column: Any) -> None:
    """Add the cells of a pyarrow column: float64, strings, or categories, which are strings as a dictionary."""
    import pyarrow as pa

    if pa.types.is_floating(column.type):
        _add_numbers(builder, column)
    elif not pa.types.is_string(column.type):
        _add_categories(builder, column)
    elif not (_texts_are_added(builder, column) if builder.is_text else _whole_numbers_are_added(builder, column)):
        _add_categories(builder, column.dictionary_encode())


def _add_numbers(builder: Builder, column: Any) -> None:
    for chunk in column.chunks:
        values = _numbers(chunk, np.float64)
        values = np.where(_missing(chunk), np.nan, values) if chunk.null_count else values
        if np.count_nonzero(np.isfinite(values)) != len(values) - chunk.null_count:
            raise UnusualError  # infinite, which Python reads as text
        builder.add_numbers(values, are_whole=False)


def _add_categories(builder: Builder, column: Any) -> None:
    import pyarrow as pa

    merged = column.unify_dictionaries().combine_chunks()
    if isinstance(merged, pa.ChunkedArray):
        merged = merged.chunk(0)
    quoted = merged.dictionary.to_pylist()
    words = list(map(str.strip, quoted))
    places = np.where(_missing(merged.indices), len(words), _numbers(merged.indices, np.int32))
    if words != quoted:  # then there can be spellings of missing cells that pyarrow does not know
        places = np.where(np.array([*map(is_missing, words), False])[places], len(words), places)
    builder.add_words(words, places)


def _texts_are_added(builder: Builder, column: Any) -> bool:
    """Add strings without a copy for Python; False if they must be stripped."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pc.utf8_trim(column, characters=WHITESPACE).equals(column):
        return False
    texts = pa.concat_arrays(column.chunks)  # without the memory that was reserved for more
    builder.add_texts(ArrowTexts(texts), _missing(texts))
    return True


def _whole_numbers_are_added(builder: Builder, column: Any) -> bool:
    whole = _whole_numbers(column)
    if whole is None:
        return False
    builder.add_numbers(whole, are_whole=True)
    return True


def _whole_numbers(column: Any) -> NDArray[np.float64] | None:
    """The texts as numbers, if they are written as Python would write them; so no text is a code, such as 007."""
    import pyarrow as pa
    import pyarrow.compute as pc

    with contextlib.suppress(pa.ArrowException):
        whole = pc.cast(column, pa.int64())
        numbers = pa.concat_arrays(pc.cast(whole, pa.float64()).chunks)
        values = np.where(_missing(numbers), np.nan, _numbers(numbers, np.float64))
        sizes = np.abs(values)
        largest = np.nanmax(sizes, initial=0)
        if largest < SHORT:  # the length is enough, and takes less time than the comparison below
            lengths = _numbers(pa.concat_arrays(pc.binary_length(column).chunks), np.int32)
            digits = 1 + sum((sizes >= 10**k).astype(np.int8) for k in range(1, len(f"{largest:.0f}")))
            if ((lengths == digits + (values < 0)) | np.isnan(values)).all():
                return values
        elif largest < 10**DIGITS and pc.cast(whole, pa.string()).equals(column):
            return values
    return None


def _numbers(array: Any, dtype: type[np.generic]) -> NDArray[Any]:
    """The numbers of a pyarrow array, where it is not null. Its `to_numpy` imports pandas, which takes 0.3 s."""
    return np.frombuffer(array.buffers()[1], dtype)[array.offset : array.offset + len(array)]


def _missing(array: Any) -> NDArray[np.bool_]:
    """(n,) True where a pyarrow array is null."""
    if not array.null_count:
        return np.zeros(len(array), bool)
    bits = np.unpackbits(np.frombuffer(array.buffers()[0], np.uint8), bitorder="little")
    return np.asarray(bits[array.offset : array.offset + len(array)] == 0)


class ArrowTexts(Sequence[str]):
    """The strings of a pyarrow array, which takes less memory than Python's strings; "" for null."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, place: Any) -> Any:
        return self._array[place].as_py() or ""

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), BLOCK):
            for text in self._array.slice(start, BLOCK).to_pylist():
                yield text or ""
