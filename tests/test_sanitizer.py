"""The sanitizer finds the bug of each buggy kernel, and no error in its twin or in jitnet's kernels."""

import functools
import math
import re
from pathlib import Path

import buggy_loops
import numba
import numpy as np
import pytest
from buggy_loops import PAIRS, RIGHT
from buggy_loops.rules import RULES, table
from numba import guvectorize, njit, prange, stencil, vectorize
from test_interpreted import small  # noqa: F401  a fixture

import jitnet.lab
from jitnet.kernels import LADDERS
from jitnet.lab import oracle
from jitnet.lab.benchmark import judge
from jitnet.lab.problems import of_operation
from jitnet.lab.sanitizer.checking import examine


@pytest.mark.parametrize("name", PAIRS)
def test_bug_is_found(name):
    pair = PAIRS[name]
    report = examine(pair.wrong, [pair.arguments()], pair.writes)
    found = [finding for finding in report.findings if finding.kind == pair.kind]
    assert found, str(report)
    assert any(re.search(pair.says, str(finding)) for finding in found), str(report)
    assert {finding.kind for finding in report.findings if finding.severity == "error"} <= {pair.kind, "unwritten"}
    first, last = pair.wrong.py_func.__code__.co_firstlineno, found[0].lines[-1:]
    assert all(first < line < first + 20 or name.startswith("in_a") for line in last), str(report)


@pytest.mark.parametrize("name", PAIRS)
def test_corrected_twin_has_no_findings(name):
    pair = PAIRS[name]
    report = examine(pair.right, [pair.arguments()], pair.writes)
    assert not report.errors, str(report)
    assert not report.warnings, str(report)


def test_what_no_iteration_has_read_is_a_note():
    pair = PAIRS["assigned_in_some_iterations"]
    (note, _) = examine(pair.right, [pair.arguments()]).notes
    assert note.message == "an iteration may read bonus, which another iteration assigns, but none did"
    assert not any(finding.kind == "not shown" for finding in examine(pair.wrong, [pair.arguments()]).findings)


def test_guide_names_every_rule_and_its_kernels():
    """The guide has the table below: paste it there after a change of the kernels."""
    page = (Path(__file__).parents[1] / "docs/guide/numba_rules.md").read_text(encoding="utf-8")
    lines = table(PAIRS)
    assert [line for line in page.splitlines() if line.startswith("|")] == lines, "\n".join(lines)
    assert {pair.rule for pair in PAIRS.values()} == set(RULES)
    assert f"{len(PAIRS)} kernels" in page
    assert len(PAIRS) >= 40


@pytest.mark.parametrize("name", RIGHT)
def test_correct_kernels_have_no_findings(name):
    report = examine(getattr(buggy_loops.right, name), [RIGHT[name]()])
    assert not report.errors, str(report)
    assert not report.warnings, str(report)


def test_numbers_of_threads_that_the_machine_never_has_are_warnings(monkeypatch):
    """The kernel has a row for each thread of the machine where it was written."""

    @njit(parallel=True)
    def two_rows(x, sums):
        part = np.zeros((2, 1))
        for i in prange(x.size):
            part[numba.get_thread_id(), 0] += x[i]
        sums[0] = part[0, 0] + part[1, 0]

    for most, severity in ((2, "warning"), (3, "error")):
        monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", most)
        report = examine(two_rows, [(np.ones(6), np.zeros(1))])
        assert {finding.severity for finding in report.findings} == {severity}
        assert "part[2, 0] is out of bounds" in str(report)


OURS = [(operation, rung) for operation, ladder in LADDERS.items() for rung in ladder if rung.endswith("parallel")]
BODIES = {
    getattr(kernel, "py_func", kernel)
    for ladder in LADDERS.values()
    for rung, kernel in ladder.items()
    if rung != "numpy"
}
"""The loops of all rungs, before other tests register more."""


BY_HAND = {
    "squares": lambda: [buggy_loops.vector(29), buggy_loops.unset(3)],
    "shrink": lambda: [buggy_loops.vector(3), np.float32(0.5), buggy_loops.vector(29), buggy_loops.unset(29)],
}
"""Arguments of operations for which the oracle has no case."""


@pytest.mark.parametrize(("operation", "rung"), OURS)
def test_kernels_of_jitnet_have_no_findings(operation, rung, small):  # noqa: F811
    """Every loop runs with tiles of a few numbers, so that tiny shapes have remainders and several blocks."""
    if operation in BY_HAND:
        cases, writes = [BY_HAND[operation]()], 1
    else:
        shapes, writes = ((6, 11, 5), (1, 1, 1), (3, 2, 17)), of_operation(operation).results
        cases = [oracle.case(operation, shape, "float32").arguments for shape in shapes]
    report = examine(LADDERS[operation][rung], cases, writes)
    assert not report.findings, str(report)


def test_every_kernel_of_jitnet_is_among_those():
    """A serial rung has the same body as a parallel one; only the NumPy baseline has no loops."""
    assert {LADDERS[operation][rung].py_func for operation, rung in OURS} == BODIES


def test_assertion_for_pytest_raises_with_all_findings():
    """The arguments stay unchanged."""
    A, B, C = buggy_loops.matrix(3, 4), buggy_loops.matrix(4, 5), buggy_loops.unset(3, 5)
    wrong, right = PAIRS["product_over_k"].wrong, PAIRS["product_over_k"].right
    with pytest.raises(jitnet.lab.CheckError, match=r"race: C\[0, 0\]") as caught:
        jitnet.lab.check(wrong, A, B, C, writes="C")
    assert caught.value.report.errors[0].iterations == [0, 1]
    assert np.isnan(C).all()
    report = jitnet.lab.check(right, A, B, C, writes="C")
    assert not report.findings or [finding.kind for finding in report.findings] == ["order"]
    assert repr(report) == str(report)  # readable at a prompt and as the last line of a cell
    A.flags.writeable = False
    with pytest.raises(AssertionError, match="writes into its input A"):
        jitnet.lab.check(PAIRS["scales_its_input"].wrong, A, np.empty_like(A))
    with pytest.raises(jitnet.Error, match="unknown parameter 'D'; known: A, B, C"):
        jitnet.lab.check(right, A, B, C, writes="D")
    with pytest.raises(jitnet.Error, match=r"\(A, B, C\) takes 3 arguments, but was given 1$"):
        jitnet.lab.check(right, A)


def test_array_can_be_input_and_output():
    """An array that is passed twice can be written if one of its parameters is an output."""
    a = buggy_loops.vector()
    right = PAIRS["aliased"].right
    assert not examine(right, [(a, a)], writes="out").findings
    assert [f.kind for f in examine(right, [(a, a.copy())], writes="a").findings] == ["input"]


def test_first_and_last_index_are_inside():
    def ends(A):
        return A[-A.shape[0]], A[A.shape[0] - 1], A[-A.shape[0], 0]

    report = examine(ends, [(buggy_loops.matrix(),)])
    assert {finding.kind for finding in report.findings} == {"negative"}


def test_race_in_a_serial_kernel_is_explained():
    report = examine(njit(PAIRS["neighbors"].wrong.py_func), [[buggy_loops.vector()]])
    assert [finding.kind for finding in report.findings] == ["race", "serial"]


def test_explicit_float64_is_no_finding():
    """astype and float are explicit; the constant 0.5 is not, and the finding names its line."""

    def explicit(a, out):
        wide = a.astype(np.float64)
        out[:] = wide * wide
        total = 0.0
        for x in a:
            total += float(x) * float(x)
        out[0] = total
        a.sum(axis=0, keepdims=True, out=out[1:2])
        np.take(a, np.array([0, 1]), out=out[:2])

    def quiet(a, out):
        half = 0.5 * a[0]
        out[0] = half

    assert not examine(explicit, [(buggy_loops.vector(), buggy_loops.unset(7))]).findings

    def scaled(a, scale, out):
        out[0] = a[0] * scale

    arguments = buggy_loops.vector(), np.float64(2), np.ones(7, "f4")
    assert [finding.kind for finding in examine(scaled, [arguments]).findings] == ["float64"]
    scaled_from_left = [finding.kind for finding in examine(lambda a, s, out: out.fill(s * a[0]), [arguments]).findings]
    assert scaled_from_left == ["float64"]
    (found,) = examine(quiet, [(buggy_loops.vector(), np.ones(7, "f4"))]).findings
    line = quiet.__code__.co_firstlineno + 1
    assert "0.5 * a[0]` mixes a float32 with a Python number" in found.message
    assert found.lines == [line]


def test_exception_in_a_kernel_is_a_finding():
    def divides(a):
        return 1 // a.size

    report = examine(divides, [[np.zeros(0)]])
    assert [f.kind for f in report.findings] == ["raises"]
    assert "raises ZeroDivisionError" in str(report)
    assert report.findings[0].lines == [divides.__code__.co_firstlineno + 1]


def test_a_returned_result_that_should_be_written_is_named():
    def rebinds(x, out, other):
        out = np.zeros(3)
        out[:] = x
        return out

    def adds(x, out, other):
        return x.sum()

    def writes(x, out, other):
        out[:] = other[:] = x
        return np.zeros(2)

    x, empty = np.ones(3), np.full(3, np.nan)
    for kernel in (rebinds, adds):
        (error,) = examine(kernel, [[x, empty, empty.copy()]]).errors
        assert error.message == "returns its result, but must write it into out and other: out[...] = the result"
    assert not examine(writes, [[x, empty, empty.copy()]]).errors
    assert not examine(adds, [[x, x.copy(), x.copy()]]).errors  # nothing is known to be an output


def generated(a):
    for i in range(a.size + 1):
        yield a[i]


class Doubler:
    def __init__(self):
        self.table = np.zeros(3)

    def __call__(self, a):
        a[a.size] = 0

    def method(self, a):
        self(a)


@guvectorize("(n)->()")
def total(a, out):
    out[0] = a[a.size]


@pytest.mark.parametrize(
    "kernel",
    [generated, Doubler(), Doubler().method, functools.partial(lambda n, a: a[n], 7), total, njit(generated)],
    ids=["generator", "callable", "method", "partial", "guvectorize", "compiled generator"],
)
def test_functions_of_every_kind_can_be_checked(kernel):
    arguments = [buggy_loops.vector()] if kernel is not total else [buggy_loops.vector(), np.zeros(1)]
    assert [finding.kind for finding in examine(kernel, [arguments]).errors] == ["outside"]


@vectorize
def doubled(x):
    return x + x


@stencil
def left_of(a):
    return a[-1]


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (doubled, "doubled cannot be checked: vectorize compiles it for one number at a time"),
        (left_of, "left_of cannot be checked: Numba writes the loop of a stencil"),
        (np.add, "add cannot be checked: it is a ufunc, without Python source"),
        (len, "len cannot be checked: it is a builtin_function_or_method, without Python source"),
        (functools.partial(doubled, x=1), "doubled cannot be checked: it is a partial with keyword arguments"),
        (Doubler, "Doubler cannot be checked: it is a type, without Python source"),
    ],
)
def test_objects_that_cannot_be_checked_are_an_error(kernel, message):
    with pytest.raises(jitnet.Error, match=re.escape(message)):
        examine(kernel, [[buggy_loops.vector()]])


def test_parts_that_are_not_covered_are_named():
    """Code that runs without being recorded is always mentioned."""

    def uses(a, out, thing):
        total(a, out)
        out[:] = left_of(a)[:1]

    report = examine(uses, [[buggy_loops.vector(), np.ones(1, "f4"), Doubler()]])
    assert [note.message.partition(",")[0] for note in report.notes] == [
        "left_of is a stencil", "total is a guvectorize function",
        "what the kernel does with its argument of type Doubler is not recorded",
    ]  # fmt: skip
    assert report.summary() == "uses: nothing unsafe, except in what was not covered, in 1 run"


class Box:
    """Like a jitclass, with a method that lists and sets have."""

    def __init__(self, a):
        self.a = a

    def add(self, i):
        self.a[i] = i


def test_methods_of_other_classes_do_not_count_as_list_methods():
    @njit(parallel=True)
    def fills(box):
        for i in prange(3):
            box.add(i)

    report = examine(fills, [[Box(np.zeros(3))]])
    assert [finding.kind for finding in report.findings] == ["not covered"]


def test_errors_only_in_python_are_explained():
    @njit(error_model="numpy")
    def inverse(a):
        for i in range(a.size):
            a[i] = 1 / i

    (found,) = examine(inverse, [[np.ones(2)]]).errors
    assert (found.kind, "Python does not divide by zero" in found.message) == ("stopped", True)

    def misfit(a):
        a[:2] = a[:3]

    assert [error.kind for error in examine(misfit, [[np.ones(4)]]).errors] == ["raises"]


def test_numbers_are_those_of_compiled_code():
    """Of operations where Python has an error, or another type; what is read outside is 0."""
    seen = []

    def numbers(a, none, bytes_):
        bytes_[0] = 300
        seen.extend([a[0] ** 2.5, math.log(-a[0]), math.log(0 * a[0]), bytes_[0], none[0]])
        seen.extend([a.flat[-1], np.asarray(a)[a.size]])

    a = np.full(3, 4, np.float32)
    errors = examine(numbers, [[a, np.empty(0, np.float32), np.zeros(1, np.uint8)]]).errors
    np.testing.assert_array_equal([float(x) for x in seen], [32, np.nan, -np.inf, 44, 0, 0, 0])
    assert [error.message.partition(" is ")[0] for error in errors if error.kind == "outside"] == [
        "none[0]", "a[3]",
    ]  # fmt: skip


def test_loop_with_two_exits_is_serial():
    """So nothing races in it. Numba warns about such a loop, too."""

    @njit(parallel=True)
    def first(X, W, Z):
        last = -1
        for i in prange(3):
            last = i if X.size > i else last
            if i == 2:
                break
            for j in range(3):
                if j == 2:
                    break
            if X.size and Z.size:
                Z[0, 0] = X[0, last - last]

    report = examine(first, [[buggy_loops.matrix()] * 2 + [np.zeros((1, 1), "f4")]])
    assert [finding.kind for finding in report.findings] == ["exits"]
    assert "with `break` inside has more than one exit, so Numba runs it serially" in report.warnings[0].message
    assert report.warnings[0].lines == [first.py_func.__code__.co_firstlineno + 6]
    assert judge.hidden_error(first, of_operation("matmul"), np.dtype("float32")) is None


def test_judge_uses_the_compiler_options_of_the_kernel():
    """A race is an error only if the loop is parallel, even if the results are correct."""
    wrong, right = PAIRS["product_over_k"].wrong, PAIRS["product_over_k"].right
    dtype = np.dtype("float32")
    assert "race: C[0, 0]" in judge.hidden_error(wrong, of_operation("matmul"), dtype)
    assert judge.hidden_error(right, of_operation("matmul"), dtype) is None
    assert judge.hidden_error(njit(wrong.py_func), of_operation("matmul"), dtype) is None
    assert judge.hidden_error(wrong.py_func, of_operation("matmul"), dtype) is None

    def around(A, B, C):
        wrong(A, B, C)

    def further_around(A, B, C):
        around(A, B, C)

    assert "race: C[0, 0]" in judge.hidden_error(around, of_operation("matmul"), dtype)
    assert "race: C[0, 0]" in judge.hidden_error(further_around, of_operation("matmul"), dtype)
    assert "race: C[0, 0]" in judge.hidden_error(functools.partial(further_around), of_operation("matmul"), dtype)
