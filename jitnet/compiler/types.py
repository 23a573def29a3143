"""The types that kernel arguments are annotated with; Numba ignores them, readers should not."""

from typing import Any

from numpy.typing import NDArray

Matrix = NDArray[Any]
"""Two dimensions, C order; one sample (or one unit) a row."""

Vector = NDArray[Any]
"""One dimension, contiguous."""
