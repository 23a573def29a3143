"""llvm-mca of LLVM, or OSACA: external programs that know the ports and latencies of processors.

Both read the instructions of a loop and print tables. They are optional, are found on the PATH, and run as separate
processes. Their output is parsed to one form, `Analysis`.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ... import checks
from .operation import Operation

WHERE = "llvm-mca (apt install llvm, brew install llvm, conda install llvm-tools) or OSACA (pip install osaca)"
MISSING = f"There is no prediction of cycles: it needs {WHERE} on the PATH"
UNKNOWN = "not a recognized processor"
NEWER = "a newer version, or another --analyzer, may know the processor"
_NOTE = "note: instruction:"
"""How the line of llvm-mca begins that has the instruction of an error."""
SECONDS = 60
"""Time limit of a program; it usually takes less than two seconds."""

_RELATIVES = {
    "emeraldrapids": "sapphirerapids", "graniterapids": "sapphirerapids", "diamondrapids": "sapphirerapids",
    "sapphirerapids": "icelake-server", "icelake-server": "skylake-avx512", "cooperlake": "cascadelake",
    "cascadelake": "skylake-avx512", "rocketlake": "icelake-client", "tigerlake": "icelake-client",
    "icelake-client": "skylake-avx512", "cannonlake": "skylake-avx512",
    "pantherlake": "alderlake", "lunarlake": "alderlake", "arrowlake-s": "alderlake", "arrowlake": "alderlake",
    "meteorlake": "alderlake", "raptorlake": "alderlake", "alderlake": "skylake",
    "znver6": "znver5", "znver5": "znver4", "znver4": "znver3", "znver3": "znver2", "znver2": "znver1",
}  # fmt: skip
"""Processor -> the most similar older one, for programs that do not know it yet."""

_OSACA = {
    "sandybridge": "SNB", "ivybridge": "IVB", "haswell": "HSW", "broadwell": "BDW", "skylake": "SKX",
    "skylake-avx512": "SKX", "cascadelake": "CSX", "icelake-client": "ICL", "icelake-server": "ICX",
    "sapphirerapids": "SPR", "znver1": "ZEN1", "znver2": "ZEN2", "znver3": "ZEN3", "znver4": "ZEN4",
}  # fmt: skip
"""Processor -> its name in OSACA."""

_TABLES = {
    "SB": "sandybridge", "HW": "haswell", "BW": "broadwell", "SKL": "skylake", "SKX": "skylake-avx512",
    "ICX": "icelake-server", "SPR": "sapphirerapids", "ADLP": "alderlake", "LNLP": "lunarlake",
    "Zn": "znver1", "Zn2": "znver2", "Zn3": "znver3", "Zn4": "znver4", "Zn5": "znver5",
}  # fmt: skip
"""How the names of ports begin in llvm-mca -> the processor that they belong to. A version that knows the name of a new
processor may have the tables of an older one for it: LLVM 14 describes sapphirerapids by those of skylake-avx512."""

_PROBES = {
    "scalar": ("vaddss (%rax), %xmm0, %xmm0", "vaddss %xmm1, %xmm0, %xmm0"),
    "128": ("vaddps (%rax), %xmm0, %xmm0", "vaddps %xmm1, %xmm0, %xmm0"),
    "256": ("vaddps (%rax), %ymm0, %ymm0", "vaddps %ymm1, %ymm0, %ymm0"),
    "512": ("vaddps (%rax), %zmm0, %zmm0", "vaddps %zmm1, %zmm0, %zmm0"),
    "whole": ("addq (%rax), %rcx", "addq %rdx, %rcx"),
}
"""Kind of load -> an addition with and without it: the difference of their latencies is that of the load."""


@dataclass
class Analysis:
    """What a program says about one iteration of a loop. Lists have an entry for each instruction."""

    program: str
    """Its name and version."""
    model: str
    """The processor that its tables describe."""
    pressure: list[dict[str, float]]
    """Port -> cycles in which the instruction occupies it."""
    micro_operations: list[int] | None = None
    width: int | None = None
    """Micro-operations that the front end delivers per cycle."""
    latencies: list[int] | None = None
    loads: dict[str, int] = field(default_factory=dict)
    """Kind of load -> the part of an instruction's latency that is its load."""
    chain: list[float] | None = None
    """Cycles of the longest dependency chain from iteration to iteration, where the program computes it."""
    unknown: int = 0
    """Instructions that the program does not know, and counts as free."""


def found(asked: str | None = None) -> str | None:
    """The path of the program: the one asked for, or llvm-mca of the newest LLVM, or OSACA; None without any."""
    if asked is not None:
        path = shutil.which(asked)
        if path is None or not re.search("mca|osaca", Path(path).name):
            what = "is neither llvm-mca nor osaca" if path else "is not on the PATH"
            raise checks.Error(f"--analyzer {asked} {what}; give llvm-mca, osaca, or the path of one of them")
        return path
    versions = set()
    for folder in os.get_exec_path():
        versions |= {int(p.name.rpartition("-")[2]) for p in Path(folder).glob("llvm-mca-[1-9]*") if _numbered(p.name)}
    names = [f"llvm-mca-{version}" for version in sorted(versions, reverse=True)]
    return next(filter(None, map(shutil.which, [*names, "llvm-mca", "osaca"])), None)


def _numbered(name: str) -> bool:
    return name.rpartition("-")[2].isdecimal()


def analyzed(program: str, operations: list[Operation], texts: list[str], cpu: str) -> Analysis:
    """The analysis of one iteration, for this processor or its nearest relative that the program knows.

    Errors    checks.Error if the program fails, or prints something else
    """
    run = _by_osaca if "osaca" in Path(program).name else _by_llvm
    try:
        return run(program, operations, texts, cpu)
    except checks.Error:  # which is a ValueError too
        raise
    except (subprocess.SubprocessError, OSError) as error:
        raise checks.Error(f"{program} did not run: {checks.described(error)}") from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise checks.Error(f"the output of {program} is not understood: {checks.described(error)}") from None


def _models(cpu: str) -> Iterator[str]:
    """The processor and its relatives, nearest first."""
    while cpu:
        yield cpu
        cpu = _RELATIVES.get(cpu, "")


def _run(command: list[str], text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, input=text, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
    )


def _version(program: str) -> str:
    numbers = re.search(r"\d+(\.\d+)+", _run([program, "--version"], "").stdout)
    return numbers[0] if numbers else "of unknown version"


def kind_of_load(operation: Operation) -> str:
    """A key of `Analysis.loads`."""
    if not operation.bits:
        return "whole"
    return "scalar" if operation.is_float and operation.lanes == 1 else str(operation.bits)


def _by_llvm(program: str, operations: list[Operation], texts: list[str], cpu: str) -> Analysis:
    kinds = sorted({kind_of_load(o) for o in operations if o.loads and o.kind != "move"})
    regions = {"loop": texts, **{kind: list(_PROBES[kind]) for kind in kinds}}
    source = "".join(
        f"# LLVM-MCA-BEGIN {name}\n" + "\n".join(lines) + "\n# LLVM-MCA-END\n" for name, lines in regions.items()
    )
    refused: dict[str, str] = {}
    for model in _models(cpu):
        answer = _run([program, "-mtriple=x86_64", f"-mcpu={model}", "-json"], source)
        if answer.returncode == 0 and UNKNOWN not in answer.stderr:
            return from_llvm(answer.stdout, f"llvm-mca {_version(program)}", model, kinds)
        refused[model] = answer.stderr
    nearest = next((model for model, said in refused.items() if UNKNOWN not in said), cpu)
    lines = refused[nearest].splitlines() or ["nothing"]
    said = next((line for line in lines if "error" in line), lines[0]).strip().removesuffix(".")
    which = next((line.partition(_NOTE)[2] for line in lines if _NOTE in line), "")
    said = ": ".join(filter(None, [said, " ".join(which.split())]))
    raise _cannot(program, nearest, cpu, said)


def _cannot(program: str, model: str, cpu: str, said: str) -> checks.Error:
    whom = cpu if model == cpu else f"{model}, the nearest to {cpu} that it knows"
    return checks.Error(f"{program} cannot analyze this loop for {whom}: {said}; {NEWER}")


def from_llvm(output: str, program: str, model: str, kinds: list[str]) -> Analysis:
    """Parse the JSON of llvm-mca: a region for the loop, and one for each kind of load."""
    document = json.loads(output)
    regions = document["CodeRegions"]
    infos = [
        sorted(_inside(region, "InstructionList"), key=lambda info: info["Instruction"])  # the order is not documented
        for region in regions
    ]
    # units of a group are numbered by a last character: Zn3FPP45.\0
    names = [re.sub(r"[\0-\x1f]$", lambda unit: str(ord(unit[0])), name) for name in _inside(document, "Resources")]
    begin = re.match(r"(Zn\d?|[A-Z]+?(?=Port|Div|FPDiv))", next(iter(names), ""))
    model = _TABLES.get(begin[0], model) if begin else model
    pressure: list[dict[str, float]] = [{} for _ in infos[0]]
    for entry in _inside(regions[0], "ResourcePressureInfo"):
        if entry["InstructionIndex"] < len(pressure):  # the last entries are the sums
            pressure[entry["InstructionIndex"]][names[entry["ResourceIndex"]]] = float(entry["ResourceUsage"])
    loads = {kind: max(0, info[0]["Latency"] - info[1]["Latency"]) for kind, info in zip(kinds, infos[1:], strict=True)}
    return Analysis(
        program, model, pressure, [info["NumMicroOpcodes"] for info in infos[0]],
        _inside(regions[0], "DispatchWidth"), [info["Latency"] for info in infos[0]], loads,
    )  # fmt: skip


def _inside(tree: Any, key: str) -> Any:
    """The first value with this key at any depth: the depth changes between versions."""
    if isinstance(tree, dict) and key in tree:
        return tree[key]
    for branch in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        try:
            return _inside(branch, key)
        except KeyError:
            continue
    raise KeyError(key)


def _by_osaca(program: str, operations: list[Operation], texts: list[str], cpu: str) -> Analysis:
    model = next((known for known in _models(cpu) if known in _OSACA), None)
    if model is None:
        raise checks.Error(f"OSACA knows no processor like {cpu}; llvm-mca of a new LLVM may")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "loop.s")
        file.write_text("\n".join(texts) + "\n", encoding="utf-8")
        command = [
            program,
            "--arch",
            _OSACA[model],
            "--syntax",
            "ATT",
            "--ignore-unknown",
            "--lines",
            f"1-{len(texts)}",
        ]
        answer = _run([*command, str(file)], "")
    if answer.returncode:
        said = answer.stderr.strip().splitlines()[-1:] or ["without a message"]
        raise _cannot(program, model, cpu, said[0])
    return from_osaca(answer.stdout, f"OSACA {_version(program)}", model, len(texts))


def from_osaca(output: str, program: str, model: str, count: int) -> Analysis:
    """Parse the tables of OSACA: the ports in columns between bars, then `CP | LCD`, and the instructions in rows."""
    lines = output.splitlines()
    start = next((n for n, line in enumerate(lines) if "LCD" in line and line.rstrip().endswith("|")), None)
    if start is None:
        raise ValueError("there is no table of ports")
    heads = lines[start].partition("||")[0].split("|")[1:]
    rows = [line for line in lines[start:] if re.match(r" *\d+ \|.*\|\|", line)]
    if len(rows) != count:
        raise ValueError(f"{len(rows)} of {count} instructions")
    pressure, chain = [], []
    for row in rows:
        cells, _, rest = row.partition("||")
        pressure.append(_ports_of(heads, cells.split("|")[1:]))
        chain.append(float(rest.split("|")[1].strip() or 0))
    unknown = sum("| X " in row and "| X vzeroupper" not in row for row in rows)
    return Analysis(program, model, pressure, chain=chain, unknown=unknown)


def _ports_of(heads: list[str], cells: list[str]) -> dict[str, float]:
    """`0   - 0DV` heads two columns: port 0, and the divider behind it."""
    found: dict[str, float] = {}
    for head, cell in zip(heads, cells, strict=True):
        middle = head.find("-") if "-" in head else len(cell)
        for name, figure in ((head[:middle], cell[:middle]), (head[middle + 1 :], cell[middle:])):
            if figure.strip():
                found["port " + name.strip()] = float(figure)
    return found
