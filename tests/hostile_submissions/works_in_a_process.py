"""Leaves a process behind that continues after the end."""

import os
import time


def add(x, y, result):
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)
        os._exit(0)
