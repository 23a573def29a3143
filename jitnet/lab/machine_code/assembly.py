"""A parser for the assembly that LLVM prints: functions, loops and instructions, each with its place in the sources.

The assembly contains the comments of LLVM: which loop a block belongs to, its depth, spilled registers, and the calls
through which a line was inlined:

    .LBB0_6:                    #   Parent Loop BB0_4 Depth=1
                                # =>  This Inner Loop Header: Depth=2
        .loc    2 67 1          # exponential.py:67:1 @[ activations.py:219:1 ]
        vaddps  %zmm3, %zmm4, %zmm4

Line 0 means that the instruction belongs to no line.
"""

import re
from dataclasses import dataclass, field

Place = tuple[str, int]
"""File and line."""

_LABEL = re.compile(r"^(?:\.?L?(BB\d+_\d+):|(?:#|//|;)+ %bb\.\d+:)(.*)")
_FUNCTION = re.compile(r'^("[^"]+"|(?!L[a-z])[^\s"#/;.:][^\s":]*):')  # Ltmp1 is a label inside of a function on a Mac
_LOC = re.compile(r"^\.loc\s+(\d+)\s+(\d+)\b[^#/;]*(?:(?:#|//|;)+ (.*))?")
_FILE = re.compile(r'^\.file\s+(\d+)\s+"([^"]*)"(?:\s+"([^"]*)")?')
_HEADER = re.compile(r"=>\s*This (Inner )?Loop Header: Depth=(\d+)")
_MEMBER = re.compile(r"\bin Loop: Header=(BB\d+_\d+) Depth=(\d+)")
_INLINED = re.compile(r"^(.*):(\d+):\d+$")
_COMMENT = re.compile(r"\s+(?:##?|//|;) (.*)$")
_WRAPPERS = ("_ZN7cpython", "_ZN5cfunc", "cfunc.", "NRT_", "_NRT")


@dataclass
class Instruction:
    text: str
    comment: str
    places: tuple[Place, ...]
    """Its places, outermost first: the line of an inlined call comes before the line inside the function."""
    row: int = -1
    """Its line in the assembly."""

    @property
    def name(self) -> str:
        return self.text.split(None, 1)[0]


@dataclass
class Block:
    label: str
    row: int = -1
    """The line of the assembly that it begins after; -1 for the entry of a function, which has no instructions."""
    header: str = ""
    """Label of the innermost loop that it belongs to."""
    depth: int = 0
    innermost: bool = False
    """True for the header of a loop without inner loops."""
    instructions: list[Instruction] = field(default_factory=list)


@dataclass
class Function:
    symbol: str
    blocks: list[Block] = field(default_factory=list)


@dataclass
class Loop:
    """An innermost loop."""

    function: Function
    header: str
    depth: int
    blocks: list[Block]

    @property
    def head(self) -> Block:
        """The block in which each iteration begins."""
        return next(block for block in self.blocks if block.label == self.header)

    @property
    def instructions(self) -> list[Instruction]:
        return [instruction for block in self.blocks for instruction in block.instructions]


def is_instruction(line: str) -> bool:
    return line[:1] == "\t" and line[1:2].isalpha()


def functions_of(assembly: str) -> list[Function]:
    """The functions, without the wrappers that Numba adds for callers in Python and C."""
    functions: list[Function] = []
    files: dict[str, str] = {}
    places: tuple[Place, ...] = ()
    function: Function | None = None
    at_label = False
    for row, line in enumerate(assembly.splitlines()):
        stripped = line.strip()
        if label := _LABEL.match(line):
            if function is not None:
                function.blocks.append(Block(label[1] or "", row))
                _note_loop(function.blocks[-1], label[2])
            at_label = True
        elif at_label and stripped.startswith(("#", "//", ";")):
            if function is not None:
                _note_loop(function.blocks[-1], stripped)
        elif begin := _FUNCTION.match(line):
            function = Function(as_compiled(begin[1].strip('"')), [Block("")])
            functions.append(function)
            places = ()
        elif stripped.startswith(".file"):
            if file := _FILE.match(stripped):
                files[file[1]] = unescaped(f"{file[2]}/{file[3]}" if file[3] else file[2])
        elif loc := _LOC.match(stripped):
            places = _places(files.get(loc[1], ""), int(loc[2]), loc[3] or "")
        elif is_instruction(line) and function is not None:
            at_label = False
            comment = _COMMENT.search(stripped)
            text = " ".join((stripped[: comment.start()] if comment else stripped).split())
            function.blocks[-1].instructions.append(Instruction(text, comment[1] if comment else "", places, row))
    code = [f for f in functions if any(block.instructions for block in f.blocks)]
    return [f for f in code if not f.symbol.startswith(_WRAPPERS)]


def unescaped(path: str) -> str:
    r"""A path in a directive, where ü is \303\274 and a backslash is doubled; in comments they are as they are."""
    plain = re.sub(rb"\\([0-7]{3}|\\)", lambda m: m[1] if m[1] == b"\\" else bytes([int(m[1], 8)]), path.encode())
    return plain.decode()


def _note_loop(block: Block, comment: str) -> None:
    if header := _HEADER.search(comment):
        block.header, block.depth, block.innermost = block.label, int(header[2]), bool(header[1])
    elif member := _MEMBER.search(comment):
        block.header, block.depth = member[1], int(member[2])


def _places(file: str, line: int, comment: str) -> tuple[Place, ...]:
    if line == 0:
        return ()
    outer = [_INLINED.match(part.strip(" ]")) for part in comment.split(" @[ ")[1:]]
    callers = [(m[1], int(m[2])) for m in outer if m and m[2] != "0"]
    return (*reversed(callers), (file, line))


def loops_of(function: Function) -> list[Loop]:
    """The loops without inner loops."""
    return [
        Loop(function, head.header, head.depth, [block for block in function.blocks if block.header == head.header])
        for head in function.blocks
        if head.innermost
    ]


def as_compiled(symbol: str) -> str:
    """The symbol as it was before LLVM wrote it for a Mac, with one more underscore."""
    return re.sub(r"^_(?=_ZN|jitnet_linked_|cfunc\.|NRT_)", "", symbol)


_LENGTH = re.compile(r"\d+")
_ESCAPED = re.compile(r"_(2[0-9a-f]|3[a-f]|5[b-e]|7[b-e])")  # what is neither a letter nor a digit: < is _3c


def plain_name(symbol: str) -> str:
    """`_ZN6jitnet7kernels6matmul9four_rowsB3v11...` -> `jitnet.kernels.matmul.four_rows`; other names as they are."""
    rest = symbol.lstrip("_")
    if not rest.startswith("ZN"):
        return symbol
    parts, rest = [], rest[2:]
    while length := _LENGTH.match(rest):
        end = length.end() + int(length[0])
        parts.append(_ESCAPED.sub(lambda code: chr(int(code[1], 16)), rest[length.end() : end]))
        rest = rest[end:]
    return ".".join(parts)
