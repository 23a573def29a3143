"""Kernels that Numba refuses: the error has the line, Numba's reason and, for usual mistakes, the fix."""

import inspect
import math

import numpy as np
import pytest
from numba import literally, prange

import jitnet
from jitnet import Dense, Network, backend, checks
from jitnet.compiler.intrinsics import quotient
from jitnet.compiler.jit import compiled, part_of_kernels
from jitnet.lab import loading


@part_of_kernels
def mixed(x):
    for i in range(x.size):
        x[i] = quotient(0.1 * x[i], x[i])  # mixed


@part_of_kernels
def misspelled(x):
    for i in range(x.size):
        first = x[i]
        x[i] = frist + first  # noqa: F821  misspelled


@part_of_kernels
def lists(x):
    seen = [x[0]]  # lists
    for i in range(x.size):
        seen.append(x[i])


@part_of_kernels
def wrong_call(x):
    for i in range(x.size):
        x[i] = np.interp(x[i], x, 3)  # wrong_call


@part_of_kernels
def unknown(x):
    for i in range(x.size):
        x[i] = math.nearly(x[i])  # unknown


@part_of_kernels
def between(x):
    misspelled(x)


@part_of_kernels
def allocates(x):
    y = np.empty(x.size)  # allocates
    x[0] = y[0]


def calls_allocates(x):
    allocates(x)


def calls_mixed(x):
    mixed(x)


def calls_misspelled(x):
    between(x)


def calls_lists(x):
    lists(x)


def calls_wrong_call(x):
    wrong_call(x)


def calls_unknown(x):
    unknown(x)


def directly_mixed(x):
    for i in prange(x.size):
        x[i] = quotient(x[i], 2.5 * x[i])  # directly_mixed


def directly_misspelled(x):
    for i in range(x.size):
        x[i] = frist  # noqa: F821  directly_misspelled


MIX = r"No implementation of function quotient found for signature: quotient\(float{}, float{}\); "
CONSTANT = r"{} is float64: write x.dtype.type\({}\) \(docs/guide/numba_rules.md\)"
CASES = [
    (calls_mixed, MIX.format(64, 32) + CONSTANT.format(0.1, 0.1)),
    (directly_mixed, MIX.format(32, 64) + CONSTANT.format(2.5, 2.5)),
    (calls_misspelled, "name 'frist' is not defined"),
    (directly_misspelled, "name 'frist' is not defined"),
    (calls_lists, r"NRT required but not enabled; kernels allocate no memory, so they make no lists.*"),
    (calls_allocates, r"No implementation of function empty .*; kernels allocate no memory.*"),
    (calls_wrong_call, r"No implementation of function interp found for signature: interp\(float32, array.*\)"),
    (calls_unknown, "AttributeError: module 'math' has no attribute 'nearly'"),
]


def line_of(body):
    """The line that its error is in."""
    name = body.__name__.removeprefix("calls_")
    lines = inspect.getsource(inspect.getmodule(body)).splitlines()
    marked = [n for n, line in enumerate(lines, 1) if line.endswith((f"  {name}", f"  # {name}"))]
    assert len(marked) == 1
    return marked[0]


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize(("body", "said"), CASES)
def test_error_has_the_line_the_reason_and_the_fix(body, said, parallel):
    with pytest.raises(jitnet.Error, match=rf"^Numba refuses .*test_compiler_errors.py, line {line_of(body)}: {said}$"):
        compiled(body, parallel)(np.ones(4, np.float32))


def test_training_with_a_refused_kernel_ends_with_its_line(monkeypatch):
    def edited(grad, lr, weight_decay, theta):
        mixed(theta)

    kernel = compiled(edited)
    monkeypatch.setitem(backend.get("njit").kernels, "sgd", kernel)
    net = Network(Dense(2, 1), seed=0)
    with pytest.raises(
        jitnet.Error, match=rf"^Numba refuses .*test_compiler_errors.py, line {line_of(mixed)}: .* 0.1 is"
    ):
        net.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=1, backend="njit")
    with pytest.raises(checks.Error) as caught:
        kernel(*[np.ones(4, np.float32), np.float32(1), np.float32(1)], np.ones(4, np.float32))
    assert loading.not_compiled(caught.value) == str(caught.value)


def power(x, n):
    steps = literally(n)
    for i in range(x.size):
        for _ in range(steps):
            x[i] = x[i] * x[i]


def test_a_literal_that_numba_asks_for_is_no_refusal():
    x = np.full(3, 2.0)
    compiled(power)(x, 2)
    np.testing.assert_array_equal(x, 16)


def test_a_file_that_does_not_parse_now_still_has_a_reason(tmp_path):
    file = tmp_path / "edited.py"
    file.write_text(
        "from jitnet.compiler.intrinsics import quotient\nfrom jitnet.compiler.jit import compiled\n"
        "@compiled\ndef mixed(x):\n    for i in range(x.size):\n        x[i] = quotient(0.1 * x[i], x[i])\n"
    )
    kernel = loading.load(f"{file}:mixed")
    file.write_text(file.read_text() + "def half(\n")
    with pytest.raises(checks.Error, match=r"edited\.py, line 6: .* is float64: write x.dtype.type"):
        kernel(np.ones(3, np.float32))
