"""The sanitizer's fix for a prange loop that searches for the largest or the smallest number."""

import numpy as np
import pytest

from jitnet.lab.sanitizer.checking import examine

LOOP = """
import numpy as np
from numba import njit, prange

@njit(parallel=True)
def search(x):
    best, at, v = x[0], 0, x[0]
    hits = np.zeros(x.size)
    for i in prange(x.size):
        {}
    return best, at
"""

MAX, MIN = (f"write best = {name}(best, x[i]), of which Numba makes a reduction" for name in ("max", "min"))
BLOCKS = "let each prange iteration search one block"


def errors_of(body, folder):
    file = folder / "search.py"
    file.write_text(LOOP.format(body.replace("\n", "\n        ")))
    rising, falling = np.arange(5, dtype="f4"), -np.arange(5, dtype="f4")
    return examine(f"{file}:search", [(rising,), (falling,)]).errors


@pytest.mark.parametrize(
    ("body", "fix"),
    [
        ("if x[i] > best: best = x[i]", MAX),
        ("if x[i] >= best: best = x[i]", MAX),
        ("if best < x[i]: best = x[i]", MAX),
        ("if best <= x[i]:\n    best = x[i]", MAX),
        ("if x[i] < best: best = x[i]", MIN),
        ("if best >= x[i]: best = x[i]", MIN),
        ("best = x[i] if x[i] > best else best", MAX),
        ("best = best if best > x[i] else x[i]", MAX),
        ("best = best if x[i] > best else x[i]", MIN),
        ("if x[i] <= best: pass\nelse: best = x[i]", MAX),
        ("if x[i] > best:\n    best = x[i]\n    hits[i] = 1", MAX),
        ("v = abs(x[i])\nif v > best: best = v", "write best = max(best, v), of which"),
        ("if x[i] > best:\n    best = x[i]\n    at = i", BLOCKS),
        ("if x[i] > best: best, at = x[i], i", BLOCKS),
        ("if x[i] < x[at]: at = i", BLOCKS),
        ("if best > 3: best = x[i]", "assign it in every iteration"),
        ("if x[i] > best: best = x[i]\nif x[i] > 3: best = 3", "assign it in every iteration"),
    ],
)
def test_a_search_has_its_own_fix(body, fix, tmp_path):
    errors = errors_of(body, tmp_path)
    assert errors
    for error in errors:
        assert error.fix.startswith(fix)


def test_the_fix_has_no_error(tmp_path):
    assert not errors_of("best = max(best, x[i])", tmp_path)
