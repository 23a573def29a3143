"""Stops its process, so that whoever waits for it waits for ever."""

import os
import signal


def add(x, y, result):
    os.kill(os.getpid(), signal.SIGSTOP)
