"""Calls NumPy instead of writing the loop itself."""

import numpy as np


def add(x, y, result):
    np.add(x, y, out=result)
