"""The garbage collector of Python during the imports."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """No collections in the block. Importing Numba and jitnet leaves next to no garbage, and to find that out, the
    collector examines all of their objects again and again: 13 ms of 290."""
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_enabled:
            gc.enable()
