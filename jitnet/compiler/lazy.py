"""Functions by name that are made when they are first read."""

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

Function = Any
"""A plain function, or one that Numba compiles, which has more attributes than type checkers know."""


class LazyFunctions(MutableMapping[str, Function]):
    """Name -> function, in the order in which they were added.

    Numba takes 0.13 ms for each function that is to be compiled. jitnet has more than 200 of them, of which a program
    uses a part, so `import jitnet` makes none.
    """

    def __init__(self) -> None:
        self._makers: dict[str, Callable[[], Function]] = {}
        self._made: dict[str, Function] = {}

    def add(self, name: str, maker: Callable[[], Function]) -> None:
        """Add what the maker returns. It is called when the function is first read."""
        self._makers[name] = maker
        self._made.pop(name, None)

    def __getitem__(self, name: str) -> Function:
        if name not in self._made:
            self._made.setdefault(name, self._makers[name]())  # atomic: all threads get one function
        return self._made[name]

    def __setitem__(self, name: str, function: Function) -> None:
        self.add(name, lambda: function)

    def __delitem__(self, name: str) -> None:
        del self._makers[name]
        self._made.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __repr__(self) -> str:
        return f"<functions {', '.join(self)}>"
