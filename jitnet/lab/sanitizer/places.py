"""The place in the source where a kernel is: the innermost frame that is its own, or that of a helper of it."""

import linecache
import os
import re
import sys
from typing import Any

import numpy as np

_HERE = os.path.dirname(__file__)
_NUMPY = os.path.dirname(np.__file__)
_inner: dict[str, bool] = {}
"""File -> whether it belongs to the sanitizer or to NumPy, whose lines are not reported."""

Place = tuple[str, int]
"""File and line."""


def frame_of_kernel() -> Any:
    """The innermost frame of the kernel, or of a helper of it."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file not in _inner:
            _inner[file] = file.startswith((_HERE, _NUMPY))
        if not _inner[file]:
            return frame
        frame = frame.f_back
    return sys._getframe(1)


def here() -> Place:
    frame = frame_of_kernel()
    return frame.f_code.co_filename, frame.f_lineno


def name_of_new(place: Place) -> str:
    """The variable that a line assigns, for an array that is made there."""
    found = re.match(r"\s*(\w+)\s*(?::[^=]+)?=[^=]", linecache.getline(*place))
    return found[1] if found else "an array"
