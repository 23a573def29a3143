"""Stops its process, so that the grader would wait for it forever."""

import os
import signal


def add(x, y, result):
    os.kill(os.getpid(), signal.SIGSTOP)
