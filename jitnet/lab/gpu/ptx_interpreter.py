"""A PTX interpreter: runs all threads of some blocks together; each register is an array with a number per thread.

    ptx_interpreter.execute(Program(compiling.ptx_of(launch, (9, 0))), blocks, threads, arguments)

Threads that are at different instructions run one group at a time, the one furthest behind first, until they meet
again. A thread at a barrier waits for the rest of its block. This is how a GPU runs the threads of a warp. It runs
warps and blocks in any order, and no kernel may depend on the order (`order`, `apart`).
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from .arithmetic import TYPES, Values, matrix_product, meaning
from .memory import WORD, GlobalMemory, Ints, KernelError, SharedMemory
from .occupancy import WARP
from .program import Program, Step

LANES = 8192
"""The maximum number of threads that run together."""


class UnknownInstructionError(Exception):
    """An instruction outside of the part of PTX that is interpreted; this says nothing about the kernel."""


class Access(NamedTuple):
    """A load or store of one instruction by some threads."""

    step: Step
    addresses: Ints
    size: int
    """Bytes for each thread."""
    lanes: Ints


Watch = Callable[[Access], object]


def execute(
    program: Program, blocks: int, threads: int, arguments: Iterable[Any], watch: Watch | None = None,
    order: Iterable[int] | None = None, apart: bool = False,
) -> Ints:  # fmt: skip
    """Run a kernel on NumPy arrays and numbers, which it takes as `Launch` declares them.

    watch   is called for each access to global and shared memory
    order   the order of the blocks, one after the other; without it many run together
    apart   each warp runs as far as it can before the next one; without it they run together

    Returns how often each block of the program was entered by a warp. Raises `KernelError`; the arrays are then
    unchanged.
    """
    arguments = list(arguments)
    memory = GlobalMemory([argument for argument in arguments if isinstance(argument, np.ndarray)])
    values = _values(program, arguments, memory)
    at_a_time = max(1, LANES // threads)
    groups = (
        [range(start, min(start + at_a_time, blocks)) for start in range(0, blocks, at_a_time)]
        if order is None else [range(block, block + 1) for block in order]
    )  # fmt: skip
    entered = np.zeros(len(program.blocks), np.int64)
    with np.errstate(all="ignore"):
        for group in groups:
            entered += _Group(program, group, threads, values, memory, watch, apart).run()
    memory.copy_back()
    return entered


def _values(program: Program, arguments: list[Any], memory: GlobalMemory) -> dict[str, Any]:
    """The value of each parameter of the entry. For an array, Numba passes seven or more."""
    flat: list[Any] = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            shape = [*argument.shape, *argument.strides]
            flat += [0, 0, argument.size, argument.itemsize, memory.address(argument), *shape]
        else:
            flat.append(argument)
    if len(flat) != len(program.parameters):
        raise ValueError(f"the kernel has {len(program.parameters)} parameters, and {len(flat)} numbers were given")
    return dict(zip(program.parameters, flat, strict=True))


class _Group:
    """Blocks that run together. A lane is one of their threads."""

    def __init__(
        self, program: Program, blocks: range, threads: int, values: dict[str, Any], memory: GlobalMemory,
        watch: Watch | None, apart: bool,
    ) -> None:  # fmt: skip
        self.program, self.values, self.memory, self.watch, self.apart = program, values, memory, watch, apart
        self.first, self.threads, self.blocks = blocks.start * threads, threads, len(blocks)
        count = len(blocks) * threads
        self.lanes = np.arange(count)
        self.warps = np.cumsum(self.lanes % threads % WARP == 0)
        self.shared = SharedMemory(len(blocks), -(-program.shared_bytes // WORD), threads)
        self.registers: dict[str, Values] = {name: np.zeros(count, kind) for name, kind in program.registers.items()}
        self.registers |= {
            "%tid.x": (self.lanes % threads).astype(np.uint32),
            "%ctaid.x": (self.lanes // threads + blocks.start).astype(np.uint32),
            "%ntid.x": np.full(count, threads, np.uint32),
            "%laneid": (self.lanes % threads % WARP).astype(np.uint32),
        }
        self.at = np.zeros(count, np.int64)  # the block of the program that each lane enters next
        self.waits = np.zeros(count, bool)
        self.entered = np.zeros(len(program.blocks), np.int64)

    def run(self) -> Ints:
        end = len(self.program.blocks)
        while True:
            runs = ~self.waits & (self.at < end)
            if runs.any():
                if self.apart:
                    runs &= self.warps == self.warps[np.argmax(runs)]
                block = int(self.at[runs].min())
                self._enter(block, runs & (self.at == block))
            elif self.waits.any():
                self._pass_barrier()
            else:
                return self.entered

    def _pass_barrier(self) -> None:
        """All threads wait or have ended. A barrier that some threads of a block do not reach is an error."""
        waits, at = self.waits.reshape(self.blocks, -1), self.at.reshape(self.blocks, -1)
        missing = waits.any(axis=1) & ~(waits.all(axis=1) & (at == at[:, :1]).all(axis=1))
        if missing.any():
            block = self._block(int(np.argmax(missing)))
            raise KernelError(f"a barrier that some threads of block {block} do not reach")
        self.shared.barrier()
        self.waits[:] = False

    def _block(self, number: int) -> int:
        return self.first // self.threads + number

    def _enter(self, block: int, runs: Values) -> None:
        self.entered[block] += np.count_nonzero(np.bincount(self.warps[runs]))
        mask = None if runs.all() else runs
        self.at[runs] = block + 1
        for step in self.program.blocks[block]:
            active = mask
            if step.guard:
                holds = self.registers[step.guard.lstrip("!")]
                active = runs & (~holds if step.guard[0] == "!" else holds)
            try:
                self._execute(step, active)
            except KernelError as error:
                lane = error.lane + self.first
                text, (file, line) = step.instruction
                where = f" ({file}, line {line})" if file else ""
                raise KernelError(
                    f"thread {lane % self.threads} of block {lane // self.threads}: {error}: {text}{where}"
                ) from None
            except KeyError as unknown:
                raise UnknownInstructionError(f"{step.instruction.text}: no interpretation of {unknown}") from unknown

    def _execute(self, step: Step, active: Values | None) -> None:
        name, operands = step.opcode[0], step.operands
        if name == "bra":
            self.at[active if active is not None else slice(None)] = self.program.labels[operands[0]]
        elif name == "ret":
            self.at[active if active is not None else slice(None)] = len(self.program.blocks)
        elif step.opcode == ("bar", "sync") and operands == ("0",):
            self.waits[active if active is not None else slice(None)] = True
        elif name == "ld" and step.opcode[1] == "param":
            kind = TYPES[step.opcode[-1]]
            number = self.values[operands[1].strip("[]")]
            self._write(operands[0], np.asarray(number).astype(kind), active)
        elif name in ("ld", "st") and step.opcode[1] in ("global", "shared"):
            self._move(step, active)
        elif name == "mma":
            self._multiply_matrices(operands, active)
        else:
            means = meaning(step.opcode)
            values = [self._value(o, kind) for o, kind in zip(operands[1:], means.operands, strict=True)]
            self._write(operands[0], means.function(*values), active)

    def _value(self, operand: str, kind: Any) -> Any:
        """A register of all lanes, or a constant, as that type."""
        if operand in self.registers:
            register = self.registers[operand]
            return register if register.dtype == kind else register.view(kind)
        if operand.startswith(("0f", "0F")):
            return np.array(int(operand[2:], 16), np.uint32).view(kind)[()]
        if operand in self.program.shared:
            return kind(self.program.shared[operand])
        return np.array(int(operand, 0) & (1 << 64) - 1, np.uint64).astype(kind)[()]

    def _write(self, name: str, value: Any, active: Values | None) -> None:
        register = self.registers[name]
        value = np.asarray(value)
        if value.dtype != register.dtype:
            value = value.view(register.dtype)
        np.copyto(register, value, where=True if active is None else active)

    def _move(self, step: Step, active: Values | None) -> None:
        """ld and st, of global and of shared memory, of one number or a few that lie side by side."""
        name, space, *_, kind = step.opcode
        target, source = step.operands if name == "ld" else step.operands[::-1]
        numbers, address = target.strip("{}").replace(" ", "").split(","), source.strip("[]")
        lanes = self.lanes if active is None else np.flatnonzero(active)
        if not lanes.size:
            return
        base, _, offset = address.partition("+")
        addresses = np.broadcast_to(self._value(base, np.int64) + np.int64(offset or 0), self.lanes.shape)[lanes]
        of_one = np.dtype(TYPES[kind]).itemsize // WORD
        words = of_one * len(numbers)
        memory: GlobalMemory | SharedMemory = self.shared if space == "shared" else self.memory
        shift = 0 if space == "shared" else self.first
        try:
            first = memory.first_words(addresses, words, lanes + shift, writes=name == "st")
        except KernelError as error:
            raise KernelError(f"{'reads' if name == 'ld' else 'writes'} {error}", error.lane - shift) from None
        if self.watch is not None:
            self.watch(Access(step, addresses, WORD * words, lanes))
        if name == "ld":
            found = memory.load(first, words).view(TYPES[kind])
            for column, number in enumerate(numbers):
                self.registers[number].view(TYPES[kind])[lanes] = found[:, column]
        else:
            values = [np.broadcast_to(self._value(n, TYPES[kind]), self.lanes.shape)[lanes] for n in numbers]
            memory.store(first, np.stack(values, axis=1).view(np.uint32))

    def _multiply_matrices(self, operands: tuple[str, ...], active: Values | None) -> None:
        what = "only a part of a warp multiplies matrices"
        if self.threads % WARP:  # the last warp of a block is none
            raise KernelError(what, int(self.threads // WARP * WARP))
        if active is not None:
            warps = active.reshape(-1, WARP)
            torn = warps.any(axis=1) & ~warps.all(axis=1)
            if torn.any():
                raise KernelError(what, int(np.argmax(torn)) * WARP)
        names = [operand.strip("{}").replace(" ", "").split(",") for operand in operands]
        a, b, c = ([self.registers[name].reshape(-1, WARP) for name in group] for group in names[1:])
        for name, sums in zip(names[0], matrix_product(a, b, c), strict=True):
            self._write(name, sums.ravel(), active)
