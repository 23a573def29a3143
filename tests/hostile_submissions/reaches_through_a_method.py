"""Reaches Python's internals through an attribute of a number."""


def add(x, y, result):
    (1).__class__.__base__.__subclasses__()
