"""Explanations of small kernels: the loop that is shown, what it carries, and advice that fits it."""

import platform

import numba
import numpy as np
import pytest
from test_cycles import loop_of

from jitnet.compiler import intrinsics
from jitnet.compiler.intrinsics import wide
from jitnet.lab import explain
from jitnet.lab.machine_code import advice
from jitnet.lab.machine_code.facts import Facts
from jitnet.lab.machine_code.hottest import hottest
from jitnet.lab.machine_code.verdicts import verdicts

pytestmark = pytest.mark.skipif(not explain.is_readable(), reason="explain does not read this processor's instructions")


def dot(a, b):
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


def product(X, W, Z):
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            total = 0.0
            for k in range(X.shape[1]):
                total += X[i, k] * W[k, j]
            Z[i, j] = total


def product_into_memory(X, W, Z):
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            for k in range(X.shape[1]):
                Z[i, j] += X[i, k] * W[k, j]


def remainders(a, m, out):
    for i in range(a.shape[0]):
        out[i] = a[i] % m


def quotients(a, m, out):
    for i in range(a.shape[0]):
        out[i] = a[i] // m


def index_of_largest(a):
    best = 0
    for i in range(a.size):
        if a[i] > a[best]:
            best = i
    return best


def shortest_paths(D):
    for k in range(D.shape[0]):
        for i in range(D.shape[0]):
            for j in range(D.shape[0]):
                D[i, j] = min(D[i, j], D[i, k] + D[k, j])


def from_an_integer(a, b):
    for i in range(a.size):
        rest = 1 - a[i]  # 1 is an int64
        b[i] = rest * b[i] + rest


def from_a_constant(a, b):
    for i in range(a.size):
        b[i] = max(a[i], 0.5) * a[i]


@numba.njit(parallel=True)
def in_parallel(a, b):
    for i in numba.prange(a.size):
        b[i] = 0.1 * a[i]


@numba.njit
def largest(a):
    best = a[0]
    for i in range(a.size):
        if a[i] > best:
            best = a[i]
    return best


def judged(name, types):
    found = explain.explain(f"{__file__}:{name}", types=types)["verdicts"]
    return {verdict["name"]: verdict for verdict in found}


def vectorized(name, types):
    return judged(name, types)["vectorized"]


def test_one_sum_over_all_elements_is_added_in_another_order_or_as_partial_sums():
    assert vectorized("dot", "float64[::1], float64[::1]")["fix"] == advice.SUMS_FIX


@pytest.mark.parametrize("name", ["product", "product_into_memory"])
def test_one_sum_for_each_element_gets_a_loop_over_elements(name):
    matrices = "float64[:,::1], float64[:,::1], float64[:,::1]"
    assert vectorized(name, matrices)["fix"].startswith("make the loop over elements the inner one")


@pytest.mark.parametrize("name", ["remainders", "quotients"])
def test_division_of_integers_has_no_vector_instruction(name):
    found = vectorized(name, "int64[::1], int64, int64[::1]")
    assert "no vector instruction for the division of integers" in found["evidence"]
    assert found["fix"].startswith("count with an addition")


def test_loop_that_stores_each_element_is_the_one_over_elements():
    found = explain.explain("cross_entropy.njit")["verdicts"]
    assert found[0]["fix"] == advice.SUMS_FIX


def test_maximum_of_floats_is_named():
    assert largest(np.array([1.0, 3.0, 2.0])) == 3
    assert "a maximum or minimum of floats is carried" in vectorized("largest", "float64[::1]")["evidence"]


def test_index_of_a_maximum_is_carried():
    found = judged("index_of_largest", "float64[::1]")
    assert "a value is carried" in found["vectorized"]["evidence"]
    assert found["accumulators"]["evidence"].startswith("LLVM says that a value is carried")


def test_maximum_carried_through_a_branch_is_an_accumulator():
    loop = loop_of(
        "incq %r9", "cmpq %r9, %r8", "je .LBB0_9", "vmovsd (%rsi,%r9,8), %xmm1", "vucomisd %xmm0, %xmm1",
        "jbe .LBB0_3", "vmovapd %xmm1, %xmm0", "jmp .LBB0_3",
    )  # fmt: skip
    found = {verdict["name"]: verdict for verdict in verdicts(Facts(loop, "", {}, 512, 32, False))}
    assert found["accumulators"]["answer"] == "in registers: 1"


def test_the_hottest_of_two_loops_that_ran_executed_most_instructions():
    counting = loop_of("movzbl (%rsi), %edi", "incq (%r15,%rdi,8)", "incq %rsi", "jne .LBB0_3")
    adding = loop_of("vpaddq (%rsi), %ymm0, %ymm0", "addq $32, %rsi", "jne .LBB0_3")
    counting.place, adding.place = ("k.py", 2), ("k.py", 5)
    assert hottest([counting, adding], iterations=[1000, 64]) is counting


def test_a_version_that_did_not_run_is_not_shown_if_another_ran_for_long():
    vectors = loop_of("vaddpd (%rsi), %ymm0, %ymm0", "addq $32, %rsi", "jne .LBB0_3")
    numbers = loop_of("vaddsd (%rsi), %xmm0, %xmm0", "addq $8, %rsi", "jne .LBB0_3")
    vectors.place = numbers.place = ("k.py", 2)
    shown = [hottest([vectors, numbers], iterations=ran) for ran in ((), (0, 3), (0, 1000), (9, 1000))]
    assert shown == [vectors, vectors, numbers, vectors]


@pytest.mark.skipif(not explain.can_run(), reason="a kernel is run on Linux and x86-64 only")
def test_a_vectorized_copy_that_did_not_run_is_named():
    """It is for rows of different arrays; here both are rows of D."""
    found = explain.explain(f"{__file__}:shortest_paths", arguments="random.rand(150, 150)", run=1)["verdicts"][0]
    assert found["evidence"].startswith("LLVM's vectorized copy of the loop is for many iterations on arrays that do")
    assert found["fix"].startswith("write into another array")


def test_stack_accesses_are_told_with_the_loads():
    loop = loop_of("vmovups (%rsi), %ymm0", "vsubps 32(%rsp), %ymm0, %ymm0", "vmovups %ymm0, 64(%rsp)", "jne .LBB0_3")
    found = {verdict["name"]: verdict for verdict in verdicts(Facts(loop, "", {}, 512, 32, True))}
    assert "1 load, 0 stores, 1 arithmetic instruction, without 2 stack" in found["loads and stores"]["evidence"]


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("from_an_integer", "line {}, `rest = 1 - a[i]`, makes a float64 of int64 and float32: give constants"),
        ("from_a_constant", "line {}, `b[i] = max(a[i], 0.5) * a[i]`, makes a float64 of float64 and float32: give"),
        ("in_parallel", "give constants, whole numbers and initial values the type of the data"),
    ],
)
def test_the_expression_that_makes_a_float64_is_named(name, begin):
    function = globals()[name]
    line = getattr(function, "py_func", function).__code__.co_firstlineno + 2
    assert judged(name, "float32[::1], float32[::1]")["numbers"]["fix"].startswith(begin.format(line))


def added(x, y):
    for i in range(x.size):
        y[i] = x[i] + y[i]


def added_in_wide_vectors(x, y):
    wide(x)
    for i in range(x.size):
        y[i] = x[i] + y[i]


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="the processor is one of Intel's")
def test_advice_on_the_vector_width_doubles_it(monkeypatch):
    """For the servers of Intel, LLVM takes half of a register; nothing is run, so this needs no such server."""
    features = "+avx,+avx2,+fma,+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl,+prefer-256-bit"
    monkeypatch.setenv("NUMBA_CPU_NAME", "icelake-server")
    monkeypatch.setenv("NUMBA_CPU_FEATURES", features)
    monkeypatch.setattr(intrinsics, "VECTOR_BYTES", 64)
    monkeypatch.setattr(intrinsics, "REGISTERS", 32)
    targets = [f"{__file__}:{function.__name__}" for function in (added, added_in_wide_vectors)]
    types = "float32[::1], float32[::1]"
    narrow, widened = (
        next(verdict for verdict in found["verdicts"] if verdict["name"] == "vector width")
        for found in explain.explain_all({"target": target, "types": types} for target in targets)
    )
    assert (narrow["answer"], narrow["good"]) == ("256 bits (ymm) of 512", False)
    assert narrow["fix"] == "ask for them: call jitnet.compiler.intrinsics.wide(array) in the function"
    assert (widened["answer"], widened["good"]) == ("512 bits (zmm), the widest of this machine", True)
