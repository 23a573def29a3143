"""^C on the command line: one line or nothing, and status 130, whenever it comes. SIGTERM and SIGHUP do the same.

Importing Numba takes a second, and a KeyboardInterrupt in the middle of it is a long traceback. So before a command
runs, and after it, SIGINT ends the process, as it ends any program; while it runs, SIGINT is a KeyboardInterrupt, which
commands answer. A program that imports jitnet keeps SIGINT as it has it.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from types import FrameType
from typing import Any

ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that ask a process to end: of kill, timeout, a scheduler, a shutdown, a terminal that is closed."""


def _is_the_command() -> bool:
    """True in the process of `jitnet ...` or `python -m jitnet ...`; the latter is called -m while it is imported."""
    name = sys.argv[0] if getattr(sys, "argv", None) else ""  # a program that embeds Python may have none
    by_name = os.path.splitext(os.path.basename(name))[0] == "jitnet"
    words = sys.orig_argv
    return by_name or (name == "-m" and ("-mjitnet" in words or ("-m", "jitnet") in pairwise(words)))


def _raise(number: int, frame: FrameType | None) -> None:
    """KeyboardInterrupt, but not within a callback of LLVM's, where it would be printed and dropped: a moment later."""
    caller = frame
    while caller is not None:
        if caller.f_code.co_name.startswith("_raw_object_cache_") and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            return
        caller = caller.f_back
    raise KeyboardInterrupt


@contextlib.contextmanager
def raised() -> Iterator[list[int]]:
    """While a command runs, SIGINT is a KeyboardInterrupt, and SIGTERM and SIGHUP do what SIGINT does.

    Yields a list that gets the numbers of the latter as they come. Only the first counts, since timeout(1) sends two.
    """
    heard: list[int] = []

    def as_sigint(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        if len(heard) > 1:
            return
        answer = signal.getsignal(signal.SIGINT)
        if not callable(answer):  # ignored, as in a job that a shell started in the background
            raise KeyboardInterrupt
        answer(number, frame)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            before[signal.SIGINT] = signal.signal(signal.SIGINT, _raise)
            if hasattr(signal, "SIGALRM"):
                before[signal.SIGALRM] = signal.signal(signal.SIGALRM, _raise)
        for number in ENDING:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):  # under nohup; None is a handler written in C
                before[number] = signal.signal(number, as_sigint)
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if _is_the_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and not ignored, as by nohup
    signal.signal(signal.SIGINT, signal.SIG_DFL)
