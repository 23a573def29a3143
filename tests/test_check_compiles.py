"""`jitnet check` says whether Numba compiles a kernel, whose loops it interprets."""

import pytest

from jitnet import cli

UNCOMPILED = """
import numpy as np
from numba import njit

@njit
def einsum(X, W, Z):
    Z[...] = np.einsum("ik,kj->ij", X, W)

@njit
def counts(x, y):
    global total
    for i in range(x.shape[0]):
        total = i
        y[i] = x[i]

@njit("(float32[::1], float32[::1])")
def eager(x, y):
    for i in range(x.shape[0]):
        y[i] = x[i]

def plain(X, Z):
    Z[...] = np.einsum("ij->ji", X)
"""


@pytest.mark.parametrize(
    ("name", "said", "code"),
    [
        ("einsum", "error: does not compile: Use of unsupported NumPy function 'numpy.einsum' or unsupported use of "
         "the function. (kernels.py, line 7)\n    fix: write it with what Numba compiles", 2),
        ("counts", "error: does not compile: it assigns to a global variable (kernels.py, line 13)\n", 2),
        ("eager", "kernels.py:eager: nothing unsafe", 0),
        ("plain", "kernels.py:plain: nothing unsafe", 0),
    ],
)  # fmt: skip
def test_kernel_that_numba_does_not_compile_is_an_error(name, said, code, monkeypatch, tmp_path, capsys, untried):
    """The loops of the check are interpreted, so it would pass."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kernels.py").write_text(UNCOMPILED)
    assert cli.main(["check", f"kernels.py:{name}"]) == code
    out = capsys.readouterr().out
    assert said in out
    assert ("note: the arguments were guessed; if yours have other types" in out) == (code == 2)
