"""Closes all open files."""

import os


def add(x, y, result):
    os.closerange(0, 64)
