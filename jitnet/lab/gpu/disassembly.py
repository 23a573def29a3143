"""Machine code of the GPU (SASS), disassembled by nvdisasm if it is installed."""

import functools
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .control_flow import Graph, Instruction, Place

HOW_TO_GET = "pip install nvidia-cuda-nvdisasm"

_PLACE = re.compile(r'//## File "([^"]*)", line (\d+)')
_INSTRUCTION = re.compile(r"/\*[0-9a-f]+\*/\s+(.*?)\s*;")
_LABEL = re.compile(r"(\.L_\w+):")


@functools.cache
def disassembler() -> str | None:
    """The path of nvdisasm: on the PATH, or in a CUDA package of Python; None without it."""
    found = shutil.which("nvdisasm")
    packages = (Path(place) / "nvidia" for place in sys.path)
    return found or next((str(file) for place in packages for file in place.glob("*/bin/nvdisasm*")), None)


def disassembled(cubin: bytes) -> Graph | None:
    """The instructions of the kernel; None without a disassembler, or if it cannot read the file."""
    program = disassembler()
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(cubin)
        result = subprocess.run([program, "-c", "-g", file], capture_output=True, text=True, check=False)
    return graph_of(result.stdout) if result.returncode == 0 else None


def graph_of(text: str) -> Graph:
    """The kernel in the output of nvdisasm, whose other functions are those of CUDA for divisions."""
    functions = re.split(r"^\s*\.section\s+\.text\.", text, flags=re.MULTILINE)[1:]
    (kernel,) = (function for function in functions if not function.startswith("__cuda"))
    blocks: list[list[Instruction]] = [[]]
    labels: dict[str, int] = {}
    place: Place = ("", 0)
    for line in (line.strip() for line in kernel.splitlines()):
        if label := _LABEL.match(line):
            blocks.append([])
            labels[label[1]] = len(blocks) - 1
        elif found := _PLACE.search(line):
            place = found[1], int(found[2])
        elif found := _INSTRUCTION.match(line):
            blocks[-1].append(Instruction(" ".join(found[1].split()), place))
            if re.search(r"\b(BRA|EXIT|RET)\b", found[1]):
                blocks.append([])
    return Graph(blocks, [_successors(b, blocks, labels) for b in range(len(blocks))])


def _successors(b: int, blocks: list[list[Instruction]], labels: dict[str, int]) -> list[int]:
    last = blocks[b][-1].text if blocks[b] else ""
    jump = re.search(r"\bBRA\b.*`\((\.L_\w+)\)", last)
    if not jump and not re.search(r"\b(EXIT|RET)\b", last):
        return [b + 1]
    # a predicate before the name makes a branch conditional, and so does one among the operands, or BRA.DIV
    conditional = last.startswith("@") or re.search(r"BRA\S* !?U?P\d|BRA\.DIV", last)
    return [labels[jump[1]] if jump else len(blocks)] + ([b + 1] if conditional else [])
