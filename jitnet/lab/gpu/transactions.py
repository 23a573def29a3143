"""Memory transactions of a GPU kernel, counted while the interpreter runs it.

The loads and stores of a warp are served together. Global memory transfers sectors of 32 bytes, each in one
transaction, whether one thread needs it or eight. Shared memory has 32 banks, and word w is in bank w mod 32; a
transaction delivers one word of each bank to all threads that need it. A warp that loads four words per thread needs at
least four transactions, one for each quarter of its threads.

Source    CUDA C++ Programming Guide, "Compute Capability 5.x: Global Memory, Shared Memory", which later ones refer to
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ... import checks
from ...compiler.cuda.registry import recording
from ...kernels.cuda import LADDERS
from ...process import progress
from .. import oracle
from ..benchmark.candidates import known
from ..formatting import share, wrapped
from ..oracle import Shape
from ..problems.operations import PRODUCTS
from .memory import WORD, Ints
from .occupancy import BANKS, WARP
from .program import Step
from .ptx_interpreter import Access, execute
from .running import CAPABILITY, program_of

SECTOR = 32
"""Bytes of a transaction of global memory."""

BLOCKS = 4
"""Blocks of a launch that are run; the counts are scaled to all of its blocks."""


class Transactions(NamedTuple):
    """The counts of a rung, summed over all warps. Numbers are float32."""

    multiply_adds: float
    """Terms of the sums of a product."""
    instructions: float
    """Instructions of any kind that warps issue."""
    useful: float
    """Fused multiply-adds and matrix products among them."""
    global_numbers: float
    """Numbers that threads read from global memory."""
    global_transactions: float
    """Sectors read from global memory."""
    shared_transactions: float
    written_numbers: float
    """Numbers that threads write to global memory."""


class _Counter:
    """Called for each access; counts numbers and transactions."""

    def __init__(self) -> None:
        self.numbers = {"global": 0, "shared": 0, "written": 0}
        self.transactions = {"global": 0, "shared": 0, "written": 0}

    def __call__(self, access: Access) -> None:
        name, space = access.step.opcode[:2]
        if name == "st":
            if space == "shared":
                return
            space = "written"
        self.numbers[space] += access.size // WORD * len(access.lanes)
        self.transactions[space] += bank_transactions(access) if space == "shared" else sectors(access)


def sectors(access: Access) -> int:
    """Sectors that the warps of an access touch, each counted once per warp."""
    return len(_distinct(access.lanes // WARP, access.addresses // SECTOR))


def bank_transactions(access: Access) -> int:
    """Transactions of shared memory: for each part of a warp, the number of words in the bank that serves most."""
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
    """A shape larger than every tile, with few terms per sum, since each term does the same."""
    if operation not in PRODUCTS:
        return 1024, 1, 1024
    terms = {"matmul": 1, "layer": 1, "matmul_nt": 2, "delta": 2}.get(operation, 0)
    m, n_in, n_out = (64 if axis == terms else 1280 for axis in range(3))
    return m, n_in, n_out


def count(operation: str, name: str, capability: tuple[int, int] = CAPABILITY) -> Transactions:
    """Run a few blocks of each kernel of a rung on random data, and count.

    The results are incomplete and not checked. Raises `jitnet.Error` for an unknown rung.
    """
    ladder = LADDERS[checks.one_of("operation of the GPU", operation, LADDERS)]
    rung, shape = ladder[checks.one_of(f"rung of {operation} on the GPU", name, ladder)], shape_of(operation)
    arguments = [
        np.array(argument) if isinstance(argument, np.ndarray) else argument  # each aligned as on the GPU
        for argument in oracle.case(operation, shape, np.float32).arguments
    ]
    with recording() as calls:
        rung.body(*arguments)
    total = np.zeros(len(Transactions._fields) - 1)
    for launch, blocks, given in calls:
        program, counter, some = program_of(launch, capability), _Counter(), min(blocks, BLOCKS)
        entered = execute(program, some, launch.threads, given, counter)
        done = [(times, step) for times, block in zip(entered, program.blocks, strict=True) for step in block]
        instructions = sum(times for times, _ in done)
        useful = sum(times for times, step in done if _is_useful(step))
        numbers, served = counter.numbers, counter.transactions
        counts = [instructions, useful, numbers["global"], served["global"], served["shared"], numbers["written"]]
        total += np.array(counts) * (blocks / some)
    return Transactions(math.prod(shape), *total.tolist())


def each(operation: str, found: Transactions) -> dict[str, Any]:
    """The counts per multiply-add of a product; for other operations, per number written.

    Keys: numbers (read from global memory), bytes (transferred for them), shared (transactions of shared memory per
    warp of multiply-adds), instructions (per warp of multiply-adds), useful (the fraction of multiply-adds among the
    instructions; None with matrix units, where one does many).
    """
    what = found.multiply_adds if operation in PRODUCTS else found.written_numbers
    return {
        "numbers": found.global_numbers / what, "bytes": SECTOR * found.global_transactions / what,
        "shared": WARP * found.shared_transactions / what, "instructions": WARP * found.instructions / what,
        "useful": None if found.multiply_adds > WARP * found.useful else found.useful / found.instructions,
    }  # fmt: skip


def ladder(operation: str, report: progress.Report = progress.ignore) -> dict[str, Any]:
    """Count the memory transactions of every rung of an operation; this needs no GPU and no driver.

    Keys: operation, capability, each ("multiply-add" or "number written"), rungs: name, and those of `each`.
    """
    rungs = []
    operation = checks.one_of("operation of the GPU", known(operation), LADDERS)
    names = [name for name, rung in LADDERS[operation].items() if rung.capability <= CAPABILITY]
    for done, name in enumerate(names):
        report(done, len(names), f"counting {operation}.{name}")
        rungs.append({"name": name, **each(operation, count(operation, name))})
    report(len(names), len(names), "")
    return {
        "operation": operation, "capability": "{}.{}".format(*CAPABILITY),
        "each": "multiply-add" if operation in PRODUCTS else "number written", "rungs": rungs,
    }  # fmt: skip


def as_text(found: dict[str, Any]) -> str:
    """For a terminal."""
    what = f"{found['operation']} on the GPU, compiled for {found['capability']}"
    lines = [
        *wrapped(f"{what}: memory transactions per {found['each']}, counted, not timed"), "",
        f"{'rung':14}{'reads':>9}{'bytes':>9}{'shared':>9}{'instructions':>14}{'useful':>9}",
    ]  # fmt: skip
    for rung in found["rungs"]:
        lines.append(
            f"{rung['name']:14}{rung['numbers']:9.4g}{rung['bytes']:9.4g}{rung['shared']:9.4g}"
            f"{rung['instructions']:14.4g}{share(rung['useful']):>9}"
        )
    return "\n".join([
        *lines, "",
        "reads         numbers that threads read from global memory",
        "bytes         transferred for them, in transactions of 32, which a warp shares",
        "shared        transactions of shared memory, per warp",
        "instructions  issued per warp",
        "useful        fraction of multiply-adds among them: an upper bound of the fraction",
        "              of peak, since a warp issues one instruction at a time",
    ])  # fmt: skip
