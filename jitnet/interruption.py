"""^C on the command line: one line or nothing, and status 130, whenever it comes.

Importing Numba takes a second, and a KeyboardInterrupt in the middle of it is a long traceback. So before a command
runs, and after it, SIGINT ends the process, as it ends any program; while it runs, SIGINT is a KeyboardInterrupt, which
commands answer. A program that imports jitnet keeps SIGINT as it has it.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator


def _is_the_command() -> bool:
    """True in the process of `jitnet ...` or `python -m jitnet ...`; the latter is called -m while it is imported."""
    name = sys.argv[0] if getattr(sys, "argv", None) else ""  # a program that embeds Python may have none
    by_name = os.path.splitext(os.path.basename(name))[0] == "jitnet"
    return by_name or (name == "-m" and "jitnet" in sys.orig_argv)


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """While a command runs, SIGINT is a KeyboardInterrupt; then it is what it was before."""
    ends = signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    if ends:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if ends:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if _is_the_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and not ignored, as by nohup
    signal.signal(signal.SIGINT, signal.SIG_DFL)
