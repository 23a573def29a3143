"""What a backend is: one kernel per operation, and what others must know of it; and the registry of all of them."""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, ClassVar, TypeVar

import numpy as np

from .. import step
from ..compiler.jit import Kernel
from ..compiler.memory import aligned
from ..compiler.registry import Call
from . import thread_choice

Report = Callable[[int, int, str], None]
"""Called with (done, total, name of the kernel) while kernels are compiled."""


class Backend:
    """One kernel per operation. A subclass says what is different about it; `register` makes it known by its name."""

    name: ClassVar[str]
    dtypes: ClassVar[tuple[np.dtype[Any], ...]] = (np.dtype(np.float32), np.dtype(np.float64))
    uses_threads: ClassVar[bool] = False
    """It can use more than one of Numba's threads."""
    descends: ClassVar[bool] = False
    """It takes a step of SGD within the gradient's product, where others write the gradient down first."""
    is_remote: ClassVar[bool] = False
    """Its arrays are elsewhere: `memory` makes them, `to_device` and `to_host` copy."""

    kernels: dict[str, Kernel]

    memory = staticmethod(aligned)
    """memory(shape, dtype): zeros where this backend calculates."""

    @staticmethod
    def obstacle() -> str | None:
        """What keeps it from working on this machine, and how to fix it; else None."""
        return None

    def to_device(self, array: Any) -> Any:
        """An array of NumPy where this backend calculates: itself, unless that is elsewhere."""
        return array

    def to_host(self, array: Any) -> Any:
        """And back: an array of NumPy with what is in an array of the backend."""
        return array

    def cores(self, threads: int | None = None) -> int | None:
        """How many cores it uses at most, with so many threads, or as many as kernels use now; None for all."""
        return 1

    def kernel(self, call: Call, threads: int) -> Kernel:
        """What makes this call, if there are so many threads."""
        return self.kernels[call.operation]

    def run(self, calls: list[Call], *kind: Hashable) -> None:
        """Make these calls now, on as many threads as suit work of this kind, unless the user has said how many."""
        with self.spread(calls, *kind) as turns:
            for call in calls:
                self.kernel(call, turns.threads)(*call.arguments)

    def bound(self, calls: list[Call], dtype: np.dtype[Any], threads: int = 1) -> list[Any]:
        """The calls as they are repeated for every batch: the kernel and the arguments of each."""
        raise NotImplementedError

    def spread(self, calls: list[Call], *kind: Hashable, is_repeated: bool = False) -> thread_choice.Turns:
        """For `with`: these calls, on as many threads as suit them now, unless the user has said how many.

        `kind` names work that takes about the same time for each FLOP, so that its calls can be compared. Work that is
        repeated is tried on one thread at any size.
        """
        if not self.pay_for_threads(calls):
            return thread_choice.ONE
        flop = sum(call.flop for call in calls)
        return thread_choice.turns(flop, (self.name, *kind, flop.bit_length()), is_repeated)

    def pay_for_threads(self, calls: list[Call]) -> bool:
        """True if one of these calls is worth more than one thread."""
        return self.uses_threads

    def prepare(self, calls: list[Call], dtype: np.dtype[Any], report: Report | None = None) -> int:
        """Compile what these calls will need, or load it from the cache, so that nothing has to stop for it later.

        Returns how many kernels were not in the cache.
        """
        return self.compile(dict.fromkeys(call.operation for call in calls), dtype, report)

    def compile(self, operations: Iterable[str], dtype: np.dtype[Any], report: Report | None = None) -> int:
        """The same for calls of any size."""
        raise NotImplementedError

    @property
    def compiles(self) -> int:
        """How many kernels there are to compile, for all operations and dtypes."""
        raise NotImplementedError

    def epoch(self, plan: Any, state: Any) -> Any:
        """What sees every sample once, each time it is called."""
        return step.Epoch(plan, state)


REGISTRY: dict[str, type[Backend]] = {}
"""Name -> backend, in the order in which they are listed."""

Registered = TypeVar("Registered", bound=type[Backend])


def register(backend: Registered) -> Registered:
    """Make a backend known by its name."""
    REGISTRY[backend.name] = backend
    return backend
