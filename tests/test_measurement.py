"""What a measurement of a loop changes: a limit that it contradicts, and the lines of samples."""

from pathlib import Path

import pytest
from test_cycles import loop_of, run_of

from jitnet.lab import explain, listing
from jitnet.lab.machine_code import measurement
from jitnet.lab.machine_code.assembly import Block, Function, Instruction

PREDICTION = {
    "missing": None, "program": "P", "model": "m", "cycles": 8.0, "limit": "busiest port", "blocks": 1, "notes": [],
    "port": {"name": "p0", "does": "multiply-adds", "cycles": 8.0}, "divider": {"name": "FPDivider", "cycles": 7.5},
    "chain": {"cycles": 1.0}, "front_end": None,
}  # fmt: skip


@pytest.mark.parametrize(("times", "contradicts"), [(1.0, False), (1.2, False), (1.5, True), (4.0, True), (0.5, True)])
@pytest.mark.parametrize("noise", [[], ["noise"]])
def test_predicted_limit_is_not_repeated_if_the_measurement_contradicts_it(times, contradicts, noise):
    loop = loop_of("vmovups (%rdi,%rbx,4), %ymm1", "vmulps %ymm1, %ymm1, %ymm1", "addq $8, %rbx", "jne .LBB0_3")
    taken = measurement.measured(loop, 0, run_of(loop, times) | {"disturbed_by": noise}, PREDICTION, 48 << 10)
    assert taken["contradicts"] == contradicts
    good = [
        {"name": name, "good": True, "answer": "", "fix": ""}
        for name in ("vectorized", "loads and stores", "accumulators")
    ]
    limit = explain._limit(good, loop, PREDICTION, taken)
    assert limit == (taken["limit"] if contradicts else "arithmetic")
    text = "\n".join(listing.cycles_of({"cycles": PREDICTION, "measured": taken}))
    assert ("busiest port (the limit)" in text) != contradicts
    assert "     7.5  divider                       FPDivider, divisions and roots\n" in text
    assert explain._limit(good, loop, PREDICTION, {}) == "arithmetic"


def test_measured_cycles_have_a_unit_without_a_prediction():
    loop = loop_of("vmovups (%rdi,%rbx,4), %ymm1", "vmulps %ymm1, %ymm1, %ymm1", "addq $8, %rbx", "jne .LBB0_3")
    without = {"missing": "There is no prediction of cycles.", "notes": []}
    taken = measurement.measured(loop, 0, run_of(loop, 1.5), without, 48 << 10)
    first, title, figure, *rest = listing.cycles_of({"cycles": without, "measured": taken})
    assert (first, title) == (without["missing"], "Cycles of one iteration:")
    assert figure.startswith(f"{taken['cycles']:8.1f}  measured")
    assert not any("→" in line for line in rest)


@pytest.mark.slow  # a process that compiles
def test_predicted_limit_is_that_of_data_in_the_cache():
    """Of adam with many parameters, memory is the limit."""
    found = explain.explain("adam.wide")
    assert found["limit"] == "memory" or found["summary"].endswith(
        "should be the limit where the data are in the L1 cache."
    )


def test_a_sample_belongs_to_the_instruction_before_the_one_that_comes_next():
    """The counts are those of sigmoid.polynomial: the division takes most of the time."""
    file = str(Path(__file__))
    counts = [("vaddps", 2, 1), ("vdivps", 2, 66), ("vblendmps", 1, 1127), ("vfnmadd132ps", 2, 1), ("vmovups", 3, 588)]
    block = Block("BB0_6", instructions=[Instruction(f"{name} %zmm1, %zmm2, %zmm3", "", ((file, line),), row)
                                         for row, (name, line, _) in enumerate(counts)])  # fmt: skip
    rows = {str(row): samples for row, (*_, samples) in enumerate(counts)}
    run = {"missing": None, "samples": {"count": sum(rows.values()), "waiting": 0, "rows": [rows]}}
    found = explain._sampled_lines([[Function("f", [block])]], run)
    shares = {line["line"]: line["share"] * found["samples"] for line in found["lines"]}
    assert shares == pytest.approx({2: 1 + 66 + 1127 + 588, 1: 1})
    assert found["elsewhere"] == pytest.approx(0)
