"""Small kernels with one bug each, and their corrected twins, for `test_sanitizer.py`. Nothing here is compiled."""

from . import algorithms, hidden_races, indices, left_over, others, races, right, unwritten, variables
from .pairs import PAIRS, matrix, unset, vector
from .right import RIGHT

__all__ = [
    "PAIRS",
    "RIGHT",
    "algorithms",
    "hidden_races",
    "indices",
    "left_over",
    "matrix",
    "others",
    "races",
    "right",
    "unset",
    "unwritten",
    "variables",
    "vector",
]
