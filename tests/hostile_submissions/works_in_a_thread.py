"""Returns immediately; a thread continues the work."""

import threading
import time


def work(x, y, result):
    time.sleep(0.05)
    result[...] = x + y


def add(x, y, result):
    threading.Thread(target=work, args=(x, y, result)).start()
