"""The types that annotate kernel arguments. Numba ignores them; they are for readers."""

from typing import Any, Literal

from numpy.typing import NDArray

Matrix = NDArray[Any]
"""Two dimensions, C order; one sample (or one unit) per row."""

Vector = NDArray[Any]
"""One dimension, contiguous."""

DtypeName = Literal["float32", "float64"]
BackendName = Literal["python", "njit", "parallel", "fast", "numpy", "cuda"]
"""The names for type checkers."""
