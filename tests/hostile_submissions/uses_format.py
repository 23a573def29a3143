"""Reaches attributes by the language of format strings."""


def add(x, y, result):
    return f"{x.__class__.__mro__}"
