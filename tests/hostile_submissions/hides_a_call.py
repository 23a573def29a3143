"""Builds the name of a function from parts."""

import numpy as np


def add(x, y, result):
    getattr(np, "a" + "dd")(x, y, out=result)
