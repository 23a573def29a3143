"""Imports the model solution by its name."""

import importlib
import sys

sys.path[:0] = ["..", "/work", "/tmp"]


def add(x, y, result):
    importlib.import_module("solution").add(x, y, result)
