"""Fixes that fit the source: the same machine code gets other advice, or none, for another loop."""

import ast
from pathlib import Path

import numba
import pytest
from test_cycles import chain_of, loop_of

from jitnet.lab import explain
from jitnet.lab.machine_code import advice, cycles, indices, reductions, sources
from jitnet.lab.machine_code.advice import INNER
from jitnet.lab.machine_code.facts import Facts
from jitnet.lab.machine_code.hottest import hottest
from jitnet.lab.machine_code.verdicts import to_fix, verdicts

pytestmark = pytest.mark.skipif(not explain.is_readable(), reason="explain does not read this processor's instructions")

END = "incq %r9", "cmpq %r9, %r8", "jne .LBB0_3"
SUM = "vaddsd (%rsi,%r9,8), %xmm0, %xmm0"
CARRIED = "value that could not be identified as reduction is used outside the loop"
ORDERED = "cannot prove it is safe to reorder floating-point operations"
EARLY = "Cannot vectorize early exit loop"

LOOPS = {
    "product": "for i in I:\n  for j in J:\n    s = 0\n    for k in K:\n      s += X[i, k] * W[k, j]\n    Z[i, j] = s",
    "rows": "for i in I:\n  s = 0\n  for j in J:\n    s += A[i, j] * x[j]\n  y[i] = s",
    "products of rows": "for i in I:\n  for j in J:\n    s = 0\n    for k in K:\n      s += X[i, k] * Y[j, k]",
    "view": "for i in I:\n  row = A[i]\n  s = 0\n  for j in J:\n    s += row[j]",
    "one sum": "s = 0\nfor i in I:\n  for j in J:\n    s += A[j, i]",
    "parts": "for t in T:\n  for i in range(t * n, t * n + n):\n    y[t] += x[i]",
    "filter": "for i in I:\n  s = 0\n  for k in K:\n    s += x[i + k] * w[k]\n  y[i] = s",
    "horner": "for i in I:\n  s = c[0]\n  for k in K:\n    s = s * x[i] + c[k]\n  y[i] = s",
    "prefix": "s = 0\nfor i in I:\n  s += x[i]\n  y[i] = s",
    "average": "s = 0\nfor i in I:\n  s = a * x[i] + b * s\n  y[i] = s",
    "running": "m = 0\nfor i in I:\n  m = max(m, x[i])\n  y[i] = m",
    "random": "x = 1\nfor i in I:\n  x = (a * x + 1) & m",
    "fibonacci": "a = b = 1\nfor i in I:\n  a, b = b, a + b",
    "counter": "n = 0\nfor i in I:\n  if x[i] > 0:\n    y[n] = x[i]\n    n += 1",
    "smallest": "for i in I:\n  if x[i] < best:\n    best = x[i]\n    where = i",
    "sums": "for i in I:\n  s = s + x[i]\n  p *= x[i]\n  m = min(x[i], m)",
    "private": "for i in I:\n  t = x[i]\n  t *= 2\n  y[i] = t",
    "search": "for i in I:\n  while lo < hi:\n    mid = (lo + hi) // 2\n    lo = mid + 1",
    "quotient": "for i in I:\n  y[i] = x[i] / s",
    "quotients": "for i in I:\n  while n != 1:\n    n //= 2\n    y[i] %= n",
    "thirds": "for i in I:\n  y[i] = x[i] // 3",
    "exit": "for i in I:\n  if x[i] == a:\n    break",
    "choice": "for i in I:\n  m = x[i] if x[i] > m else m",
    "two maxima": "for i in I:\n  m = max(m, x[i])\n  m = np.maximum(y[i], m)",
    "nested": "for i in I:\n  m = max(max(m, x[i]), y[i])\n  s = np.float32(s + x[i] - y[i])\n  i = i + 1",
    "pairs": "for i in I:\n  s, t = s + x[i], t + y[i]",
    "while": "while i < n:\n  m = max(m, x[i])\n  i += step",
    "while alone": "while i < n:\n  y[i] = x[i + off]\n  i += 1",
    "alternating": "for i in I:\n  s += sign * x[i]\n  sign = -sign",
    "alignment": "for i in I:\n  for j in J:\n    H[i, j] = H[i, j - 1] + x[j]\n    best = max(best, H[i, j])",
    "columns": "for i in I:\n  for j in J:\n    H[i, j] = H[i - 1, j] + x[j]\n    best = max(best, H[i, j])",
    "product by k": "for k in K:\n  for i in I:\n    for j in J:\n      D[i, j] += A[i, k] * B[k, j]",
    "products": "for i in I:\n  y[i] = y[i - 1] * x[i]",
    "both": "for i in I:\n  s += x[i]\n  s *= y[i]",
    "square": "for i in I:\n  s = s + s * x[i]",
    "until": "for i in I:\n  s += x[i]\n  if s > t:\n    break",
    "raises": "for i in I:\n  if d[i] == 0:\n    raise ValueError\n  s += x[i] / d[i]",
    "counted": "for i in I:\n  if x[i] > t:\n    return n\n  n += x[i] > 0",
    "mandelbrot": "for i in I:\n  z = 0j\n  for k in K:\n    z = z * z + c[i]\n    if z.real > 4:\n      break",
    "no index": "for i in I:\n  s = 0\n  for k in K:\n    s += x[k]\n  y[i] = s",
    "rows of lists": "for i in I:\n  s = 0\n  for k in K:\n    s += X[i][k] * w[k]",
    "lists": "for j in J:\n  s = 0\n  for k in K:\n    s += X[i][k] * W[k][j]",
    "flat rows": "for i in I:\n  s = 0\n  for k in K:\n    s += x[i * n + k]",
    "flat columns": "for j in J:\n  s = 0\n  for k in K:\n    s += x[k * n + j]",
    "paths": "for k in K:\n  for j in J:\n    D[i, j] = min(D[i, j], D[i, k] + D[k, j])",
    "multiples": "for i in I:\n  for j in J:\n    Y[i][j] += 2 * X[i][j]",
    "data": "for i in I:\n  y[i] = x[w[i]]",
}  # fmt: skip


@pytest.fixture
def place(tmp_path):
    """Name of a loop -> the file that it is in, and the line of its innermost loop."""

    def of(name):
        file = tmp_path / f"{name}.py"
        file.write_text("def f():\n" + "".join(f"  {line}\n" for line in LOOPS[name].splitlines()))
        loops = [n for n in ast.walk(ast.parse(Path(file).read_text())) if isinstance(n, ast.For | ast.While)]
        return str(file), max(loop.lineno for loop in loops)

    return of


SWAPPABLE = ("product", "filter", "horner", "mandelbrot", "lists", "flat columns")


def judged(place, *instructions, said="", options=None, calls=(), **facts):
    loop = loop_of(*instructions, *END)
    loop.place, loop.calls, loop.heavy_calls = place, [(None, symbol) for symbol in calls], len(calls)
    remarks = f"remark: {place[0]}:{place[1]}:1: loop not vectorized: {said}" if said else ""
    found = verdicts(Facts(loop, remarks, options or {}, 512, 32, False, **facts))
    return {verdict["name"]: verdict for verdict in found}


@pytest.mark.parametrize(
    "name",
    ["rows", "products of rows", "view", "one sum", "parts", "no index", "rows of lists", "flat rows", *SWAPPABLE],
)
def test_loops_whose_order_can_change(place, name):
    assert indices.swappable(*place(name)) is (name in SWAPPABLE)


NEEDED = (
    "prefix", "average", "running", "random", "fibonacci", "counter", "horner", "both", "square", "until", "mandelbrot",
)  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [*NEEDED, "smallest", "sums", "private", "rows", "choice", "two maxima", "nested", "pairs", "while", "while alone",
     "alternating", "raises", "counted"],
)  # fmt: skip
def test_values_that_the_next_iteration_needs(place, name):
    assert reductions.recurs(*place(name)) is (name in NEEDED)


@pytest.mark.parametrize(("name", "may"), [("search", False), ("quotient", True), ("quotients", True), ("exit", False)])
def test_a_division_by_a_constant_raises_nothing(place, name, may):
    assert sources.divides(*place(name)) is may


def test_a_result_that_later_iterations_read_stays_in_memory(place):
    """In Floyd–Warshall the loop over k returns to D[i, j], but D[i, k] and D[k, j] must be stored before."""
    steps = "vmovsd (%rdi,%r9,8), %xmm0", "vaddsd (%rsi,%r9,8), %xmm0, %xmm0", "vmovsd %xmm0, (%rdi,%r9,8)"
    paths, product = (judged(place(name), *steps)["accumulators"] for name in ("paths", "product by k"))
    assert [verdict["answer"].startswith("in memory: 1") for verdict in (paths, product)] == [True, True]
    assert (paths["good"], paths["fix"]) == (None, "")
    assert product["fix"].startswith("keep each sum in a local variable")


def test_sums_along_rows_are_not_swapped(place):
    fixes = [judged(place(name), SUM, said=ORDERED)["vectorized"]["fix"] for name in ("product", "rows", "one sum")]
    assert [fix.startswith(INNER) for fix in fixes] == [True, False, False]
    assert fixes[1] == advice.SUMS_FIX


def test_what_every_iteration_needs_has_no_fix(place):
    assert judged(place("horner"), SUM, said=CARRIED)["vectorized"]["fix"] == INNER
    assert judged(place("smallest"), SUM, said=CARRIED)["vectorized"]["fix"] == advice.PARTIAL_FIX
    prefix = judged(place("prefix"), SUM, "vmovsd %xmm0, (%rdi,%r9,8)", said=CARRIED)["vectorized"]
    assert (prefix["good"], prefix["fix"]) == (None, "")
    assert "that only the code after the loop reads" in prefix["evidence"]
    for said in (CARRIED, ORDERED):
        alignment, columns = (judged(place(of), SUM, said=said)["vectorized"] for of in ("alignment", "columns"))
        assert (alignment["fix"], alignment["good"], bool(columns["fix"])) == ("", None, True)
    maximum = judged(place("running"), "vmaxsd %xmm0, %xmm1, %xmm0", said=CARRIED)["vectorized"]
    assert "NaN" not in maximum["evidence"]
    names = "prefix", "products", "rows"
    dependent = [judged(place(name), SUM, said="unsafe dependent memory operations") for name in names]
    assert [bool(found["vectorized"]["fix"]) for found in dependent] == [False, False, True]


def test_ordinary_maxima_have_a_fix(place):
    for name in ("choice", "two maxima", "nested", "while", "alternating"):
        found = judged(place(name), "vmaxsd %xmm0, %xmm1, %xmm0", said=CARRIED)["vectorized"]
        assert ("NaN" in found["evidence"], found["good"], found["fix"]) == (True, False, advice.PARTIAL_FIX)
        assert judged(place(name), "vmaxsd %xmm0, %xmm1, %xmm0")["vectorized"]["fix"] == advice.PARTIAL_FIX


def test_partial_maxima_in_an_array_are_vectorized():
    def partial(x, best):
        for i in range(0, x.size - 63, 64):
            part = x[i : i + 64]
            for j in range(part.size):
                best[j] = max(best[j], part[j])

    (code,) = numba.njit("void(f4[::1], f4[::1])")(partial).inspect_llvm().values()
    assert "vector.body" in code


def test_an_unused_copy_is_for_long_loops_or_for_other_arrays(place):
    for name, fix in (("paths", advice.APART_FIX), ("multiples", advice.SHORT_FIX)):
        file, line = place(name)
        made = f"remark: {file}:{line}:1: vectorized loop (vectorization width: 4, interleaved count: 4)"
        loop = loop_of("vaddsd (%rsi,%r9,8), %xmm1, %xmm0", *END)
        loop.place = file, line
        assert verdicts(Facts(loop, made, {}, 512, 32, False))[0]["fix"] == fix


def test_division_of_integers_by_a_constant_is_a_division(place):
    said = "the cost-model indicates that vectorization is not beneficial"
    found = judged(place("thirds"), "mulxq (%rsi,%r9,8), %rax, %rdx", "movq %rdx, (%rdi,%r9,8)", said=said)[
        "vectorized"
    ]
    assert (found["fix"], found["evidence"].endswith("for the division of integers")) == (advice.WHOLE_FIX, True)
    floats = judged(place("thirds"), "vmulsd (%rsi,%r9,8), %xmm1, %xmm0", said=said)["vectorized"]
    assert floats["fix"] == advice.NEXT_FIX


def test_exits_are_removed_by_what_causes_them(place):
    compare = "vmovsd (%rsi,%r9,8), %xmm1", "vucomisd %xmm1, %xmm2", "je .LBB0_9"
    assert judged(place("exit"), *compare, said=EARLY)["vectorized"]["fix"] == advice.SELECT_FIX
    for name in ("exit", "raises", "counted"):  # where the exit does not depend on the sum
        independent = judged(place(name), SUM, *compare, said=CARRIED)
        assert (independent["vectorized"]["fix"], independent["checks"]["fix"]) == (advice.SELECT_FIX,) * 2
    carried = judged(place("until"), SUM, *compare, said=EARLY)
    assert (carried["vectorized"]["fix"], carried["checks"]["fix"]) == ("", "")
    lanes = judged(place("mandelbrot"), SUM, *compare, said=CARRIED)
    assert (lanes["vectorized"]["fix"], lanes["checks"]["fix"]) == (advice.MASK_FIX,) * 2
    assert judged(place("quotient"), *compare, said=EARLY)["vectorized"]["fix"] == advice.ZERO_FIX
    assert judged(place("search"), *compare, said=EARLY)["checks"]["answer"] == "1 early exit from the loop"
    bounds = judged(place("product"), *compare, said=EARLY, options={"boundscheck": True})
    assert bounds["vectorized"]["fix"] == advice.BOUNDS_FIX


def test_calls_come_before_the_order_of_a_sum(place):
    found = judged(place("one sum"), "vmovsd %xmm0, (%rsp)", SUM, said=ORDERED, calls=["exp"])
    assert "1 call" in found["vectorized"]["evidence"]
    assert to_fix(list(found.values()))[0]["fix"].startswith("write the function out")
    moves = judged(place("quotient"), "vmovups %xmm0, (%rdi,%r9,8)", calls=["exp"])
    assert moves["vectorized"]["answer"].startswith("no")
    assert moves["vector width"]["good"] is None


@pytest.mark.parametrize(
    ("symbol", "fix"),
    [("NRT_MemInfo_alloc", "allocate arrays"), ("_ZN5numba7cpython7unicode3eqE", "let the function take bytes")],
)
def test_calls_that_compute_no_number(place, symbol, fix):
    found = judged(place("exit"), SUM, calls=[symbol, "NRT_decref"])
    assert found["vectorized"]["fix"].startswith(fix)
    assert found["calls"]["fix"].startswith(fix)


def test_numbers_far_apart_in_one_loop(place):
    gather = "vgatherqps (%rsi,%zmm13,4), %ymm14 {%k2}", "vmulps %ymm14, %ymm14, %ymm14"
    assert judged(place("quotient"), *gather)["loads and stores"]["fix"] == advice.NEXT_FIX
    data = judged(place("quotient"), "vmovdqu64 (%rdi,%r9,8), %zmm13", *gather)["loads and stores"]
    assert (data["good"], data["fix"]) == (None, "")
    fixes = judged(place("quotient"), *gather, "vaddps %ymm14, %ymm15, %ymm14")
    assert to_fix(list(fixes.values()))[0]["name"] == "loads and stores"


def test_no_view_helps_an_index_that_is_data(place):
    said = "cannot identify array bounds"
    fixed = judged(place("quotient"), "vmovsd (%rsi,%r9,8), %xmm1", said=said)["vectorized"]
    assert fixed["fix"].startswith("take a view")
    data = "movq (%rdi,%r9,8), %rax", "vmovsd (%rsi,%rax,8), %xmm1"
    assert judged(place("quotient"), *data, said=said)["vectorized"]["fix"] == ""
    assert judged(place("counter"), "vmovsd %xmm1, (%rsi,%r9,8)", said=said)["vectorized"]["fix"] == ""
    alone = judged(place("while alone"), "vmovsd (%rsi,%r9,8), %xmm1", said=said)["vectorized"]
    assert alone["fix"].startswith("take a view")


def test_only_an_unsigned_index_helps_if_it_is_data(place):
    sign = "movq %rax, %rdx", "sarq $63, %rdx", "andq %r10, %rdx", "addq %rdx, %rax"
    found = judged(place("data"), "movq (%rdi,%r9,8), %rax", *sign, "vaddsd (%rsi,%rax,8), %xmm1, %xmm2")["checks"]
    assert (found["answer"], found["fix"]) == ("wrap-around: 1 per iteration", advice.UNSIGNED_FIX)


def test_independence_is_claimed_only_where_llvm_agrees(place):
    swap = "vmovsd (%rsi,%r9,8), %xmm0", "vmovsd %xmm0, 8(%rsi,%r9,8)"
    assert (
        "may read"
        in judged(place("exit"), *swap, said="unsafe dependent memory operations")["accumulators"]["evidence"]
    )
    vectors = judged(place("quotient"), "vaddpd (%rsi,%r9,8), %ymm1, %ymm0", said=CARRIED)["accumulators"]
    assert vectors["answer"].startswith("none: no value is carried")


def test_each_sum_is_counted_once(place):
    step = "vmulsd %xmm3, %xmm4, %xmm5", "vaddsd %xmm5, %xmm0, %xmm0"
    assert judged(place("quotient"), *step, *step)["multiply-adds"]["answer"].startswith("not fused: 2 products")
    both = "vmulsd %xmm3, %xmm4, %xmm5", "vmulsd %xmm3, %xmm3, %xmm6", "vaddsd %xmm5, %xmm6, %xmm0"
    assert judged(place("quotient"), *both)["multiply-adds"]["answer"].startswith("not fused: 1 product ")


def test_one_of_two_branches_divides(place):
    branches = (
        "vucomisd %xmm0, %xmm2", "jbe .LBB0_4", ".LBB0_6", "vdivsd %xmm2, %xmm1, %xmm2", "jmp .LBB0_5",
        ".LBB0_4", "vdivsd %xmm3, %xmm2, %xmm2", ".LBB0_5", "vmovsd (%rdi,%r9,8), %xmm3",
        "vmovsd (%rdi,%r9,8), %xmm2",
    )  # fmt: skip
    found = judged(place("quotient"), *branches)["divisions"]
    assert found["answer"] == "1 division per iteration"
    twice = judged(place("quotient"), "vdivsd %xmm2, %xmm1, %xmm2", *branches)["divisions"]
    assert twice["answer"] == "2 divisions per iteration"
    roots = [one.replace("vdivsd", "vsqrtsd") for one in branches]
    assert judged(place("quotient"), *roots)["divisions"]["answer"] == "1 root per iteration"
    same = [one.replace("vdivsd %xmm2", "vdivsd %xmm7").replace("vdivsd %xmm3", "vdivsd %xmm7") for one in branches]
    assert judged(place("quotient"), *same)["divisions"]["answer"].startswith("1 per iteration, 1 of them by the same")


def test_ways_through_very_many_blocks_are_counted(place):
    blocks = [part for n in range(10, 3000) for part in (f"je .LBB0_{n}", "vdivsd %xmm2, %xmm1, %xmm2", f".LBB0_{n}")]
    found = judged(place("quotient"), *blocks, "vmovsd (%rdi,%r9,8), %xmm2")["divisions"]
    assert found["answer"] == "2990 divisions per iteration"


def test_a_cycle_beside_the_header_ends(place):
    found = judged(place("quotient"), "je .LBB0_5", ".LBB0_4", "vdivsd %xmm2, %xmm1, %xmm2", ".LBB0_5",
                   "vmovsd (%rdi,%r9,8), %xmm2", "je .LBB0_4")  # fmt: skip
    assert found["divisions"]["answer"] == "1 division per iteration"


def test_divisions_gain_nothing_from_wider_vectors(place):
    found = judged(place("quotient"), "vmovupd (%rsi,%r9,8), %ymm1", "vdivpd %ymm0, %ymm1, %ymm1")
    assert found["vector width"]["good"] is None
    assert to_fix(list(found.values()))[0]["name"] == "divisions"


def test_an_index_that_may_be_negative_is_not_far_apart(place):
    wraps = (
        "movq %r9, %rsi",
        "sarq $63, %rsi",
        "andq %r10, %rsi",
        "addq %r12, %rsi",
        "vaddsd (%rsi,%r9,8), %xmm0, %xmm0",
    )
    found = judged(place("rows"), *wraps)
    assert found["checks"]["answer"].startswith("wrap-around")
    assert found["loads and stores"]["good"]
    assert not loop_of(*wraps, *END).far_apart
    assert loop_of("vaddsd (%rsi), %xmm0, %xmm0", "addq %r12, %rsi", *END).far_apart


@pytest.mark.parametrize(
    ("instruction", "answer"),
    [("vpopcntq (%rsi,%r9,8), %ymm0", "int64 throughout"), ("vpxor (%rsi,%r9,8), %ymm1, %ymm0", "combined bit by bit"),
     ("vmovdqu (%rsi,%r9,8), %ymm0", "only moved")],
)  # fmt: skip
def test_bit_operations_on_vectors_are_named(place, instruction, answer):
    assert judged(place("quotient"), instruction)["numbers"]["answer"] == answer


def test_shuffles_are_no_integers():
    operations = [operation for _, operation in loop_of("vperm2f128 $49, %ymm2, %ymm1, %ymm5", *END).operations]
    found = cycles.analyzers.Analysis("", "", [{"a": 1.0}, {"b": 1.0}, {}, {"b": 1.0}])
    assert [cycles._use_of(port, operations, found) for port in "ab"] == [cycles.IN_VECTORS, cycles.OTHER]
    assert chain_of(["addq $1, %rax"], [1], {}) == 1


def loops_at(*loops):
    """Loops with these instructions, each on a line of its own, or all on one if they share it."""
    found = []
    for line, *instructions in loops:
        loop = loop_of(*instructions, *END)
        loop.place = ("k.py", line)
        found.append(loop)
    return found


def test_the_hottest_loop_has_most_samples():
    counting, adding = loops_at((2, "movq (%rsi,%r9,8), %rdi", "incq (%r15,%rdi,8)"), (5, SUM))
    taken = (), (0, 0), (0, 1), (33, 60)
    shown = [hottest([counting, adding], iterations=[1000, 900], samples=samples) for samples in taken]
    assert shown == [counting, counting, counting, adding]  # few samples are chance


def test_integers_are_work():
    counting, adding = loops_at(
        (2, "movq (%rsi,%r9,8), %rdi", "incq (%r15,%rdi,8)"), (5, "vpaddq (%rsi,%r9,8), %ymm0, %ymm0")
    )
    assert hottest([counting, adding]) is counting


def test_a_version_that_hardly_ran_is_not_shown():
    rest, main = loops_at((2, "movq %r10, (%rax,%rsi,8)", "movq (%rcx,%rsi,8), %r10"), (2, "sarq %r10", "incq %r11"))
    assert [hottest([rest, main], iterations=ran) for ran in ((3, 9), (3, 30000))] == [rest, main]
    alone, vectors = loops_at((2, SUM), (2, "vgatherqpd (%rsi,%ymm0,8), %ymm1 {%k1}", "vmovupd %ymm1, (%rdi,%r9,8)"))
    assert hottest([alone, vectors], iterations=(0, 62)) is vectors


def test_samples_of_loops():
    loop = loop_of(SUM, *END)
    rows = {str(instruction.row): 3 for instruction in loop.loop.instructions[:2]}
    run = {"missing": None, "samples": {"rows": [{}, rows]}}
    assert explain._samples([loop], [[], [loop.loop.function]], run) == [6]
    assert explain._samples([loop], [[], [loop.loop.function]], {"missing": None, "samples": None}) == []


def running_total(x, y):
    total = 0.0
    for i in range(x.size):
        total += x[i]
        y[i] = total


@pytest.mark.skipif(not explain.can_run(), reason="explain runs no functions here")
def test_a_grade_has_the_fix_that_fits():
    _, found = explain.executed(f"{__file__}:running_total", "prefix_sum", (1000,), "float64", moves=False)
    assert (found.answer, found.fix) == ("no: one number at a time", "")


def test_a_chain_of_branches_is_not_limited_by_memory(place):
    nothing = cycles._nothing("no program")
    unsure = {**nothing, "missing": None, "blocks": 2, "limit": cycles.LIMITS["chain"]}
    exit_ = judged(place("until"), SUM, said=EARLY)
    vectors = judged(place("quotient"), "vmulpd (%rsi,%r9,8), %zmm0, %zmm1", "vmovupd %zmm1, (%rdi,%r9,8)")
    sums = judged(place("one sum"), "vaddpd (%rsi,%r9,8), %zmm0, %zmm0")
    for found, prediction, limit in (
        (exit_, nothing, None), (exit_, unsure, None), (vectors, nothing, "memory"), (vectors, unsure, None),
        (sums, nothing, "arithmetic"),
    ):  # fmt: skip
        assert explain._limit(list(found.values()), loop_of(SUM, *END), prediction, {}) == limit
