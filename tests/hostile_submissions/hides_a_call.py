"""Puts the name of a function together."""

import numpy as np


def add(x, y, result):
    getattr(np, "a" + "dd")(x, y, out=result)
