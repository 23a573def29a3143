"""Integers in the hottest loop: accumulators, addresses that are data, and the verdicts that follow from them."""

import pytest
from test_cycles import loop_of

from jitnet.lab import explain, listing
from jitnet.lab.machine_code.facts import Facts
from jitnet.lab.machine_code.integers import chosen_addresses, integers_of
from jitnet.lab.machine_code.verdicts import summary, verdicts

END = "cmpq %r9, %r8", "jne .LBB0_3"


def judged(*instructions, **facts):
    """Name of a verdict -> verdict."""
    found = verdicts(Facts(loop_of(*instructions, *END), "", {}, 512, 32, True, **facts))
    return {verdict["name"]: verdict for verdict in found}


def integers(*instructions):
    return integers_of([operation for _, operation in loop_of(*instructions, *END).operations])


@pytest.mark.parametrize(
    ("instructions", "carried"),
    [
        (["addq (%rsi,%r9,8), %rcx", "incq %r9"], {"cx"}),
        (["movq (%rsi,%r9,8), %rax", "addq %rax, %rcx", "incq %r9"], {"cx"}),
        (["imulq %rdx, %rcx", "addq $3, %rcx"], {"cx"}),  # a generator of random numbers
        (["movq (%rdx,%rcx,8), %rcx"], {"cx"}),  # a linked list
        (["movq (%rdx,%rcx,8), %rax", "movq %rax, %rcx"], {"cx"}),
        (["leaq 1(%rcx), %rax", "movq %rax, %rcx", "addq %r14, %rsi"], set()),  # counters
        (["movq 8(%rsp), %rax", "addq %rax, %rcx"], set()),  # a step that was spilled
        (["movq (%rsi,%r9,8), %rax", "movq %rax, (%rdi,%r9,8)", "incq %r9"], set()),
    ],
)
def test_integers_that_are_carried(instructions, carried):
    assert integers(*instructions).carried == carried


@pytest.mark.parametrize(
    ("instructions", "updates"),
    [
        (["movzbl (%rsi), %edi", "incq (%r15,%rdi,8)", "incq %rsi"], ["(%r15,,8)"]),
        (["movq (%rsi,%r9,8), %rax", "vmovss (%rdx,%rax,4), %xmm0", "vaddss %xmm1, %xmm0, %xmm0",
          "vmovss %xmm0, (%rdx,%rax,4)"], ["(%rdx,,4)"]),
        (["movq (%rsi,%r9,8), %rax", "vmovss %xmm0, (%rdx,%rax,4)"], []),  # only stored
        (["movq (%rdx,%rcx,8), %rax", "movq (%rdx,%rax,8), %rax", "movq %rax, (%rdx,%rcx,8)", "movq %rax, %rcx"], []),
        (["incq (%r15,%r9,8)", "incq %r9"], []),
    ],
)  # fmt: skip
def test_elements_that_are_updated_at_an_index_from_memory(instructions, updates):
    assert integers(*instructions).updates == updates


def test_sum_of_integers_is_an_accumulator_and_arithmetic():
    found = judged(*(f"addq {8 * n}(%rsi,%r9,8), %rcx" for n in range(8)), "addq $8, %r9")
    assert found["accumulators"]["answer"] == "in registers: 1 integer"
    assert "8 dependent instructions per iteration" in found["accumulators"]["evidence"]
    assert "8 × int64" in found["numbers"]["evidence"]
    assert found["multiply-adds"]["evidence"] == "8 instructions of arithmetic"
    assert found["loads and stores"]["evidence"] == "for 8 instructions of integers"


def test_updates_of_one_array_get_private_tables_and_no_view():
    update = "movzbl (%rsi,%r9), %edi", "incq (%r15,%rdi,8)", "incq %r9"
    found = judged(*update)
    assert (found["accumulators"]["good"], found["vectorized"]["fix"]) == (False, "")
    assert "private tables" in found["accumulators"]["fix"]
    two = judged(*update, "movzbl 1(%rsi,%r9), %edi", "incq (%r14,%rdi,8)")
    assert two["accumulators"]["good"] is None


def test_masks_and_conditional_moves_that_choose_addresses():
    test = "vpcmpnltuq %zmm2, %zmm10, %k1", "vmovdqa64 %zmm0, %zmm12 {%k1} {z}", "vpaddq %zmm12, %zmm7, %zmm13"
    gather = "vgatherqps -4(,%zmm13), %ymm14 {%k2}"
    cases = [
        ((*test, gather), 1),
        ((*test, "vgatherqps -4(,%zmm7), %ymm14 {%k1}"), 0),  # only masked
        (("cmpq %rbp, %rax", "movq %r11, %rax", "cmovbq %rbx, %rax", "vmovss (%rdx,%rax,4), %xmm0"), 1),
    ]
    for instructions, chosen in cases:
        assert chosen_addresses([operation for _, operation in loop_of(*instructions).operations]) == chosen
    found = judged(*test, gather, "vmulps %ymm14, %ymm14, %ymm14")
    assert "wrap around" in found["checks"]["fix"]
    assert found["loads and stores"]["fix"] == found["checks"]["fix"]


def test_array_of_any_stride_is_declared_contiguous():
    gather = "vgatherqps -4(,%zmm13), %ymm14 {%k2}", "vmulps %ymm14, %ymm14, %ymm14"
    assert "declare float32[::1]" in judged(*gather, any_stride="float32[:]")["loads and stores"]["fix"]
    assert "order of the loops" in judged(*gather)["loads and stores"]["fix"]
    loop = loop_of(*gather, *END)
    answer = {"signature": "float64[:], float64[:,:], float64[:,::1]", "remarks": "", "options": {}, "widened": []}
    assert explain._facts(answer, loop).any_stride == "float64[:], float64[:,:]"


def test_widths_of_float32_and_of_float64_are_told():
    found = judged(
        "vmovups 4(%r14,%rbx,4), %ymm1", *["vaddps 4(%r13,%rbx,4), %ymm1, %ymm1"] * 5, "vcvtps2pd %ymm1, %zmm1",
        "vfmadd231pd %zmm0, %zmm2, %zmm1", "vcvtpd2ps %zmm1, %ymm1", "vmovupd %ymm1, 4(%rcx,%rbx,4)",
    )  # fmt: skip
    width = found["vector width"]
    assert width["answer"] == "256 bits (ymm) for 5 × float32, 512 bits (zmm) for 1 × float64"
    assert width["good"] is None


def test_causes_come_first():
    names = "multiply-adds", "loads and stores", "checks", "numbers"
    bad = [{"name": name, "answer": "", "good": False, "fix": name.upper(), "evidence": ""} for name in names]
    found = summary(bad, None)
    assert found["summary"].startswith("What to change first: checks")
    fixes = [line.split()[-1] for line in listing.judged(found | {"verdicts": bad}) if line.startswith("→")]
    assert fixes == ["CHECKS", "NUMBERS", "MULTIPLY-ADDS", "STORES"]


def test_latency_is_that_of_the_steps():
    steps = {
        "vaddsd 8(%rsi,%r9,8), %xmm0, %xmm0": "an addition has a latency of 2 to 4 cycles",
        "vpaddq %ymm0, %ymm1, %ymm0": "an addition of integers has a latency of 1 cycle",
        "vmaxsd 8(%rsi,%r9,8), %xmm0, %xmm0": "each waits for the result of the step before",
    }
    for instruction, said in steps.items():
        assert judged(instruction, instruction)["accumulators"]["evidence"].endswith(said)
    both = judged("vaddsd (%rsi,%r9,8), %xmm0, %xmm0", "addq (%rdi,%r9,8), %rcx")["accumulators"]
    assert (both["answer"], both["evidence"].rpartition("; ")[2]) == ("in registers: 1", "and 1 integer")


def test_floats_that_are_only_compared_are_named():
    found = judged("vcmpltpd (%rax,%r9,8), %ymm1, %ymm5", "vpsubq %ymm5, %ymm0, %ymm0")["numbers"]
    assert (found["answer"], found["good"]) == ("int64, and comparisons of float64", None)
    assert (
        judged("vcmpltpd %ymm2, %ymm1, %k1", "vaddpd %ymm2, %ymm1, %ymm0")["numbers"]["answer"] == "float64 throughout"
    )


REMAINDER = (
    "movq (%r11,%rbx,8), %rax", "cqto", "idivq %r9", "movq %rdx, %r14", "xorq %r9, %r14", "sarq $63, %r14",
    "andq %r9, %r14", "testq %rdx, %rdx", "cmoveq %rdx, %r14", "addq %rdx, %r14",
)  # fmt: skip
"""a[i] % m, rounded down as in Python."""


def test_rounding_of_a_division_is_no_wrap_around_and_no_accumulator():
    found = judged(*REMAINDER, "movq %r14, (%rcx,%rbx,8)", "incq %rbx")
    assert found["checks"]["answer"] == "none"
    assert found["checks"]["evidence"].endswith("no sign of an index is tested")  # that of a remainder is
    assert found["accumulators"]["answer"].startswith("none")


def test_wrap_around_of_a_remainder_is_counted_once():
    update = "leaq (%rcx,%r14,8), %rdx", "sarq $63, %r14", "andq %rsi, %r14", "incq (%rdx,%r14,8)"
    assert judged(*REMAINDER, *update, "incq %rbx")["checks"]["answer"] == "wrap-around: 1 per iteration"


def test_absolute_value_is_no_wrap_around():
    absolute = "movq (%rax,%r9,8), %rcx", "movq %rcx, %rdx", "negq %rdx", "cmovsq %rcx, %rdx"
    assert judged(*absolute, "movq %rdx, (%rdi,%r9,8)", "incq %r9")["checks"]["answer"] == "none"


@pytest.mark.parametrize(
    "instruction",
    ["vucomisd 8(%rax,%r9,8), %xmm0", "comiss (%rax,%r9,4), %xmm0", "vcvtss2sd (%rax,%r9,4), %xmm1, %xmm0",
     "vcmpltsd (%rax,%r9,8), %xmm1, %xmm0", "vcvtsi2sdq (%rax,%r9,8), %xmm1, %xmm0"],
)  # fmt: skip
def test_instruction_on_one_number_in_memory_is_no_load_of_a_vector(instruction):
    found = judged(instruction, "incq %r9")
    assert found["vectorized"]["answer"] == "no: one number at a time"
    assert found["vector width"]["evidence"] == "no instruction works on a whole vector"


def test_wrap_around_of_neighbors_is_counted_for_each():
    first = "movq %r8, %rbx", "sarq $63, %rbx", "andq %r9, %rbx", "movsd (%r10,%rbx,8), %xmm0"
    second = "cmpq $-1, %r8", "movl $0, %ebx", "cmovlq %r9, %rbx", "addsd 8(%rbx,%r10), %xmm0"
    assert judged(*first, *second, "incq %r8")["checks"]["answer"] == "wrap-around: 2 per iteration"
