"""Reads attributes with a format string."""


def add(x, y, result):
    return f"{x.__class__.__mro__}"
