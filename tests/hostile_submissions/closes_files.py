"""Closes everything that is open."""

import os


def add(x, y, result):
    os.closerange(0, 64)
