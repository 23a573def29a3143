"""`--check` accepts correct answers to the last exercise of a lesson and describes the error of wrong answers."""

import ast
import faulthandler
import math
import re

import numba
import numpy as np
import pytest
from cases import slow
from course import FOLDER, LESSONS, lesson_file, run_here

from jitnet.lab import explain

NAMES = "import math\nimport numpy as np\n\n"
SOLUTIONS = {9: FOLDER / "_loops.py"}
WRONG = {
    1: ("np.mean", "np.sum", r"step\(w=.*, x=\[.*\], y=\[.*\], lr=0.1\) is \S+, but should be \S+"),
    2: ("J[k, j, j]", "J[k, :, j]", r"weight_jacobian\(x=.*\)\[0, 0, 1\] is \S+, but should be 0"),
    3: ("* w2 *", "*", r"gradients\(x=2.0, y=1.0, .*\)\[0\] \(dw1\) is -0.0625, but should be -0.1875"),
    4: ("[-1]", "[1]", r"the network of bump\(-1, 1\) gives 2 at x = 1.1, but should give 0"),
    5: ("B[k, j]", "B[j, k]", r"matmul\(A=array\(4, 2\), B=.*\) raises IndexError: .* \(answer.py, line \d+\)"),
    6: (" * (1 - activations[l] ** 2)", "", r"deltas\(weights=2 arrays, .*\)\[0\]\[0, 0\] is \S+, but should be \S+"),
    7: ("Z = Z - Z.max(axis=1, keepdims=True)", "Z = 1 * Z", r"cross_entropy\(Z=array.*\) is inf, but should be \S+"),
    8: ("w = W[k]\n            for row in range(i, min(i + 2, X.shape[0])):",
        "for row in range(i, min(i + 2, X.shape[0])):\n                w = W[k]",
        "for 2 rows, two_rows reads 70 numbers of W, but should read 35: .*"),
    9: ("exponential", "math.exp", "the numbers of sigmoid are right, but it is not vectorized: .*; fix: write the .*"),
    10: ("size // parts", "(size // parts)", "of 10 numbers in 3 parts, number 9 is in 0 parts, but should be in one"),
    11: ("// 32 for", "// 64 for", r"sectors\(addresses=\[0, 4, .*\) is 2, but should be 4"),
    12: ("for k in range(n - n % 8, n):", "for k in range(0):", r"eight_k is wrong: .*, for \(m, n_in, n_out\) = .*"),
}  # fmt: skip
"""For each lesson, a change that makes its solution wrong, and the expected message."""


@pytest.mark.parametrize("number", [slow(n) if n == 9 else n for n in WRONG])
def test_wrong_answer_is_found(tmp_path, number):
    name_of = re.search(r"Write[\s#]+`(\w+)\(", lesson_file(number).read_text(encoding="utf-8"))[1]
    source = SOLUTIONS.get(number, lesson_file(number)).read_text(encoding="utf-8")
    (solution,) = (node for node in ast.parse(source).body if getattr(node, "name", "") == name_of)
    right, (before, after, said) = ast.get_source_segment(source, solution), WRONG[number]
    assert right.count(before) >= 1
    decorator = "import numba\n@numba.njit(error_model='numpy')\n" if number == 9 else ""
    (tmp_path / "answer.py").write_text(NAMES + decorator + right.replace(before, after) + "\n", encoding="utf-8")
    if number == 9 and not explain.is_readable():
        pytest.skip("explain parses x86-64 only")
    status, printed, _ = run_here(lesson_file(number), "--check", tmp_path / "answer.py")
    assert re.fullmatch(f"wrong: {said}\n", printed), printed
    assert status == 1


def of_global_maximum(Z, labels):
    Z = Z - Z.max()
    return np.mean(np.log(np.exp(Z).sum(axis=1)) - Z[np.arange(len(Z)), labels])


def of_positive_maximum(Z, labels):
    Z = Z - np.maximum(Z.max(axis=1, keepdims=True), 0)
    return np.mean(np.log(np.exp(Z).sum(axis=1)) - Z[np.arange(len(Z)), labels])


def by_true_division(size, parts, part):
    return part * size / parts, (part + 1) * size / parts


def of_two_infinities(x, y):
    y[:] = np.exp(x) / (1 + np.exp(x))


def into_nothing(x, y):
    return 1 / (1 + np.exp(-x))


def not_compiled(x, y):
    for i in range(x.size):
        y[i] = 1 / (1 + math.exp(-x[i]))


def in_a_dict(x, y, w1, b1, w2, b2):
    return {"dw1": 0, "db1": 0, "dw2": 0, "db2": 0}


def four_k(X, W, Z):
    n = X.shape[1]
    for i in range(X.shape[0]):
        Z[i] = 0
        for k in range(0, n - n % 4, 4):
            for j in range(W.shape[1]):
                sums = X[i, k] * W[k, j] + X[i, k + 1] * W[k + 1, j]
                Z[i, j] += sums + X[i, k + 2] * W[k + 2, j] + X[i, k + 3] * W[k + 3, j]
        for k in range(n - n % 4, n):
            for j in range(W.shape[1]):
                Z[i, j] += X[i, k] * W[k, j]


@numba.njit(parallel=True)
def parallel_over_k(X, W, Z):
    Z[:] = 0
    for k in numba.prange(X.shape[1]):
        for i in range(Z.shape[0]):
            for j in range(Z.shape[1]):
                Z[i, j] += X[i, k] * W[k, j]


def with_whole_sums(X, W, Z):
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            s = Z.dtype.type(0)
            for k in range(X.shape[1]):
                s += X[i, k] * W[k, j]
            Z[i, j] = s


@pytest.mark.parametrize(
    ("answer", "name", "said"),
    [
        (of_global_maximum, "cross_entropy", "-?inf, but should be 0.54"),
        (of_positive_maximum, "cross_entropy", "inf, but should be 0.54"),
        (by_true_division, "bounds", r"bounds\(100, 4, 0\) is \(0.0, 25.0\), but should be two integers"),
        (of_two_infinities, "sigmoid", r"nan, but should be 1, for x = 100"),
        (into_nothing, "sigmoid", r"returns its result, but must write it into y"),
        (not_compiled, "sigmoid", r"not compiled: write @numba.njit above it"),
        (in_a_dict, "gradients", r"is {.*}, but should be a tuple of 4 values: dw1, db1, dw2, db2"),
        (four_k, "eight_k", "eight_k stores each number of Z 17 times, but should store it once for each block"),
        (with_whole_sums, "eight_k", "eight_k stores each number of Z once, but should store it once for each block"),
        (parallel_over_k, "eight_k", r"eight_k is not safe: race: Z\[0, 0\] is written by iteration 0"),
        (parallel_over_k, "two_rows", r"two_rows is not safe: race: Z\[0, 0\] is written by iteration 0"),
    ],
)  # fmt: skip
def test_classic_mistakes_that_most_cases_do_not_show_are_found(answer, name, said, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    from _exercises import verdict

    assert re.search(f"^wrong: .*{said}", verdict(answer, name))


@pytest.mark.parametrize("size", [0, 1, 2, 5, 8])
def test_fixed_loop_of_lesson_9_doubles_any_number_of_numbers(size, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import _loops

    x, y = np.arange(size, dtype=np.float32), np.full(size, np.nan, np.float32)
    _loops.doubled_fixed(x, y)
    assert np.array_equal(y, np.repeat(x, 2)[:size])


def test_correct_answer_in_a_file_is_accepted(tmp_path):
    file = tmp_path / "answer.py"
    file.write_text("def step(w, x, y, lr):\n    return w - lr * sum(2 * (x * w - y) * x) / len(x)\n")
    status, printed, _ = run_here(LESSONS[0], "--check", file)
    assert (status, printed) == (0, "right: step agrees with finite differences of the loss\n")


def test_check_has_a_time_limit(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda seconds, **options: calls.append(options["exit"]))
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: calls.append("canceled"))
    (tmp_path / "answer.py").write_text("def step(w, x, y, lr):\n    return w\n")
    run_here(LESSONS[0], "--check", tmp_path / "answer.py")
    assert calls == [True, "canceled"]


def test_file_without_the_function_has_exit_status_2(tmp_path):
    file = tmp_path / "answer.py"
    file.write_text("def stride(w):\n    return w\n")
    status, printed, error = run_here(LESSONS[0], "--check", file)
    assert (status, printed) == (2, "")
    assert "has no function 'step'" in error


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "returns nothing; end the function with return"), ("1.3", "is '1.3', which is not a number"),
        (np.zeros(2), r"is an array of shape \(2,\), but should be a number"), (np.nan, "is nan, but should be 1.3"),
    ],
)  # fmt: skip
def test_message_says_what_is_wrong_with_a_result(given, said, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    from _exercises import verdict

    call = re.escape("step(w=0.5, x=[2.0], y=[3.0], lr=0.1)")
    assert re.match(f"wrong: {call} {said}", verdict(lambda w, x, y, lr: given, "step"))


@pytest.mark.parametrize("product", ["A @ B", "np.array([[a @ b for b in B.T] for a in A])"])
def test_product_by_numpy_is_rejected(tmp_path, product):
    file = tmp_path / "answer.py"
    check = "    if A.shape[1] != B.shape[0]:\n        raise ValueError\n"
    body = f"{check}    return ({product}).reshape(len(A), B.shape[1])"
    file.write_text(f"{NAMES}def matmul(A, B):\n{body}\n")
    status, printed, _ = run_here(LESSONS[4], "--check", file)
    assert status == 1
    assert printed.startswith("wrong: matmul is right, but leaves a loop to NumPy")
