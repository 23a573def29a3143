"""Functions and constants of the judge and of NumPy that a kernel's file has replaced.

A file may do so by mistake, as a mock in its tests does. A kernel that also restores them, or changes other objects of
the judge, is not found: to judge a kernel from another process, use `jitnet grade`.
"""

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

Owner = Any
"""A module or a class."""


class Snapshot:
    """The functions, classes, properties and constants of `jitnet` and of NumPy as they are now."""

    def __init__(self) -> None:
        self._known = [(owner, dict(_fixed_in(owner))) for owner in _owners()]

    def changed(self) -> str | None:
        """The first one that is another now, as an error of the kernel; or None."""
        for owner, known in self._known:
            now = vars(owner)
            for name, (value, code) in known.items():
                if now.get(name) is not value or getattr(value, "__code__", None) is not code:
                    path = f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else owner.__name__
                    return f"replaces {path}.{name}; leave jitnet and NumPy as they are"
        return None


def _owners() -> Iterator[Owner]:
    """NumPy, its modules of functions, the loaded modules of jitnet, and their classes."""
    yield from (np, np.linalg, importlib.import_module("numpy.random"))
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "jitnet":
            yield module
            yield from (v for v in vars(module).values() if isinstance(v, type) and v.__module__ == name)


def _fixed_in(owner: Owner) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Name -> what never changes, and its code if it is a function."""
    for name, value in vars(owner).items():
        if callable(value) or name.isupper() or isinstance(value, (property, classmethod, staticmethod)):
            yield name, (value, getattr(value, "__code__", None))
