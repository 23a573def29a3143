"""One instruction, whatever the processor: what verdicts and predictions need to know of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """One parsed instruction."""

    name: str
    operands: tuple[str, ...]
    kind: str
    """fma, multiply, add (or subtract), divide, other (arithmetic), convert, move, jump, call, or "" for others."""
    element: int
    """Bytes of a number, for arithmetic on floats or vectors; else 0."""
    is_float: bool
    lanes: int
    """Numbers per instruction; 1 for scalars."""
    bits: int
    """Of the widest vector register in the operands."""
    loads: bool
    stores: bool
    memory: str
    """The memory operand, without its mask, or ""."""
    reads: frozenset[str]
    writes: frozenset[str]

    @property
    def is_arithmetic(self) -> bool:
        return self.kind in ("fma", "multiply", "add", "divide", "other")

    @property
    def is_masked(self) -> bool:
        return any("{%k" in operand for operand in self.operands)

    @property
    def on_stack(self) -> bool:
        return "(%rsp" in self.memory or self.memory.startswith("[sp")

    @property
    def is_constant(self) -> bool:
        """True if it reads a constant that the compiler stored with the code."""
        return "(%rip)" in self.memory or "LCPI" in self.memory

    @property
    def address(self) -> str:
        """The memory operand without its offset: what accesses of one array share."""
        return self.memory.partition("(")[2] or self.memory.partition(", #")[0]

    @property
    def accesses(self) -> int:
        """Loads or stores in this instruction: two for a pair."""
        return 2 if self.name in ("ldp", "ldnp", "stp", "stnp") else 1

    @property
    def is_unconditional(self) -> bool:
        return self.name in ("jmp", "b")

    @property
    def adds_register(self) -> bool:
        """True for an address that advances by a step in a register."""
        is_sum = self.name in ("addq", "add") and not self.memory and not self.element
        return is_sum and bool(self.writes & self.reads) and bool(self.reads - self.writes)

    @property
    def tests_sign(self) -> bool:
        """True if it is there for an index that may be negative."""
        shifted = self.name in ("sarq", "vpsraq", "asr") and self.operands[:1] in (("$63",), ("#63",))
        return shifted or self.operands[:1] == ("asr #63",) or self.name.startswith(("cmovs", "cmovns"))


def split(text: str) -> tuple[str, ...]:
    """Operands, split at the commas outside of brackets."""
    parts, depth, part = [], 0, ""
    for character in text:
        depth += (character in "({[") - (character in ")}]")
        if character == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += character
    return tuple([*parts, part.strip()] if part.strip() else parts)
