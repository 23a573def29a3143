"""Assigns NumPy to the name of a module whose functions are all allowed."""

import math

import numpy as np

math = np


def add(x, y, result):
    math.add(x, y, out=result)
