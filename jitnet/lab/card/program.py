"""PTX read into instructions: the assembly language for which kernels of the card are compiled, before registers.

PTX has a register for every number, and as many as it likes. `Program` is the text of one kernel, cut into pieces that
are entered at their first instruction only and left after their last (basic blocks; a barrier ends one, too).
"""

import re
from typing import NamedTuple

import numpy as np

REGISTERS = {".pred": np.bool_, ".f32": np.float32, ".b32": np.uint32, ".b64": np.uint64, ".f64": np.float64}
"""Kind of a register -> what it holds."""


class Instruction(NamedTuple):
    """`@%p1 ld.global.f32 %f1, [%rd2+4];` has the opcode (ld, global, f32) and the operands (%f1, [%rd2+4])."""

    opcode: tuple[str, ...]
    operands: tuple[str, ...]
    guard: str
    """The predicate that a thread needs to run it, "" for none; the opposite of it after a "!"."""
    text: str
    place: tuple[str, int]
    """File and line of Python that it comes from, the innermost; ("", 0) if PTX does not say."""


class Program:
    """One kernel: `blocks` of instructions, `targets` of labels, `parameters`, addresses of `shared` arrays."""

    def __init__(self, text: str) -> None:
        head, _, body = text.partition(".entry")
        self.files = dict(re.findall(r'^\s*\.file\s+(\d+)\s+"([^"]+)"', text, re.M))
        self.parameters = re.findall(r"\.param \.\w+ (\w+)", body[: body.index("{")])
        self.shared, self.shared_bytes = _shared_variables(head)
        self.registers = {
            f"{name}{number}": REGISTERS[kind]
            for kind, name, count in re.findall(r"\.reg (\.\w+)\s+(%\w+)<(\d+)>;", body)
            for number in range(int(count))
        }
        self.blocks: list[list[Instruction]] = [[]]
        self.targets: dict[str, int] = {}
        self._read(body[body.index("{") + 1 :])

    def _read(self, body: str) -> None:
        place = "", 0
        for line in (line.partition("//")[0].strip() for line in body.splitlines()):
            label, where = re.fullmatch(r"(\$\w+):", line), re.match(r"\.loc\s+(\d+)\s+(\d+)", line)
            if where:
                place = self.files.get(where[1], ""), int(where[2])
            elif label:
                if self.blocks[-1]:
                    self.blocks.append([])
                self.targets[label[1]] = len(self.blocks) - 1
            elif line == "}":
                break
            elif line and not line.startswith((".", "{", "(")):
                instruction = _instruction(line.rstrip(";"), place)
                self.blocks[-1].append(instruction)
                if instruction.opcode[0] in ("bra", "ret", "bar"):
                    self.blocks.append([])
        if not self.blocks[-1]:
            self.blocks.pop()


def _instruction(line: str, place: tuple[str, int]) -> Instruction:
    guard, opcode, operands = re.fullmatch(r"(?:@(!?%\w+)\s+)?(\S+)\s*(.*)", line).groups()  # type: ignore[union-attr]
    parts = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", operands)
    return Instruction(tuple(opcode.split(".")), tuple(parts), guard or "", line, place)


def _shared_variables(head: str) -> tuple[dict[str, int], int]:
    """Variables in the memory that a block shares -> where they lie there; and the bytes of all."""
    found, end = {}, 0
    for align, name, size in re.findall(r"\.shared \.align (\d+) \.b8 (\w+)\[(\d+)\]", head):
        end = -(-end // int(align)) * int(align)
        found[name], end = end, end + int(size)
    return found, end
