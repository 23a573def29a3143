"""Functions of the judge and of NumPy that a kernel's file has replaced.

A file may do so by mistake, as a mock in its tests does. A kernel that also restores them, or changes other objects of
the judge, is not found: to judge a kernel from another process, use `jitnet grade`.
"""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

Owner = Any
"""A module or a class."""


class Snapshot:
    """The functions, classes and properties of `jitnet.lab` and of NumPy as they are now."""

    def __init__(self) -> None:
        self._known = [(owner, dict(_functions_of(owner))) for owner in _owners()]

    def changed(self) -> str | None:
        """The first one that is another now, as an error of the kernel; or None."""
        for owner, known in self._known:
            now = vars(owner)
            for name, value in known.items():
                if now.get(name) is not value:
                    path = f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else owner.__name__
                    return f"replaces {path}.{name}; leave the functions of jitnet and NumPy as they are"
        return None


def _owners() -> Iterator[Owner]:
    """NumPy, the loaded modules of the lab, and their classes."""
    yield np
    for name, module in list(sys.modules.items()):
        if name.startswith("jitnet.lab"):
            yield module
            yield from (v for v in vars(module).values() if isinstance(v, type) and v.__module__ == name)


def _functions_of(owner: Owner) -> Iterator[tuple[str, Any]]:
    for name, value in vars(owner).items():
        if callable(value) or isinstance(value, (property, classmethod, staticmethod)):
            yield name, value
