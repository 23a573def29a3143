"""^C during a training: it ends after a whole mini-batch, on all ranks after the same one."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupt:
    """Delays ^C to the end of a mini-batch, so that no update is incomplete. A second ^C is immediate.

    Other signals belong to the program. A handler that should end the training as ^C does calls the handler of SIGINT.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> Interrupt:
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


class Agreed:
    """^C as all ranks see it, after the same batch."""

    def __init__(self, heard: Interrupt) -> None:
        self._heard = heard
        self.asked = False

    @property
    def pressed(self) -> bool:
        """True if this rank heard it."""
        return bool(self._heard.asked)
