"""What the code of a kernel for the GPU says about its speed, in plain words, each with evidence and a fix.

A verdict is good, bad, or neither: what is neither may be as it has to be. Counted is one turn of the hottest loop, for
one thread, in the PTX; where the machine code was read too, what only that knows is taken from there.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

from ..formatting import count
from ..machine_code.verdicts import Verdict
from .compiling import HOW_TO_GET, MachineCode
from .flow import Flow
from .hottest import Loop, access, is_arithmetic
from .occupancy import BANKS, GPUS, LATENCY, PARTS, WARP, Resident
from .program import shared_variables

MOST_SHARED = 48 << 10
"""Bytes of shared memory that a block can have by `cuda.shared.array`."""


WASTE = 1.25
"""Bytes that may be sent for each that a thread reads."""


@dataclass
class Facts:
    """What is counted once and asked several times."""

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
    """True if each number that is fetched is of use to many sums."""
    counted: dict[str, Any] | None
    """What `traffic.each` says of the whole rung, if that was counted."""

    def __post_init__(self) -> None:
        self.multiply_adds = self.loop.multiply_adds
        self.loads = {space: self.loop.loads(space) for space in ("global", "shared")}
        self.numbers = sum(sum(sizes) for sizes in self.loads.values()) / 4
        self.chains = max(1, self.loop.sums) if self.is_product else 1
        self.matrix = sum("mma." in text for text, _ in self.loop.instructions)
        self.sums = self.chains * (4 if self.matrix else 1)
        self.turn = "a turn" if self.loop.depth else "for each thread"

    @property
    def per_load(self) -> float | None:
        """Multiply-adds for each load of global or shared memory; None if there is no load."""
        loads = sum(map(len, self.loads.values()))
        return self.multiply_adds / loads if loads else None


def verdicts(facts: Facts) -> list[dict[str, object]]:
    """name, answer, good (True, False, None), evidence, fix (empty where there is nothing to fix)."""
    first = (multiply_adds, floats, registers, barriers)  # what must be right before speed is thought of
    then = (reuse, *([trips] if facts.counted else []), loads, instructions, warps_at_a_time, shared_memory, branches)
    return [asdict(ask(facts)) for ask in (*first, *then)]


def multiply_adds(facts: Facts) -> Verdict:
    """What calculates?"""
    if facts.matrix:
        each = facts.multiply_adds // facts.matrix
        return Verdict(
            "multiply-adds", f"by matrix units: {count(facts.matrix, 'instruction')} {facts.turn}", True,
            f"each does {each * WARP} for a warp, {each} for each thread, where a fused one does {WARP}; their factors "
            "have 10 bits behind the point, not 23",
        )  # fmt: skip
    arithmetic = sum(is_arithmetic(text) for text, _ in facts.loop.instructions)
    if not facts.multiply_adds:
        done = f"{count(arithmetic, 'instruction')} of arithmetic" if arithmetic else "it only moves numbers"
        return Verdict("multiply-adds", "there are none", None, done)
    single = arithmetic - facts.multiply_adds
    return Verdict(
        "multiply-adds", f"fused: {facts.multiply_adds} {facts.turn}", True,
        f"fma.rn.f32; beside them {count(single, 'instruction')} of arithmetic" if single else "fma.rn.f32, no other",
    )  # fmt: skip


def reuse(facts: Facts) -> Verdict:
    """How often is a number used that was fetched?"""
    name = "reuse"
    parts = [f"{_moved(sizes)} of {space} memory" for space, sizes in facts.loads.items() if sizes]
    evidence = " and ".join(parts) or "no load"
    if not facts.is_product:
        return Verdict(name, "each number is used once", None, f"{evidence}: memory is the limit")
    if not facts.numbers or not facts.multiply_adds:
        return Verdict(name, "there is nothing to use again", None, evidence)
    each = facts.multiply_adds / facts.numbers
    answer = f"{each:.2g} multiply-adds for each number fetched"
    if facts.matrix:
        return Verdict(name, answer, None, evidence)
    need = GPUS[facts.cc].multiply_adds / BANKS
    pace = f"in a cycle, arithmetic could do {GPUS[facts.cc].multiply_adds} and shared memory brings {BANKS}: "
    if each >= need:
        return Verdict(name, answer, True, f"{evidence}; {pace}{need:g} for each are enough")
    if facts.loads["global"]:
        fix = "let the block copy tiles of both factors into shared memory first (`shared` does), and use them there"
        return Verdict(name, answer, False, f"{evidence}, which is slower still than shared memory", fix)
    return Verdict(
        name, answer, False, f"{evidence}; {pace}{need:g} for each would be enough",
        "let a thread compute a patch: 8 + 8 numbers, held in registers, make 64 multiply-adds (`blocktile_2d` does)",
    )  # fmt: skip


def trips(facts: Facts) -> Verdict:
    """Is what global memory sends wanted?"""
    assert facts.counted is not None
    sent, read = facts.counted["bytes"], 4 * facts.counted["numbers"]
    each = "multiply-add" if facts.is_product else "number written"
    evidence = (
        f"counted; its threads read {read:.3g} bytes, and 32 are sent at a time, for all of a warp that want them"
    )
    return Verdict(
        "trips to memory", f"{sent:.3g} bytes are sent for each {each}", sent <= WASTE * read, evidence,
        "let neighbours in a warp read neighbours in memory (`coalesced` does)" if sent > WASTE * read else "",
    )  # fmt: skip


def _moved(sizes: list[int]) -> str:
    """`2 loads of 128 bits`."""
    kinds = [f"{count(sizes.count(size), 'load')} of {8 * size} bits" for size in sorted(set(sizes), reverse=True)]
    return ", ".join(kinds)


def loads(facts: Facts) -> Verdict:
    """How much does one load bring?"""
    fetched = {space: list(sizes) for space, sizes in facts.loads.items()}
    outside = [a for text, _ in facts.loop.around if (a := access(text)) and a.loads and a.space == "global"]
    fetched["global"] += [a.bytes for a in outside]
    said = [f"{space}: {_moved(sizes)}" for space, sizes in fetched.items() if sizes]
    evidence = "; ".join(said) + (", with those of the loop around" if outside else "")
    sizes = [size for space in fetched.values() for size in space]
    if not sizes:
        return Verdict("width of loads", "there are none", None, "no load of global or shared memory")
    wide = sum(size == 16 for size in sizes)
    if wide == len(sizes):
        return Verdict("width of loads", "four numbers at a time", True, evidence)
    answer = "one number at a time" if not wide else f"{wide} of {len(sizes)} bring four numbers"
    if not facts.is_product:
        return Verdict("width of loads", answer, None, evidence + "; a warp's side by side are one trip all the same")
    if facts.matrix:
        return Verdict("width of loads", answer, None, evidence + "; matrix units want single ones from places apart")
    return Verdict(
        "width of loads", answer, False, evidence,
        "let a thread take neighbours, and load four at once from multiples of 16 bytes (`load4` in quads.py)",
    )  # fmt: skip


def instructions(facts: Facts) -> Verdict:
    """How many instructions are the work itself? A part of the multiprocessor starts one each cycle, whatever it is."""
    loop = facts.machine or facts.loop
    where = "of the machine code" if facts.machine else "of the PTX"
    useful = sum("mma." in text or "HMMA" in text for text, _ in loop.instructions) or loop.multiply_adds
    total = len(loop.instructions)
    memory = sum(access(text) is not None for text, _ in loop.instructions)
    rest = f"{memory} loads and stores, {total - useful - memory} others"
    evidence = f"{total} {where}: {useful} multiply-adds, {rest}"
    if not facts.is_product or not useful:
        return Verdict("instructions", f"{total} {facts.turn}", None, evidence)
    share = useful / total
    answer = f"{share:.0%} are multiply-adds"
    if facts.matrix:
        return Verdict("instructions", answer, None, evidence)
    if share >= 0.5:
        return Verdict("instructions", answer, True, evidence)
    return Verdict(
        "instructions", answer, False, f"{evidence}: addresses, and what asks whether an index counts from the end",
        "make more of each address: several sums for a thread, and loads of four (`vectorized` does both)",
    )  # fmt: skip


def registers(facts: Facts) -> Verdict:
    """Do sums and numbers stay in registers?"""
    sums = f"{count(facts.sums, 'sum')} at a time" if facts.is_product and facts.multiply_adds else ""
    if array := re.search(r"__local_depot\d+\[(\d+)\]", facts.text):
        return Verdict(
            "registers", f"an array of {array[1]} bytes is in memory", False,
            "a register has no address, so what is indexed by a variable cannot be in one",
            "index it by constants only: loops over it need constant ends, and be short, so that they are unrolled",
        )  # fmt: skip
    code = facts.code
    if code is None:
        return Verdict("registers", "unknown", None, f"nvJitLink, which assembles PTX, is missing: {HOW_TO_GET}")
    needs = f"{count(code.registers, 'register')} a thread"
    if not code.spilled:
        return Verdict("registers", "no trip to memory", True, f"{needs}{', ' + sums if sums else ''}; nothing spilled")
    spilled = f"{needs}; {code.spilled} bytes stored and {code.reloaded} loaded again"
    fix = "fewer sums for a thread, or fewer blocks at a time: `at_once` of the launch bounds its registers"
    if facts.machine is None:
        return Verdict("registers", f"spilled: {code.spilled} bytes", None, f"{spilled}; where, only machine code says")
    hot = _local(facts.machine)
    if hot:
        return Verdict("registers", f"spilled: {count(hot, 'trip')} to memory a turn", False, spilled, fix)
    return Verdict("registers", "spilled outside of the loop", None, spilled + ", none of it in the hottest loop")


def _local(loop: Loop) -> int:
    return sum((a := access(text)) is not None and a.space == "local" for text, _ in loop.instructions)


def warps_at_a_time(facts: Facts) -> Verdict:
    """Are there enough warps to switch to while one waits?"""
    there = facts.resident
    if there is None:
        return Verdict("warps at a time", "unknown", None, "how many registers it takes, only the assembler says")
    answer = f"{there.warps} of {there.most_warps}, in {count(there.blocks, 'block')}"
    if facts.matrix:
        return Verdict("warps at a time", answer, None, f"limited by {there.limits}")
    flying = there.warps * facts.chains
    chains = f", each with {facts.chains} sums that do not wait for one another" if facts.chains > 1 else ""
    need = f"a multiply-add takes {LATENCY} cycles, so {LATENCY * PARTS} must be under way"
    evidence = f"limited by {there.limits}{chains}; {need}"
    if flying >= LATENCY * PARTS:
        return Verdict("warps at a time", answer, True, evidence)
    return Verdict(
        "warps at a time", answer, False, evidence,
        f"take less of {there.limits}, so that more blocks fit, or give a thread several sums",
    )  # fmt: skip


def shared_memory(facts: Facts) -> Verdict:
    """Does it fit?"""
    _, size = shared_variables(facts.text)
    if not size:
        return Verdict("shared memory", "none", None, "each thread fetches for itself")
    return Verdict(
        "shared memory", f"{size} bytes a block", size <= MOST_SHARED, f"a block can have {MOST_SHARED}",
        "" if size <= MOST_SHARED else "smaller tiles, or fewer terms at a time",
    )  # fmt: skip


def barriers(facts: Facts) -> Verdict:
    """Do all threads of a block come to each barrier?"""
    found = [i for b in sorted(facts.flow.reached - {facts.flow.end}) for i in facts.flow.blocks[b]]
    found = [i for i in found if i.text.startswith(("bar.", "barrier"))]
    missed = facts.flow.barriers_that_some_threads_miss()
    if missed:
        lines = ", ".join(sorted({f"line {line}" for _, (_, line) in missed if line})) or "no line is known"
        return Verdict(
            "barriers", f"{len(missed)} of {len(found)} may be missed by some threads", False,
            f"{lines}: behind a branch, or in a loop, that depends on the thread; the others wait for ever",
            "take syncthreads() out of the `if`, and let all threads go around a loop alike",
        )  # fmt: skip
    if not found:
        return Verdict("barriers", "none", None, "no thread waits for another")
    turn = sum(i.text.startswith(("bar.", "barrier")) for i in [*facts.loop.instructions, *facts.loop.around])
    where = f"{turn} a turn of the loop{' around' if facts.loop.depth > 1 else ''}" if turn else "none in the loop"
    return Verdict("barriers", "all threads meet at each", True, f"{len(found)} in the kernel, {where}")


def branches(facts: Facts) -> Verdict:
    """Do the threads of a warp go different ways? Then it goes all of them, one after the other."""
    parting = [b for b in facts.loop.way if b in facts.flow.parting]
    inside = f"{len(facts.loop.instructions)} instructions"
    if facts.loop.depth and facts.loop.way and facts.loop.way[-1] in parting:
        return Verdict(
            "branches", "some threads go around more often", None, f"{inside}; a warp goes on until the last is done"
        )  # fmt: skip
    if not parting:
        return Verdict("branches", "none that part a warp", True, f"{inside}, the same for all threads")
    return Verdict(
        "branches", f"{len(parting)} can part a warp", None,
        "they ask about the thread's place: at an edge of the matrix a warp goes both ways, one after the other",
    )  # fmt: skip


def floats(facts: Facts) -> Verdict:
    """Is anything calculated in float64 that need not be?"""
    double = [i for block in facts.flow.blocks for i in block if re.search(r"\.f64\b", i.text)]
    if not double:
        return Verdict("numbers", "float32 alone", True, "no instruction on float64")
    lines = ", ".join(sorted({f"line {line}" for _, (_, line) in double if line})[:3]) or "no line is known"
    return Verdict(
        "numbers", f"{count(len(double), 'instruction')} on float64", False,
        f"{lines}; each takes at least twice as long as one on float32, and 32 to 64 times on most GPUs",
        "a number such as 0.1 is float64: write float32(0.1)",
    )  # fmt: skip
