"""The interface of a backend, one kernel per operation and its properties, and the registry of all backends."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np

from .. import checks, step
from ..compiler.jit import Kernel
from ..compiler.memory import aligned
from ..compiler.registry import Call, expect_new
from ..process.progress import Progress
from . import thread_choice
from .compiler_errors import raise_if_refused


class Backend(ABC):
    """One kernel per operation. Subclasses override the differences; `register` adds them by name."""

    name: ClassVar[str]
    dtypes: ClassVar[tuple[np.dtype[Any], ...]] = (np.dtype(np.float32), np.dtype(np.float64))
    uses_threads: ClassVar[bool] = False
    """True if it can use more than one of Numba's threads."""
    descends: ClassVar[bool] = False
    """True if it fuses the update of SGD with the product of the gradient."""
    is_remote: ClassVar[bool] = False
    """True if its arrays are not NumPy arrays: `memory` creates them, `to_device` and `to_host` copy."""

    kernels: dict[str, Kernel]

    memory = staticmethod(aligned)
    """memory(shape, dtype): zeros in the memory of this backend."""

    @staticmethod
    def obstacle() -> str | None:
        """Why it does not work on this machine, and how to fix it; None if it works."""
        return None

    def to_device(self, array: Any) -> Any:
        """A NumPy array in the memory of this backend; on the CPU the array itself."""
        return array

    def to_host(self, array: Any) -> Any:
        """A NumPy array with the content of an array of this backend."""
        return array

    def cores(self, threads: int | None = None) -> int | None:
        """The maximum number of cores that it uses, with this number of threads or the current one; None for all."""
        return 1

    def check(self, calls: list[Call]) -> None:
        """Raise an error if it has no kernel for one of these calls."""
        missing = dict.fromkeys(call.operation for call in calls if call.operation not in self.kernels)
        if missing:
            raise checks.Error(f"backend {self.name!r} has no kernel for {', '.join(missing)}; use another backend")

    def kernel(self, call: Call, threads: int) -> Kernel:
        """The kernel of this call for this number of threads."""
        return self.kernels[call.operation]

    @abstractmethod
    def ladder(self, operation: str) -> Mapping[str, Kernel]:
        """The rungs that this backend chooses from."""

    def run(self, calls: list[Call], *kind: Hashable) -> None:
        """Execute these calls, with the fastest number of threads for this kind of work unless the user has set it."""
        with self.choose_threads(self.flop_for_threads(calls), *kind) as slices:
            for call in calls:
                try:
                    self.kernel(call, slices.threads)(*call.arguments)
                except Exception as error:
                    raise_if_refused(call.operation, error)
                    raise

    @abstractmethod
    def bound(self, calls: list[Call], dtype: np.dtype[Any], threads: int = 1) -> list[Any]:
        """The kernel and the arguments of each call, to be repeated for every batch."""

    def choose_threads(self, flop: int, *kind: Hashable, is_repeated: bool = False) -> thread_choice.Slices:
        """For `with`: calls run with the number of threads that is now the fastest, unless the user has set it.

        flop    that of the calls, as `flop_for_threads` returns it
        kind    identifies work with about the same time per FLOP, so that its calls can be compared

        Repeated work is tried on one thread at any size.
        """
        if not flop:
            return thread_choice.ONE
        return thread_choice.slices(flop, (self.name, *kind, flop.bit_length()), is_repeated)

    def flop_for_threads(self, calls: list[Call]) -> int:
        """The FLOP of these calls; 0 if none of them is large enough for more than one thread."""
        return sum(call.flop for call in calls) if self.can_use_threads(calls) else 0

    def can_use_threads(self, calls: list[Call]) -> bool:
        """True if one of these calls is large enough for more than one thread."""
        return self.uses_threads

    def prepare(self, calls: list[Call], dtype: np.dtype[Any], show: Progress | None = None) -> int:
        """Compile the kernels of these calls in advance, or load them from the cache.

        Returns the number of kernels that were not in the cache. `show` gets an estimate, and each of them.
        """
        self.check(calls)
        return self.compile(dict.fromkeys(call.operation for call in calls), dtype, show)

    @abstractmethod
    def compile(self, operations: Iterable[str], dtype: np.dtype[Any], show: Progress | None = None) -> int:
        """The same for calls of any size."""

    @property
    @abstractmethod
    def compiles(self) -> int:
        """The number of kernels to compile, for all operations and dtypes."""

    def epoch(self, plan: Any, state: Any) -> Any:
        """A function that trains on every sample once per call."""
        return step.Epoch(plan, state)


REGISTRY: dict[str, type[Backend]] = {}
"""Name -> backend, in the order of messages."""

Registered = TypeVar("Registered", bound=type[Backend])


def register(backend: Registered) -> Registered:
    """Register a backend under its name."""
    expect_new(f"backend {backend.name!r}", REGISTRY.get(backend.name), backend)
    REGISTRY[backend.name] = backend
    return backend
