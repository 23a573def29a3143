"""`explain` on an ARM machine: LLVM compiles for AArch64 on any machine (`as_on_arm.py`); the assembly is parsed."""

import platform
import sys
from pathlib import Path
from unittest import mock

import pytest
import slow_loops
from cases import release

from jitnet.compiler import intrinsics
from jitnet.lab import explain
from jitnet.lab.machine_code.instructions import understood

FEW = ("stride", "bounds", "float64", "trips", "spill", "leaves")
"""Bugs that are recognized by instruction names or registers; the others are tested before a release."""


@pytest.fixture(scope="module")
def found(request):
    """Target -> its explanation on an ARM machine; one process compiles all targets that the selected tests need."""
    calls = [
        item.callspec.params
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec")
    ]
    requests = [{"target": call["rung"]} for call in calls if "rung" in call]
    requests += [
        {"target": f"{slow_loops.__file__}:{call['name']}_{kind}", "types": slow_loops.LOOPS[call["name"]][0]}
        for call in calls if "name" in call for kind in ("slow", "fixed")
    ]  # fmt: skip
    answers = explained(requests)
    return {each["target"].rpartition(":")[2]: each for each, _ in answers} | {"text": answers[0][1]}


def explained(requests):
    """The explanations and their text on an ARM machine."""
    program = [sys.executable, str(Path(__file__).with_name("as_on_arm.py"))]
    with (
        mock.patch.object(platform, "machine", return_value="aarch64"),
        mock.patch("jitnet.lab.machine_code.requests.command", return_value=program),
        mock.patch.multiple(intrinsics, VECTOR_BYTES=16, REGISTERS=32),
    ):
        return [(each, explain.as_text(each)) for each in explain.explain_all(requests)]


def verdict(explained, name):
    (answer,) = (verdict for verdict in explained["verdicts"] if verdict["name"] == name)
    return answer


@pytest.mark.slow  # compiles the register tile; the loop below is compiled for ARM in every run
@pytest.mark.parametrize("rung", ["matmul.tiled", release("matmul.packed")])
def test_register_tile_keeps_its_sums_in_neon_registers(found, rung):
    """6 rows × 4 vectors fit: 24 sums, 4 vectors of B and one number of A need 29 of 32 registers."""
    judge_tile(found[rung])


@pytest.mark.release
def test_register_tile_is_parsed_on_a_mac(monkeypatch):
    """On macOS, LLVM writes instructions, labels and symbols differently."""
    monkeypatch.setenv("ARM", "arm64-apple-macosx13 apple-m1")
    ((tile, _),) = explained([{"target": "matmul.tiled"}])
    judge_tile(tile)
    assert any("fmla.4s" in instruction["text"] for instruction in tile["instructions"])


def judge_tile(tile):
    assert tile["vector_unit"] == {"name": "NEON", "bits": 128, "registers": 32}
    operations = [understood(instruction["text"]) for instruction in tile["instructions"]]
    fused = [o for o in operations if o.kind == "fma"]
    assert [(o.name, o.lanes) for o in fused] == [("fmla", 4)] * 24
    assert len(set().union(*(o.writes for o in fused))) == 24  # each accumulates into its own register
    assert len({register for o in operations for register in o.writes if register[0] == "v"}) <= 29
    assert sum(o.accesses for o in operations if o.loads) == 4 + 6  # vectors of B, and numbers of A
    assert not any(o.stores or o.on_stack for o in operations)
    assert not any("Spill" in i["comment"] or "Reload" in i["comment"] for i in tile["instructions"])
    assert [v["good"] for v in tile["verdicts"]] == [True] * 9
    assert tile["cycles"]["missing"] == "Cycles are predicted only for x86-64."


def test_text_describes_arm(found):
    text = " ".join(found["text"].split())
    assert "with NEON: 32 vector registers of 128 bits" in text
    assert "128 bits (q), the widest of this machine" in text
    assert "The first operand of an instruction is its target" in text


@pytest.mark.parametrize("rung", ["matmul.reordered"])
def test_vectorized_loop_is_recognized(found, rung):
    loop = found[rung]
    assert verdict(loop, "vectorized")["answer"] == "yes: 4 float32 at a time"
    assert verdict(loop, "multiply-adds")["evidence"] == "fmla"
    assert "in memory" in verdict(loop, "accumulators")["answer"]
    assert loop["loop"]["source"] == "for j in range(n_out):"


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.release] * (n not in FEW)) for n in slow_loops.LOOPS]
)
def test_bug_is_reported_on_arm(found, name):
    _, verdicts, word = slow_loops.LOOPS[name]
    is_bad = None if name in slow_loops.NO_FIX else False
    bad = [v for v in found[f"{name}_slow"]["verdicts"] if v["name"] in verdicts.split("|") and v["good"] is is_bad]
    assert any(word in v["answer"] + v["evidence"] for v in bad), found[f"{name}_slow"]["verdicts"]
    fixed = found[f"{name}_fixed"]
    assert all(verdict(fixed, v["name"])["good"] is not False for v in bad), fixed["verdicts"]


@pytest.mark.parametrize(
    ("text", "kind", "lanes", "loads", "stores", "reads", "writes"),
    [
        ("fmla v2.4s, v1.4s, v0.s[0]", "fma", 4, False, False, {"v0", "v1", "v2"}, {"v2"}),
        ("fmla.4s v2, v1, v0[0]", "fma", 4, False, False, {"v0", "v1", "v2"}, {"v2"}),
        ("ld1r.4s { v8 }, [x21], #4", "move", 1, True, False, {"x21"}, {"v8", "x21"}),
        ("mov.s v22[1], v19[0]", "move", 1, False, False, {"v19", "v22"}, {"v22"}),
        ("bit v23.16b, v0.16b, v24.16b", "", 1, False, False, {"v0", "v23", "v24"}, {"v23"}),
        ("fmadd d0, d1, d2, d3", "fma", 1, False, False, {"v1", "v2", "v3"}, {"v0"}),
        ("fmul v0.2d, v1.2d, v2.2d", "multiply", 2, False, False, {"v1", "v2"}, {"v0"}),
        ("add v0.4s, v1.4s, v2.4s", "add", 4, False, False, {"v1", "v2"}, {"v0"}),
        ("add x8, x8, x9, lsl #2", "", 1, False, False, {"x8", "x9"}, {"x8"}),
        ("ldr q0, [x8, x9, lsl #4]", "move", 1, True, False, {"x8", "x9"}, {"v0"}),
        ("ldr s1, [x9], #4", "move", 1, True, False, {"x9"}, {"v1", "x9"}),
        ("ldp q1, q2, [sp, #32]", "move", 1, True, False, {"sp"}, {"v1", "v2"}),
        ("stp q1, q2, [x15, #-16]!", "move", 1, False, True, {"v1", "v2", "x15"}, {"x15"}),
        ("ld1r { v8.4s }, [x21], #4", "move", 1, True, False, {"x21"}, {"v8", "x21"}),
        ("mov v22.s[1], v19.s[0]", "move", 1, False, False, {"v19", "v22"}, {"v22"}),
        ("fdiv s0, s1, s2", "divide", 1, False, False, {"v1", "v2"}, {"v0"}),
        ("sdiv x0, x1, x2", "divide", 1, False, False, {"x1", "x2"}, {"x0"}),
        ("fcvt d0, s1", "convert", 1, False, False, {"v1"}, {"v0"}),
        ("cmp w8, #3", "", 1, False, False, {"x8"}, set()),
        ("tbz w29, #0, .LBB0_22", "jump", 1, False, False, {"x29"}, set()),
        ("b.ne .LBB0_24", "jump", 1, False, False, set(), set()),
        ("b.ne LBB0_24", "jump", 1, False, False, set(), set()),
        ("bl expf", "call", 1, False, False, set(), set()),
        ("blr x8", "call", 1, False, False, {"x8"}, set()),
    ],
)
def test_arm_instructions_are_parsed(text, kind, lanes, loads, stores, reads, writes):
    operation = understood(text)
    assert (operation.kind, operation.lanes) == (kind, lanes)
    assert (operation.loads, operation.stores) == (loads, stores)
    assert (operation.reads, operation.writes) == (reads, writes)
    assert operation.on_stack == ("[sp" in text)
