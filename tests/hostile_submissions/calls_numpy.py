"""The product that it should write itself, by NumPy."""

import numpy as np


def add(x, y, result):
    np.add(x, y, out=result)
