"""^C on the command line: at most one line of output, and exit status 130, at any time. SIGTERM and SIGHUP work alike.

Importing Numba takes a second, and a KeyboardInterrupt during the import prints a long traceback. Before and after a
command runs, SIGINT therefore ends the process, as in any program; while it runs, SIGINT raises KeyboardInterrupt,
which commands handle. A program that imports jitnet keeps its own handler of SIGINT.
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
"""Signals that ask a process to end: from kill, timeout, a scheduler, a shutdown, a closed terminal."""


def _is_the_command() -> bool:
    """True in the process of `jitnet ...` or `python -m jitnet ...`; the latter has the name -m during the import."""
    name = sys.argv[0] if getattr(sys, "argv", None) else ""  # a program that embeds Python can have no argv
    by_name = os.path.splitext(os.path.basename(name))[0] == "jitnet"
    words = sys.orig_argv
    return by_name or (name == "-m" and ("-mjitnet" in words or ("-m", "jitnet") in pairwise(words)))


def _raise(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; within a callback of LLVM, whose work Numba relies on, raise it a moment later."""
    caller = frame
    while caller is not None:
        if caller.f_code.co_name.startswith("_raw_object_cache_") and hasattr(signal, "setitimer"):
            _raise_later()
            return
        caller = caller.f_back
    raise KeyboardInterrupt


def _raise_later() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.01)


@contextlib.contextmanager
def _not_dropped() -> Iterator[None]:
    """Raise a KeyboardInterrupt again that Python prints and drops, as it does within __del__ and weakref callbacks."""
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            _raise_later()
        else:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextlib.contextmanager
def raised() -> Iterator[list[int]]:
    """While a command runs, SIGINT raises KeyboardInterrupt, and SIGTERM and SIGHUP do the same as SIGINT.

    Yields a list that collects the numbers of SIGTERM and SIGHUP. Only the first counts, because timeout(1) sends two.
    """
    received: list[int] = []

    def as_sigint(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            return
        answer = signal.getsignal(signal.SIGINT)
        if not callable(answer):  # ignored, as in a job that a shell started in the background
            raise KeyboardInterrupt
        answer(number, frame)

    before: dict[int, Any] = {}
    dropped: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if threading.current_thread() is threading.main_thread():
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            before[signal.SIGINT] = signal.signal(signal.SIGINT, _raise)
            if hasattr(signal, "setitimer"):
                before[signal.SIGALRM] = signal.signal(signal.SIGALRM, _raise)
                dropped = _not_dropped()
        for number in ENDING:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):  # under nohup; None is a handler written in C
                before[number] = signal.signal(number, as_sigint)
    try:
        with dropped:
            yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Interrupt:
    """Notes ^C within a `with`, as `asked`, so that work is not interrupted in its middle. A second ^C is immediate.

    Other signals belong to the program. A handler that should do what ^C does calls the handler of SIGINT.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._before is signal.SIG_IGN:  # as a shell starts jobs in the background
            return
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)


@contextlib.contextmanager
def delayed() -> Iterator[None]:
    """^C within the `with` is raised at its end; for short work that must be whole, or that C++ does.

    Interrupted while it converts arguments, C++ raises a TypeError for them in place of KeyboardInterrupt.
    """
    with Interrupt() as interrupt:
        yield
    if interrupt.asked:
        raise KeyboardInterrupt


if _is_the_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and not ignored, as by nohup
    signal.signal(signal.SIGINT, signal.SIG_DFL)
