"""Parameters of a test that a normal run skips: `slow` for CI, `release` before a release."""

import pytest

from jitnet.kernels import LADDERS


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def release(*values):
    return pytest.param(*values, marks=pytest.mark.release)


ENDS = {
    (operation, rung)
    for operation, ladder in LADDERS.items()
    for rung in ("python", "numpy", next(name for name in reversed(ladder) if not name.endswith(("numpy", "parallel"))))
}
"""The first and last rung of each ladder, and the rung that training uses."""


def marks_of(operation, rung, dtype):
    """Compiling takes most of the time. A rung can be in the middle of its ladder, have threads, or be float64. A
    normal run skips rungs with two of these properties: their loops are the same functions (test_jit.py), which
    test_interpreted.py runs and test_sanitizer.py searches for races. CI runs some of them; a release, all."""
    is_end = rung == "parallel" or (operation, rung.removesuffix("_parallel")) in ENDS
    at_once = (not is_end) + rung.endswith("parallel") + (dtype == "float64")
    if at_once < 2:
        return ()
    return pytest.mark.slow if at_once == 2 and operation == "matmul" else pytest.mark.release


def in_dtypes(operation):
    """Each rung of an operation in float32 and float64."""
    return [
        pytest.param(rung, dtype, marks=marks_of(operation, rung, dtype))
        for rung in LADDERS[operation] for dtype in ("float32", "float64")
    ]  # fmt: skip
