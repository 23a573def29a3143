"""The integers of a loop: those that iterations pass on, and numbers in memory that become addresses.

A register is followed through one iteration. A counter or a pointer only has the same added to it again and again, so
its values are known in advance, and no iteration waits for the previous one. Everything else that a register takes to
the next iteration is an accumulator.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from .instructions import Operation, registers_in

_LINEAR = re.compile(r"v?p?(add|sub|inc|dec|lea|mov|broadcast)[a-z]*\d*$")
_ARITHMETIC = re.compile(
    r"(add|adc|sub|sbb|inc|dec|neg|not|i?mulx?|andn?|or|xor|sh[lr]x?|sarx?|rol|rorx?|lea|popcnt|[lt]zcnt|bs[fr])[bwlq]?$|"
    r"(m(add|sub|ul)|orr|eor|ls[lr]|asr|c(inc|sel))$"
)
_CHOICE = re.compile(r"vpcmp(?!istr|estr)\w*[dq]$|vpmov[dq]2m$|cmov|csel$")
_SUFFIX = {"b": 8, "w": 16, "l": 32, "q": 64}


@dataclass(frozen=True)
class Value:
    """What is in a register."""

    starts: frozenset[str] = frozenset()
    """The registers that it depends on, as they are where the iteration begins."""
    loaded: bool = False
    """Whether it depends on a number in memory."""
    linear: bool = True
    """Whether it is made by additions and copies only."""
    made_by: frozenset[int] = frozenset()
    """The loads and the instructions of integer arithmetic that it is the result of."""


@dataclass
class Integers:
    """carried     integer registers that an iteration computes from numbers in memory, or from their own last value
    steps       the most instructions between two values of one of them
    computed    instructions of integer arithmetic whose results are stored or passed on, not only used as addresses
    updates     elements that are loaded, changed and stored, and whose index is a number in memory: their addresses
                without that index
    indirect    whether a number is loaded or stored whose index is a number in memory
    """

    carried: set[str] = field(default_factory=set)
    steps: int = 0
    computed: list[Operation] = field(default_factory=list)
    updates: list[str] = field(default_factory=list)
    indirect: bool = False


def integers_of(operations: Sequence[Operation]) -> Integers:
    """Follow the registers through one iteration; twice, because a loaded number may be an address in the next one."""
    end, *_ = _followed(operations, set())
    end, stored, updates, indirect = _followed(operations, {r for r, value in end.items() if value.loaded})
    carried = {r: v for r, v in end.items() if r in v.starts and (v.loaded or not v.linear) and r[0] not in "vk"}
    chains = [[operations[n] for n in value.made_by if _is_integer(operations[n])] for value in carried.values()]
    steps = [sum(r in o.reads | o.writes for o in chain) for r, chain in zip(carried, chains, strict=True)]
    used = stored.union(*(value.made_by for value in carried.values()))
    computed = [operations[n] for n in sorted(used) if _is_integer(operations[n])]
    return Integers(set(carried), max(steps, default=0), computed, updates, indirect)


def _is_integer(operation: Operation) -> bool:
    return not operation.bits and _ARITHMETIC.match(operation.name) is not None


def _followed(operations: Sequence[Operation], loaded: set[str]) -> tuple[dict[str, Value], set[int], list[str], bool]:
    """The registers at the end of an iteration, what made the numbers that it stores, the updates, and whether an
    address depends on a number in memory.

    loaded    registers that have a number from memory at the beginning
    """
    names = set[str]().union(*(o.writes for o in operations))
    known = {name: Value(frozenset([name]), name in loaded) for name in names}
    stored: set[int] = set()
    fresh: dict[str, int] = {}  # memory operands whose registers are the same since that instruction has loaded them
    updates: list[str] = []
    indirect = False
    for n, o in enumerate(operations):
        address = [known[r] for r in registers_in(o.memory) if r in known]
        value = _result(o, n, known, address)
        indirect |= any(a.loaded for a in address) and (o.loads or o.stores)
        if o.stores:
            stored |= value.made_by
            if any(a.loaded for a in address) and (o.loads or fresh.get(o.memory) in value.made_by):
                updates.append(_without_data(o.memory, known))
            known |= {o.memory: value} if o.on_stack else {}
        elif o.loads:
            fresh[o.memory] = n
        fresh = {memory: at for memory, at in fresh.items() if not registers_in(memory) & o.writes}
        # an ARM load or store may advance its address, too
        advanced = registers_in(o.memory) if o.stores or len(o.writes) > 1 else frozenset[str]()
        known |= dict.fromkeys(o.writes - advanced, value)
    return {name: known[name] for name in names}, stored, updates, indirect


def _without_data(memory: str, known: dict[str, Value]) -> str:
    """`(%r15,,8)` of `(%r15,%rdi,8)`, where rdi was loaded: what the elements of one array share."""
    registers = re.findall(r"%?\w+", memory)
    data = [r for r in registers if any(known[name].loaded for name in registers_in(r) if name in known)]
    return re.sub("|".join(rf"{r}\b" for r in data), "", memory)


def _result(o: Operation, n: int, known: dict[str, Value], address: list[Value]) -> Value:
    """The value that an instruction writes or stores."""
    from_memory = o.loads and not o.on_stack and not o.is_constant
    inputs = [known.get(r, Value()) for r in _inputs(o)] + [known.get(o.memory, Value())] * (o.loads and o.on_stack)
    used = inputs + [a for a in address if a.loaded and from_memory]
    starts = frozenset[str]().union(*(v.starts for v in used))
    loaded = from_memory or any(v.loaded for v in used)
    adds = sum(bool(v.starts) for v in used) <= 1 and _LINEAR.match(o.name) is not None
    linear = all(v.linear for v in used) and (adds or not starts)
    new = frozenset([n] if from_memory or (_is_integer(o) and (loaded or not linear)) else [])
    return Value(starts, loaded, linear, new.union(*(v.made_by for v in inputs)))


def _inputs(o: Operation) -> frozenset[str]:
    """The registers that it computes with, not those of an address that it loads or stores."""
    only_address = registers_in(o.memory) if o.loads or o.stores else frozenset[str]()
    return o.reads - (only_address if o.kind == "move" or o.stores else only_address - o.writes)


def kind_of(operation: Operation) -> str:
    """int64 for addq."""
    return f"int{_SUFFIX.get(operation.name[-1], 64)}"


def chosen_addresses(operations: Sequence[Operation]) -> int:
    """Conditional moves, or comparisons of whole vectors, that choose from where numbers are loaded or where they go.

    The test of an index that may be negative has this form: the size of the array, or 0, is added to the index.
    """
    return _in_addresses(operations, {n for n, o in enumerate(operations) if _CHOICE.match(o.name)})


def sign_tests(operations: Sequence[Operation]) -> int:
    """Tests of a sign on which an address depends.

    Division of integers tests the sign of dividend ^ divisor: // and % round down, but the instruction toward 0.
    """
    by_xor: set[str] = set()  # registers with the result of a xor, or a copy of it
    tests: set[int] = set()
    below = False
    """Whether the last comparison was with a negative constant: that of i + 1 with 0 is one of i with -1."""
    for n, o in enumerate(operations):
        if o.name.startswith("cmp"):
            below = o.operands[0].startswith("$-")
        if (o.tests_sign and not o.reads & by_xor) or (below and o.name.startswith(("cmovl", "cmovg"))):
            tests.add(n)
        is_xor = o.name.startswith(("xor", "eor")) and bool(o.reads)
        by_xor = by_xor | o.writes if is_xor or (o.kind == "move" and o.reads & by_xor) else by_xor - o.writes
    return _in_addresses(operations, tests)


def _in_addresses(operations: Sequence[Operation], marked: set[int]) -> int:
    """How many of the marked instructions have a result on which an address depends."""
    known: dict[str, frozenset[int]] = {}
    found: set[int] = set()
    for n, o in enumerate(operations):
        if o.loads or o.stores:
            found |= set[int]().union(*(known.get(r, frozenset()) for r in registers_in(o.memory)))
        by = frozenset[int]().union(*(known.get(r, frozenset()) for r in _inputs(o)))
        by |= {n} if n in marked else frozenset()
        known |= dict.fromkeys(o.writes, frozenset() if "gather" in o.name else by)
    return len(found)
