"""Verdicts on the code of a GPU kernel, each with evidence and a fix.

A verdict is good, bad, or neither, if the kernel may have to be so. All counts are for one thread in one iteration of
the hottest loop, in the PTX; registers and spills come from the machine code.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

from ..formatting import count
from ..machine_code.verdicts import Verdict
from .compiling import HOW_TO_GET, MachineCode
from .divergence import Flow
from .hottest import Loop, access, is_arithmetic
from .occupancy import BANKS, GPUS, LATENCY, PARTS, WARP, Resident
from .program import shared_variables

MOST_SHARED = 48 << 10
"""Bytes of shared memory that a block can have by `cuda.shared.array`."""


WASTE = 1.25
"""Bytes that may be transferred for each byte that a thread reads."""


@dataclass
class Facts:
    """Counts that several verdicts use."""

    flow: Flow
    text: str
    """The PTX."""
    loop: Loop
    machine: Loop | None
    """The hottest loop of the machine code, if that could be read."""
    code: MachineCode | None
    """None without an assembler."""
    resident: Resident | None
    cc: tuple[int, int]
    is_product: bool
    """True if each loaded number is used in many sums."""
    counted: dict[str, Any] | None
    """The result of `transactions.each` for the whole rung, if that was counted."""

    def __post_init__(self) -> None:
        self.multiply_adds = self.loop.multiply_adds
        self.loads = {space: self.loop.loads(space) for space in ("global", "shared")}
        self.numbers = sum(sum(sizes) for sizes in self.loads.values()) / 4
        self.chains = max(1, self.loop.sums) if self.is_product else 1
        self.matrix = sum("mma." in text for text, _ in self.loop.instructions)
        self.sums = self.chains * (4 if self.matrix else 1)
        self.unit = "per iteration" if self.loop.depth else "per thread"

    @property
    def per_load(self) -> float | None:
        """Multiply-adds per load of global or shared memory; None if there is no load."""
        loads = sum(map(len, self.loads.values()))
        return self.multiply_adds / loads if loads else None


def verdicts(facts: Facts) -> list[dict[str, object]]:
    """name, answer, good (True, False, None), evidence, fix (empty where there is nothing to fix)."""
    first = (multiply_adds, floats, registers, barriers)  # these must be right before speed matters
    then = (
        reuse,
        *([memory_transactions] if facts.counted else []),
        loads,
        instructions,
        warps_at_a_time,
        shared_memory,
        branches,
    )
    return [asdict(ask(facts)) for ask in (*first, *then)]


def multiply_adds(facts: Facts) -> Verdict:
    """Which instructions compute?"""
    if facts.matrix:
        each = facts.multiply_adds // facts.matrix
        return Verdict(
            "multiply-adds", f"by matrix units: {count(facts.matrix, 'instruction')} {facts.unit}", True,
            f"each does {each * WARP} for a warp, {each} per thread, where a fused one does {WARP}; their factors "
            "have 10 fraction bits, not 23",
        )  # fmt: skip
    arithmetic = sum(is_arithmetic(text) for text, _ in facts.loop.instructions)
    if not facts.multiply_adds:
        done = f"{count(arithmetic, 'instruction')} of arithmetic" if arithmetic else "it only moves numbers"
        return Verdict("multiply-adds", "there are none", None, done)
    single = arithmetic - facts.multiply_adds
    return Verdict(
        "multiply-adds", f"fused: {facts.multiply_adds} {facts.unit}", True,
        f"fma.rn.f32; also {count(single, 'instruction')} of arithmetic" if single else "fma.rn.f32, no other",
    )  # fmt: skip


def reuse(facts: Facts) -> Verdict:
    """How often is a loaded number used?"""
    name = "reuse"
    parts = [f"{_moved(sizes)} of {space} memory" for space, sizes in facts.loads.items() if sizes]
    evidence = " and ".join(parts) or "no load"
    if not facts.is_product:
        return Verdict(name, "each number is used once", None, f"{evidence}: memory is the limit")
    if not facts.numbers or not facts.multiply_adds:
        return Verdict(name, "there is nothing to reuse", None, evidence)
    each = facts.multiply_adds / facts.numbers
    answer = f"{each:.2g} multiply-adds per loaded number"
    if facts.matrix:
        return Verdict(name, answer, None, evidence)
    need = GPUS[facts.cc].multiply_adds / BANKS
    pace = f"per cycle, arithmetic can do {GPUS[facts.cc].multiply_adds} and shared memory delivers {BANKS}: "
    if each >= need:
        return Verdict(name, answer, True, f"{evidence}; {pace}{need:g} per number are enough")
    if facts.loads["global"]:
        fix = "let the block copy tiles of both factors into shared memory first, and use them there (as `shared` does)"
        return Verdict(name, answer, False, f"{evidence}, which is slower than shared memory", fix)
    return Verdict(
        name, answer, False, f"{evidence}; {pace}{need:g} per number would be enough",
        "let a thread compute a tile: 8 + 8 numbers in registers give 64 multiply-adds (as in `blocktile_2d`)",
    )  # fmt: skip


def memory_transactions(facts: Facts) -> Verdict:
    """Are the bytes that global memory transfers needed?"""
    assert facts.counted is not None
    sent, read = facts.counted["bytes"], 4 * facts.counted["numbers"]
    each = "multiply-add" if facts.is_product else "number written"
    evidence = f"counted; its threads read {read:.3g} bytes, and a transaction transfers 32 to all threads of a warp"
    return Verdict(
        "memory transactions", f"{sent:.3g} bytes are transferred per {each}", sent <= WASTE * read, evidence,
        "let adjacent threads of a warp read adjacent numbers (as `coalesced` does)" if sent > WASTE * read else "",
    )  # fmt: skip


def _moved(sizes: list[int]) -> str:
    """`2 loads of 128 bits`."""
    kinds = [f"{count(sizes.count(size), 'load')} of {8 * size} bits" for size in sorted(set(sizes), reverse=True)]
    return ", ".join(kinds)


def loads(facts: Facts) -> Verdict:
    """How wide is a load?"""
    loaded = {space: list(sizes) for space, sizes in facts.loads.items()}
    outside = [a for text, _ in facts.loop.around if (a := access(text)) and a.loads and a.space == "global"]
    loaded["global"] += [a.bytes for a in outside]
    said = [f"{space}: {_moved(sizes)}" for space, sizes in loaded.items() if sizes]
    evidence = "; ".join(said) + (", with those of the outer loop" if outside else "")
    sizes = [size for space in loaded.values() for size in space]
    if not sizes:
        return Verdict("width of loads", "there are none", None, "no load of global or shared memory")
    wide = sum(size == 16 for size in sizes)
    if wide == len(sizes):
        return Verdict("width of loads", "four numbers at a time", True, evidence)
    answer = "one number at a time" if not wide else f"{wide} of {len(sizes)} load four numbers"
    if not facts.is_product:
        return Verdict("width of loads", answer, None, evidence + "; adjacent loads of a warp are combined anyway")
    if facts.matrix:
        return Verdict(
            "width of loads", answer, None, evidence + "; matrix units need single numbers from separate places"
        )
    return Verdict(
        "width of loads", answer, False, evidence,
        "let a thread process adjacent numbers, and load four at a time, aligned to 16 bytes (`load4` in float4.py)",
    )  # fmt: skip


def instructions(facts: Facts) -> Verdict:
    """Which fraction of the instructions are multiply-adds? A scheduler issues one of any kind per cycle."""
    loop = facts.machine or facts.loop
    where = "of the machine code" if facts.machine else "of the PTX"
    useful = sum("mma." in text or "HMMA" in text for text, _ in loop.instructions) or loop.multiply_adds
    total = len(loop.instructions)
    memory = sum(access(text) is not None for text, _ in loop.instructions)
    rest = f"{count(memory, 'load or store', 'loads and stores')}, {count(total - useful - memory, 'other')}"
    evidence = f"{total} {where}: {count(useful, 'multiply-add')}, {rest}"
    if not facts.is_product or not useful:
        return Verdict("instructions", f"{total} {facts.unit}", None, evidence)
    share = useful / total
    answer = f"{share:.0%} are multiply-adds"
    if facts.matrix:
        return Verdict("instructions", answer, None, evidence)
    if share >= 0.5:
        return Verdict("instructions", answer, True, evidence)
    return Verdict(
        "instructions", answer, False, f"{evidence}: addresses, and tests for negative indices",
        "use each address more often: several sums per thread, and loads of four numbers (as in `vectorized`)",
    )  # fmt: skip


def registers(facts: Facts) -> Verdict:
    """Do all values stay in registers?"""
    sums = f"{count(facts.sums, 'sum')} at a time" if facts.is_product and facts.multiply_adds else ""
    if array := re.search(r"__local_depot\d+\[(\d+)\]", facts.text):
        return Verdict(
            "registers", f"an array of {array[1]} bytes is in memory", False,
            "registers have no addresses, so an array that a variable indexes is in memory",
            "index it by constants only: loops over it must be short, with constant bounds, so that they are unrolled",
        )  # fmt: skip
    code = facts.code
    if code is None:
        return Verdict("registers", "unknown", None, f"nvJitLink, which assembles PTX, is missing: {HOW_TO_GET}")
    needs = f"{count(code.registers, 'register')} per thread"
    if not code.spilled:
        return Verdict("registers", "nothing is spilled", True, f"{needs}{', ' + sums if sums else ''}")
    spilled = f"{needs}; {code.spilled} bytes stored and {code.reloaded} reloaded"
    fix = "fewer sums per thread, or fewer blocks at a time: `min_blocks_per_sm` limits its registers"
    if facts.machine is None:
        return Verdict("registers", f"spilled: {code.spilled} bytes", None, f"{spilled}; only machine code shows where")
    hot = _local(facts.machine)
    if hot:
        return Verdict(
            "registers",
            f"spilled: {count(hot, 'access', 'accesses')} per iteration",
            False,
            spilled,
            fix,
        )
    return Verdict("registers", "spilled outside of the loop", None, spilled + ", none of it in the hottest loop")


def _local(loop: Loop) -> int:
    return sum((a := access(text)) is not None and a.space == "local" for text, _ in loop.instructions)


def warps_at_a_time(facts: Facts) -> Verdict:
    """Are there enough warps to hide latency?"""
    there = facts.resident
    if there is None:
        return Verdict("warps at a time", "unknown", None, "only the assembler knows how many registers it needs")
    answer = f"{there.warps} of {there.most_warps}, in {count(there.blocks, 'block')}"
    if facts.matrix:
        return Verdict("warps at a time", answer, None, f"limited by {there.limits}")
    flying = there.warps * facts.chains
    chains = f", each with {facts.chains} independent sums" if facts.chains > 1 else ""
    need = f"a multiply-add takes {LATENCY} cycles, so {LATENCY * PARTS} must be in flight"
    evidence = f"limited by {there.limits}{chains}; {need}"
    if flying >= LATENCY * PARTS:
        return Verdict("warps at a time", answer, True, evidence)
    return Verdict(
        "warps at a time", answer, False, evidence,
        f"use less of {there.limits}, so that more blocks fit, or give a thread several sums",
    )  # fmt: skip


def shared_memory(facts: Facts) -> Verdict:
    """Does the shared memory of a block fit?"""
    _, size = shared_variables(facts.text)
    if not size:
        return Verdict("shared memory", "none", None, "each thread loads for itself")
    return Verdict(
        "shared memory", f"{size} bytes per block", size <= MOST_SHARED, f"a block can have {MOST_SHARED}",
        "" if size <= MOST_SHARED else "smaller tiles, or fewer terms at a time",
    )  # fmt: skip


def barriers(facts: Facts) -> Verdict:
    """Do all threads of a block reach each barrier?"""
    found = [i for b in sorted(facts.flow.reached - {facts.flow.end}) for i in facts.flow.blocks[b]]
    found = [i for i in found if i.text.startswith(("bar.", "barrier"))]
    missed = facts.flow.barriers_that_some_threads_miss()
    if missed:
        lines = ", ".join(sorted({f"line {line}" for _, (_, line) in missed if line})) or "no line is known"
        return Verdict(
            "barriers", f"{len(missed)} of {len(found)} may be missed by some threads", False,
            f"{lines}: behind a branch or in a loop that depends on the thread; the others wait forever",
            "move syncthreads() out of the `if`, and let all threads run the same iterations",
        )  # fmt: skip
    if not found:
        return Verdict("barriers", "none", None, "no thread waits for another")
    each = sum(i.text.startswith(("bar.", "barrier")) for i in [*facts.loop.instructions, *facts.loop.around])
    where = f"{each} per iteration of the {'outer ' * (facts.loop.depth > 1)}loop" if each else "none in the loop"
    return Verdict("barriers", "all threads reach each", True, f"{len(found)} in the kernel, {where}")


def branches(facts: Facts) -> Verdict:
    """Do the threads of a warp diverge? Then it runs the branches one after the other."""
    parting = [b for b in facts.loop.way if b in facts.flow.parting]
    inside = count(len(facts.loop.instructions), "instruction")
    if facts.loop.depth and facts.loop.way and facts.loop.way[-1] in parting:
        return Verdict(
            "branches", "some threads run more iterations", None, f"{inside}; a warp runs until its last thread is done"
        )  # fmt: skip
    if not parting:
        return Verdict("branches", "no divergence", True, f"{inside}, the same for all threads")
    return Verdict(
        "branches", f"{len(parting)} may diverge", None,
        "they depend on the thread: at an edge of the matrix a warp runs both branches, one after the other",
    )  # fmt: skip


def floats(facts: Facts) -> Verdict:
    """Is anything computed in float64?"""
    double = [i for block in facts.flow.blocks for i in block if re.search(r"\.f64\b", i.text)]
    if not double:
        return Verdict("numbers", "float32 alone", True, "no instruction on float64")
    lines = ", ".join(sorted({f"line {line}" for _, (_, line) in double if line})[:3]) or "no line is known"
    return Verdict(
        "numbers", f"{count(len(double), 'instruction')} on float64", False,
        f"{lines}; each takes at least twice as long as in float32, and 32 to 64 times as long on most GPUs",
        "a number such as 0.1 is float64: write float32(0.1)",
    )  # fmt: skip
