"""What a kernel asks of memory, counted while the interpreter runs it: no time, but what a card would wait for.

A warp's loads and stores are served together. From global memory they get sectors of 32 bytes, each of which is a trip,
whether one thread wants of it or eight. Shared memory has 32 banks, and word w lies in bank w mod 32; a trip brings one
word of each bank to whoever wants it, for up to 32 words: a warp that loads four words a thread makes four trips at
least, one for each quarter of it.

Source    CUDA C++ Programming Guide, "Compute Capability 5.x: Global Memory, Shared Memory", which later ones refer to
"""

from typing import Any, NamedTuple

import numpy as np

from ... import checks
from ...kernels.cuda import LADDERS
from .. import oracle
from ..oracle import Shape
from .executing import WARP, Access
from .memory import WORD, Ints
from .program import Instruction
from .running import CAPABILITY, run

SECTOR = 32
"""Bytes that global memory sends at a time."""

BANKS = 32

SHAPE = 1024, 64, 1024
"""Large enough for every tile, and few terms: what follows each other term is the same."""

TF32_PRODUCTS = 16 * 8 * 8
"""Multiply-adds of one instruction of a warp, mma.m16n8k8."""


class Traffic(NamedTuple):
    """What all warps of a rung did. Numbers are float32."""

    multiply_adds: int
    instructions: int
    """That warps issued, of any kind: each takes a slot of its own."""
    arithmetic: int
    """Of these, fused multiply-adds and products of matrices."""
    global_numbers: int
    """Read by threads."""
    global_trips: int
    """Sectors that were read."""
    shared_numbers: int
    shared_trips: int
    written_trips: int
    """Sectors of global memory that were written to."""

    @property
    def bytes_each(self) -> float:
        """That come from global memory for each multiply-add."""
        return SECTOR * self.global_trips / self.multiply_adds

    @property
    def shared_each(self) -> float:
        """Trips to shared memory for each multiply-add of a whole warp."""
        return WARP * self.shared_trips / self.multiply_adds

    @property
    def useful(self) -> float:
        """Multiply-adds among the instructions: with one slot for each, no more of the peak can be reached."""
        return self.arithmetic / self.instructions


class _Counter:
    def __init__(self) -> None:
        self.numbers = {"global": 0, "shared": 0}
        self.trips = {"global": 0, "shared": 0, "written": 0}

    def __call__(self, access: Access) -> None:
        space = access.instruction.opcode[1]
        if access.instruction.opcode[0] == "ld":
            self.numbers[space] += access.size // WORD * len(access.lanes)
            self.trips[space] += sectors(access) if space == "global" else bank_trips(access)
        elif space == "global":
            self.trips["written"] += sectors(access)


def sectors(access: Access) -> int:
    """Sectors that the warps of an access touch, each counted once a warp."""
    return len(_distinct(access.lanes // WARP, access.addresses // SECTOR))


def bank_trips(access: Access) -> int:
    """Trips to shared memory: as many as the most wanted bank has words that are wanted, for each part of a warp."""
    words = access.size // WORD
    part = np.repeat(access.lanes * words // WARP, words)
    word = (access.addresses[:, None] // WORD + np.arange(words)).ravel()
    wanted = _distinct(part, word)
    _, each = np.unique(wanted[:, 0] * BANKS + wanted[:, 1] % BANKS, return_counts=True)
    parts = np.unique(wanted[:, 0] * BANKS + wanted[:, 1] % BANKS) // BANKS
    starts = np.flatnonzero(np.diff(parts, prepend=-1))
    return int(np.maximum.reduceat(each, starts).sum())


def _distinct(a: Ints, b: Ints) -> Any:
    return np.unique(np.stack([a, b], axis=1), axis=0)


def _multiply_adds(instruction: Instruction) -> int:
    """Of a warp."""
    if instruction.opcode[0] == "mma":
        return TF32_PRODUCTS
    return WARP if instruction.opcode[:2] == ("fma", "rn") else 0


def count(
    operation: str, name: str, shape: Shape = SHAPE, blocks: int = 4, capability: tuple[int, int] = CAPABILITY
) -> Traffic:
    """Run some blocks of each kernel of a rung of the card on random data, and count. Their results are not looked at.

    Raises `jitnet.Error` for a rung that there is not.
    """
    ladder = LADDERS[checks.one_of("operation of the card", operation, LADDERS)]
    rung = ladder[checks.one_of(f"rung of {operation} on the card", name, ladder)]
    counter = _Counter()
    arguments = [
        np.array(argument) if isinstance(argument, np.ndarray) else argument  # each where the card would put it
        for argument in oracle.case(operation, shape, np.float32).arguments
    ]
    ran = run(rung, *arguments, capability=capability, watch=counter, order=lambda count: range(min(count, blocks)))
    done = [
        (times, instruction)
        for launch in ran
        for times, block in zip(launch.entered.tolist(), launch.program.blocks, strict=True)
        for instruction in block
    ]
    products = [(times, _multiply_adds(instruction)) for times, instruction in done]
    return Traffic(
        sum(times * count for times, count in products),
        sum(times for times, _ in done),
        sum(times for times, count in products if count),
        counter.numbers["global"], counter.trips["global"], counter.numbers["shared"], counter.trips["shared"],
        counter.trips["written"],
    )  # fmt: skip
