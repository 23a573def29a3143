"""The judge of custom kernels finds kernels that are correct only for some shapes, or in some calls."""

import io
import itertools
import os
import queue
import re
import signal
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numba
import numpy as np
import pytest

from jitnet.lab import estimate, ladder, ladder_table, oracle, problems
from jitnet.lab.benchmark import child, judge, sandbox
from jitnet.lab.benchmark.candidates import Candidate
from jitnet.lab.benchmark.guarded import placed
from jitnet.lab.benchmark.shapes import drawn_shapes, growing_shapes
from jitnet.lab.grade import inspection
from jitnet.lab.problems import of_operation

DTYPE = np.dtype("float32")
MATMUL = of_operation("matmul")


def right(X, W, Z):
    np.matmul(X, W, out=Z)


def forgets_the_rest_of_a_panel(X, W, Z):
    n = X.shape[1]
    rest = n % 32 if n > 32 else 0
    n -= rest if 2 <= rest <= 30 else 0
    np.matmul(X[:, :n], W[:n], out=Z)


def wrong_if_wide_and_odd(X, W, Z):
    np.matmul(X, W, out=Z)
    if Z.shape[1] >= 300 and Z.shape[1] % 2:
        Z[0, -1] = 0


def wrong_if_all_are_large(X, W, Z):
    np.matmul(X, W, out=Z)
    if min(*X.shape, W.shape[1]) > 512:
        Z[-1, -1] += 1


def forgets_the_last_block_of_128(X, W, Z):
    np.matmul(X, W, out=Z)
    if X.shape[0] > 128 and X.shape[0] % 128 == 1:
        Z[-1] = np.nan


def in_half_precision(X, W, Z):
    Z[...] = X.astype(np.float16) @ W.astype(np.float16)


def without_the_last_term(X, W, Z):
    np.matmul(X[:, :-1], W[:-1], out=Z)


def in_the_background(X, W, Z):
    """It returns immediately, and another thread continues."""

    def work():
        time.sleep(0.05)
        np.matmul(X, W, out=Z)

    threading.Thread(target=work).start()


def test_only_a_loop_that_nothing_compiles_is_called_interpreted():
    def loops(X, W, Z):
        for i in range(len(Z)):
            Z[i] = 0

    compiled = numba.njit(loops)

    def calls_compiled(X, W, Z):
        for _ in range(2):
            compiled(X, W, Z)

    assert judge.is_interpreted(loops)
    assert not any(map(judge.is_interpreted, (right, compiled, calls_compiled, np.matmul)))


def test_a_slow_kernel_is_tested_on_fewer_shapes_and_the_table_says_so(monkeypatch):
    """The first shape does not count, because it compiles."""
    tested = object.__new__(child._Child)
    tested.problem, tested.untested, tested.error_at = MATMUL, 0, lambda shape: None
    assert tested.error_of_known() is None
    assert tested.untested == 0
    monkeypatch.setattr(child, "KNOWN", -1.0)
    assert tested.error_of_known() is None
    assert tested.untested == len(MATMUL.shapes) - 1
    rung = {"name": "mine", "untested": tested.untested, "shape": [1]}
    notes = ladder_table._footnotes({"limit": "peak", "disturbed": True, "rungs": [rung], "shape": [1]} | NUMPY)
    assert "mine is slow: its test left out 16 usual shapes." in notes


NUMPY = {"numpy_threads": 1, "threads": 1}


def test_random_shapes_cover_every_remainder_of_every_block():
    shapes = list(drawn_shapes(MATMUL, 17))
    assert shapes == list(drawn_shapes(MATMUL, 17))
    assert shapes != list(drawn_shapes(MATMUL, 18))
    for sizes in zip(*shapes, strict=True):
        for block in range(2, 129):
            assert {size % block for size in sizes if size >= block} == set(range(block))
        assert any(size >= 300 and size % 2 for size in sizes)


def test_random_shapes_of_square_matrices_fit_into_memory():
    """A single size is drawn up to 250 000, as for a vector; a matrix with that many rows and columns has 466 GiB."""
    square = replace(problems.load("sum"), memory=lambda shape, dtype: 8 * shape[0] ** 2)
    sizes = {n for (n,) in drawn_shapes(square, 0)}
    assert sizes >= set(range(1, 256))
    assert 512 < max(sizes) < 4096


@pytest.mark.parametrize("kernel", [forgets_the_rest_of_a_panel, wrong_if_wide_and_odd, forgets_the_last_block_of_128])
def test_kernels_that_are_wrong_for_some_shapes_are_found(kernel):
    errors = (judge.quick_error_of(kernel, MATMUL, shape, DTYPE) for shape in drawn_shapes(MATMUL, 3))
    found = list(itertools.islice(filter(None, errors), 5))  # each takes a tenth of a second, to find late writes
    assert found
    assert all("wrong" in error or "NaN" in error for error in found)


def test_a_product_that_is_wrong_only_where_all_sizes_are_large_is_found():
    *parts, whole = growing_shapes(MATMUL, 3)
    assert judge.quick_error_of(wrong_if_all_are_large, MATMUL, parts[-1], DTYPE) is None
    assert "1 of " in judge.quick_error_of(wrong_if_all_are_large, MATMUL, whole, DTYPE)
    assert min(whole) > 512
    assert max(parts[0]) < 100


def test_correct_kernel_passes_the_random_shapes():
    for shape in list(drawn_shapes(MATMUL, 4))[::10]:
        assert judge.quick_error_of(right, MATMUL, shape, DTYPE) is None


@pytest.mark.parametrize("kernel", [in_half_precision, without_the_last_term, in_the_background])
def test_less_work_than_it_should_do(kernel):
    assert judge.error_of(kernel, MATMUL, (24, 24, 24), DTYPE) is not None


def test_a_kernel_that_writes_only_over_nan_is_found():
    def fills(X, W, Z):
        empty = np.isnan(Z)
        Z[empty] = (X @ W)[empty]

    error = judge.error_of(fills, MATMUL, (2, 3, 4), DTYPE)
    assert error.startswith("is right only if Z is NaN before; write all of it, whatever it holds: 8 of 8 wrong")


@pytest.mark.parametrize("wrong_call", [0, 1])
def test_a_kernel_that_is_wrong_once_does_not_depend_on_its_outputs(wrong_call):
    """As a race may be: the second call is the one on outputs that hold numbers, or 0 if the first was wrong."""
    calls = itertools.count()

    def once(X, W, Z):
        before = Z[0, 0].copy()
        np.matmul(X, W, out=Z)
        if next(calls) == wrong_call:
            Z[0, 0] = before

    error = judge.error_of(once, MATMUL, (2, 3, 4), DTYPE)
    assert error.startswith("is wrong in some calls: 1 of 8 wrong, first at (0, 0)")


def test_a_kernel_that_needs_zeros_is_still_called_that():
    def adds(X, W, Z):
        Z += X @ W

    error = judge.error_of(adds, MATMUL, (2, 3, 4), DTYPE)
    assert error.startswith("is right only if Z is 0 before: begin with Z[...] = 0, given X (2, 3)")


def test_a_kernel_that_writes_nothing_where_all_results_are_0_is_not_said_to_need_zeros():
    case = oracle.Case([np.ones(3), np.full(3, np.nan)], [np.zeros(3)], [np.full(3, 1e-9)])
    nothing = replace(problems.load("prefix_sum"), draw=lambda *_: replace(case, arguments=list(case.arguments)))
    error = judge.error_of(lambda x, y: None, nothing, (3,), DTYPE)
    assert error.startswith("never writes 3 numbers of y, or adds to what is there: 3 of 3 wrong")


def test_arrays_begin_on_a_cache_line():
    case = oracle.case("relu", (4, 4, 4), DTYPE)
    case.arguments[0] = np.arange(17, dtype=DTYPE)[1:]
    case.arguments[0] = case.arguments[0][case.arguments[0].ctypes.data % 64 == 0 :]
    inputs = placed(case).arguments[0]
    assert inputs.ctypes.data % 64 == 0
    assert (inputs == np.arange(17 - inputs.size, 17)).all()


def test_low_precision_is_found_for_sums_of_any_length():
    """For 2048 terms, errors of half precision are far below the worst-case bounds."""
    case = MATMUL.case((8, 2048, 8), DTYPE)
    X, W, Z = case.arguments
    np.matmul(X, W, out=Z)
    assert case.error() is None
    np.matmul(X.astype(np.float16).astype(DTYPE), W.astype(np.float16).astype(DTYPE), out=Z)
    assert re.fullmatch(r"the errors are \d+ times those of float32, as if it had fewer bits", case.error())
    case.typical = []
    assert case.error() is None


def test_kernel_that_writes_to_the_pipe_of_the_judge_is_reported(monkeypatch):
    tried = sandbox.Trial("f", right, MATMUL, (4, 4, 4), DTYPE, 1, 60.0)
    tried.process, tried.lines = SimpleNamespace(stdin=io.BytesIO()), queue.Queue()
    monkeypatch.setattr(tried, "_waited", lambda: 0.0)
    for line in (b'{"seconds": 1e-9}\n', b"hello\n", b"3\n"):
        tried.lines.put((0.0, line))
        with pytest.raises(sandbox.KernelError, match="writes into files that it has not opened"):
            tried.seconds_of(1)


@numba.njit(parallel=True)
def right_up_to(most, X, W, Z):
    Z[:] = 0
    if X.shape[0] <= most:
        for i in numba.prange(X.shape[0]):
            for k in range(X.shape[1]):
                Z[i] += X[i, k] * W[k]
    else:
        for k in numba.prange(X.shape[1]):
            for i in range(X.shape[0]):
                Z[i] += X[i, k] * W[k]


@numba.njit(parallel=True)
def other_loop_for_large_arrays(X, W, Z):
    right_up_to(X.shape[0] if X.shape[0] <= 300 else 0, X, W, Z)


@numba.njit(parallel=True)
def same_loop_for_all(X, W, Z):
    right_up_to(300 + X.shape[0], X, W, Z)


def test_a_race_above_a_number_of_the_source_is_found():
    assert "race: Z[0, 0]" in judge.hidden_error(other_loop_for_large_arrays, MATMUL, DTYPE)
    assert judge.hidden_error(same_loop_for_all, MATMUL, DTYPE) is None
    assert inspection.without_race(other_loop_for_large_arrays, MATMUL, "float32", b"")[0] is False


def test_calls_on_the_largest_shape_are_compared_too(monkeypatch):
    tested = object.__new__(child._Child)
    tested.job, tested.dtype, tested.problem, tested.kernel = (
        {"seed": 0, "most": 1, "patience": 4},
        DTYPE,
        MATMUL,
        right,
    )
    tested.shape = tested.grown = (8, 8, 8)
    monkeypatch.setattr(tested, "work", lambda _: None)
    monkeypatch.setattr(tested, "begin", lambda *_: None)
    monkeypatch.setattr(child.custom, "threads_of", lambda *_: 2)
    compared = []
    monkeypatch.setattr(judge, "error_of_repeating", lambda _, __, shape, *___: compared.append(shape))
    assert tested.error_of_kernel() is None
    assert compared[0] == (8, 8, 8)
    assert min(compared[1]) > 16


def test_changing_bits_are_found():
    calls = [0]

    def changes(X, W, Z):
        np.matmul(X, W, out=Z)
        calls[0] += 1
        if calls[0] == 3:
            Z[0, 0] = np.nextafter(Z[0, 0], np.float32(9))

    assert judge.error_of_repeating(right, MATMUL, (8, 8, 8), DTYPE, 1.0) is None
    error = judge.error_of_repeating(changes, MATMUL, (8, 8, 8), DTYPE, 1.0)
    assert error.startswith("gives other bits in call 3 than in call 1, as in a race, given X (8, 8)")


@pytest.mark.parametrize(("mine", "refused"), [(9.0, True), (1.02, False)])
def test_kernel_faster_than_the_peak_is_refused(mine, refused):
    found = {name: Candidate((8, 8, 8)) for name in ("packed", "mine")}
    rungs = [
        {"name": "packed", "custom": False, "seconds": 1e-6, "share_of_peak": 0.9},
        {"name": "mine", "custom": True, "seconds": 1e-7, "share_of_peak": mine},
        {"name": "wrong", "custom": True},
    ]
    heard = []
    assert ladder._refuse_impossible(rungs, found, MATMUL, heard.append) is refused
    assert (found["mine"].error is not None) is refused
    assert len(heard) == refused
    if refused:
        assert "900% of the machine's peak, so it cannot have done the work" in heard[0]


def test_random_shapes_are_valid_for_every_operation():
    """The oracle has a result for every operation and every random shape."""
    for operation in ("relu", "softmax", "cross_entropy", "adam", "gather", "dropout"):
        for shape in list(drawn_shapes(MATMUL, 6))[:3]:
            assert oracle.case(operation, shape, DTYPE).expected


def test_unwritten_zeros_are_found():
    """If the output were zero before, missing zeros would not be noticed; so it is NaN."""

    def half(Z, A):
        A[: len(A) // 2] = 0

    assert "never writes 6 numbers of A" in judge.error_of(half, of_operation("relu"), (4, 1, 3), DTYPE)


@pytest.mark.slow  # two seconds until the time limit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_leftover_process_does_not_delay_the_end_of_a_trial(tmp_path, monkeypatch):
    """A process in a new process session does not end with the trial, and keeps the pipe open."""
    (tmp_path / "leaves.py").write_text(
        "import os, time\nleft = []\n"
        "def f(X, W, Z):\n    Z[...] = X @ W\n    if not left:\n        left.append(os.fork())\n"
        "        if left[0] == 0:\n            os.setsid()\n            time.sleep(100)\n            os._exit(0)\n"
        "        with open('pid', 'w') as file:\n            print(left[0], file=file)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sandbox, "ENDING", 1.0)
    with sandbox.Trial("f", "leaves.py:f", MATMUL, (4, 4, 4), np.dtype(np.float32), 1, 60.0) as tried:
        tried.examine(0.01, lambda doing: None)
        assert tried.error is None
        began = time.monotonic()
    try:
        assert time.monotonic() - began < 20
        assert tried.listener.is_alive()
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    tried.listener.join(timeout=20)
    assert not tried.listener.is_alive()


def test_kernel_that_closes_the_pipe_and_continues_is_stopped(tmp_path, monkeypatch):
    source = "import os, time\ndef f(X, W, Z):\n    os.closerange(3, 100)\n    time.sleep(100)\n"
    (tmp_path / "closes.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sandbox, "ENDING", 1.0)
    with sandbox.Trial("f", "closes.py:f", MATMUL, (4, 4, 4), np.dtype(np.float32), 1, 60.0) as tried:
        tried.examine(0.01, lambda doing: None)
    assert tried.error.startswith("closes files that it has not opened, given X (2, 3)")


def test_order_of_the_parameters_is_named(tmp_path, monkeypatch):
    (tmp_path / "order.py").write_text("def f(Z, X, W):\n    Z[...] = 1\n")
    monkeypatch.chdir(tmp_path)
    with sandbox.Trial("f", "order.py:f", MATMUL, (4, 4, 4), np.dtype(np.float32), 1, 60.0) as tried:
        tried.examine(0.01, lambda doing: None)
    assert tried.error.startswith("changes its input X, given X (2, 3)")
    assert tried.error.endswith("; its parameters are (Z, X, W), but the call is f(X, W, Z)")


def test_a_kernel_fits_the_call_whatever_its_names_are():
    assert MATMUL.misfit(lambda A, B, C: None, "f") is None
    assert MATMUL.reordered(lambda A, B, C: None, "f") is None
    assert MATMUL.reordered(right, "f") is None
    assert MATMUL.misfit(lambda X, W: None, "f") == "has the parameters (X, W), but is called as f(X, W, Z), to write Z"
    assert MATMUL.misfit(dict.update, "f") is MATMUL.reordered(max, "f") is None  # without a signature


def test_overlapping_timings_make_the_rank_uncertain():
    """Twice the work in twice the time is equally fast; the spread of the timings decides."""
    slow = {"name": "njit", "seconds": 2.0, "low": 1.8, "high": 2.2, "speedup": 1.0, "checked": True, "custom": False}
    mine = slow | {"name": "mine", "seconds": 1.9, "low": 1.7, "high": 2.1, "speedup": 2.0 / 1.9}
    fast = slow | {"name": "packed", "seconds": 1.0, "low": 0.9, "high": 1.1, "speedup": 2.0}
    said = ladder_table._place(mine, [slow, mine, fast])
    assert said.startswith("mine is the 2nd fastest of 3: 1.05× over njit, 0.53 of packed;")
    assert said.endswith("; its times overlap with those of njit, so their order may be chance")
    assert ladder_table._place(fast, [slow, mine, fast]) == "packed is the fastest of 3: 1.9× over mine"
    assert ladder_table._place(slow, [slow, fast]) == "njit is the slowest of 2: 0.5 of packed"


def test_rank_counts_from_the_fastest():
    ranks = [ladder_table._rank(slower, 25) for slower in (1, 2, 3, 4, 11, 12, 23, 25)]
    assert ranks == [
        f"the {rank} of 25"
        for rank in ("slowest", "24th fastest", "23rd fastest", "22nd fastest", "15th fastest", "14th fastest",
                     "3rd fastest", "fastest")
    ]  # fmt: skip


def test_estimated_time_depends_on_the_size():
    assert estimate.of_ladder(8, 1, flops=2 * 2048.0**3) > 2 * estimate.of_ladder(8, 1, flops=2 * 512.0**3)
