"""The output of `jitnet explain` for every kernel, and for small loops with one bug each."""

import json
import re
import subprocess
import sys

import pytest
import slow_loops
from cases import release, slow
from command import in_a_process, jitnet_command

from jitnet import optimizers
from jitnet.compiler.intrinsics import VECTOR_BYTES
from jitnet.kernels import LADDERS
from jitnet.kernels.register_tile import ROWS, VECTORS
from jitnet.lab import explain, listing
from jitnet.lab.machine_code import sources
from jitnet.lab.machine_code.assembly import functions_of
from jitnet.lab.machine_code.x86 import understood
from jitnet.lab.problems import FOLDER, load

RUNGS = [f"{operation}.{rung}" for operation, ladder in LADDERS.items() for rung in ladder]
COMPILED = [rung for rung in RUNGS if not rung.endswith((".python", ".numpy"))]
THREADED = ("matmul.parallel", "matmul.packed_parallel", "adam.parallel", "adam.wide_parallel")
"""Parallel rungs that represent the others: their loops are the same functions (test_jit.py)."""

FEW = ("matmul.njit", "matmul.packed", "sigmoid.polynomial", "adam.wide")
FEW_LOOPS = ("order", "stride", "bounds", "float64")
OFTEN = ("matmul", "softmax", "adam")
EACH = [
    rung if rung in FEW else slow(rung) if rung.partition(".")[0] in OFTEN else release(rung)
    for rung in COMPILED
    if not rung.endswith("parallel") or rung in THREADED
]
"""Each takes a second to compile, so most are slow; operations that resemble others run before a release only."""

PRODUCTS = ("layer", "delta", "gradients", "descend", "matmul", "matmul_tn", "matmul_nt")
IN_ORDER = (
    *PRODUCTS, "half_squared_error", "mse", "cross_entropy", "huber", "hinge", "softmax_derivative",
    "layer_norm", "layer_norm_back", "layer_norm_gradients",
)  # fmt: skip
"""Operations whose hottest loop adds numbers in the order of the source."""

TILES = ("tiled", "packed", "fused")
"""Rungs made of the register tile."""

CALLING = {
    "exp": "expf", "sigmoid": "expf", "tanh": "tanhf", "softmax": "expf", "binary_cross_entropy": "log1pf",
    "gelu": "expf", "gelu_derivative": "expf", "silu": "expf", "silu_derivative": "expf",
    "softplus": "log1pf", "softplus_derivative": "expf",
}  # fmt: skip
"""Operations whose plain loops call a C library function for each number; in softmax, all rungs but the last do."""


def verdict(found, name):
    return next(v for v in found["verdicts"] if v["name"] == name)


class Registry(dict):
    """Rung -> its explanation, computed at the first access."""

    def __missing__(self, rung):
        self[rung] = explain.explain(rung)
        return self[rung]


@pytest.fixture(scope="module")
def rungs(request):
    """All rungs that the selected tests need."""
    calls = [item.callspec for item in request.session.items if hasattr(item, "callspec") and item.path == request.path]
    return list(dict.fromkeys(call.params["rung"] for call in calls if "rung" in call.params))


@pytest.fixture(scope="module")
def registry(rungs, explanations_once):
    """Rung -> its explanation; one process compiles all rungs."""
    requests = ({"target": rung, "run": "64x128x128", "times": False} for rung in rungs)
    return Registry({found["target"]: found for found in explain.explain_all(requests)})


@pytest.fixture(scope="module")
def assembly(rungs, registry, explanations_once):
    """Rung -> the machine code of its functions and linked helpers."""
    answers = explain.answers([explain.request_for(rung) for rung in rungs])
    return {
        rung: [function for text in answer["assembly"] for function in functions_of(text)]
        for rung, answer in zip(rungs, answers, strict=True)
    }


@pytest.fixture(scope="module")
def loops(request):
    """The bugs and fixes that the selected tests need, compiled in one process."""
    calls = [item.callspec for item in request.session.items if hasattr(item, "callspec") and item.path == request.path]
    wanted = {call.params["name"].split("_")[0] for call in calls if "name" in call.params}
    requests = [
        {"target": f"{slow_loops.__file__}:{name}_{kind}", "types": types}
        for name, (types, *_) in slow_loops.LOOPS.items() if name in wanted
        for kind in ("slow", "fixed")
    ]  # fmt: skip
    return {found["name"]: found for found in explain.explain_all(requests)}


@pytest.mark.parametrize("name", [name if name in FEW_LOOPS else slow(name) for name in slow_loops.LOOPS])
def test_bug_is_reported_and_its_fix_is_not(loops, name):
    _, verdicts, word = slow_loops.LOOPS[name]
    found = loops[f"{name}_slow"]["verdicts"]
    is_bad = None if name in slow_loops.NO_FIX else False
    bad = [v for v in found if v["name"] in verdicts.split("|") and v["good"] is is_bad]
    assert any(word in v["answer"] + v["evidence"] for v in bad), found
    assert all(bool(v["fix"]) is (name not in slow_loops.NO_FIX) for v in bad)
    fixed = loops[f"{name}_fixed"]
    assert all(verdict(fixed, v["name"])["good"] is not False for v in bad), fixed["verdicts"]


@pytest.mark.parametrize("rung", EACH)
def test_every_kernel_of_the_registry(registry, rung):
    found = registry[rung]
    operation, name = rung.split(".")
    plain = name.removesuffix("_parallel")
    vectorized, calls = verdict(found, "vectorized"), verdict(found, "calls")
    assert found["loop"]["source"].startswith("for ")
    assert verdict(found, "checks")["good"]
    assert verdict(found, "numbers")["good"] is not False
    if plain in ("njit", "parallel", "lanes", "compensated") and operation in CALLING:
        assert vectorized["good"] is False
        assert CALLING[operation] in calls["answer"]
        return
    assert calls["good"] is not False
    if operation == "squares":  # sums in the order of the source
        assert "in the order in which it is written" in vectorized["evidence"]
        assert verdict(found, "accumulators")["answer"] == f"in registers: {8 if plain == 'lanes' else 1}"
    elif plain in ("njit", "parallel", "unrolled") and operation in IN_ORDER:
        assert vectorized["answer"].startswith("no")
        if plain != "unrolled":  # for four sums, LLVM sometimes gives another reason
            assert "in the order in which it is written" in vectorized["evidence"]
        assert verdict(found, "multiply-adds")["good"]
        sums = 4 if plain == "unrolled" else 2 if operation.startswith("layer_norm_") else 1
        assert verdict(found, "accumulators")["answer"] == f"in registers: {sums}"
    else:
        assert vectorized["good"], vectorized
        width = verdict(found, "vector width")
        asks = plain in (*TILES, "polynomial", "wide")  # for others LLVM uses 256 bits on Intel's servers
        assert width["good"] is not False or ("256 bits" in width["answer"] and not asks), found["verdicts"]
    if plain in TILES:
        sums, loads = ROWS * VECTORS, ROWS + VECTORS
        assert verdict(found, "multiply-adds")["good"]
        traffic = verdict(found, "loads and stores")
        assert traffic["answer"] == f"{loads / sums:.2g} and 0 per multiply-add instruction"
        assert traffic["good"]
        assert verdict(found, "accumulators")["answer"] == f"in registers: {sums}"
        assert found["loop"]["source"] == "for k in range(B.shape[0]):"
    if plain in ("reordered", "blocked") and rung.removesuffix("_parallel") != "layer.reordered":  # f takes more time
        assert verdict(found, "multiply-adds")["good"]
        assert verdict(found, "accumulators")["answer"].startswith("in memory")
        assert verdict(found, "loads and stores")["good"] is (plain == "blocked")


@pytest.mark.parametrize("rung", EACH)
def test_float32_code_has_no_float64(assembly, rung):
    """No instruction uses float64, also outside of the hottest loop, nor does a C library function that it calls."""
    code = [i.text for function in assembly[rung] for block in function.blocks for i in block.instructions]
    assert code
    assert [text for text in code if uses_float64(text)] == []


@pytest.mark.parametrize(
    ("text", "is_double"),
    [
        ("vaddsd %xmm0, %xmm1, %xmm1", True),
        ("vfmadd231pd (%rax), %ymm1, %ymm2", True),
        ("vcvtss2sd %xmm0, %xmm0, %xmm0", True),
        ("vcvttpd2dq %zmm0, %ymm0", True),
        ("movabsq $exp, %rax", True),
        ("vaddss %xmm0, %xmm1, %xmm1", False),
        ("vmovsd (%rax), %xmm0", False),  # 8 bytes: two numbers of float32
        ("vcvtsi2ssq %rax, %xmm0, %xmm0", False),
        ("movabsq $expf, %rax", False),
    ],
)
def test_float64_instructions_are_recognized(text, is_double):
    assert uses_float64(text) == is_double


def uses_float64(text):
    operation = understood(text)
    if operation.kind == "convert":
        return re.search(r"[sp]d", operation.name) is not None
    return (operation.is_float and operation.element == 8) or re.search(
        r"\$(exp|log|tanh|pow)\w*(?<!f), ", text
    ) is not None


def test_vectors_have_the_width_of_the_processor(registry):
    register = {16: "%xmm", 32: "%ymm", 64: "%zmm"}[VECTOR_BYTES]
    for rung in ("matmul.packed", "sigmoid.polynomial", "adam.wide"):
        assert f"{VECTOR_BYTES // 4} float32 at a time" in verdict(registry[rung], "vectorized")["answer"]
        assert f"{8 * VECTOR_BYTES} bits" in verdict(registry[rung], "vector width")["answer"]
        assert any(register in instruction["text"] for instruction in registry[rung]["instructions"])


@pytest.mark.slow  # compiles five more rungs
def test_verdicts_of_single_rungs(registry):
    assert "2 of them by the same number" in verdict(registry["adam.njit"], "divisions")["answer"]
    assert "the loop over k" in verdict(registry["matmul.reordered"], "accumulators")["evidence"]
    assert "far apart" in verdict(registry["matmul.njit"], "loads and stores")["evidence"]
    assert verdict(registry["identity.njit"], "vectorized")["answer"] == "yes: it moves whole vectors"
    assert registry["matmul.packed"]["loop"]["file"].endswith("tile.py")
    assert registry["matmul.packed_parallel"]["options"]["parallel"]
    assert registry["matmul.njit"]["remarks"] != []
    assert registry["adam.parallel"]["loop"]["source"] == "for i in prange(theta.size):"


def test_two_files_of_the_same_name_are_told_apart(registry):
    found = registry["rmsprop.wide"]
    root = next(each for each in found["instructions"] if "sqrt" in each["text"])
    assert root["file"] == optimizers.__file__  # not that of kernels/optimizers.py
    assert "math.sqrt(square)" in sources.text_of(root["file"])[root["line"] - 1]
    assert "in jitnet/optimizers.py:" in explain.as_text(found)


def test_the_name_of_a_file_may_have_any_letters_and_its_text_a_byte_order_mark_and_form_feeds(tmp_path):
    file = tmp_path / "kürse" / "größe.py"
    file.parent.mkdir()
    file.write_text("\ufeff# a\fb\ndef f(a, b):\n    for i in range(a.size):\n        b[i] = a[i] / 3.0\n", "utf-8")
    found = explain.explain(f"{file}:f", types="float64[::1], float64[::1]")
    assert (found["loop"]["file"], found["loop"]["source"]) == (str(file), "for i in range(a.size):")
    assert {each["file"] for each in found["instructions"] if each["line"]} == {str(file)}
    assert "b[i] = a[i] / 3.0" in explain.as_text(found)


@pytest.mark.parametrize("rung", EACH)
def test_lines_and_columns(registry, rung):
    found = registry[rung]
    assert json.loads(json.dumps(found)) == found
    listed = {(s["file"], s["first"] + n): line for s in found["sources"] for n, line in enumerate(s["lines"])}
    for instruction in found["instructions"]:
        if instruction["line"]:
            place = instruction["file"], instruction["line"]
            assert listed[place] == sources.text_of(place[0])[place[1] - 1]
    text = explain.as_text(found)
    assert max(map(len, text.splitlines())) <= listing.WIDTH
    assert all(line == line.rstrip() for line in text.splitlines())
    assert all(instruction["text"] in text for instruction in found["instructions"])


def test_each_instruction_is_shown_beside_its_source_line(tmp_path):
    """Four statements, each with an instruction that only it can produce."""
    file = tmp_path / "mine.py"
    file.write_text("""import math
import numpy as np

def lines(x, y, z):
    for i in range(x.size):
        a = math.sqrt(x[i])
        b = a / y[i]
        c = max(b, x[i])
        z[i] = c
""")
    found = explain.explain(f"{file}:lines", types=", ".join(["float64[::1]"] * 3))
    for pattern, line in (("sqrt", 6), ("div", 7), (r"mov[au]p[sd].*\(%\w+,?\S*\)$", 9)):
        lines = {i["line"] for i in found["instructions"] if re.search(pattern, i["text"])}
        assert lines == {line}, (pattern, found["instructions"])
    assert (found["loop"]["line"], found["loop"]["last"], found["loop"]["function"]) == (5, 9, "lines")
    assert found["sources"][0]["first"] == 4


@pytest.mark.slow  # compiles functions with other options
def test_functions_of_every_kind_are_explained(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("""from numba import njit

@njit(["void(float64[::1])"])
def declared(x):
    for i in range(x.size):
        x[i] = x[i] / 3

@njit(fastmath=True)
def expression(a, b):
    return a * b + 2 * a

@njit
def grows(n):
    found = []
    for i in range(n):
        found.append(i * 0.5)
    return found
""")
    wanted = {"declared": None, "expression": "float64[::1], float64[::1]", "grows": "int64"}
    declared, expression, grows = explain.explain_all(
        {"target": f"{file}:{name}", "types": types} for name, types in wanted.items()
    )
    assert declared["signature"] == "float64[::1]"
    assert verdict(declared, "divisions")["good"] is False
    assert verdict(expression, "vectorized")["good"]
    assert expression["loop"]["line"] == 10
    assert {instruction["line"] for instruction in expression["instructions"]} <= {0, 10}
    assert "NRT_" in verdict(grows, "calls")["answer"]
    assert "allocate" in verdict(grows, "calls")["fix"]


@pytest.mark.slow  # two processes; test_explain_errors.py passes arguments too
def test_function_can_take_the_arguments_of_an_operation(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("""
def product(X, W, Z):
    for i in range(len(Z)):
        for j in range(Z.shape[1]):
            Z[i, j] = X[i, 0] * W[0, j]

def bias(X, W, b, f, A):
    for j in range(b.size):
        A[f, j] = b[j]
""")
    found = json.loads(
        jitnet_command("explain", f"{file}:product", "--as", "matmul", "--json", "--quiet", "--no-run").stdout
    )
    assert found["signature"] == "float32[:,::1], float32[:,::1], float32[:,::1]"
    found = explain.explain(f"{file}:bias", "float64", operation="layer")
    assert found["signature"] == "float64[:,::1], float64[:,::1], float64[::1], int64, float64[:,::1]"


@pytest.mark.slow  # a process that compiles
def test_function_can_take_the_arguments_of_a_problem():
    """With the size of the problem's first timing, or another size."""
    place = f"{FOLDER / 'dot.py'}:naive"
    found = explain.explain(place, "float64", problem="dot", run="1001")
    assert found["signature"] == "float64[::1], float64[::1], float64[::1]"
    assert found["measured"].get("size", [1001]) == [1001]  # not measured everywhere
    assert explain.request_for(place, problem="dot", run="")["run"] == load("dot").timed[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["order_fixed", "unfused_fixed", "call_slow"])
def test_line_information_changes_no_instruction(loops, name):
    kernel = getattr(slow_loops, name)
    kernel.compile(f"({slow_loops.LOOPS[name.split('_')[0]][0]},)")
    (assembly,) = kernel.inspect_asm().values()
    usual = [" ".join(line.split()) for line in assembly.splitlines() if line.startswith("\t") and line[1] != "."]
    loop = [i["text"] for i in loops[name]["instructions"]]

    def without_labels(lines):
        return "\n".join(re.sub(r"\.L\w+", "label", line) for line in lines)

    assert without_labels(loop) in without_labels(usual)


@pytest.mark.parametrize(
    ("text", "kind", "lanes", "loads", "stores", "reads", "writes"),
    [
        ("vfmadd231ps (%rax,%rcx,4), %zmm1, %zmm2", "fma", 16, True, False, {"ax", "cx", "v1", "v2"}, {"v2"}),
        ("vfnmadd213sd %xmm1, %xmm2, %xmm3", "fma", 1, False, False, {"v1", "v2", "v3"}, {"v3"}),
        ("vmovups %ymm4, 32(%r8,%r9,4)", "move", 1, False, True, {"v4", "r8", "r9"}, set()),
        ("vmulpd %ymm0, %ymm1, %ymm2", "multiply", 4, False, False, {"v0", "v1"}, {"v2"}),
        ("addps (%rdi), %xmm3", "add", 4, True, False, {"di", "v3"}, {"v3"}),
        ("vxorps %xmm0, %xmm0, %xmm0", "", 1, False, False, set(), {"v0"}),
        ("addq $1, (%rbx)", "", 1, True, True, {"bx"}, set()),
        ("vaddps %zmm0, %zmm1, %zmm1 {%k1}", "add", 16, False, False, {"v0", "v1", "k1"}, {"v1"}),
        ("idivq %rcx", "divide", 1, False, False, {"ax", "cx", "dx"}, {"ax", "dx"}),
        ("callq *%rbx", "call", 1, False, False, set(), set()),
        ("cmpq %rax, %rcx", "", 1, False, False, {"ax", "cx"}, set()),
    ],
)
def test_instructions_are_parsed(text, kind, lanes, loads, stores, reads, writes):
    operation = understood(text)
    assert (operation.kind, operation.lanes) == (kind, lanes)
    assert (operation.loads, operation.stores) == (loads, stores)
    assert (operation.reads, operation.writes) == (reads, writes)


@pytest.mark.slow  # four processes; test_explain_errors.py also uses the command
def test_command_explains_rungs_and_functions(tmp_path):
    result = in_a_process("explain", "matmul.reordered", "--size", "64")
    assert "measuring 1/1: compiling matmul.reordered" in result.stderr
    assert "✓ vectorized        yes" in result.stdout
    assert "  measured  " in result.stdout
    assert "z[j] += x * w[j]" in result.stdout
    file = tmp_path / "mine.py"
    file.write_text("print('imported')\ndef scale(x, a):\n    for i in range(x.size):\n        x[i] = a * x[i] + a\n")
    arguments = ("--args", "np.ones(9, float32), float32(2)", "--json", "--quiet", "--no-run")
    found = json.loads(jitnet_command("explain", f"{file}:scale", *arguments).stdout)
    assert found["signature"] == "float32[::1], float32"
    assert found["options"]["fastmath"] == ["contract"]  # jitnet's default, since the file sets no option
    assert verdict(found, "multiply-adds")["good"]
    stated = jitnet_command("explain", f"{file}:scale", *arguments, "--options", "error_model='numpy'")
    assert stated.stderr == ""
    assert verdict(json.loads(stated.stdout), "multiply-adds")["good"] is False


@pytest.mark.slow  # a separate process
def test_importing_explain_does_not_patch_numba():
    code = (
        "import jitnet.lab.explain, numba.core.compiler as c; assert c.compile_ir.__module__ == 'numba.core.compiler'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
