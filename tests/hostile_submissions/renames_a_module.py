"""Gives NumPy the name of a module of which everything is allowed."""

import math

import numpy as np

math = np


def add(x, y, result):
    math.add(x, y, out=result)
