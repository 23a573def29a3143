"""Messages between ranks, named as in MPI. `Alone` is the single rank of a training without MPI; mpi.py has several."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, TypeVar

from .. import checks
from ..compiler.types import Vector
from . import tree


class Comm(ABC):
    """The ranks of a training. All ranks call each method except `abort`, in the same order."""

    rank: int
    size: int
    first_here: int
    """The first rank of this machine, which compiles and reads for the others."""
    threads: int | None
    """The cores for each rank of this machine; None leaves the number of threads to the backend."""

    @abstractmethod
    def allgather(self, thing: Any) -> list[Any]:
        """The objects of all ranks, as the same list on each. A rank that waits releases its core to the others."""

    @abstractmethod
    def broadcast(self, vector: Vector) -> None:
        """Overwrite the vector with that of rank 0."""

    @abstractmethod
    def allreduce(self, vector: Vector) -> None:
        """Overwrite the vector with the sum over all ranks, in any order."""

    @abstractmethod
    def exchange(self, vector: Vector | None, cuts: list[int], received: list[Vector | None]) -> None:
        """Send part r of the vector to each rank r; receive this rank's part of the vectors of the others.

        cuts        where the parts of all vectors begin, and the end of the last one
        received    for the part of each rank; None for a rank without a vector
        """

    @abstractmethod
    def allgather_parts(self, part: Vector, cuts: list[int], whole: Vector) -> None:
        """The parts of all ranks as one vector, on all of them."""

    @abstractmethod
    def abort(self, message: str, status: int) -> None:
        """Print this message and end all ranks; for a rank that cannot continue while the others wait for it."""

    @abstractmethod
    def close(self) -> None:
        """Called when all ranks are done."""

    @property
    def is_first_here(self) -> bool:
        return self.rank == self.first_here

    def part(self, size: int) -> slice:
        """This rank's slice of this many samples."""
        return slice(*tree.cuts(size, self.size)[self.rank : self.rank + 2])

    def compare(self, described: dict[str, Any], fix: str) -> None:
        """Compare these values between the ranks, name by name.

        Errors    ValueError on all ranks, which names the first that differs from rank 0, and in what
        """
        ranks = self.allgather(described)
        for rank, of_rank in enumerate(ranks):
            for name, value in of_rank.items():
                if repr(value) != repr(ranks[0][name]):  # NaN is not equal to itself
                    raise on_all_ranks(checks.Error(
                        f"rank {rank}: {name} is {checks.shown(value)}, but {checks.shown(ranks[0][name])} on rank 0; "
                        f"{fix}"
                    ))  # fmt: skip

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """An error of one rank within the `with` is raised by all of them, with its number."""
        error: Exception | None = None
        try:
            yield
        except Exception as raised:
            error = raised
        if self.size == 1:
            if error is not None:
                raise error
            return
        messages = self.allgather(None if error is None else _message(error))
        if not any(messages):
            return
        if error is not None and messages == messages[:1] * self.size:
            raise on_all_ranks(error)
        rank = next(rank for rank, message in enumerate(messages) if message)
        text, is_result = messages[rank]
        raise on_all_ranks(
            checks.NotFiniteError(text) if is_result else checks.Error(f"rank {rank}: {text}")
        ) from error

    @contextlib.contextmanager
    def or_abort(self) -> Iterator[None]:
        """An exception within the `with` that only this rank has ends all ranks: the others would wait forever."""
        try:
            yield
        except BaseException as error:
            if self.size > 1 and not is_on_all_ranks(error):
                is_interrupt = isinstance(error, KeyboardInterrupt)
                self.abort("interrupted" if is_interrupt else _in_words(error), 130 if is_interrupt else 2)
            raise


def _message(error: Exception) -> tuple[str, bool]:
    """The description of an error for the other ranks, and whether it is a result of training instead of a mistake."""
    text = str(error) if isinstance(error, checks.Error) else _in_words(error)
    return text, isinstance(error, checks.NotFiniteError)


def _in_words(error: BaseException) -> str:
    """The error in one line; that of a user's function with its place."""
    if isinstance(error, checks.Error | OSError | MemoryError):
        return checks.reason(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})" if trace else ""
    return f"{checks.described(error)}{place}"


Raised = TypeVar("Raised", bound=BaseException)


def on_all_ranks(error: Raised) -> Raised:
    """Mark an error that all ranks raise."""
    error.is_on_all_ranks = True  # type: ignore[attr-defined]
    return error


def is_on_all_ranks(error: BaseException) -> bool:
    """True if all ranks raise this error, so that one of them is enough to report it."""
    return getattr(error, "is_on_all_ranks", False)


class Alone(Comm):
    """One rank, without MPI."""

    rank, size, first_here, threads = 0, 1, 0, None

    def allgather(self, thing: Any) -> list[Any]:
        return [thing]

    def broadcast(self, vector: Vector) -> None:
        """Nothing to do."""

    allreduce = broadcast

    def exchange(self, vector: Vector | None, cuts: list[int], received: list[Vector | None]) -> None:
        if vector is not None and received[0] is not None:
            received[0][...] = vector

    def allgather_parts(self, part: Vector, cuts: list[int], whole: Vector) -> None:
        whole[...] = part

    def abort(self, message: str, status: int) -> None:
        """Nothing to end."""

    def close(self) -> None:
        """Nothing to close."""
