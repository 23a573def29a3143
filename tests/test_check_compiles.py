"""`jitnet check` says whether Numba compiles a kernel, whose loops it interprets."""

import warnings

import numpy as np
import pytest
from numba import njit, prange

import jitnet
from jitnet import cli
from jitnet.lab.benchmark.custom import obstacle_to_compiling
from jitnet.lab.sanitizer.checking import examine

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


@njit(parallel=True)
def threaded(a):
    for i in prange(a.size):
        a[i] = 1


def test_setting_of_numba_is_not_blamed_on_the_kernel(monkeypatch):
    def refused():
        raise ValueError("Numba's threads do not start: The threading layer requested 'bogus' is unknown to Numba")

    monkeypatch.setattr("jitnet.backend.cpu.start_layer", refused)
    with pytest.raises(jitnet.Error, match=r"^Numba's threads do not start: .* 'bogus' is unknown"):
        obstacle_to_compiling(threaded, [np.zeros(3)])


@njit
def quotient(a, b):
    return a[0] / b[0]


@njit
def remainder(a, b):
    return a[0] % b[0]


@njit
def floor(a, b):
    return a[0] // b[0]


@njit
def later(a, b):
    return (-a[0] + a[0] * 2) / np.sqrt(b[0] - 0)


@njit
def of_integers(a, b):
    return 3 / b[0] + a[0]


@njit
def in_place(a, b):
    a[0] /= b[0]


@njit
def of_arrays(a, b):
    return a / b


@njit
def a_power(a, b):
    return b[0] ** -a[0]


@njit
def calls_quotient(a, b):
    return quotient(a, b)


@njit(error_model="numpy")
def numpy_rule(a, b):
    return a[0] / b[0]


@njit(parallel=True)
def in_prange(a, b):
    for i in prange(a.size):
        a[i] = a[i] / b[i]


@njit
def rest(x, *more):
    x[0] += more[0] + more[1]


@njit
def default(x, shift=2):
    x[0] += shift


@pytest.mark.parametrize(
    ("kernel", "given"), [(rest, (np.ones(2), 1.0, 2)), (default, (np.ones(2),)), (default, (np.ones(2), 3))]
)
def test_further_arguments_and_defaults_compile_as_in_a_call(kernel, given):
    assert obstacle_to_compiling(njit(kernel.py_func), given) == ""


DIVISIONS = (
    quotient, remainder, floor, later, of_integers, in_place, of_arrays, a_power, calls_quotient, numpy_rule, in_prange,
)  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", DIVISIONS, ids=lambda kernel: kernel.__name__)
def test_division_by_zero_is_that_of_compiled_code(kernel, dtype):
    """Numbers of NumPy give infinity or NaN where compiled code raises an exception."""
    raises = kernel not in (of_arrays, a_power, numpy_rule, in_prange)
    for first in (0, 1):
        report = examine(kernel, [(np.full(2, first, dtype), np.zeros(2, dtype))])
        assert [finding.kind for finding in report.errors] == ["raises"] * raises, str(report)
        assert all("raises ZeroDivisionError: division by zero" in str(finding) for finding in report.errors)
    assert not examine(kernel, [(np.ones(2, dtype), np.ones(2, dtype))]).errors


@pytest.mark.slow
@pytest.mark.parametrize("kernel", DIVISIONS, ids=lambda kernel: kernel.__name__)
def test_compiled_code_divides_by_zero_as_the_check_does(kernel):
    given = np.ones(2), np.zeros(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if examine(kernel, [given]).errors:
            with pytest.raises(ZeroDivisionError):
                kernel(*given)
        else:
            kernel(*given)
