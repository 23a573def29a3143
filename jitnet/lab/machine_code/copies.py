"""Copies of machine code, made from the assembly that `explain` shows: one to be timed, and one that counts.

All names get a suffix, so that all copies fit into one process with the original. LLVM assembles them, and they are
loaded next to it. In the one that counts, each block increments a counter. The other is the same code as the original;
the offsets of its instructions tell to which of them an address belongs.
"""

import ctypes
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numba import _dynfunc
from numpy.typing import NDArray

from .assembly import functions_of, is_instruction

_DEFINED = re.compile(r"^([A-Za-z_][\w.$]*):|^\s+\.l?comm\s+([\w.$]+)", re.MULTILINE)
_NAME = re.compile(r"(?<![\w.])[A-Za-z_.][\w.$]*")
_FOR_DEBUGGERS = re.compile(r"\s*\.(loc|file|ident|addrsig\w*)\b")
_SECTION_OF_CODE = re.compile(r"\s*\.section\s+\"?\.l?text\b")
"""Functions that several modules share have a section each; here all are in one, so that offsets are known."""

_COPIES = itertools.count(1)

# the red zone below the stack pointer may be in use, and so may the flags; several threads count at once
_COUNT = "leaq -128(%rsp), %rsp\npushfq\nlock incq {counter}(%rip)\npopfq\nleaq 128(%rsp), %rsp"


class Copy:
    """A copy of a compiled function and its linked helpers; `call` calls it.

    overload    the compiled function, of Numba
    texts       its assembly, and that of each helper
    links       symbol of a linked helper -> its function
    counting    whether it counts how often each of its blocks is executed
    """

    def __init__(self, overload: Any, texts: list[str], links: dict[str, str], counting: bool = False) -> None:
        self._engine = overload.library._codegen._engine
        self._suffix = f"__copy{next(_COPIES)}"
        self._blocks = [_blocks(text) if counting else [] for text in texts]
        self._rows: list[tuple[list[int], NDArray[np.int64]]] = []
        names = {symbol for text in texts for pair in _DEFINED.findall(text) for symbol in pair if symbol}
        targets = {name: name for name in names} | links
        for number, text in enumerate(texts):
            code = "\n".join(self._lines(text, number))
            code = _NAME.sub(lambda name: targets[name[0]] + self._suffix if name[0] in targets else name[0], code)
            object_file = llvm.ObjectFileRef.from_data(_assembled(code))
            self._rows.append((_rows_of(text), _section(object_file, "offsets")))
            self._engine._ee.add_object_file(object_file)
        self._engine.finalize_object()
        self._share_environments(names)
        self.call = self._callable(overload)

    def _name(self, what: str, number: int) -> str:
        return f"jitnet_{what}_{number}{self._suffix}"

    def _lines(self, text: str, number: int) -> Iterator[str]:
        """The assembly, with a label for each instruction, a table of their offsets, and counters."""
        start, counters = self._name("start", number), self._name("counters", number)
        counter_of = {row: counter for counter, row in enumerate(self._blocks[number])}
        yield f".text\n.globl {start}\n{start}:"
        for row, line in enumerate(text.splitlines()):
            if is_instruction(line):
                yield f".Lrow{row}:"
            if not _FOR_DEBUGGERS.match(line):
                yield "\t.text" if _SECTION_OF_CODE.match(line) else line
            if row in counter_of:
                yield _COUNT.format(counter=f"{counters}+{8 * counter_of[row]}")
        yield f".data\n.p2align 3\n.globl {counters}\n{counters}:\n.zero {8 * len(counter_of) + 8}"
        yield '.section offsets,"",@progbits'
        yield from (f".quad .Lrow{row}-{start}" for row in _rows_of(text))

    def _share_environments(self, names: set[str]) -> None:
        """Numba's globals that point to constants of Python."""
        for name in names:
            if name.startswith("_ZN08NumbaEnv"):
                source, target = map(self._engine.get_global_value_address, (name, name + self._suffix))
                if source and target:
                    ctypes.memmove(target, source, 8)

    def _callable(self, overload: Any) -> Callable[..., object]:
        described = overload.fndesc
        address = self._engine.get_function_address(described.llvm_cpython_wrapper_name + self._suffix)
        made: Callable[..., object] = _dynfunc.make_function(
            described.lookup_module(), described.qualname, "", address, overload.environment, (overload.library,)
        )
        return made

    def executions(self) -> list[dict[int, int]]:
        """For each text: row of a block -> how often it was executed so far."""
        found = []
        for number, blocks in enumerate(self._blocks):
            address = self._engine.get_global_value_address(self._name("counters", number))
            counters = (ctypes.c_uint64 * len(blocks)).from_address(address)
            found.append(dict(zip(blocks, map(int, counters), strict=True)))
        return found

    def rows(self, addresses: NDArray[np.uint64]) -> list[dict[int, int]]:
        """For each text: row of an instruction -> how many of the addresses are in it."""
        found = []
        for number, (rows, offsets) in enumerate(self._rows):
            start = self._engine.get_global_value_address(self._name("start", number))
            places = addresses.astype(np.int64) - start
            inside = places[(places >= 0) & (places <= offsets.max(initial=-1))]
            which, counts = np.unique(np.searchsorted(offsets, inside, side="right") - 1, return_counts=True)
            found.append({rows[n]: int(count) for n, count in zip(which, counts, strict=True)})
        return found


def _blocks(text: str) -> list[int]:
    """The rows of the blocks."""
    return [block.row for function in functions_of(text) for block in function.blocks if block.row >= 0]


def _rows_of(text: str) -> list[int]:
    return [row for row, line in enumerate(text.splitlines()) if is_instruction(line)]


def _assembled(code: str) -> bytes:
    """The object file of this assembly, by the assembler inside of llvmlite.

    Errors    RuntimeError, as LLVM reports it
    """
    llvm.initialize_native_asmparser()
    triple = llvm.get_default_triple()
    machine = llvm.Target.from_triple(triple).create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), jit=True
    )
    lines = (line.replace("\\", "\\5C").replace('"', "\\22") for line in code.splitlines())
    module = llvm.parse_assembly(f'target triple = "{triple}"\n' + "\n".join(f'module asm "{line}"' for line in lines))
    object_file: bytes = machine.emit_object(module)
    return object_file


def _section(object_file: Any, name: str) -> NDArray[np.int64]:
    """Its whole numbers of 64 bits."""
    data = next(section.data() for section in object_file.sections() if section.name() in (name, name.encode()))
    return np.frombuffer(data, np.int64)
