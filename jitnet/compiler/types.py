"""The types that annotate kernel arguments. Numba ignores them; they are for readers."""

from typing import Any

from numpy.typing import NDArray

Matrix = NDArray[Any]
"""Two dimensions, C order; one sample (or one unit) per row."""

Vector = NDArray[Any]
"""One dimension, contiguous."""
