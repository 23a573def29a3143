"""Catches all signals that can be caught, and waits forever."""

import signal
import time

for number in range(1, 65):
    try:
        signal.signal(number, lambda *_: None)
    except (OSError, ValueError):
        pass


def add(x, y, result):
    while True:
        time.sleep(1)
