"""Explain a GPU kernel: its source next to PTX and machine code, with verdicts in plain words.

    from jitnet.lab.gpu import explaining
    found = explaining.explain("matmul.warptile")
    print(explaining.as_text(found))

This needs no GPU and no driver: kernels are compiled for a compute capability (`compiling.py`), their code is parsed
(`divergence.py`, `disassembly.py`), the hottest loop is found (`hottest.py`) and judged (`verdicts.py`), the occupancy
is computed (`occupancy.py`), and memory transactions are counted (`transactions.py`).
"""

import importlib.metadata
import re
from typing import Any

from ... import checks
from ...compiler.cuda.device import SIMULATED, cuda
from ...compiler.cuda.registry import Launch, Rung
from ...kernels.cuda import LADDERS
from ...process.progress import Report, ignore
from ..formatting import count
from ..listing import KEY, WIDTH, Explanation, beside, functions_around, judged, line_of, short, wrapped
from ..machine_code import sources
from ..machine_code.verdicts import summary
from ..problems.operations import PRODUCTS
from . import transactions
from .compiling import HOW_TO_GET, assembled, has_assembler, ptx_of
from .control_flow import Instruction
from .disassembly import HOW_TO_GET as HOW_TO_DISASSEMBLE
from .disassembly import disassembled
from .divergence import Flow
from .hottest import hottest
from .occupancy import GPUS, Resident, resident
from .program import shared_variables
from .running import CAPABILITY
from .verdicts import Facts, verdicts

TABLE = (
    "threads and bytes of shared memory per block; registers and spilled bytes per thread; bytes of code; resident "
    "blocks and warps per multiprocessor"
)

RUN = 4
"""The number of equal instructions in a row for one line that are shown; the others are counted."""


def explain(
    target: str, capability: str | tuple[int, int] = CAPABILITY, counted: bool = True, report: Report = ignore
) -> dict[str, Any]:
    """Explain a rung of the GPU, `operation.rung` of `jitnet.kernels.cuda.LADDERS`, for a compute capability.

    A rung may have several launches: the same kernel with a small and a large tile, and one that finishes the work of
    the first. Figures are given for each; the loop, its code and the verdicts are those of the launch whose hottest
    loop computes most, which is the large tile of a product. With `counted`, the interpreter also counts memory
    transactions, which takes seconds (`transactions.py`).

    Keys of the result, which contains only dicts, lists, texts and numbers:

    target, idea (the docstring of the rung), capability, compiler
    launches        a list of name, signature, main (True for the one that is explained), threads (of a block), shared
                    (bytes of a block), and, None without an assembler: registers (of a thread), spilled, reloaded
                    (bytes of a thread), size (bytes of instructions), blocks and warps (that a multiprocessor holds at
                    a time), most_warps, limits (what stands in the way of more)
    loop            file, line, last (its last line), function, source (of its first line), depth (0: the kernel has no
                    loop, and all of it is shown), left_out (instructions on ways that are not the usual one,
                    and of loops inside it)
    counts          of one iteration: multiply_adds, loads (global and shared), per_load (multiply-adds per load; None
                    without loads), sums (independent chains)
    sources         a list of functions that are part of the loop: file, function, first (line), lines
    instructions    of its PTX: text, file, line ("" and 0 where it has none)
    machine_code    the same of the machine code; None where nvdisasm is missing
    counted         the result of `transactions.each`, or None
    verdicts        name, answer, good (True, False, or None for neither), evidence, fix
    summary         in one sentence

    Raises `jitnet.Error`, in one line, where something is missing or wrong.
    """
    cc = checked_capability(capability)
    rung = _rung(target, cc)
    operation, name = target.split(".")
    compiled: list[Compiled] = []
    steps = len(rung.launches) + counted
    for launch in rung.launches:
        report(len(compiled), steps, f"compiling {target} for the GPU")
        compiled.append(Compiled(launch, cc, operation in PRODUCTS))
    if counted:
        report(steps - 1, steps, f"memory transactions of {target}")
    asked = transactions.each(operation, transactions.count(operation, name, cc)) if counted else None
    report(steps, steps, "")
    main = max(compiled, key=lambda launch: launch.loop.work)
    found = {
        "target": target, "idea": " ".join((rung.__doc__ or "").split()), "capability": f"{cc[0]}.{cc[1]}",
        "compiler": f"numba-cuda {importlib.metadata.version('numba-cuda')}",
        "launches": [launch.figures() | {"main": launch is main} for launch in compiled],
    }  # fmt: skip
    return Explanation(found | main.explained(asked))


def obstacle() -> str | None:
    """Why no kernel can be compiled for a GPU here, and the fix; None if it can."""
    if SIMULATED:
        return "NUMBA_ENABLE_CUDASIM is set, so nothing is compiled for a GPU; unset it"
    if not cuda.nvvm.is_available():
        return f"the compiler for the GPU is missing: {HOW_TO_GET}"
    return None


def _known() -> list[tuple[int, int]]:
    """The compute capabilities that the installed CUDA compiles for and `GPUS` describes."""
    from numba.cuda.cudadrv.nvrtc import get_supported_ccs

    return [cc for cc in GPUS if cc in get_supported_ccs()]


def at_hand() -> tuple[int, int]:
    """The compute capability of the GPU of this machine, or the default if it is unknown."""
    major, minor = cuda.get_current_device().compute_capability
    return (major, minor) if (major, minor) in _known() else CAPABILITY


def checked_capability(capability: str | tuple[int, int]) -> tuple[int, int]:
    """A known compute capability; anything else is an error in one line."""
    if missing := obstacle():
        raise checks.Error(missing)
    known = {f"{major}.{minor}": (major, minor) for major, minor in _known()}
    name = capability if isinstance(capability, str) else ".".join(map(str, capability))
    if name not in known:
        raise checks.Error(
            f"capability is {name!r}, but must be a compute capability that the installed CUDA compiles for: "
            f"{', '.join(known)}"
        )
    return known[name]


def _rung(target: str, cc: tuple[int, int]) -> Rung:
    operation, dot, name = target.partition(".")
    if ":" in target or target.endswith(".py"):
        raise checks.Error("a kernel of your own cannot be explained for the GPU; name a rung such as matmul.warptile")
    ladder = LADDERS[checks.one_of("operation of the GPU", operation, LADDERS)]
    if not dot:
        others = f"; rungs: {', '.join(ladder)}" if len(ladder) > 1 else ""
        raise checks.Error(f"which rung of {operation}? Write {operation}.{next(iter(ladder))}{others}")
    rung = ladder[checks.one_of(f"rung of {operation} on the GPU", name, ladder)]
    if cc < rung.capability:
        raise checks.Error(
            f"{target} needs compute capability {rung.capability[0]}.{rung.capability[1]}, and {cc[0]}.{cc[1]} is less"
        )
    return rung


class Compiled:
    """A launch, compiled for a compute capability, and its hottest loop."""

    def __init__(self, launch: Launch, cc: tuple[int, int], is_product: bool) -> None:
        self.launch, self.cc, self.is_product = launch, cc, is_product
        self.text = ptx_of(launch, cc, lines=True)
        self.flow = Flow(self.text)
        self.loop = hottest(self.flow)
        self.code = assembled(self.text, cc) if has_assembler() else None
        self.resident: Resident | None = None
        if self.code:
            self.resident = resident(cc, launch.threads, self.code.registers, self.code.shared)

    def figures(self) -> dict[str, Any]:
        code, there = self.code, self.resident
        return {
            "name": self.launch.name, "signature": self.launch.signature, "threads": self.launch.threads,
            "shared": shared_variables(self.text)[1],
            **{key: getattr(code, key) if code else None for key in ("registers", "spilled", "reloaded", "size")},
            **{key: getattr(there, key) if there else None for key in ("blocks", "warps", "most_warps", "limits")},
        }  # fmt: skip

    def explained(self, counted: dict[str, Any] | None = None) -> dict[str, Any]:
        """The explanation of the main launch of a rung."""
        graph = disassembled(self.code.cubin) if self.code else None
        machine = hottest(graph) if graph else None
        facts = Facts(self.flow, self.text, self.loop, machine, self.code, self.resident, self.cc, self.is_product,
                      counted)  # fmt: skip
        found = verdicts(facts)
        file, line = self.loop.place
        name, _, last = sources.function_around(file, line)
        places = [self.loop.place, *(place for _, place in self.loop.instructions)]
        return {
            "loop": {
                "file": file, "line": line, "function": name or self.launch.name, "depth": self.loop.depth,
                "last": sources.lines_of_loop(file, line)[1] if self.loop.depth else last,
                "source": line_of(file, line).strip(), "left_out": self.loop.left_out,
            },
            "counts": {
                "multiply_adds": facts.multiply_adds, "sums": facts.sums, "per_load": facts.per_load,
                "loads": {space: len(sizes) for space, sizes in facts.loads.items()},
            },
            "sources": functions_around(places), "instructions": _shown(self.loop.instructions),
            "machine_code": _shown(machine.instructions) if machine else None,
            "counted": counted, "verdicts": found, **summary(found, _limit(facts)),
        }  # fmt: skip


def _shown(instructions: list[Instruction]) -> list[dict[str, Any]]:
    """Instructions with single spaces, and parameters without the name of the kernel."""
    return [
        {"text": re.sub(r"_Z\w+_param_", "param_", " ".join(text.split())), "file": place[0], "line": place[1]}
        for text, place in instructions
    ]


def _limit(facts: Facts) -> str | None:
    """What limits the loop if there is nothing to fix; None for matrix units."""
    if facts.matrix:
        return None
    return "arithmetic" if facts.is_product and facts.multiply_adds else "memory"


def as_text(found: dict[str, Any]) -> str:
    """For a terminal of 80 to 100 columns."""
    loop, ptx, machine = found["loop"], found["instructions"], found["machine_code"]
    place = f"{short(loop['file'])}, line {loop['line']}, in {loop['function']}"
    lines = [
        *wrapped(f"{found['target']} on a GPU of compute capability {found['capability']}, compiled by "
                 f"{found['compiler']}"),
        *wrapped(found["idea"]), "", *_table(found["launches"]), "",
        *wrapped(f"Hottest loop: {place}" if loop["depth"] else f"There is no loop; each thread runs "
                 f"{loop['function']} once"), "",
        *judged(found), "",
        *beside(ptx, loop, _title("PTX", ptx, loop), RUN),
    ]  # fmt: skip
    if loop["left_out"]:
        lines += wrapped(f"Left out: {loop['left_out']} instructions on other paths through the loop, for edges and "
                         "unaligned addresses, and of inner loops")  # fmt: skip
    if machine:
        lines += ["", *beside(machine, loop, _title("machine code", machine, loop), RUN)]
    else:
        lines += wrapped(f"To see the machine code too, install nvdisasm: {HOW_TO_DISASSEMBLE}")
    lines += wrapped("The first operand of an instruction is its target; brackets mean an address in memory.")
    return "\n".join([*lines, KEY])


def _title(what: str, instructions: list[dict[str, Any]], loop: dict[str, Any]) -> str:
    return f"{what}, {'one iteration' if loop['depth'] else 'one thread'}: {count(len(instructions), 'instruction')}"


def _table(launches: list[dict[str, Any]]) -> list[str]:
    """The figures of each launch; the one that is explained is marked. A long name gets its own line, and so does the
    limit on a narrow terminal."""
    rows = []
    for launch in launches:
        known = launch["registers"] is not None
        warps = f"{launch['warps']} of {launch['most_warps']}" if known else ""
        figures = [launch[key] if launch[key] is not None else "?" for key in ("registers", "spilled")]
        name = launch["name"] + (" ←" if launch["main"] and len(launches) > 1 else "")
        rows.append((
            name,
            f"{launch['threads']:8}{figures[0]:>10}{figures[1]:>8}{launch['shared']:7}"
            f"{launch['size'] if known else '?':>6}{launch['blocks'] if known else '?':>7}{warps:>9}",
            launch["limits"] or "",
        ))  # fmt: skip
    head = (
        f"{'launch':14}{'threads':>8}{'registers':>10}{'spilled':>8}{'shared':>7}{'code':>6}{'blocks':>7}{'warps':>9}"
    )
    lines = [f"{head} limited by", *(f"{name:14}{numbers} {limits}".rstrip() for name, numbers, limits in rows)]
    if max(map(len, lines)) > WIDTH:
        lines = [head]
        for name, numbers, limits in rows:
            lines += [f"{name:14}{numbers}"] if len(name) <= 14 else [name, f"{'':14}{numbers}"]
            lines += [f"{'':14}  limited by {limits}"] if limits else []
    return [*(line.rstrip() for line in lines), *wrapped(TABLE)]
