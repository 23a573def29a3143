"""The output of `jitnet explain --backend cuda` for every GPU kernel, and for some kernels with a bug.

No GPU is needed: the tests compile the kernels and parse their code.
"""

import importlib.util
import json
import re

import pytest
from cases import release, slow

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("numba-cuda is not installed (pip install 'jitnet[cuda]')", allow_module_level=True)

from numba import float32

from jitnet.compiler.cuda.device import cuda
from jitnet.compiler.cuda.registry import MATRIX, VECTOR, Launch
from jitnet.kernels.cuda import LADDERS, warptile
from jitnet.kernels.cuda.matmul import by_tile
from jitnet.lab import listing
from jitnet.lab.gpu import disassembly, explaining
from jitnet.lab.gpu.compiling import assembled, has_assembler, ptx_of
from jitnet.lab.gpu.divergence import Flow
from jitnet.lab.machine_code import sources

pytestmark = pytest.mark.usefixtures("ptx_once")

RUNGS = [f"{operation}.{rung}" for operation, ladder in LADDERS.items() for rung in ladder]


PRODUCTS = ("matmul", "matmul_tn", "matmul_nt", "layer", "delta", "gradients", "descend")


def case_of(rung, capability):
    """A normal run tests one kernel of the second GPU and one product: the same compiler generates the others."""
    if rung in ("matmul.naive", "matmul.pipelined", "softmax.rows", "sigmoid.elements") and capability == "9.0":
        return rung, capability
    if rung == "matmul.warptile":
        return rung, capability
    other = capability == "8.0" or rung.partition(".")[0] in PRODUCTS[1:]
    return release(rung, capability) if other else slow(rung, capability)


RUNGS_OF_GPUS = [case_of(rung, capability) for rung in RUNGS for capability in ("8.0", "9.0")]

with_assembler = pytest.mark.skipif(not has_assembler(), reason="needs nvJitLink: pip install 'jitnet[cuda]'")
with_disassembler = pytest.mark.skipif(
    not has_assembler() or disassembly.disassembler() is None, reason=disassembly.HOW_TO_GET
)


def verdict(found, name):
    return next(v for v in found["verdicts"] if v["name"] == name)


class Registry(dict):
    """(rung, capability) -> its explanation, computed at the first access."""

    def __missing__(self, key):
        with pytest.MonkeyPatch.context() as patch:
            if key[1] != "9.0" or not key[0].startswith(("matmul.", "layer.", "softmax.", "adam.")):
                # disassembling takes half a second per kernel
                patch.setattr(disassembly, "disassembler", lambda: None)
            self[key] = explaining.explain(*key, counted=False)
        return self[key]


@pytest.fixture(scope="module")
def registry(ptx_once):
    return Registry()


@pytest.mark.parametrize(("rung", "capability"), RUNGS_OF_GPUS)
def test_every_kernel_of_the_registry(registry, rung, capability):
    found = registry[rung, capability]
    assert json.loads(json.dumps(found)) == found
    operation, name = rung.split(".")
    for good in ("numbers", "barriers", "shared memory"):
        assert verdict(found, good)["good"] is not False
    assert verdict(found, "registers")["good"] is not False  # the hottest loop spills nothing
    assert all(v["fix"] for v in found["verdicts"] if v["good"] is False)
    assert found["loop"]["file"].endswith(".py")
    if found["loop"]["depth"]:
        assert found["loop"]["source"].startswith(("for ", "while "))
        assert found["loop"]["line"] < found["loop"]["last"]
    assert (operation in PRODUCTS) == (
        found["loop"]["depth"] == 2 or name in ("naive", "coalesced", "shared", "tensorcore")
    )
    listed = {(s["file"], s["first"] + n): line for s in found["sources"] for n, line in enumerate(s["lines"])}
    for instruction in found["instructions"]:
        if instruction["line"]:
            place = instruction["file"], instruction["line"]
            assert listed[place] == sources.text_of(place[0])[place[1] - 1]
    assert sum(instruction["line"] > 0 for instruction in found["instructions"]) > 0.9 * len(found["instructions"])
    if name in ("warptile", "pipelined"):
        assert found["summary"] == "Its instructions show nothing to fix; arithmetic should be the limit."
    assert sum(launch["main"] for launch in found["launches"]) == 1
    text = explaining.as_text(found)
    assert max(map(len, text.splitlines())) <= listing.WIDTH
    assert all(line == line.rstrip() for line in text.splitlines())
    assert "_Z" not in text  # no mangled names


@with_assembler
@pytest.mark.parametrize(("rung", "capability"), RUNGS_OF_GPUS)
def test_occupancy_allows_min_blocks_per_sm(registry, rung, capability):
    for launch, entry in zip(LADDERS_OF[rung].launches, registry[rung, capability]["launches"], strict=True):
        assert (entry["name"], entry["threads"]) == (launch.name, launch.threads)
        assert entry["blocks"] >= launch.bounds[1]  # the number that it was compiled for
        assert entry["warps"] == entry["blocks"] * launch.threads // 32 <= entry["most_warps"] == 64
        assert entry["registers"] * 32 * entry["warps"] <= 65536
        assert 100 < entry["size"] < 400_000


LADDERS_OF = {f"{operation}.{name}": rung for operation, ladder in LADDERS.items() for name, rung in ladder.items()}


@pytest.mark.parametrize("capability", ["8.0", "9.0"])
@pytest.mark.parametrize(
    ("rung", "turns", "fused", "from_global", "from_shared"),
    [
        ("naive", 4, 1, 2, 0),
        ("coalesced", 4, 1, 2, 0),
        ("shared", 32, 1, 1 / 16, 2),  # completely unrolled, with the outer loop
        ("blocktile_1d", 2, 8, 0, 9),
        ("blocktile_2d", 1, 64, 0, 16),
        ("vectorized", 1, 64, 0, 4),
        ("warptile", 4, 64, 0, 4),
        ("pipelined", 8, 128, 0, 6),
        ("tensorcore", 2, 8 * 32, 2, 16),
    ],
)
def test_loads_of_a_product_by_hand(registry, rung, capability, turns, fused, from_global, from_shared):
    """Counted by hand for one term of the sums (eight for tensorcore), and the unroll factor."""
    found = registry[f"matmul.{rung}", capability]
    counts = found["counts"]
    assert counts["multiply_adds"] == turns * fused
    assert counts["loads"] == {"global": turns * from_global, "shared": turns * from_shared}
    assert counts["per_load"] == fused / (from_global + from_shared)
    reuse = {"naive": False, "coalesced": False, "shared": False, "blocktile_1d": False, "tensorcore": None}
    pays = {"blocktile_2d": True, "vectorized": True, "warptile": True, "pipelined": True}
    assert verdict(found, "reuse")["good"] is (reuse | pays)[rung]
    assert verdict(found, "width of loads")["good"] is {
        "vectorized": True,
        "warptile": True,
        "pipelined": True,
        "tensorcore": None,
    }.get(rung, False)
    sums = {"blocktile_1d": 8, "blocktile_2d": 64, "vectorized": 64, "warptile": 64, "pipelined": 128, "tensorcore": 32}
    assert counts["sums"] == sums.get(rung, 1)
    assert ("mma" in " ".join(i["text"] for i in found["instructions"])) == (rung == "tensorcore")


def lines_of(found, name):
    """The source line of every instruction of that name."""
    return {listing.line_of(i["file"], i["line"]).strip() for i in found["instructions"] if i["text"].startswith(name)}


def test_verdicts_of_single_rungs(registry):
    best, naive = (registry[f"matmul.{rung}", "9.0"] for rung in ("warptile", "naive"))
    sizes = registry["matmul.pipelined", "9.0"]["launches"]
    assert [launch["main"] for launch in sizes] == [True, False, False]  # the large tile and two smaller ones
    assert [launch["threads"] for launch in sizes] == [128, 128, 256]
    assert best["loop"]["file"].endswith("warptile.py")
    assert best["loop"]["source"].startswith("while k < depth:")
    assert lines_of(best, "fma.rn.f32") == {"sums[r * n_b + c] += a[r] * b[c]"}
    loads = lines_of(best, "ld.shared.v4.f32")
    assert len(loads) == 2  # one for each factor
    assert all("load4(" in line for line in loads)
    assert sum("ld.shared.v4.f32" in i["text"] for i in best["instructions"]) == 16
    assert lines_of(naive, "fma.rn.f32") == lines_of(naive, "ld.global.f32") == {"total += A[i, k] * B[k, j]"}
    assert naive["loop"]["source"] == "while k < A.shape[1]:"
    assert [launch["name"] for launch in registry["gradients.pipelined", "9.0"]["launches"]][-1] == "column_sums"
    assert verdict(registry["softmax.rows", "9.0"], "branches")["answer"] == "some threads run more iterations"
    assert verdict(registry["matmul.warptile", "9.0"], "barriers")["evidence"].startswith("2 in the kernel")
    assert registry["sigmoid.elements", "9.0"]["loop"]["depth"] == 0
    assert "There is no loop" in explaining.as_text(registry["sigmoid.elements", "9.0"])
    assert " more of fma.rn.f32" in explaining.as_text(best)
    assert "Left out: " in explaining.as_text(registry["matmul.tensorcore", "9.0"])


@pytest.mark.slow  # test_gpu_transactions.py counts them
def test_a_long_name_is_followed_by_a_space():
    assert listing.wrapped("5 bytes", "✓ memory transactions") == ["✓ memory transactions 5 bytes"]


def test_memory_transactions_are_counted():
    """Threads of `naive` read two numbers per multiply-add, which transfer 33 bytes; those of `coalesced` 5."""
    naive, coalesced = (
        verdict(explaining.explain(f"matmul.{rung}"), "memory transactions") for rung in ("naive", "coalesced")
    )
    assert (naive["good"], coalesced["good"]) == (False, True)
    assert naive["answer"] == "33 bytes are transferred per multiply-add"
    assert coalesced["answer"] == "5 bytes are transferred per multiply-add"
    assert "its threads read 8 bytes" in naive["evidence"]
    assert "`coalesced`" in naive["fix"]
    assert verdict(explaining.explain("sigmoid.elements"), "memory transactions")["good"]


@with_disassembler
def test_machine_code_is_shown_beside_its_source(registry):
    found = registry["matmul.warptile", "9.0"]
    fused = [i for i in found["machine_code"] if i["text"].startswith("FFMA")]
    assert len(fused) == 256
    assert {sources.text_of(i["file"])[i["line"] - 1].strip() for i in fused} == {"sums[r * n_b + c] += a[r] * b[c]"}
    assert sum("LDS.128" in i["text"] for i in found["machine_code"]) == 16
    assert verdict(found, "instructions")["good"]
    assert "of the machine code" in verdict(found, "instructions")["evidence"]
    share = [verdict(registry[f"matmul.{rung}", "9.0"], "instructions") for rung in ("naive", "shared", "blocktile_1d")]
    assert [v["good"] for v in share] == [False] * 3
    assert sum(i["text"].startswith("HMMA") for i in registry["matmul.tensorcore", "9.0"]["machine_code"]) == 16


def test_ptx_is_shown_without_a_disassembler_or_an_assembler(monkeypatch):
    monkeypatch.setattr(disassembly, "disassembler", lambda: None)
    found = explaining.explain("matmul.shared")
    assert found["machine_code"] is None
    assert "of the PTX" in verdict(found, "instructions")["evidence"]
    assert "To see the machine code too, install nvdisasm: pip install" in explaining.as_text(found)
    monkeypatch.setattr(explaining, "has_assembler", lambda: False)
    found = explaining.explain("matmul.shared")
    assert found["launches"][0]["registers"] is None
    assert verdict(found, "registers")["answer"] == "unknown"
    assert " ? " in explaining.as_text(found)


@with_assembler
@pytest.mark.parametrize("rung", ["matmul.warptile", "sigmoid.elements"])
def test_line_information_changes_no_instruction(rung):
    for launch in LADDERS_OF[rung].launches:
        without, with_lines = (ptx_of(launch, (9, 0), lines) for lines in (False, True))
        assert ".loc" not in without
        assert [b for b in Flow(without).blocks if b] != [b for b in Flow(with_lines).blocks if b]  # places
        texts = [[text for block in Flow(ptx).blocks for text, _ in block] for ptx in (without, with_lines)]
        anonymous = [[re.sub(r"_Z\w+|\$L\w+|smem_\d+", "name", text) for text in some] for some in texts]
        assert anonymous[0] == anonymous[1]
        codes = [assembled(ptx, (9, 0)) for ptx in (without, with_lines)]
        assert codes[0][:-1] == codes[1][:-1]


def in_float64(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = x[i] * 0.1


def in_float32(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = x[i] * float32(0.1)


def indexed(x, y):
    held = cuda.local.array(16, float32)
    for k in range(16):
        held[k] = x[k]
    y[cuda.threadIdx.x] = held[x.size % 16]


def indexed_by_constants(x, y):
    held = cuda.local.array(4, float32)
    for k in range(4):
        held[k] = x[k]
    y[cuda.threadIdx.x] = held[3] - held[0]


def barrier_in_a_branch(x, y):
    parts = cuda.shared.array(64, float32)
    parts[cuda.threadIdx.x] = x[cuda.threadIdx.x]
    if x[cuda.threadIdx.x] > 0:
        cuda.syncthreads()
        y[cuda.threadIdx.x] = parts[63 - cuda.threadIdx.x]


def barrier_for_all(x, y):
    parts = cuda.shared.array(64, float32)
    parts[cuda.threadIdx.x] = x[cuda.threadIdx.x]
    cuda.syncthreads()
    if x[cuda.threadIdx.x] > 0:
        y[cuda.threadIdx.x] = parts[63 - cuda.threadIdx.x]


@pytest.mark.parametrize(
    ("wrong", "fixed", "name", "says", "fix"),
    [
        (in_float64, in_float32, "numbers", "on float64", "float32(0.1)"),
        slow(indexed, indexed_by_constants, "registers", "an array of 64 bytes is in memory", "constants only"),
        slow(
            barrier_in_a_branch, barrier_for_all, "barriers", "1 of 1 may be missed by some threads", "out of the `if`"
        ),
    ],
)
def test_bug_is_reported_and_its_fix_is_not(wrong, fixed, name, says, fix):
    bad, good = (
        explaining.Compiled(Launch(body, [VECTOR, VECTOR], 64, len), (9, 0), False).explained()
        for body in (wrong, fixed)
    )
    assert verdict(bad, name)["good"] is False
    assert says in verdict(bad, name)["answer"]
    assert fix in verdict(bad, name)["fix"]
    assert bad["summary"].startswith(f"What to change first: {name}")
    assert all(v["good"] is not False for v in good["verdicts"])
    lines = verdict(bad, name)["evidence"]
    if name != "registers":
        assert f"line {wrong.__code__.co_firstlineno + {'numbers': 3, 'barriers': 4}[name]}" in lines


@with_disassembler
def test_spilled_sums_are_reported():
    tight = Launch(by_tile(warptile.TILE), [MATRIX] * 3, 256, len, min_blocks_per_sm=4)  # 64 registers for 64 sums
    found = explaining.Compiled(tight, (9, 0), True).explained()
    registers = verdict(found, "registers")
    assert registers["good"] is False
    assert registers["answer"].startswith("spilled: ")
    assert "min_blocks_per_sm" in registers["fix"]
    assert found["summary"].startswith("What to change first: registers")
