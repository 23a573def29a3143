"""A prediction of the cycles of one iteration of a loop, and which of three things limits it.

*Busiest port.* A core starts instructions through about ten ports; loads, stores and multiply-adds have two or three
each. An iteration takes at least as long as its busiest port.

*Dependency chain.* An instruction that needs the result of an earlier one waits for it (its latency). The chains that
lead from one iteration to the next are a limit, however many ports there are.

*Front end.* It decodes and delivers a fixed number of instructions per cycle.

The largest of the three is the prediction. It assumes that all data are in the L1 cache and that the loop runs for
long. Ports, latencies and widths come from an external program (`analyzers.py`).
"""

import re
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

from ... import checks
from ..formatting import count
from . import analyzers
from .analyzers import MISSING, Analysis
from .hottest import Candidate
from .instructions import ARM, Operation, machine, registers_in

ITERATIONS = 64
"""Iterations in which the dependency chain is followed; the first half lets it settle."""

EQUAL = 0.95
"""Ports that are this close to the busiest one count as equally busy."""

OTHER = "integers and jumps"
IN_VECTORS = "shuffles, conversions and comparisons"
DIVIDES = "divisions and roots"
ARITHMETIC = ("multiply-adds", "arithmetic", DIVIDES)

LIMITS = {"port": "busiest port", "chain": "dependency chain", "front_end": "front end"}
"""Key of the result -> its name."""


def predicted(loop: Candidate, cpu: str, asked: str | None = None) -> dict[str, Any]:
    """The prediction for one iteration, or why there is none.

    Keys: program, model (of the processor), port (name, does, cycles), divider (name and cycles of the unit for
    divisions and roots, if the loop has any and it is not that port), chain and front_end (cycles), cycles (the
    largest), limit (its name), weights (of each instruction: its part of `cycles`), blocks (between the branches of the
    loop), notes (what the prediction leaves out), missing (None, or why the others are None). The front end is None if
    the program does not know it.
    """
    if machine() in ARM:
        return _nothing("Cycles are predicted only for x86-64.")
    program = analyzers.found(asked)
    if program is None:
        return _nothing(MISSING)
    operations = [operation for _, operation in loop.operations]
    try:
        analysis = analyzers.analyzed(program, operations, [i.text for i, _ in loop.operations], cpu)
    except checks.Error as error:
        return _nothing(f"There is no prediction of cycles: {error}")
    port, does = _busiest_port(operations, analysis)
    weights = {
        "port": [ports.get(port, 0.0) for ports in analysis.pressure],
        "chain": analysis.chain or _in_chain(operations, analysis),
        "front_end": _delivered(operations, analysis),
    }  # fmt: skip
    sums = {name: sum(parts) for name, parts in weights.items() if parts is not None}
    limit = max(sums, key=lambda name: sums[name])
    return {
        "program": analysis.program, "model": analysis.model,
        "port": {"name": port, "does": does, "cycles": sums["port"]},
        "divider": _divider(operations, analysis, port), "chain": {"cycles": sums["chain"]},
        "front_end": {"cycles": sums["front_end"]} if "front_end" in sums else None,
        "cycles": sums[limit], "limit": LIMITS[limit], "blocks": _blocks(loop), "notes": _notes(loop, cpu, analysis),
        "weights": weights[limit], "missing": None,
    }  # fmt: skip


def limit_of(found: dict[str, Any], otherwise: str | None) -> str | None:
    """What should limit the loop, in the words of a summary; `otherwise`, if no prediction is sure of it.

    arithmetic or memory (its loads and stores) if it is a port, else the name of the limit.
    """
    unsure = found["missing"] or found["blocks"] > 1
    if unsure and found["limit"] == LIMITS["chain"]:
        return None
    if unsure or (found["limit"] == LIMITS["port"] and found["port"]["does"] in (OTHER, IN_VECTORS)):
        return otherwise
    if found["limit"] == LIMITS["port"]:
        return "arithmetic" if found["port"]["does"] in ARITHMETIC else "memory"
    return f"the {found['limit']}"


def _nothing(why: str) -> dict[str, Any]:
    keys = ("program", "model", "port", "divider", "chain", "front_end", "cycles", "limit", "blocks", "weights")
    return {**dict.fromkeys(keys), "notes": [], "missing": why}


def _blocks(loop: Candidate) -> int:
    return sum(bool(block.instructions) for block in loop.loop.blocks)


def _notes(loop: Candidate, cpu: str, analysis: Analysis) -> list[str]:
    notes = []
    if analysis.model != cpu:
        notes.append(f"{analysis.program} has no tables of {cpu}; these are those of {analysis.model}")
    if loop.calls:
        notes.append(f"the work inside {count(len(loop.calls), 'call')} is not counted")
    if _blocks(loop) > 1:
        notes.append(
            f"the loop has {_blocks(loop)} blocks between branches; it is predicted as if each of them always ran"
        )
    if analysis.unknown:
        notes.append(f"{count(analysis.unknown, 'unknown instruction')} counted as free")
    return notes


def _occupied(analysis: Analysis) -> dict[str, float]:
    """Port -> cycles."""
    total: dict[str, float] = defaultdict(float)
    for ports in analysis.pressure:
        for port, cycles in ports.items():
            total[port] += cycles
    return total


def _divider(operations: list[Operation], analysis: Analysis, busiest: str) -> dict[str, Any] | None:
    """Name and cycles of the unit that divides, if it is not the busiest port."""
    total = _occupied(analysis)
    units = [port for port in total if total[port] and _use_of(port, operations, analysis) == DIVIDES]
    most = max(units, key=lambda unit: total[unit], default=busiest)
    return None if most == busiest else {"name": most, "cycles": total[most]}


def _busiest_port(operations: list[Operation], analysis: Analysis) -> tuple[str, str]:
    """The port and what it does; among equally busy ones, one for arithmetic."""
    total = _occupied(analysis)
    most = max(total.values(), default=0.0)
    busy = [(port, _use_of(port, operations, analysis)) for port in total if total[port] >= EQUAL * most]
    return max(busy, key=lambda use: (use[1] in ARITHMETIC, total[use[0]]), default=("", ""))


def _use_of(port: str, operations: list[Operation], analysis: Analysis) -> str:
    """What the port does in this loop, by the instructions that use it."""
    users = [o for o, ports in zip(operations, analysis.pressure, strict=True) if ports.get(port, 0) > 0]
    if re.search("div", port, re.IGNORECASE) or port.endswith("DV"):
        return DIVIDES
    if all(o.loads for o in users):
        return "loads"
    if all(o.stores or o.kind == "call" for o in users):
        return "stores"
    if all(o.loads or o.stores for o in users):
        return "loads and stores"
    if any(o.is_float and o.is_arithmetic for o in users):
        return "multiply-adds" if any(o.kind == "fma" for o in users) else "arithmetic"
    return IN_VECTORS if 2 * sum(o.bits > 0 for o in users) > len(users) else OTHER


def _delivered(operations: list[Operation], analysis: Analysis) -> list[float] | None:
    """The cycles of the front end for each instruction.

    LLVM counts a memory access as a separate micro-operation if it is executed separately, but the front end
    delivers it together with its arithmetic, or address and number of a store together. A comparison and the jump
    after it are one, too.
    """
    if analysis.micro_operations is None or not analysis.width:
        return None
    slots = [
        max(1, number - (o.loads or o.stores)) for o, number in zip(operations, analysis.micro_operations, strict=True)
    ]
    for n, (before, jump) in enumerate(pairwise(operations)):
        if jump.kind == "jump" and re.match(r"(cmp|test|add|sub|and|inc|dec)[bwlq]?$", before.name):
            slots[n + 1] = 0
    return [number / analysis.width for number in slots]


def _in_chain(operations: list[Operation], analysis: Analysis) -> list[float]:
    """The part of each instruction in the longest dependency chain, in cycles per iteration.

    The loop runs on a machine without other limits: an instruction starts when its operands are ready. A number in
    memory whose address never changes is an operand like a register.
    """
    changing = set[str]().union(*(o.writes for o in operations))
    ready: dict[str, tuple[float, int]] = {}
    steps: list[tuple[float, float, int | None]] = []
    """For each executed instruction: when it finished, how long it took, and the one that it waited for."""
    assert analysis.latencies is not None
    for step in range(ITERATIONS * len(operations)):
        operation, latency = operations[step % len(operations)], float(analysis.latencies[step % len(operations)])
        waits: list[tuple[float, float, int | None]] = [(latency, latency, None)]
        for operand, takes in _operands(operation, latency, analysis.loads, changing):
            if operand in ready:
                time, source = ready[operand]
                waits.append((time + takes, takes, source))
        steps.append(max(waits, key=lambda wait: wait[0]))
        for result in _results(operation, changing):
            ready[result] = steps[-1][0], step
    return _longest(steps, len(operations))


def _longest(steps: list[tuple[float, float, int | None]], length: int) -> list[float]:
    """Follow the chain backwards from the instruction of the last iteration that was delayed most."""
    half = len(steps) // 2
    last = range(len(steps) - length, len(steps))
    at: int | None = max(last, key=lambda n: steps[n][0] - steps[n - half][0])
    chain: list[int] = []
    while at is not None and at >= half:
        chain.append(at)
        at = steps[at][2]
    turn = Counter(n % length for n in chain).most_common(1)[0][0]  # what every iteration of the chain passes
    turns = [place for place, n in enumerate(chain) if n % length == turn]
    iterations = (chain[turns[0]] - chain[turns[-1]]) // length
    parts = [0.0] * length
    for n in chain[turns[0] : turns[-1]]:
        parts[n % length] += steps[n][1]
    return [part / max(iterations, 1) for part in parts]


def _operands(
    operation: Operation, latency: float, loads: dict[str, int], changing: set[str]
) -> list[tuple[str, float]]:
    """Each operand, and the cycles from it to the result: a register is not needed before the number is loaded."""
    in_address = registers_in(operation.memory)
    load = loads.get(analyzers.kind_of_load(operation), 0) if operation.loads and operation.kind != "move" else 0
    found = [(r, latency if r in in_address and operation.loads else latency - load) for r in operation.reads]
    if operation.loads and not in_address & changing:
        found.append((operation.memory, latency))
    return found


def _results(operation: Operation, changing: set[str]) -> list[str]:
    stored = operation.stores and not registers_in(operation.memory) & changing
    return [*operation.writes, *([operation.memory] if stored else [])]
