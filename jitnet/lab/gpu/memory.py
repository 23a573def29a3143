"""The memory of a GPU for the PTX interpreter: its words, and which threads have used each of them.

Errors that hardware does not report, or reports by ending the process, are a `KernelError` here: an address outside of
all arrays, a misaligned address, a word of shared memory that was never written, or that another thread wrote without
a barrier in between.
"""

from typing import Any

import numpy as np

WORD = 4
"""Bytes of the smallest load or store."""

FIRST, APART = 1 << 32, 256
"""The first address of an array, and the alignment of arrays."""

Array = np.ndarray[Any, Any]
Ints = np.ndarray[Any, np.dtype[np.int64]]

NOBODY, SEVERAL = -1, -2


class KernelError(Exception):
    """An error of a kernel; `lane` is the first thread that made it."""

    def __init__(self, what: str, lane: int = 0) -> None:
        super().__init__(what)
        self.lane = lane


class Memory:
    """Words, and the lanes that use them. A lane is a thread, numbered through all blocks that run together."""

    def __init__(self, words: int) -> None:
        self.words = np.zeros(words, np.uint32)

    def load(self, first: Ints, words: int) -> Any:
        """(lanes, words)"""
        return self.words[first[:, None] + np.arange(words)]

    def store(self, first: Ints, numbers: Any) -> None:
        self.words[first[:, None] + np.arange(numbers.shape[1])] = numbers


class GlobalMemory(Memory):
    """The arrays of the arguments. Each begins at a multiple of 256 bytes, as on the GPU; views are inside."""

    def __init__(self, arrays: list[Array]) -> None:
        self._arrays, self._firsts = arrays, []
        starts: dict[int, int] = {}  # where arrays that are no views begin
        end = APART
        for array in arrays:
            whole = _whole(array)
            low, high = np.lib.array_utils.byte_bounds(whole)
            if low not in starts:
                starts[low], end = end, end + (high - low) // APART * APART + 2 * APART
            self._firsts.append((starts[low] + array.ctypes.data - low) // WORD)
        super().__init__(end // WORD)
        self._allowed = np.zeros(len(self.words), bool)
        self._writers = np.full(len(self.words), NOBODY, np.int64)
        for array, first in zip(arrays, self._firsts, strict=True):
            _seen_as(self.words, array, first)[...] = np.ascontiguousarray(array)[..., None].view(np.uint32)
            _seen_as(self._allowed, array, first)[...] = True

    def address(self, array: Array) -> int:
        """Its address on the GPU."""
        number = next(number for number, other in enumerate(self._arrays) if other is array)
        return FIRST + WORD * self._firsts[number]

    def copy_back(self) -> None:
        """Copy what kernels wrote into the arrays."""
        for array, first in zip(self._arrays, self._firsts, strict=True):
            array[...] = np.ascontiguousarray(_seen_as(self.words, array, first)).view(array.dtype)[..., 0]

    def first_words(self, addresses: Ints, words: int, lanes: Ints, writes: bool) -> Ints:
        """The index of the first word of each lane, if each may load or store this many words there."""
        _check_alignment(addresses, words, lanes)
        first = (addresses - FIRST) // WORD
        outside = (first < 0) | (first + words > len(self.words))
        wrong = outside | ~self._allowed[np.where(outside, 0, first)[:, None] + np.arange(words)].all(axis=1)
        if wrong.any():
            raise _error("memory outside of all arrays", lanes, wrong)
        if writes:
            at, who = first[:, None] + np.arange(words), lanes[:, None]
            before = self._writers[at]
            self._writers[at] = who
            wrong = ((before != NOBODY) & (before != who) | (self._writers[at] != who)).any(axis=1)
            if wrong.any():
                raise _error("a number that another thread writes, too", lanes, wrong)
        return first


class SharedMemory(Memory):
    """The memory that the threads of a block share: `words` for each block that runs."""

    def __init__(self, blocks: int, words: int, threads: int) -> None:
        super().__init__(blocks * words)
        self._of_block, self._threads = words, threads
        self._known = np.zeros(blocks * words, bool)
        self._writers = np.full(blocks * words, NOBODY, np.int64)
        self._readers = self._writers.copy()

    def barrier(self) -> None:
        """Forget who used which word: all blocks reach a barrier together, or have ended."""
        for users in (self._writers, self._readers):
            users[:] = NOBODY

    def first_words(self, addresses: Ints, words: int, lanes: Ints, writes: bool) -> Ints:
        """The index of the first word of each lane, if each may load or store this many words there."""
        _check_alignment(addresses, words, lanes)
        first = addresses // WORD
        outside = (first < 0) | (first + words > self._of_block)
        if outside.any():
            raise _error(f"shared memory outside of its {WORD * self._of_block} bytes", lanes, outside)
        first = first + lanes // self._threads * self._of_block
        at, who = first[:, None] + np.arange(words), lanes[:, None]
        writers, readers = self._writers[at], self._readers[at]
        strange = (writers != NOBODY) & (writers != who)
        if writes:
            strange |= (readers != NOBODY) & (readers != who)
            self._writers[at] = who
            strange |= self._writers[at] != who
            self._known[at] = True
        else:
            known = self._known[at].all(axis=1)
            if not known.all():
                raise _error("shared memory that was never written", lanes, ~known)
            self._readers[at] = who
            several = (self._readers[at] != who) | (readers != NOBODY) & (readers != who)
            self._readers[at[several]] = SEVERAL
        if strange.any():
            what = "shared memory that another thread uses, with no barrier in between"
            raise _error(what, lanes, strange.any(axis=1))
        return first


def _error(what: str, lanes: Ints, wrong: Any) -> KernelError:
    return KernelError(what, int(lanes[int(np.argmax(wrong))]))


def _check_alignment(addresses: Ints, words: int, lanes: Ints) -> None:
    wrong = addresses % (WORD * words) != 0
    if wrong.any():
        raise _error(f"an address that is not a multiple of {WORD * words}", lanes, wrong)


def _whole(array: Array) -> Array:
    """The array that this one is a view of, or itself."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _seen_as(table: Array, array: Array, first: int) -> Array:
    """A table with an entry per word, viewed in the shape of that array, plus one axis for the words of a number."""
    strides = (*(stride // WORD * table.itemsize for stride in array.strides), table.itemsize)
    return np.lib.stride_tricks.as_strided(table[first:], (*array.shape, array.itemsize // WORD), strides)
