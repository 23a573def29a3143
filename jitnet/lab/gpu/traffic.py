"""What a kernel asks of memory, counted while the interpreter runs it: no time, but what a GPU would wait for.

A warp's loads and stores are served together. From global memory they get sectors of 32 bytes, each of which is a trip,
whether one thread wants of it or eight. Shared memory has 32 banks, and word w lies in bank w mod 32; a trip brings one
word of each bank to whoever wants it, for up to 32 words: a warp that loads four words a thread makes four trips at
least, one for each quarter of it.

Source    CUDA C++ Programming Guide, "Compute Capability 5.x: Global Memory, Shared Memory", which later ones refer to
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ... import checks, progress
from ...compiler.cuda.registry import recording
from ...kernels.cuda import LADDERS
from .. import oracle
from ..benchmark.candidates import PRODUCTS, known
from ..formatting import share, wrapped
from ..oracle import Shape
from .memory import WORD, Ints
from .occupancy import BANKS, WARP
from .program import Step
from .ptx_interpreter import Access, execute
from .running import CAPABILITY, program_of

SECTOR = 32
"""Bytes that global memory sends at a time."""

BLOCKS = 4
"""Of a launch, that are run, and stand for all of its blocks: what one does for a number, another does too."""


class Traffic(NamedTuple):
    """What all warps of a rung do. Numbers are float32."""

    multiply_adds: float
    """Terms of the sums of a product."""
    instructions: float
    """That warps issue, of any kind: each takes a slot of its own."""
    useful: float
    """Of these, fused multiply-adds and products of matrices."""
    global_numbers: float
    """Read by threads."""
    global_trips: float
    """Sectors that are read."""
    shared_trips: float
    written_numbers: float
    """To global memory."""


class _Counter:
    """Told of each access, keeps numbers and trips."""

    def __init__(self) -> None:
        self.numbers = {"global": 0, "shared": 0, "written": 0}
        self.trips = {"global": 0, "shared": 0, "written": 0}

    def __call__(self, access: Access) -> None:
        name, space = access.step.opcode[:2]
        if name == "st":
            if space == "shared":
                return
            space = "written"
        self.numbers[space] += access.size // WORD * len(access.lanes)
        self.trips[space] += bank_trips(access) if space == "shared" else sectors(access)


def sectors(access: Access) -> int:
    """Sectors that the warps of an access touch, each counted once a warp."""
    return len(_distinct(access.lanes // WARP, access.addresses // SECTOR))


def bank_trips(access: Access) -> int:
    """Trips to shared memory: as many as the most wanted bank has words that are wanted, for each part of a warp."""
    words = access.size // WORD
    part = np.repeat(access.lanes * words // WARP, words)
    word = (access.addresses[:, None] // WORD + np.arange(words)).ravel()
    wanted = _distinct(part, word)
    banks, each = np.unique(wanted[:, 0] * BANKS + wanted[:, 1] % BANKS, return_counts=True)
    first_of_part = np.flatnonzero(np.diff(banks // BANKS, prepend=-1))
    return int(np.maximum.reduceat(each, first_of_part).sum())


def _distinct(a: Ints, b: Ints) -> Any:
    return np.unique(np.stack([a, b], axis=1), axis=0)


def _is_useful(step: Step) -> bool:
    return step.opcode[0] == "mma" or step.opcode[:2] == ("fma", "rn")


def shape_of(operation: str) -> Shape:
    """Large enough for every tile, and few terms to add up: what follows each other term is the same."""
    if operation not in PRODUCTS:
        return 1024, 1, 1024
    terms = {"matmul": 1, "layer": 1, "matmul_nt": 2, "delta": 2}.get(operation, 0)
    m, n_in, n_out = (64 if axis == terms else 1280 for axis in range(3))
    return m, n_in, n_out


def count(operation: str, name: str, capability: tuple[int, int] = CAPABILITY) -> Traffic:
    """Run a few blocks of each kernel of a rung of the GPU on random data, and count.

    Results are not looked at: most of them are not there. Raises `jitnet.Error` for a rung that there is not.
    """
    ladder = LADDERS[checks.one_of("operation of the GPU", operation, LADDERS)]
    rung, shape = ladder[checks.one_of(f"rung of {operation} on the GPU", name, ladder)], shape_of(operation)
    arguments = [
        np.array(argument) if isinstance(argument, np.ndarray) else argument  # each where the GPU would put it
        for argument in oracle.case(operation, shape, np.float32).arguments
    ]
    with recording() as calls:
        rung.body(*arguments)
    total = np.zeros(len(Traffic._fields) - 1)
    for launch, blocks, given in calls:
        program, counter, some = program_of(launch, capability), _Counter(), min(blocks, BLOCKS)
        entered = execute(program, some, launch.threads, given, counter)
        done = [(times, step) for times, block in zip(entered, program.blocks, strict=True) for step in block]
        instructions = sum(times for times, _ in done)
        useful = sum(times for times, step in done if _is_useful(step))
        numbers, trips = counter.numbers, counter.trips
        asked = [instructions, useful, numbers["global"], trips["global"], trips["shared"], numbers["written"]]
        total += np.array(asked) * (blocks / some)
    return Traffic(math.prod(shape), *total.tolist())


def each(operation: str, found: Traffic) -> dict[str, Any]:
    """Of a product, for each multiply-add; of all else, for each number that is written.

    Keys: numbers (read from global memory), bytes (that had to be brought for them), shared (trips to shared memory for
    a warp of such), instructions (a warp of such), and useful (the share of multiply-adds among the instructions; None
    with matrix units, where one stands for many).
    """
    what = found.multiply_adds if operation in PRODUCTS else found.written_numbers
    return {
        "numbers": found.global_numbers / what, "bytes": SECTOR * found.global_trips / what,
        "shared": WARP * found.shared_trips / what, "instructions": WARP * found.instructions / what,
        "useful": None if found.multiply_adds > WARP * found.useful else found.useful / found.instructions,
    }  # fmt: skip


def ladder(
    operation: str, capability: tuple[int, int] = CAPABILITY, report: progress.Report | None = None
) -> dict[str, Any]:
    """What every rung of an operation asks of memory, counted; neither a GPU nor a driver is needed.

    Keys: operation, capability, each ("multiply-add" or "number written"), rungs: name, and those of `each`.
    """
    rungs = []
    operation = checks.one_of("operation of the GPU", known(operation), LADDERS)
    names = [name for name, rung in LADDERS[operation].items() if rung.capability <= capability]
    for done, name in enumerate(names):
        if report:
            report(done, len(names), f"counting {operation}.{name}")
        rungs.append({"name": name, **each(operation, count(operation, name, capability))})
    if report:
        report(len(names), len(names), "")
    return {
        "operation": operation, "capability": f"{capability[0]}.{capability[1]}",
        "each": "multiply-add" if operation in PRODUCTS else "number written", "rungs": rungs,
    }  # fmt: skip


def as_text(found: dict[str, Any]) -> str:
    """For a terminal."""
    what = f"{found['operation']} on the GPU, compiled for {found['capability']}"
    lines = [
        *wrapped(f"{what}: for each {found['each']}, counted, not timed"), "",
        f"{'rung':14}{'reads':>9}{'bytes':>9}{'shared':>9}{'instructions':>14}{'useful':>9}",
    ]  # fmt: skip
    for rung in found["rungs"]:
        lines.append(
            f"{rung['name']:14}{rung['numbers']:9.4g}{rung['bytes']:9.4g}{rung['shared']:9.4g}"
            f"{rung['instructions']:14.4g}{share(rung['useful']):>9}"
        )
    return "\n".join([
        *lines, "",
        "reads         numbers that threads read from global memory, the GPU's own",
        "bytes         that are brought for them, 32 at a time, shared by a warp",
        "shared        trips to the memory of a block that a warp waits for, with a",
        "              number for each of its threads",
        "instructions  that a warp issues; useful are those that multiply and add. Each",
        "              takes a slot, so no rung reaches a larger share of the GPU's peak",
    ])  # fmt: skip
