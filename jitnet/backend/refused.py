"""What is wrong with a user's function that the compiler rejects, as one clear error."""

import re
import traceback

from numba.core.errors import NumbaError

from .. import checks
from ..compiler.registry import MADE

NOT_USEFUL = re.compile(
    r"Failed in|\w*Error: Failed|>>>|There are|- Of which|Overload |With argument|Rejected as|No match|During|File "
    r"|No implementation of function Function\(<function "
)
"""The beginnings of those lines in Numba's messages that do not say what is wrong with a user's function."""


def raise_if_refused(operation: str, error: Exception) -> None:
    """Raise one clear error if the compiler rejects a user's function."""
    frames = traceback.extract_tb(error.__traceback__)
    is_from_compiler = isinstance(error, NumbaError) or any(frame.name == "compile" for frame in frames)
    if operation in MADE and is_from_compiler and not isinstance(error, (OSError, MemoryError, checks.Error)):
        lines = [line.strip() for line in str(error).splitlines()]
        useful = next((line for line in lines if line and not NOT_USEFUL.match(line)), type(error).__name__)
        raise checks.Error(
            f"{MADE[operation]} cannot be compiled: {useful.rstrip('.:')}; use numbers and functions of math only"
        ) from None
