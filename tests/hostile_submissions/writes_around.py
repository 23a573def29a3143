"""Correct results, but it also writes after the end, where another array may be."""

import numpy as np


def add(x, y, result):
    class Memory:
        end = result.__array_interface__["data"][0] + result.nbytes
        __array_interface__ = {"shape": (64,), "typestr": "|u1", "data": (end, False), "version": 3}

    np.asarray(Memory())[...] = 0
    result[...] = x + y
