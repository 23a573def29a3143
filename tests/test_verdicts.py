"""Verdicts on instructions written by hand; and each verdict that can be bad has a slow loop, which reports it."""

import ast
from pathlib import Path

import pytest
import slow_loops
from test_cycles import loop_of

from jitnet.lab.machine_code import verdicts
from jitnet.lab.machine_code.facts import Facts

END = ("addq $8, %rbx", "cmpq %rbx, %r9", "jne .LBB0_3")
BY_HAND = {"vector width"}
"""Verdicts that depend on the processor, not on the loop; their test is below."""


def facts_of(*instructions, bits=256):
    return Facts(loop_of(*instructions, *END), "", {}, bits, 16, True)


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
    verdict = verdicts.width(facts_of(add, bits=bits))
    assert (verdict.good, bool(verdict.fix)) == (good, bool(fix))
    assert verdict.fix.startswith(fix)


def test_constants_on_the_stack_are_no_sums():
    """A smaller tile would not help where no value is carried to the next iteration."""
    load = "vmovups (%rcx,%rbx,4), %ymm1"
    constant = "vmulps 32(%rsp), %ymm1, %ymm2        # 32-byte Folded Reload"
    found = verdicts.accumulators(facts_of(load, constant, "vmovups %ymm2, (%rdx,%rbx,4)"))
    assert (found.good, found.fix) == (None, "")
    assert found.evidence == "constants are on the stack: 1 stack access per iteration"
    summed = (
        load,
        "vaddps 64(%rsp), %ymm1, %ymm3  # 32-byte Folded Reload",
        "vmovups %ymm3, 64(%rsp)  # 32-byte Spill",
    )
    found = verdicts.accumulators(facts_of(*summed))
    assert (found.answer, found.good) == ("spilled: 2 stack accesses per iteration", False)
    assert "a smaller tile" in found.fix
    several = verdicts.accumulators(facts_of(load, constant, "vaddps %ymm2, %ymm4, %ymm4"))
    assert (several.answer, several.good) == ("spilled: 1 stack access per iteration", False)
