"""The hottest loop of a function, estimated from its machine code, or from a run.

The compiler makes several versions of a loop: the main one for whole vectors, others for the remainder, and slow ones
for arrays that overlap. They share a line in the source.

*Among lines*, the hottest has most work: operations per number, where a call or an integer division counts as 10, times
12 for each outer loop. A loop in a function that is called from a loop counts as an inner loop. If the function was
run, it is the one with most samples or, without samples, the one that executed most instructions.
*Among versions of a line*, it is the one with most arithmetic per instruction: with long arrays, the time is spent
there. Arithmetic on a number in memory counts as two instructions, because the core loads the number first. A version
that did not run, or hardly, is for other arguments, unless all that ran was a remainder.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from . import indices, sources
from .assembly import Function, Instruction, Loop, Place, as_compiled, loops_of
from .instructions import Operation, registers_in, understood
from .integers import integers_of

ITERATIONS = 12
"""Assumed number of iterations of a loop, to compare loops of different depth."""

REMAINDER = 64
"""The maximum number of elements that remain after the whole vectors of an array."""

ENOUGH = 20
"""Fewer samples do not decide which loop is the hottest."""

HARDLY = 1000
"""A version counts as hardly run if another one did this many times its work."""

CALL = 10

LAUNCH = "numba_parallel_for"
"""The call that starts the threads of a prange loop."""

SPECIAL = ("few_columns.py",)
"""Files of jitnet's loops for special shapes, which are the hottest only in a run that has such a shape."""

CHEAP = ("memset", "memcpy", "memmove")
"""Calls that do no arithmetic."""


@dataclass
class Candidate:
    """An innermost loop and its properties."""

    loop: Loop
    place: Place
    """File and line of the `for` or `while` in the sources."""
    depth: int
    """Nesting depth, including the loops of calling functions."""
    calls: list[tuple[Instruction, str | None]]
    """Calls in it, with the symbol of the called function if it is known."""
    heavy_calls: int
    """Number of calls to functions whose machine code is elsewhere, without those in CHEAP."""

    @cached_property
    def operations(self) -> list[tuple[Instruction, Operation]]:
        return [(instruction, understood(instruction.text)) for instruction in self.loop.instructions]

    @property
    def arithmetic(self) -> list[Operation]:
        """Arithmetic on floats and vectors; in a loop without any, on integers."""
        all_of_it = [operation for _, operation in self.operations if operation.is_arithmetic]
        return [o for o in all_of_it if o.is_float or o.kind == "divide"] or all_of_it

    @property
    def slow(self) -> int:
        """Number of calls and integer divisions."""
        return self.heavy_calls + sum(o.kind == "divide" and not o.is_float for o in self.arithmetic)

    @property
    def numbers(self) -> int:
        """Numbers that an iteration takes from the array it uses most: the source iterations that it stands for."""
        taken: dict[str, int] = defaultdict(int)
        for _, operation in self.operations:
            if operation.memory and not operation.on_stack and not operation.is_constant:
                lanes = operation.bits // 8 // (operation.element or 4) if moves_vectors(operation) else operation.lanes
                taken[operation.address] += max(lanes, 1)
        return max(taken.values(), default=1)

    @property
    def work(self) -> float:
        """Work per iteration."""
        done = sum(o.lanes for o in self.arithmetic if not (o.kind == "divide" and not o.is_float)) + CALL * self.slow
        if not self.arithmetic:
            done += len(integers_of([operation for _, operation in self.operations]).computed)
        return done + 0.001 * len(self.operations)

    @property
    def far_apart(self) -> bool:
        """True if an address advances by a step known only at run time, or numbers are gathered."""
        changed = set[str]().union(*(o.writes for _, o in self.operations if o.name not in ("addq", "add")))
        used = set[str]().union(*(registers_in(o.memory) for _, o in self.operations if o.memory))
        steps = (o for _, o in self.operations if o.adds_register)
        walks = any(o.writes & used and not o.reads & changed for o in steps)
        return walks or any("gather" in o.name or "scatter" in o.name for _, o in self.operations)

    @property
    def yield_(self) -> tuple[bool, bool, float, int]:
        """Numbers computed (or moved) per instruction executed; then, fewer masks are better.

        A version without the calls, divisions or float arithmetic of the others is for special arguments, such as a
        divisor of -1.
        """
        done: float = sum(o.lanes * (2 if o.kind == "fma" else 1) for o in self.arithmetic)
        done = done or sum(o.bits or 64 for _, o in self.operations if o.loads or o.stores) / 64
        masks = sum(o.is_masked for _, o in self.operations)
        executed = len(self.operations) + sum(bool(o.memory) for o in self.arithmetic)
        return self.slow > 0, any(o.is_float for o in self.arithmetic), done / executed, -masks


_SCALAR = re.compile(r"(s[sd][lq]?|mov[dq]|pbroadcast[bwdq]|insertps|pinsr\w|pextr\w|mov[hl]p[sd])$")
"""Instructions that move, convert or compare one number of a vector register, such as vucomisd."""


def moves_vectors(operation: Operation) -> bool:
    """True for a load or store of a whole vector, or arithmetic on one."""
    copies = operation.kind in ("move", "convert", "") and _SCALAR.search(operation.name) is None
    return operation.bits >= 128 and (copies or operation.lanes > 1)


def candidates(functions: list[Function], links: dict[str, str]) -> list[Candidate]:
    """All innermost loops. `links`: symbol of a linked helper -> its function."""
    calls = {function.symbol: calls_in(function, links) for function in functions}
    outside = _depth_outside(functions, calls)
    found = []
    for function in functions:
        for loop in loops_of(function):
            inside = {id(instruction) for instruction in loop.instructions}
            called = [(i, symbol) for i, symbol, _ in calls[function.symbol] if id(i) in inside]
            if any(symbol == LAUNCH for _, symbol in called):  # prange in a serial loop: its loop is another function
                continue
            heavy = sum(symbol not in outside and not (symbol or "").startswith(CHEAP) for _, symbol in called)
            found.append(Candidate(loop, place_of(loop), outside[function.symbol] + loop.depth, called, heavy))
    return found


def hottest(
    found: list[Candidate], strided: bool = False, iterations: Sequence[int] = (), usual: bool = False,
    samples: Sequence[int] = (),
) -> Candidate:  # fmt: skip
    """The hottest loop.

    If an array is `strided`, or the loop moves down a column, a version without strides is for the special case of
    contiguous numbers. `iterations`: how many each loop had in a run. If that had arguments of a `usual` size, it also
    decides between versions; with small ones, it may not have reached the main version. With any size, a version that
    did not run, or hardly, is not shown if another one ran for more than a remainder. `samples`: how many of the run
    are in each loop; those of a function that it calls are elsewhere, so they decide only if no loop calls any,
    and if there are ENOUGH.
    """
    times = dict(zip(map(id, found), iterations, strict=False))
    sampled = {} if any(c.calls for c in found) else dict(zip(map(id, found), samples, strict=False))

    def done(candidate: Candidate) -> float:
        return candidate.work * times.get(id(candidate), 0)

    def executed(candidate: Candidate) -> int:
        if sum(sampled.values()) >= ENOUGH:
            return sampled[id(candidate)]
        return (len(candidate.operations) + CALL * candidate.slow) * times.get(id(candidate), 0)

    versions: dict[Place, list[Candidate]] = defaultdict(list)
    for candidate in [c for c in found if c.place[0]] or found:  # loops that Numba adds have no place
        versions[candidate.place].append(candidate)
    best = []
    for place, loops in versions.items():
        far = [candidate for candidate in loops if candidate.far_apart]
        likely = far if far and (strided or indices.walks_columns(*place)) else loops
        by_estimate = max(likely, key=lambda candidate: (candidate.yield_, done(candidate)))  # of equal ones, what ran
        most = max(loops, key=done)
        hardly = HARDLY * done(by_estimate) < done(most) and times[id(most)] * most.numbers > REMAINDER
        instead = done(most) and (usual or hardly)
        best.append(most if instead else by_estimate)
    in_run = {place: sum(map(executed, loops)) for place, loops in versions.items()}
    if any(in_run.values()):
        return max(best, key=lambda b: in_run[b.place])
    best = [one for one in best if not one.place[0].endswith(SPECIAL)] or best
    return max(best, key=lambda b: b.work / b.numbers * ITERATIONS ** max(one.depth for one in versions[b.place]))


def place_of(loop: Loop) -> Place:
    """The line of the `for`, in the innermost function that all instructions of the loop belong to.

    It is the line of the back edge. For a loop over prange, it is that of the innermost source loop around all
    instructions.
    """
    chains = [instruction.places for instruction in loop.instructions if instruction.places]
    if not chains:
        return "", 0
    shared = 0
    while all(len(chain) > shared + 1 for chain in chains) and len({chain[shared] for chain in chains}) == 1:
        shared += 1
    level = [chain[shared] for chain in chains if len(chain) > shared]
    file = max({file for file, _ in level}, key=[file for file, _ in level].count)
    back = [
        i.places for i in loop.instructions if understood(i.text).kind == "jump" and i.text.endswith("L" + loop.header)
    ]
    for places in reversed(back):
        if len(places) > shared and places[shared][0] == file and sources.is_loop(*places[shared]):
            return places[shared]
    lines = {line for name, line in level if name == file}
    return file, sources.loop_around(file, frozenset(lines)) or min(lines)


_SYMBOL = re.compile(r"^(?:movabsq|movq|leaq) \$?\"?([A-Za-z_.][^\s(,\"@]*)\"?(?:@GOTPCREL)?(?:\(%rip\))?, (%\w+)$")
_SYMBOL_OF_ARM = re.compile(r"^(?:adrp|movz|ldr) (x\d+), (?:\[x\d+, )?#?(?::\w+:)?([A-Za-z_.][\w.]*)")


def calls_in(function: Function, links: dict[str, str]) -> list[tuple[Instruction, str | None, int]]:
    """Calls, their symbols and nesting depth. Addresses are followed through registers and the stack."""
    known: dict[str, str] = {}
    loaded: dict[str, str] = {}
    found: list[tuple[Instruction, str, int]] = []
    resolved: list[str | None] = []
    for block in function.blocks:
        for instruction in block.instructions:
            text = instruction.text
            operation = understood(text)
            source, target = (operation.operands[0], operation.operands[-1]) if operation.operands else ("", "")
            if symbol := _SYMBOL.match(text):
                known[symbol[2]] = loaded[symbol[2]] = symbol[1]
            elif symbol := _SYMBOL_OF_ARM.match(text):
                known[symbol[1]] = loaded[symbol[1]] = symbol[2]
            elif operation.kind == "call":
                where = source.removeprefix("*")
                found.append((instruction, where, block.depth))
                resolved.append(known.get(where) if source.startswith("*") else where)
            elif text.startswith("movq") and source in known:
                known[target] = loaded[target] = known[source]
            elif operation.writes or operation.stores:
                known.pop(target, None)
    guessed = [symbol or loaded.get(where) for symbol, (_, where, _) in zip(resolved, found, strict=True)]
    return [
        (i, links.get(as_compiled(symbol), as_compiled(symbol)) if symbol else None, depth)
        for symbol, (i, _, depth) in zip(guessed, found, strict=True)
    ]


def _depth_outside(
    functions: list[Function], calls: dict[str, list[tuple[Instruction, str | None, int]]]
) -> dict[str, int]:
    """The number of source loops around the calls of each function."""
    # the loop of Numba's wrapper, which runs the share of a thread, is not in the sources
    outside = {function.symbol: -1 if function.symbol.startswith("__gufunc__") else 0 for function in functions}
    for _ in functions:  # as often as a chain of calls can be long
        for caller, called in calls.items():
            for _, symbol, depth in called:
                if symbol in outside and symbol != caller:
                    outside[symbol] = min(max(outside[symbol], outside[caller] + depth), 20)
    return outside
