"""Facts about the machine code of a loop, on which its verdicts are based: counts, and how values flow through it."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from . import indices, sources
from .hottest import Candidate, moves_vectors
from .instructions import Operation, registers_in, understood
from .integers import Integers, chosen_addresses, integers_of, sign_tests
from .wording import compared

_COMPARES = re.compile(r"[<>]|==|!=|\b(if|while|min|max|where|minimum|maximum|clip|abs|and|or)\b")

NUMBER = 8
"""Bytes of the largest number."""


@dataclass
class Facts:
    """Counts are instructions in one iteration of the compiled loop."""

    loop: Candidate
    remarks: str
    options: dict[str, Any]
    bits: int
    """Of the widest vector register that the machine has."""
    registers: int
    float32_only: bool
    """True if there are arrays of float32 and none of float64."""
    any_stride: str = ""
    """The types of the arguments that are arrays of any stride."""
    widened: Sequence[tuple[str, int, list[str]]] = ()
    """File and line of expressions that make a float64 of a float32, and the types of their operands."""

    def __post_init__(self) -> None:
        self.operations = [operation for _, operation in self.loop.operations]
        self.arithmetic = self.loop.arithmetic
        self.fused = [o for o in self.operations if o.kind == "fma"]
        self.unfused = _unfused(self.operations)
        self.packed = [o for o in self.arithmetic if o.lanes > 1]
        self.moved = [o for o in self.operations if moves_vectors(o) and (o.loads or o.stores) and not o.on_stack]
        self.loads = sum(o.accesses for o in self.operations if o.loads and not (o.on_stack or o.is_constant))
        self.stores = sum(o.accesses for o in self.operations if o.stores and not o.on_stack)
        self.came_back = indices.comes_back(*self.loop.place)
        self.whole_divisions = [o for o in self.operations if is_division_of_integers(o)]
        self.gathers = any("gather" in o.name or "scatter" in o.name for o in self.operations)

    @cached_property
    def written(self) -> set[str]:
        """Registers that change from one iteration to the next."""
        return set[str]().union(*(o.writes for o in self.operations))

    @property
    def over_elements(self) -> bool:
        """Whether each iteration stores another element; a sum that each stores again stays where it is."""
        moves = any(o.stores and not o.on_stack and registers_in(o.memory) & self.written for o in self.operations)
        return moves and not self.sums_in_memory

    @cached_property
    def integers(self) -> Integers:
        return integers_of(self.operations)

    @cached_property
    def wraps(self) -> int:
        """Tests of indices that may be negative; without a test of the sign, they are choices of an address for which
        the source has no comparison."""
        lines = {place for instruction, _ in self.loop.operations for place in instruction.places}
        code = " ".join([self.code, *("".join(sources.text_of(file)[line - 1 : line]) for file, line in lines)])
        if tests := sign_tests(self.operations):
            return tests
        return 0 if _COMPARES.search(code) else chosen_addresses(self.operations)

    @property
    def code(self) -> str:
        """The source of the loop, without comments."""
        first, last = sources.lines_of_loop(*self.loop.place)
        lines = sources.text_of(self.loop.place[0])[first - 1 : last]
        return " ".join(line.partition("#")[0] for line in lines)

    @property
    def spills(self) -> int:
        """Accesses to the stack, because there are not enough vector registers."""
        found = [
            i for i, o in self.loop.operations if "Spill" in i.comment or ("Reload" in i.comment and o.is_arithmetic)
        ]
        return sum(any(r[0] == "v" for r in understood(i.text).reads | understood(i.text).writes) for i in found)

    @cached_property
    def carried(self) -> set[str]:
        """Vector registers that arithmetic of an iteration writes, and that the next one may read first.

        Without any, those that a comparison decides to write: a maximum, `if x > largest: largest = x`.

        That is, they are live where an iteration begins: some path from there, through the blocks and jumps of the
        loop, reads the register before it writes it.
        """
        blocks = self.loop.loop.blocks
        place = {block.label: n for n, block in enumerate(blocks) if block.label}
        live: list[set[str]] = [set() for _ in blocks]  # where each block begins
        changed = True
        while changed:
            changed = False
            for n in reversed(range(len(blocks))):
                now = live[n + 1] if n + 1 < len(blocks) else set[str]()
                for instruction in reversed(blocks[n].instructions):
                    operation = understood(instruction.text)
                    if operation.kind == "jump":
                        target = live[place[label]] if (label := _target(operation)) in place else set[str]()
                        now = target if operation.is_unconditional else now | target
                    now = now - operation.writes | operation.reads
                changed |= now != live[n]
                live[n] = now
        at_start = live[place[self.loop.loop.header]]
        found = {r for o in self.arithmetic for r in o.writes if r in at_start and r[0] == "v"}
        if found or not compared(self.operations):
            return found
        moves = [o for o in self.operations if o.kind == "move" and not (o.on_stack or o.is_constant)]
        return {r for o in moves for r in o.writes if r in at_start and r[0] == "v"}

    @property
    def carries_maximum(self) -> bool:
        """True if all that is carried are maxima or minima."""
        steps = [o for o in self.arithmetic if o.writes & self.carried]
        return bool(steps) and all(re.match(r"v?(max|min)[sp]|f(max|min)", o.name) for o in steps)

    @property
    def sums_in_memory(self) -> int:
        """Addresses that are loaded, added to and stored: constant, or the same in each iteration of an outer loop."""
        loaded = {o.memory for o in self.operations if o.loads}
        stored = {o.memory for o in self.operations if o.stores and not o.on_stack}
        both = loaded & stored
        if not self.came_back:
            both = {memory for memory in both if not registers_in(memory) & self.written}
        adds = any(o.kind in ("fma", "add") and o.is_float for o in self.arithmetic)
        return len(both) if adds else 0

    @cached_property
    def far(self) -> list[int]:
        """For each group of neighbors at an address that advances by a step known only at run time: how many numbers.

        Accesses with the same registers in their address, unchanged in between, differ in their offset only.
        """
        registers = self._far_registers()
        changes: Counter[str] = Counter()
        groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for o in self.operations:
            in_address = registers_in(o.memory)
            if (o.loads or o.stores) and in_address & registers and not o.on_stack:
                group = (o.address, *sorted((register, changes[register]) for register in in_address))
                groups[group] += [_offset(o.memory) + NUMBER // 2 * n for n in range(o.accesses)]
            changes.update(o.writes)
        return [run for offsets in groups.values() for run in _runs(sorted(set(offsets)))]

    def _far_registers(self) -> set[str]:
        """The registers that such a step advances, and those computed from them."""
        steps = [o for o in self.operations if o.adds_register and not o.reads & self._changing]
        found = set[str]().union(*(o.writes for o in steps))
        before = None
        while before != found:
            before = set(found)
            copies = (o for o in self.operations if o.name.startswith(("lea", "mov")) and o.reads & before)
            found |= set[str]().union(*(o.writes for o in copies if not o.loads))
        return found

    @property
    def _changing(self) -> set[str]:
        """Registers that something else than an addition of whole numbers writes."""
        return set[str]().union(*(o.writes for o in self.operations if o.name not in ("addq", "add")))

    def at_most(self, wanted: Callable[[Operation], bool]) -> int:
        """The most of the wanted operations on one way through the loop: an iteration takes one of two branches."""
        blocks = self.loop.loop.blocks
        place = {block.label: n for n, block in enumerate(blocks) if block.label}
        head = place[self.loop.loop.header]

        own, after = list[int](), list[set[int]]()
        for n, block in enumerate(blocks):
            operations = [understood(instruction.text) for instruction in block.instructions]
            own.append(sum(map(wanted, operations)))
            targets = {place[label] for o in operations if o.kind == "jump" and (label := _target(o)) in place}
            falls = n + 1 < len(blocks) and not any(o.is_unconditional for o in operations[-1:])
            after.append((targets | {n + 1} if falls else targets) - {head})
        most, begun, way = dict[int, int](), {head}, [head]
        while way:
            if new := after[way[-1]] - begun:
                way.append(min(new))
                begun.add(way[-1])
            else:  # a block that is begun, but has no number, leads back without passing the header
                n = way.pop()
                most[n] = own[n] + max((most.get(m, 0) for m in after[n]), default=0)
        return most[head]

    @property
    def divides_integers(self) -> bool:
        """Whether it divides integers; by a constant, it multiplies, and keeps the upper half of the product."""
        only_integers = not any(o.is_float for o in self.arithmetic)
        return bool(self.whole_divisions) or (only_integers and re.search("//|%", self.code) is not None)

    @cached_property
    def zero_checks(self) -> int:
        """Ways out of a loop that may divide by 0, for the exception that Python raises."""
        raises = self.options.get("error_model", "python") == "python" and sources.divides(*self.loop.place)
        return self.ways_out if raises else 0

    @property
    def ways_out(self) -> int:
        """Jumps out of the loop, except the one that ends it."""
        labels = {block.label for block in self.loop.loop.blocks if block.label}
        jumps = [_target(o) for o in self.operations if o.kind == "jump" and not o.is_unconditional]
        out = sum(target not in labels for target in jumps)
        ends_by_itself = self.loop.loop.header in jumps
        return out if ends_by_itself else max(out - 1, 0)


def is_division_of_integers(operation: Operation) -> bool:
    return operation.kind == "divide" and not operation.is_float


def is_slow(operation: Operation) -> bool:
    """A division or root of floats."""
    return operation.is_float and (operation.kind == "divide" or "sqrt" in operation.name)


def _offset(memory: str) -> int:
    """-28 of -28(%r8,%r13,4); 16 of [x8, #16]."""
    number = re.match(r"-?\d+(?=\()", memory) or re.search(r"(?<=, #)-?\d+", memory)
    return int(number[0]) if number else 0


def _runs(offsets: list[int]) -> list[int]:
    """The lengths of runs of neighbors, which are at most 8 bytes apart."""
    runs, last = list[int](), None
    for offset in offsets:
        if last is not None and offset - last <= NUMBER:
            runs[-1] += 1
        else:
            runs.append(1)
        last = offset
    return runs


def _unfused(operations: list[Operation]) -> int:
    """Sums of which a number is the product computed before: two instructions in place of one."""
    products: set[str] = set()  # registers
    sums = 0
    for operation in operations:
        sums += operation.is_float and operation.kind == "add" and bool(operation.reads & products)
        is_product = operation.is_float and operation.kind == "multiply"
        products = products | operation.writes if is_product else products - operation.writes
    return sums


def _target(jump: Operation) -> str:
    """The label that it jumps to, as blocks have it: BB0_8 of .LBB0_8."""
    return jump.operands[-1].removeprefix(".").removeprefix("L") if jump.operands else ""
