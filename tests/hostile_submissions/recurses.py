"""Recurses until the stack is full."""

import sys

sys.setrecursionlimit(10**9)


def add(x, y, result):
    return add(y, x, [result])
