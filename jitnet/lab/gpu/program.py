"""A PTX parser. PTX is the assembly language that GPU kernels are compiled to before registers are allocated.

PTX has an unlimited number of registers. Its text is split into basic blocks, which are entered only at the first
instruction and left only after the last.
"""

import re
from typing import NamedTuple

import numpy as np

from ..machine_code.assembly import unescaped
from .control_flow import Instruction, Place

REGISTERS = {".pred": np.bool_, ".f32": np.float32, ".b32": np.uint32, ".b64": np.uint64, ".f64": np.float64}
"""Kind of a register -> its dtype."""

JUMPS = "bra", "ret"

_FILE = re.compile(r'\.file\s+(\d+) "([^"]*)"')
_PLACE = re.compile(r"\.loc\s+(\d+) (\d+)")
_INSTRUCTION = re.compile(r"(?:@(!?%\w+)\s+)?([a-z][\w.:]*)\s*([^;]*);?")


def blocks_of(text: str, ends: tuple[str, ...] = JUMPS) -> tuple[list[list[Instruction]], dict[str, int]]:
    """The blocks of the kernel in a PTX text, and label -> number of the block that begins there.

    A block ends before a label and after an instruction whose opcode is in `ends`. If the kernel was compiled with line
    numbers, its instructions have places.
    """
    files = {number: unescaped(path) for number, path in _FILE.findall(text)}
    blocks: list[list[Instruction]] = [[]]
    labels: dict[str, int] = {}
    place: Place = ("", 0)
    start = text.rindex("\n{")
    for line in (line.partition("//")[0].strip() for line in text[start : text.index("\n}", start)].splitlines()):
        label, found = re.fullmatch(r"(\$L\w+):", line), _INSTRUCTION.fullmatch(line)
        if label:
            if blocks[-1] or len(blocks) - 1 in labels.values():  # an inner loop may begin where the outer one does
                blocks.append([])
            labels[label[1]] = len(blocks) - 1
        elif where := _PLACE.match(line):
            place = (files[where[1]], int(where[2])) if where[2] != "0" else ("", 0)
        elif found:
            blocks[-1].append(Instruction(line, place))
            if found[2].partition(".")[0] in ends:
                blocks.append([])
    return blocks if blocks[-1] else blocks[:-1], labels


class Step(NamedTuple):
    """`@%p1 ld.global.f32 %f1, [%rd2+4];` has the opcode (ld, global, f32) and the operands (%f1, [%rd2+4])."""

    opcode: tuple[str, ...]
    operands: tuple[str, ...]
    guard: str
    """The predicate that must hold, "" for none; after a "!", the predicate that must not hold."""
    instruction: Instruction


class Program:
    """One kernel: `blocks` of steps, `labels`, `parameters`, kinds of `registers`, addresses of `shared` arrays.

    A barrier ends a block too: threads wait there, and continue with the next.
    """

    def __init__(self, text: str) -> None:
        _, _, body = text.partition(".entry")
        self.parameters = re.findall(r"\.param \.\w+ (\w+)", body[: body.index("{")])
        self.shared, self.shared_bytes = shared_variables(text)
        self.registers = {
            f"{name}{number}": REGISTERS[kind]
            for kind, name, count in re.findall(r"\.reg (\.\w+)\s+(%\w+)<(\d+)>;", body)
            for number in range(int(count))
        }
        blocks, self.labels = blocks_of(text, (*JUMPS, "bar"))
        self.blocks = [[_step(instruction) for instruction in block] for block in blocks]


def _step(instruction: Instruction) -> Step:
    guard, opcode, operands = _INSTRUCTION.fullmatch(instruction.text).groups()  # type: ignore[union-attr]
    parts = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", operands)
    return Step(tuple(opcode.split(".")), tuple(parts), guard or "", instruction)


def shared_variables(text: str) -> tuple[dict[str, int], int]:
    """Variable in shared memory -> its address there; and the bytes of all."""
    found, end = {}, 0
    for align, name, size in re.findall(r"\.shared \.align (\d+) \.b8 (\w+)\[(\d+)\]", text):
        end = -(-end // int(align)) * int(align)
        found[name], end = end, end + int(size)
    return found, end
