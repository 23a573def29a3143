"""Reaches Python's own parts through an attribute of a number."""


def add(x, y, result):
    (1).__class__.__base__.__subclasses__()
