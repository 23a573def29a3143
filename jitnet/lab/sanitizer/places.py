"""The place in the source where a kernel is: the innermost frame that is its own, or that of a helper of it."""

import linecache
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Place = tuple[str, int]
"""File and line."""


def innermost_outside(*folders: str) -> Callable[[], Any]:
    """A function that returns the innermost frame whose file is in none of these folders, or is none of these files."""
    inner: dict[str, bool] = {}

    def innermost() -> Any:
        frame: Any = sys._getframe(1)
        while frame is not None:
            file = frame.f_code.co_filename
            if file not in inner:
                inner[file] = file.startswith(folders)
            if not inner[file]:
                return frame
            frame = frame.f_back
        return sys._getframe(1)

    return innermost


OF_SANITIZER = os.path.dirname(__file__), os.path.dirname(np.__file__)
"""Folders of the sanitizer and of NumPy, whose lines are not reported."""

frame_of_kernel = innermost_outside(*OF_SANITIZER)
"""Returns the innermost frame of the kernel, or of a helper of it."""


def here() -> Place:
    frame = frame_of_kernel()
    return frame.f_code.co_filename, frame.f_lineno


def name_of_new(place: Place) -> str:
    """The variable that a line assigns, for an array that is made there."""
    found = re.match(r"\s*(\w+)\s*(?::[^=]+)?=[^=]", linecache.getline(*place))
    return found[1] if found else "an array"
