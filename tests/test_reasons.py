"""Why a result is wrong: a cause is named only if the numbers confirm it, and the line is the one that wrote last."""

import numba
import numpy as np
import pytest

from jitnet.lab.benchmark import judge
from jitnet.lab.oracle import Case
from jitnet.lab.problems import load
from jitnet.lab.sanitizer import reasons

RIGHT = np.array([[1.5, -2.25, 3.1], [0.7, 5.3, -1.9], [2.2, 0.1, 8.4]])
WIDE = np.arange(1.0, 26.0).reshape(5, 5)


def case_of(got, expected=RIGHT, bound=1e-6):
    got = np.asarray(got)
    expected = WIDE if got.shape == WIDE.shape else np.asarray(expected, np.float64)
    return Case([got], [expected], [np.full(got.shape, bound)])


def changed(place, by=1.0, of=RIGHT):
    found = of.copy()
    found[place] += by
    return found


@pytest.mark.parametrize(
    ("got", "said"),
    [
        (RIGHT / 2, "every number is 0.5 times what is expected: check constant factors, such as the 1/n of a mean"),
        (-RIGHT, "every number is -1 times"),
        (RIGHT / 2 + 0.7e-9, "every number is 0.5 times"),
        (RIGHT.T, "it is the transpose of what is expected: exchange its two indices"),
        (RIGHT.astype(np.float32).astype(float), "every number is rounded to float32: keep sums and products in flo"),
        (RIGHT.astype(np.float16).astype(np.float32), "every number is rounded to float16: keep sums and products in "),
        (changed(np.s_[2]), "it is wrong only in the last of 3 rows: let the loop run to the end, and after whole"),
        (changed(np.s_[:, 2:], np.nan), "it is wrong only in the last of 3 columns: let the loop"),
        (changed(np.s_[3:], of=WIDE), "it is wrong only in the last 2 of 5 rows: "),
        (changed(([2, 2, 2, 0, 1], [0, 1, 2, 2, 2])), "it is wrong only in the last of 3 rows and the last of 3 col"),
    ],
)  # fmt: skip
def test_cause_that_the_numbers_confirm_is_named(got, said):
    bound = 1e-6 if got.dtype == np.float32 else 1e-9
    assert reasons.pattern(case_of(got, bound=bound)).startswith(said)


@pytest.mark.parametrize(
    "got",
    [
        changed((1, 1), of=RIGHT / 2),
        changed((0, 0), of=RIGHT.T),
        changed((0, 2), of=RIGHT.astype(np.float32).astype(float)),
        RIGHT.astype(np.float32) * np.float32(1.01),
        changed(np.s_[0]),
        changed(np.s_[1:]),
        changed((2, 2)),
        changed(([2, 2], [0, 1])),
        changed(np.s_[1:2]),
        RIGHT + 1,
        RIGHT * (1 + 4e-9),
        np.zeros((3, 3)),
        np.full((3, 3), np.nan),
    ],
)
def test_no_cause_is_named_if_one_number_does_not_fit(got):
    assert reasons.pattern(case_of(got, bound=1e-9)) == ""


def test_two_numbers_could_have_any_factor():
    assert reasons.pattern(case_of([2.0, 4.0], [1.0, 2.0])) == ""
    assert reasons.pattern(case_of([2.0, 2.0, 2.0], [1.0, 1.0, 1.0])) == ""


def test_whole_numbers_are_not_called_rounded():
    assert "float32" not in reasons.pattern(case_of([1.0, 7.0, 3.0, 9.0], [1.0, 2.0, 5.0, 4.0]))


def test_errors_that_are_too_large_together_come_from_a_narrower_type():
    case = case_of(RIGHT.astype(np.float32), bound=1.0)
    assert reasons.pattern(case) == "keep sums and products in float32"


def test_other_outputs_than_the_first_and_more_dimensions_are_named():
    right, wrong = np.zeros(2), np.zeros((2, 2, 5))
    wrong[..., 3:] = 1
    case = Case([right, wrong], [right, np.zeros((2, 2, 5))], [right, np.zeros((2, 2, 5))])
    assert reasons.first_wrong(case) == (1, [0, 0, 3])
    assert "only in the last 2 of 5 along axis 2" in reasons.pattern(case)


def test_an_edge_is_at_most_half():
    assert reasons.edge_of(np.array([False, False, True, True])) == "the last 2 of 4 elements"
    assert reasons.edge_of(np.array([False, False, True, True, True])) == ""
    assert reasons.edge_of(np.ones((2, 2), bool)) == reasons.edge_of(np.zeros((2, 2), bool)) == ""


def shifted(x, y, result):
    result[:] = 0
    for i in range(x.size):
        result[i] = x[i] + y[i - 1]


def skips_the_second(x, y, result):
    for i in range(x.size):
        if i != 1:
            result[i] = x[i] + y[i]


def raises_later(x, y, result):
    shifted(x, y, result)
    raise ValueError


def endless(x, y, result):
    while True:
        pass


def sums_too_few(x, result):
    result[0] = 0
    for i in range(x.size - x.size % 4):
        result[0] += x[i]


def ignores_the_first(x, result):
    result[0] = 0
    for i in range(1, x.size):
        result[0] += x[i]


def sums_too_few_and_adds(x, result):
    sums_too_few(x, result)
    result[0] += 1


def in_parts(x, y, result):
    parts = numba.get_num_threads()
    for part in range(parts):
        for i in range(part, x.size, parts):
            result[i] = x[i]


def writes_one_too_many(x, y, result):
    for i in range(result.size + 1):
        result[i] = 0


def counts_ten(x, bins, counts):
    table = np.zeros(10, np.int64)
    for i in range(x.size):
        table[x[i]] += 1
    for b in range(bins):
        counts[b] = table[b]


class Sum:
    def __call__(self, x, result):
        sums_too_few(x, result)


def source(kernel, problem, size, index=0):
    return reasons.source(kernel, load(problem), (size,), "float32", 0, [index], seed=3)


def test_line_of_the_last_write_is_named(monkeypatch):
    line = shifted.__code__.co_firstlineno + 3
    said = f"the last write to c[2] is in line {line} of test_reasons.py: result[i] = x[i] + y[i - 1]"
    assert source(shifted, "vector_add", 5, 2) == (said, "")
    assert source(skips_the_second, "vector_add", 5, 1) == ("no line writes c[1]", "")
    said = source(skips_the_second, "vector_add", 5)[0]
    assert said.startswith("the last write to c[0] is in line ")
    assert said.endswith("; a first call, run as Python, writes the right number there")
    assert source(raises_later, "vector_add", 5, 1) == ("", "")
    assert source(np.add, "vector_add", 5) == ("", "")
    exec("def unsaved(x, y, result):\n    result[:] = 1", found := {})
    assert source(found["unsaved"], "vector_add", 5)[0] == "the last write to c[0] is in line 2 of <string>"
    assert source(in_parts, "vector_add", 5)[0].endswith(": result[i] = x[i]")
    monkeypatch.setattr(reasons, "ACCESSES", 10)
    assert source(skips_the_second, "vector_add", 4, 1) == ("no line writes c[1]", "")
    assert source(shifted, "vector_add", 5, 2) == ("", "")  # it takes too long
    monkeypatch.setattr(reasons, "SECONDS", 0.1)
    assert source(endless, "vector_add", 5) == ("", "")


@pytest.mark.parametrize("kernel", [sums_too_few, Sum()])
def test_end_of_an_input_that_is_never_read_is_named(kernel):
    said = source(kernel, "sum", 11)[1]
    assert said == f"it never reads the last 3 of 11 elements of x: {reasons.ENDS_TOO_EARLY}"
    assert source(kernel, "sum", 12)[1] == ""


def test_end_of_an_input_is_not_named_if_it_does_not_explain_the_result():
    assert source(sums_too_few_and_adds, "sum", 11)[1] == ""
    assert source(ignores_the_first, "sum", 11)[1] == ""


def test_an_index_out_of_bounds_is_the_cause():
    """What a run finds there is of no use: it is another number in each run."""
    line, unread = reasons.source(counts_ten, load("histogram"), (300, 40), "float32", 0, [12])
    assert line.startswith("table[")
    assert "is out of bounds for the shape (10,) (test_reasons.py, line" in line
    assert not unread


def test_judge_names_the_line_of_a_write_beside_an_array():
    compiled = numba.njit(writes_one_too_many)
    said = judge.error_of(compiled, load("vector_add"), (3,), np.dtype("float32"))
    assert said.startswith("writes outside its output: 1 number past the end of c, given ")
    assert "; result[3] is out of bounds for the shape (3,) (test_reasons.py, line" in said
    said = judge.error_of(compiled, load("vector_add"), (0,), np.dtype("float32"))
    assert "; result[0] is out of bounds for the shape (0,) (test_reasons.py, line" in said


def test_judge_adds_what_is_known():
    said = judge.error_of(sums_too_few, load("sum"), (11,), np.dtype("float32"))
    assert said.startswith("is wrong: 1 of 1 wrong, first at (0,): expected ")
    assert "; the last write to total[0] is in line " in said
    assert said.endswith(f"it never reads the last 3 of 11 elements of x: {reasons.ENDS_TOO_EARLY}")


def test_what_the_sanitizer_finds_is_the_only_cause():
    error = "is not safe: a race"
    said = judge.error_of(sums_too_few, load("sum"), (11,), np.dtype("float32"), lambda: error)
    assert said.endswith(f", {load('sum').given(load('sum').case((11,), 'float32'))}. It {error}")
