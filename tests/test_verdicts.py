"""Verdicts on instructions written by hand; and each verdict that can be bad has a slow loop, which reports it."""

import ast
from pathlib import Path

import pytest
import slow_loops
from test_cycles import loop_of

from jitnet.lab.machine_code import verdicts
from jitnet.lab.machine_code.facts import Facts
from jitnet.lab.machine_code.verdicts import accumulators, divisions, multiply_adds, traffic

BY_HAND = {"vector width"}
"""Verdicts that depend on the processor, not on the loop; their test is below."""


def facts_of(*instructions, bits=256, **options):
    """Of a loop of these instructions."""
    return Facts(loop_of(*instructions, "cmpq %rbx, %r9", "jne .LBB0_3"), "", options, bits, 16, True)


def test_every_verdict_that_can_be_bad_has_a_slow_loop():
    """Add the loop and its fix to `slow_loops.py`."""
    source = ast.parse(Path(verdicts.__file__).read_text(encoding="utf-8"))
    made = [n.args for n in ast.walk(source) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "Verdict"]
    bad = {ast.literal_eval(name) for name, _, good, *_ in made if getattr(good, "value", None) is False}
    with_a_loop = {name for _, names, _ in slow_loops.LOOPS.values() for name in names.split("|")}
    assert bad == with_a_loop | BY_HAND
    assert with_a_loop.isdisjoint(BY_HAND)


@pytest.mark.parametrize(
    ("bits", "register", "good", "fix"),
    [(512, "zmm", True, ""), (512, "ymm", False, "ask for them: "), (256, "ymm", True, ""), (512, "", False, "")],
)
def test_width_of_the_vectors(bits, register, good, fix):
    add = f"vaddps (%rcx,%rbx,4), %{register}1, %{register}2" if register else "vaddss (%rcx,%rbx,4), %xmm1, %xmm2"
    verdict = verdicts.width(facts_of(add, "addq $8, %rbx", bits=bits))
    assert (verdict.good, bool(verdict.fix)) == (good, bool(fix))
    assert verdict.fix.startswith(fix)


def test_constants_on_the_stack_are_no_sums():
    """A smaller tile would not help where no value is carried to the next iteration."""
    load = "vmovups (%rcx,%rbx,4), %ymm1"
    constant = "vmulps 32(%rsp), %ymm1, %ymm2        # 32-byte Folded Reload"
    found = accumulators(facts_of(load, constant, "vmovups %ymm2, (%rdx,%rbx,4)", "addq $8, %rbx"))
    assert (found.good, found.fix) == (None, "")
    assert found.evidence == "constants are on the stack: 1 stack access per iteration"
    summed = (
        load,
        "vaddps 64(%rsp), %ymm1, %ymm3  # 32-byte Folded Reload",
        "vmovups %ymm3, 64(%rsp)  # 32-byte Spill",
    )
    found = accumulators(facts_of(*summed, "addq $8, %rbx"))
    assert (found.answer, found.good) == ("spilled: 2 stack accesses per iteration", False)
    assert "a smaller tile" in found.fix
    several = accumulators(facts_of(load, constant, "vaddps %ymm2, %ymm4, %ymm4", "addq $8, %rbx"))
    assert (several.answer, several.good) == ("spilled: 1 stack access per iteration", False)


@pytest.mark.parametrize(
    ("instructions", "said"),
    [
        (["vdivps %ymm8, %ymm1, %ymm2"], "1 per iteration, 1 of them by the same number"),
        (["vdivps 16(%rsp), %ymm1, %ymm2"], "1 per iteration, 1 of them by the same number"),  # it was spilled
        (["vdivps (%rcx,%rbx,4), %ymm1, %ymm2"], "1 division per iteration"),
        (["vdivps 16(%rsp), %ymm1, %ymm2", "vmovups %ymm2, 16(%rsp)"], "1 division per iteration"),
        (["vdivps %ymm8, %ymm1, %ymm2", "vsqrtps %ymm2, %ymm3"],
         "1 per iteration, 1 of them by the same number; 1 root"),
    ],
)  # fmt: skip
def test_divisor_in_memory_is_the_same_number_if_its_address_and_content_stay(instructions, said):
    assert divisions(facts_of(*instructions, "addq $8, %rbx")).answer == said


def test_only_a_division_is_by_a_number():
    root, both = ["vsqrtps %ymm1, %ymm2"], ["vsqrtps %ymm1, %ymm2", "vdivps %ymm2, %ymm3, %ymm4"]
    assert "divi" not in divisions(facts_of(*root)).evidence
    assert divisions(facts_of(*both)).answer == "1 division and 1 root per iteration"
    assert "divisor" in divisions(facts_of(*both)).evidence


COLUMN = ["vmovss (%rdi,%rbx,4), %xmm4", "vfmadd231ss (%r14), %xmm4, %xmm3", "addq %r9, %r14", "addq $1, %rbx"]
"""A row, and the column of another matrix."""
FOUR_COLUMNS = [
    "vmovss (%rdi,%rbx,4), %xmm4", "vmovss 4(%rdi,%rbx,4), %xmm5",
    *[f"vfmadd231ss {at}(%r14), %xmm4, %xmm{at // 4}" for at in (0, 4, 8, 12)], "leaq (%r14,%r8), %r15",
    *[f"vfmadd231ss {at}(%r14,%r8), %xmm5, %xmm{at // 4}" for at in (0, 4, 8, 12)],
    *[f"vfmadd231ss {at}(%r15,%r8), %xmm5, %xmm{at // 4}" for at in (0, 4, 8, 12)], "addq %r8, %r14", "addq $2, %rbx",
]  # fmt: skip
"""The same for four neighboring columns, two rows of them at a time."""


@pytest.mark.parametrize(
    ("instructions", "far", "said"),
    [
        (COLUMN, [1], "1 number per iteration is far apart from the next"),
        (COLUMN[:2] + COLUMN[1:], [1], "1 number per iteration is far apart from the next"),
        (FOUR_COLUMNS, [4, 4, 4], "groups of 4 neighbors are far apart, and their numbers are accessed one by one"),
        (
            ["vmovss (%rdi,%rbx,4), %xmm4", "vaddss %xmm4, %xmm3, %xmm3", "addq $1, %rbx"], [],
            "; most cores do as many loads as arithmetic instructions per cycle",
        ),
    ],
)  # fmt: skip
def test_only_numbers_far_apart_are_said_to_be(instructions, far, said):
    facts = facts_of(*instructions)
    assert facts.far == far
    assert said in traffic(facts).evidence
    assert (traffic(facts).good is False) == bool(far)


def test_latency_is_that_of_the_instructions_in_the_chain():
    def evidence(*instructions):
        return accumulators(facts_of(*instructions, "addq $2, %rbx")).evidence

    load = "vmovss (%rdi,%rbx,4), %xmm4"
    fused = ["vfmadd231ss (%rsi,%rbx,4), %xmm4, %xmm0", "vfmadd231ss 4(%rsi,%rbx,4), %xmm4, %xmm0"]
    added = ["vaddss (%rsi,%rbx,4), %xmm0, %xmm0", "vaddss 4(%rsi,%rbx,4), %xmm0, %xmm0"]
    assert "a multiply-add has a latency" in evidence(load, *fused)
    assert "an addition has a latency" in evidence(*added)
    assert evidence(load, *fused[:1], *added[1:]).endswith("each waits for the result of the step before")


def test_product_that_is_used_by_itself_is_named_once():
    fused = ["vmulps %ymm1, %ymm1, %ymm2", "vaddps %ymm2, %ymm3, %ymm4", "vfmadd231ps %ymm2, %ymm3, %ymm5"]
    contract = {"fastmath": ["contract"]}
    assert multiply_adds(facts_of(*fused, **contract)).evidence == (
        "vfmadd231ps; 1 product is also used without the sum"
    )
    assert multiply_adds(facts_of(*fused[:2], **contract)).evidence == "1 product is also used without the sum"
