"""What `jitnet explain` says of every kernel, and of small loops that were built to have one fault each."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import faults
import pytest
from command import jitnet_command

import jitnet
import jitnet.cli
from jitnet.kernels import LADDERS
from jitnet.kernels.tile import ROWS, VECTORS
from jitnet.kernels.vector import VECTOR_BYTES
from jitnet.lab import explain, listing
from jitnet.lab.machine_code import sources
from jitnet.lab.machine_code.x86 import understood

RUNGS = [f"{operation}.{rung}" for operation, ladder in LADDERS.items() for rung in ladder]
COMPILED = [rung for rung in RUNGS if not rung.endswith((".python", ".numpy"))]
PRODUCTS = ("layer", "delta", "gradients", "descend", "matmul", "matmul_tn", "matmul_nt")
IN_ORDER = (*PRODUCTS, "half_squared_error", "mse", "cross_entropy")
"""Operations whose first loop adds up a sum, in the order in which it is written."""

CALLING = {"exp": "expf", "sigmoid": "expf", "tanh": "tanhf", "softmax": "expf", "binary_cross_entropy": "log1pf"}


def verdict(found, name):
    return next(v for v in found["verdicts"] if v["name"] == name)


@pytest.fixture(scope="module")
def registry():
    """Every compiled rung, explained in one process."""
    return {found["target"]: found for found in explain.explain_all({"target": rung} for rung in COMPILED)}


@pytest.fixture(scope="module")
def loops():
    """Every fault and every cure."""
    requests = [
        {"target": f"{faults.__file__}:{name}_{kind}", "types": types}
        for name, (types, *_) in faults.FAULTS.items()
        for kind in ("fault", "cured")
    ]
    return {found["name"]: found for found in explain.explain_all(requests)}


@pytest.mark.parametrize("name", faults.FAULTS)
def test_a_fault_is_found_and_its_cure_is_clean(loops, name):
    _, verdicts, word = faults.FAULTS[name]
    bad = [v for v in loops[f"{name}_fault"]["verdicts"] if v["name"] in verdicts.split("|") and v["good"] is False]
    assert any(word in v["answer"] + v["evidence"] for v in bad), loops[f"{name}_fault"]["verdicts"]
    assert all(v["cure"] for v in bad)
    cured = loops[f"{name}_cured"]
    assert all(verdict(cured, v["name"])["good"] is not False for v in bad), cured["verdicts"]


@pytest.mark.parametrize("rung", COMPILED)
def test_every_kernel_of_the_registry(registry, rung):
    found = registry[rung]
    operation, name = rung.split(".")
    plain = name.removesuffix("_parallel")
    vectorised, calls = verdict(found, "vectorised"), verdict(found, "calls")
    assert found["loop"]["source"].startswith("for ")
    assert verdict(found, "checks")["good"]
    assert verdict(found, "numbers")["good"] is not False
    if plain in ("njit", "parallel") and operation in CALLING:
        assert vectorised["good"] is False
        assert CALLING[operation] in calls["answer"]
        return
    assert calls["good"] is not False
    if plain in ("njit", "parallel") and operation in IN_ORDER:
        assert vectorised["answer"].startswith("no")
        assert "in the order in which it is written" in vectorised["evidence"]
        assert verdict(found, "multiply-adds")["good"]
        assert verdict(found, "accumulators")["answer"] == "in registers: 1"
    else:
        assert vectorised["good"], vectorised
        width = verdict(found, "vector width")
        asks = plain in ("tile", "polynomial", "wide")  # for others LLVM takes 256 bits on Intel's servers
        assert width["good"] is not False or ("256 bits" in width["answer"] and not asks), found["verdicts"]
    if plain == "tile":
        assert verdict(found, "multiply-adds")["good"]
        assert verdict(found, "loads and stores")["good"]
        assert verdict(found, "accumulators")["answer"] == f"in registers: {ROWS * VECTORS}"
        assert found["loop"]["source"] == "for k in range(A.shape[1]):"
    if plain in ("reordered", "blocked"):
        assert verdict(found, "multiply-adds")["good"]
        assert verdict(found, "accumulators")["answer"].startswith("in memory")
        assert verdict(found, "loads and stores")["good"] is (plain == "blocked")


def test_vectors_of_the_host(registry):
    register = {16: "%xmm", 32: "%ymm", 64: "%zmm"}[VECTOR_BYTES]
    for rung in ("matmul.tile", "matmul.tile_parallel", "sigmoid.polynomial", "sgd.wide", "adam.wide_parallel"):
        assert f"{VECTOR_BYTES // 4} float32 at a time" in verdict(registry[rung], "vectorised")["answer"]
        assert f"{8 * VECTOR_BYTES} bits" in verdict(registry[rung], "vector width")["answer"]
        assert any(register in instruction["text"] for instruction in registry[rung]["instructions"])


def test_what_is_known_of_single_rungs(registry):
    assert "2 of them by the same number" in verdict(registry["adam.njit"], "divisions")["answer"]
    assert "the loop over k" in verdict(registry["matmul.reordered"], "accumulators")["evidence"]
    assert "far apart" in verdict(registry["matmul.njit"], "loads and stores")["evidence"]
    assert verdict(registry["identity.njit"], "vectorised")["answer"] == "yes: it moves whole vectors"
    assert registry["matmul.tile"]["loop"]["file"].endswith("tile.py")
    assert registry["matmul.tile_parallel"]["options"]["parallel"]
    assert registry["matmul.njit"]["remarks"] != []
    assert registry["adam.parallel"]["loop"]["source"] == "for i in prange(theta.size):"


@pytest.mark.parametrize("rung", COMPILED)
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


def test_each_instruction_stands_beside_its_line(tmp_path):
    """Four statements, each with an instruction that only it can have become."""
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


def test_functions_of_all_sorts(tmp_path):
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
    assert verdict(expression, "vectorised")["good"]
    assert expression["loop"]["line"] == 10
    assert {instruction["line"] for instruction in expression["instructions"]} <= {0, 10}
    assert "NRT_" in verdict(grows, "calls")["answer"]
    assert "allocate" in verdict(grows, "calls")["cure"]


@pytest.mark.parametrize("name", ["order_cured", "unfused_cured", "call_fault"])
def test_line_numbers_change_no_instruction(loops, name):
    kernel = getattr(faults, name)
    kernel.compile(f"({faults.FAULTS[name.split('_')[0]][0]},)")
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
        ("idivq %rcx", "divide", 1, False, False, {"cx"}, {"cx"}),
        ("callq *%rbx", "call", 1, False, False, set(), set()),
        ("cmpq %rax, %rcx", "", 1, False, False, {"ax", "cx"}, set()),
    ],
)
def test_instructions_are_understood(text, kind, lanes, loads, stores, reads, writes):
    operation = understood(text)
    assert (operation.kind, operation.lanes) == (kind, lanes)
    assert (operation.loads, operation.stores) == (loads, stores)
    assert (operation.reads, operation.writes) == (reads, writes)


def test_the_command_line(tmp_path):
    result = jitnet_command("explain", "matmul.reordered")
    assert "measuring 1/1: what Numba makes of matmul.reordered" in result.stderr
    assert "✓ vectorised        yes" in result.stdout
    assert "z[j] += x * w[j]" in result.stdout
    file = tmp_path / "mine.py"
    file.write_text("print('imported')\ndef scale(x, a):\n    for i in range(x.size):\n        x[i] = a * x[i] + a\n")
    arguments = ("--args", "np.ones(9, float32), float32(2)", "--json", "--quiet")
    found = json.loads(jitnet_command("explain", f"{file}:scale", *arguments).stdout)
    assert found["signature"] == "float32[::1], float32"
    assert found["options"]["fastmath"] == ["contract"]  # of jitnet, since it says nothing itself
    assert verdict(found, "multiply-adds")["good"]
    stated = jitnet_command("explain", f"{file}:scale", *arguments, "--options", "error_model='numpy'")
    assert stated.stderr == ""
    assert verdict(json.loads(stated.stdout), "multiply-adds")["good"] is False


MINE = """
import numpy as np
from numba import njit
LENGTH = 3

@njit
def fine(x):
    for i in range(x.size):
        x[i] = x[i] + 1

@njit
def wrong(x):
    total = 0
    for i in range(x.size):
        total += x[i].upper()
    return total

def straight(x):
    return x[0]
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mine")
    (folder / "mine.py").write_text(MINE)
    (folder / "broken.py").write_text("import numpy as np\n1 / 0\n")
    return folder


def test_errors_of_functions(mine):
    """Asked in one process, since each takes a second to start."""
    cases = [
        ("mine.py:fin", {"types": "float32[::1]"}, "unknown function of .*known: .*did you mean 'fine'"),
        ("mine.py:LENGTH", {}, "LENGTH in .*mine.py is an int, but must be a function"),
        ("mine.py:wrong", {"types": "float32[::1]"}, r"does not compile: .*upper.*mine.py, line 15"),
        ("mine.py:fine", {}, r"fine\(x\) needs to know what it is compiled for"),
        ("mine.py:fine", {"arguments": "ones(3, flaot32)"}, "cannot be evaluated: NameError.*flaot32"),
        ("mine.py:fine", {"arguments": "ones(3), 4"}, r"fine\(x\) was given 2 arguments: too many"),
        ("mine.py:fine", {"types": "float33[:]"}, "are not known to Numba"),
        ("mine.py:fine", {"types": "float32[:]", "options": "fastmth=True"}, "are not what numba.njit takes.*fastmth"),
        ("broken.py:f", {}, r"importing .*broken.py raises ZeroDivisionError: division by zero \(broken.py, line 2\)"),
    ]
    requests = [explain._request(f"{mine}/{target}", **options) for target, options, _ in cases]
    for answer, (target, _, message) in zip(explain.answers(requests), cases, strict=True):
        assert re.search(message, answer["error"]), (target, answer)
        assert "\n" not in answer["error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["matmull.tile"], "did you mean 'matmul'?"),
        (["matmul.tyle"], "did you mean 'tile'?"),
        (["matmul"], "which rung of matmul? Write matmul.tile_parallel, or one of python, njit"),
        (["matmul.python"], "matmul.python is interpreted by Python, and no loop that Numba compiles; try matmul.njit"),
        (["matmul.numpy"], "NumPy's own code"),
        (["matmul.tile", "--dtype", "half"], "dtype"),
        (["matmul.tile", "--args", "3"], "arguments and options of its own"),
        (["none.py:f"], "there is no file none.py"),
        (["none.py"], "which function of none.py? Write none.py:function"),
        ([":f"], "names no function"),
        (["a:f", "--args", "3", "--types", "int64"], "not both"),
    ],
)
def test_errors_of_names(arguments, message, capsys):
    assert jitnet.cli.main(["explain", *arguments, "--quiet"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_errors_that_only_the_process_knows(mine):
    for target, message in (
        ("nomodule:f", "there is no module 'nomodule' here"),
        ("mine.py:straight", "no loop in"),
    ):
        place = f"{mine}/{target}" if ".py" in target else target
        result = jitnet_command("explain", place, "--types", "float32[::1]", "--quiet", status=2)
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_other_machines_are_told(monkeypatch):
    monkeypatch.setattr(explain.platform, "machine", lambda: "aarch64")
    with pytest.raises(jitnet.Error, match=r"x86-64 \(SSE, AVX2, AVX-512\), but this machine is aarch64"):
        explain.explain("matmul.tile")


def test_a_process_that_dies_is_told(mine):
    (mine / "dies.py").write_text("import os\nos._exit(3)\n")
    with pytest.raises(jitnet.Error, match=r"compiling .*dies.py:f ended with status 3"):
        explain.explain(f"{mine}/dies.py:f", types="float32[::1]")


def test_a_file_that_hangs_ends_with_the_command(mine):
    (mine / "hangs.py").write_text(f"import os\nopen('{mine}/pid', 'w').write(str(os.getpid()))\nwhile True: pass\n")
    command = [sys.executable, "-m", "jitnet", "explain", f"{mine}/hangs.py:f", "--types", "int64", "--quiet"]
    process = subprocess.Popen(command)
    wait_until(lambda: (mine / "pid").exists() and (mine / "pid").read_text())
    process.kill()
    process.wait()
    wait_until(lambda: not is_running(int((mine / "pid").read_text())))


def wait_until(true):
    until = time.monotonic() + 300
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)


def is_running(pid):
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]  # nobody may bury it
    except OSError:
        return False


def test_importing_the_instrument_compiles_nothing():
    code = (
        "import jitnet.lab.explain, numba.core.compiler as c; assert c.compile_ir.__module__ == 'numba.core.compiler'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
