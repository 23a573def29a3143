"""Pausing Python's garbage collector, as `import jitnet` does."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """For `with`: no garbage collections.

    Imports create many objects that live long and almost no garbage. Without the pause, the collector would examine
    these objects again and again, which takes 13 of the 290 ms of `import jitnet`.
    """
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_enabled:
            gc.enable()
