"""Verdicts on the machine code of a loop, each with evidence and a fix.

A verdict is good, bad, or neither if it may be unavoidable. All counts are instructions in one iteration of the
compiled loop, which may do the work of many iterations of the source loop. `facts.py` counts them.
"""

import re
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..formatting import count, nothing_to_fix
from . import advice, reductions, sources
from .assembly import plain_name
from .facts import Facts, is_division_of_integers, is_slow
from .hottest import CHEAP
from .instructions import register_name, registers_in
from .integers import kind_of
from .remarks import reasons, success
from .wording import compared, latency, type_of, widths


@dataclass
class Verdict:
    name: str
    answer: str
    good: bool | None
    evidence: str
    fix: str = ""


def summary(verdicts: list[dict[str, Any]], limit: str | None, where: str = "") -> dict[str, Any]:
    """The verdicts in one sentence, and the limit of the loop if there is nothing to fix first."""
    bad = to_fix(verdicts)
    if bad:
        return {"summary": f"What to change first: {bad[0]['name']} ({bad[0]['answer']}).", "limit": None}
    return {
        "summary": nothing_to_fix(limit, where=where) if limit else "Its instructions show nothing to fix.",
        "limit": limit,
    }


def to_fix(verdicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The bad verdicts that have a fix: the causes of others first."""
    bad = [verdict for verdict in verdicts if verdict["good"] is False and verdict["fix"]]
    return sorted(bad, key=lambda verdict: not advice.is_cause(verdict["name"], verdict["fix"]))


def verdicts(facts: Facts) -> list[dict[str, Any]]:
    """name, answer, good (True, False, None), evidence, fix (empty where there is nothing to fix)."""
    asked = (vectorized, width, multiply_adds, traffic, accumulators, checks, calls, numbers, divisions)
    return [asdict(fitting(ask(facts), facts)) for ask in asked]


def fitting(verdict: Verdict, facts: Facts) -> Verdict:
    """What had a fix that does not fit may be unavoidable."""
    fix = advice.fix_that_fits(verdict.name, verdict.fix, facts)
    return replace(verdict, fix=fix, good=verdict.good if fix or not verdict.fix else None)


def vectorized(facts: Facts) -> Verdict:
    """Does one instruction compute several numbers?"""
    why = reasons(facts.remarks, facts.loop.place)
    llvm = success(facts.remarks, facts.loop.place)
    cheap = [symbol for _, symbol in facts.loop.calls if (symbol or "").startswith(CHEAP)]
    if facts.loop.heavy_calls and facts.packed:
        rest = count(len(facts.packed), "instruction")
        return Verdict(
            "vectorized", "in part: the calls take one number at a time", False,
            f"{count(facts.loop.heavy_calls, 'call')} per iteration, and {rest} of arithmetic on whole vectors",
            advice.CALL_FIX,
        )  # fmt: skip
    if facts.packed:
        whole = f"{len(facts.packed)} of {count(len(facts.arithmetic), 'instruction')}"
        share = f"{whole} of arithmetic work on whole vectors"
        said = f"; LLVM: {llvm}" if llvm else "; the source uses vectors, or LLVM vectorized unrolled iterations"
        kind, _ = Counter((type_of(o), o.lanes) for o in facts.packed).most_common(1)[0]
        most = len(facts.packed) * max(o.lanes for o in facts.packed) >= 4 * (len(facts.arithmetic) - len(facts.packed))
        return Verdict("vectorized", f"yes: {kind[1]} {kind[0]} at a time", True if most else None, share + said)
    if facts.loop.heavy_calls:
        calls = count(facts.loop.heavy_calls, "call")
        return Verdict(
            "vectorized", "no: one number at a time", False, f"{calls} per iteration, made one after the other",
            advice.CALL_FIX,
        )  # fmt: skip
    if not facts.arithmetic and (facts.moved or cheap):
        how = (
            f"by a call of {cheap[0]}"
            if cheap
            else f"{count(len(facts.moved), 'load or store', 'loads and stores')} of whole vectors per iteration"
        )
        return Verdict("vectorized", "yes: it moves whole vectors", True, how)
    if llvm and facts.loop.far_apart:
        return Verdict(
            "vectorized", "no: one number at a time", False,
            "LLVM vectorized only the case of contiguous numbers, and here they may be far apart", advice.FAR_FIX,
        )  # fmt: skip
    if not why:
        fix = advice.APART_FIX if llvm else advice.CARRIES if facts.carried else ""
        said = UNUSED if llvm else "LLVM gives no reason"
        return Verdict("vectorized", "no: one number at a time", False, said, fix)
    if facts.divides_integers and "not beneficial" in why[0].said:
        words = f"LLVM: {why[0].said}: there is no vector instruction for the division of integers"
        return Verdict("vectorized", "no: one number at a time", False, words, advice.WHOLE_FIX)
    is_maximum = facts.carries_maximum and not reductions.recurs(*facts.loop.place)
    words = MAXIMUM if is_maximum and "identified as reduction" in why[0].said else why[0].words
    is_helper = facts.loop.calls and not cheap
    return Verdict(
        "vectorized", "no: one number at a time", False, f"LLVM: {why[0].said}. This means: {words}",
        advice.INLINE_FIX if is_helper else why[0].fix,
    )  # fmt: skip


MAXIMUM = "a maximum or minimum of floats is carried; LLVM keeps its order, on which the result depends if one is NaN"
UNUSED = "LLVM's vectorized copy of the loop is for many iterations on arrays that do not overlap, and was not used"
BUSY = ": more than a core makes in the time of that many multiply-adds"


def width(facts: Facts) -> Verdict:
    """How much of a vector register is used?"""
    used = max((o.bits for o in facts.packed or facts.moved), default=0)
    wide = f"{facts.bits} bits ({register_name(facts.bits)}), the widest of this machine"
    if any((symbol or "").startswith(CHEAP) for _, symbol in facts.loop.calls) and not used:
        return Verdict("vector width", "left to the library", None, "the loop is a call")
    if not used:
        number = max((8 * o.element for o in facts.arithmetic or facts.operations), default=0)
        what = f"{number} of {facts.bits} bits" if number else "no vector register"
        return Verdict("vector width", what, False, "no instruction works on a whole vector")
    narrow = f"{used} bits ({register_name(used)}) of {facts.bits}"
    if facts.gathers:
        return Verdict("vector width", narrow, None, "a gather needs an address for each number, of twice its size")
    if facts.loop.heavy_calls and used < facts.bits:
        return Verdict("vector width", narrow, None, "the calls take one number at a time")
    if used < facts.bits and any(is_slow(o) for o in facts.packed):
        why = "a core takes twice as long for a division or a root of twice the width"
        return Verdict("vector width", narrow, None, why)
    if mixed := widths(facts.packed):
        return Verdict("vector width", mixed, None, "numbers of different size: a vector holds half as many float64")
    if used >= facts.bits:
        return Verdict("vector width", wide, True, f"{used // 8} bytes per instruction")
    return Verdict(
        "vector width", narrow, False,
        "LLVM takes narrower vectors if it expects wide ones to lower the clock, or the loop to be short",
        "ask for them: call jitnet.compiler.intrinsics.wide(array) in the function",
    )  # fmt: skip


def multiply_adds(facts: Facts) -> Verdict:
    """Is a·b + c one instruction?"""
    fast: Any = facts.options.get("fastmath") or ()
    allowed = fast is True or "contract" in fast or "fast" in fast
    if facts.unfused and not allowed:
        return Verdict(
            "multiply-adds", f"not fused: {count(facts.unfused, 'product')} and as many sums", False,
            "the source rounds twice, and LLVM keeps to it", 'allow one rounding: fastmath={"contract"}',
        )  # fmt: skip
    if facts.fused:
        kinds = ", ".join(sorted({o.name for o in facts.fused}))
        note = f"; {_used_alone(facts.unfused)}" if facts.unfused else ""
        return Verdict("multiply-adds", f"fused: {len(facts.fused)} per iteration", True, kinds + note)
    if facts.unfused:
        return Verdict(
            "multiply-adds", f"not fused: {count(facts.unfused, 'product')}", None, _used_alone(facts.unfused)
        )
    return Verdict(
        "multiply-adds",
        "there are none",
        None,
        f"{count(len(facts.arithmetic) or len(facts.integers.computed), 'instruction')} of arithmetic",
    )


def _used_alone(products: int) -> str:
    return f"{count(products, 'product')} {'is' if products == 1 else 'are'} also used without the sum"


def traffic(facts: Facts) -> Verdict:
    """How many loads and stores does the loop make per arithmetic instruction?"""
    of, whole = facts.fused or facts.arithmetic, len(facts.integers.computed)
    if not of:
        return Verdict(
            "loads and stores", f"{facts.loads} and {facts.stores} per iteration", None,
            f"for {count(whole, 'instruction')} of integers" if whole else "there is no arithmetic",
        )  # fmt: skip
    what = f"{'multiply-add' if facts.fused else 'arithmetic'} instruction"
    evidence = f"{count(facts.loads, 'load')}, {count(facts.stores, 'store')}, {count(len(of), what)}"
    if on_stack := sum(o.accesses for o in facts.operations if o.on_stack and (o.loads or o.stores)):
        evidence += f", without {count(on_stack, 'stack access', 'stack accesses')}"
    answer = f"{facts.loads / len(of):.2g} and {facts.stores / len(of):.2g} per {what}"
    if (facts.gathers or facts.far) and (not facts.packed or facts.gathers):
        return Verdict("loads and stores", answer, False, f"{evidence}; {_places(facts)}", advice.FAR_FIX)
    if facts.loads <= len(of) and facts.stores <= len(of) / 2:
        busy = f"; most cores do as many loads as {what}s per cycle"
        return Verdict("loads and stores", answer, True, evidence + busy)
    if facts.came_back or sources.depth(*facts.loop.place) > 2:
        return Verdict(
            "loads and stores", answer, False, evidence + BUSY,
            "reuse each loaded number: process several rows and columns at once (as `blocked` and `tiled` do)",
        )  # fmt: skip
    return Verdict("loads and stores", answer, None, evidence + BUSY)


def _places(facts: Facts) -> str:
    """Which accesses are far apart."""
    if facts.gathers:
        return "a gather accesses numbers one by one, and they may be far apart"
    alone, runs = facts.far.count(1), [run for run in facts.far if run > 1]
    if alone:
        return f"{count(alone, 'number')} per iteration {'is' if alone == 1 else 'are'} far apart from the next"
    neighbors = " or ".join(map(str, sorted(set(runs))))
    return f"groups of {neighbors} neighbors are far apart, and their numbers are accessed one by one"


def accumulators(facts: Facts) -> Verdict:
    """Where are the values that one iteration passes to the next?"""
    carried, back = facts.carried, facts.sums_in_memory
    stack = count(facts.spills, "stack access", "stack accesses")
    if facts.spills and facts.loop.heavy_calls:
        return Verdict(
            "accumulators", "spilled around the calls", False,
            f"{stack}, since a call may use any register",
        ) if carried else Verdict(
            "accumulators", "none: no value is carried to the next iteration", None, "the calls use the stack"
        )  # fmt: skip
    if back:
        also = f"; and {stack}" if facts.spills else ""
        over = f"; the loop over {facts.came_back} returns to them" if facts.came_back else ", at the same address"
        return Verdict(
            "accumulators", f"in memory: {back} loaded and stored per iteration", False,
            "load, add, store" + over + also,
            "keep each sum in a local variable, or a tile of sums in registers, and store it after the loop",
        )  # fmt: skip
    if facts.spills and not carried and not any(o.stores and o.on_stack for o in facts.operations):
        return Verdict(
            "accumulators", "none: no value is carried to the next iteration", None,
            f"constants are on the stack: {stack} per iteration",
        )  # fmt: skip
    if facts.spills:
        return Verdict(
            "accumulators", f"spilled: {stack} per iteration", False,
            f"the machine has {facts.registers} vector registers, and the loop needs more",
            "fewer sums at a time: a smaller tile, or several loops",
        )  # fmt: skip
    if updates := facts.integers.updates:
        return Verdict(
            "accumulators", f"maybe in memory: {len(updates)} loaded and stored per iteration, and the index is data",
            False if len(set(updates)) == 1 else None,
            "load, add, store: with the same index twice in a row, the second waits for the first", advice.TABLES_FIX,
        )  # fmt: skip
    if not carried and facts.integers.carried:
        return _integer_accumulators(facts)
    if not carried:
        answer, evidence = "none: no value is carried to the next iteration", "iterations are independent"
        said = "" if facts.packed else " ".join(one.said for one in reasons(facts.remarks, facts.loop.place))
        if "identified as reduction" in said:
            answer, evidence = "one that no arithmetic computes", "LLVM says that a value is carried, such as an index"
        elif "dependen" in said:
            answer, evidence = "none in registers", "but an iteration may read what an earlier one wrote to memory"
        return Verdict("accumulators", answer, None, evidence)
    steps = [o for o in facts.arithmetic if o.writes & carried or o.reads & carried]
    chain = len(steps) // len(carried)
    more = f"; each takes {chain} dependent steps per iteration" if chain > 1 and len(carried) < 8 else ""
    if alone := len(carried) == 1 and chain > 1:
        more = f"; its steps are dependent, and {latency(steps)}"
    if facts.integers.carried:
        more += f"; and {count(len(facts.integers.carried), 'integer')}"
    good = None if alone else True
    return Verdict("accumulators", f"in registers: {len(carried)}", good, f"the loop does not use the stack{more}")


def _integer_accumulators(facts: Facts) -> Verdict:
    whole = facts.integers
    steps = f"; {whole.steps} dependent instructions per iteration" if whole.steps > 1 else ""
    return Verdict(
        "accumulators", f"in registers: {count(len(whole.carried), 'integer')}", None,
        f"each iteration needs the value of the previous one{steps}",
    )  # fmt: skip


def checks(facts: Facts) -> Verdict:
    """Does every iteration check an index or a divisor?"""
    wraps = facts.wraps
    exits = facts.ways_out
    if exits and sources.leaves(*facts.loop.place):
        return Verdict(
            "checks", f"{count(exits, 'early exit')} from the loop", False,
            "the source says break, return or raise", advice.SELECT_FIX,
        )  # fmt: skip
    if exits and facts.options.get("boundscheck"):
        return Verdict(
            "checks", f"bounds: {count(exits, 'comparison')} per iteration", False,
            "boundscheck=True compares each index with the size of the array", advice.BOUNDS_FIX,
        )  # fmt: skip
    if facts.zero_checks:
        return Verdict(
            "checks", f"zero: {count(exits, 'comparison')} per iteration", False,
            "a division by 0 raises ZeroDivisionError, as in Python", advice.ZERO_FIX,
        )  # fmt: skip
    if wraps:
        return Verdict(
            "checks", f"wrap-around: {wraps} per iteration", False,
            "an index may be negative, which in Python counts from the end",
            advice.WRAP_FIX,
        )  # fmt: skip
    if exits:
        return Verdict("checks", f"{count(exits, 'early exit')} from the loop", None, "more than one jump leads out")
    return Verdict("checks", "none", True, "no index is compared, no sign of an index is tested")


def calls(facts: Facts) -> Verdict:
    """Does the loop call other code?"""
    if not facts.loop.calls:
        return Verdict("calls", "none", True, "no call instruction")
    names = Counter(plain_name(symbol) if symbol else "an address in a register" for _, symbol in facts.loop.calls)
    listed = ", ".join(f"{times} × {name}" for name, times in names.items())
    if all((symbol or "").startswith(CHEAP) for _, symbol in facts.loop.calls):
        return Verdict("calls", f"{listed} per iteration", None, "it copies or clears memory, at full speed")
    if not facts.loop.heavy_calls:
        return Verdict(
            "calls", f"{listed} per iteration", False, "a helper that was not inlined; its work is not counted here",
            advice.INLINE_FIX,
        )  # fmt: skip
    if any(name.startswith("NRT_") for name in names):
        return Verdict(
            "calls", f"{listed} per iteration", False, "memory is allocated, or references are counted",
            advice.CALL_FIX,
        )  # fmt: skip
    why = "a call computes one number, and saves all registers"
    return Verdict("calls", f"{listed} per iteration", False, why, advice.CALL_FIX)


_BETWEEN_FLOATS = re.compile(r"v?cvt(ss2sd|sd2ss|ps2pd|pd2ps)|fcvt[ln]?2?$")
_BY_BITS = re.compile(r"v?p(andn?|x?or|ternlog)[dq]?$")
_FROM_WHOLE = re.compile(r"v?cvt(u?si2s|u?dq2p|u?qq2p)|[su]cvtf")


def numbers(facts: Facts) -> Verdict:
    """Does float32 stay float32, or is it converted to float64 and back?"""
    between = sum(_BETWEEN_FLOATS.match(o.name) is not None for o in facts.operations)
    whole = sum(_FROM_WHOLE.match(o.name) is not None for o in facts.operations)
    kinds = Counter(type_of(o) for o in facts.arithmetic if o.element)
    listed = ", ".join(f"{times} × {kind}" for kind, times in kinds.most_common()) or "none"
    if between and facts.float32_only:
        return Verdict(
            "numbers", f"mixed with float64: {count(between, 'conversion')} per iteration", False,
            f"arithmetic: {listed}",
            advice.FLOAT32_FIX,
        )  # fmt: skip
    integers = Counter(map(kind_of, facts.integers.computed))
    if not kinds and integers:
        listed = ", ".join(f"{times} × {kind}" for kind, times in integers.most_common())
        return Verdict("numbers", "integers, one at a time", None, f"arithmetic: {listed}")
    answer = kinds.most_common(1)[0][0] if kinds else "in the calls" if facts.loop.heavy_calls else "only moved"
    if not kinds and any(_BY_BITS.match(o.name) and o.bits for o in facts.operations):
        answer = "combined bit by bit"
    if whole:
        return Verdict(
            "numbers", answer, None, f"{count(whole, 'conversion')} from whole numbers; arithmetic: {listed}"
        )
    others = compared(facts.operations)
    if others and answer not in others:
        return Verdict("numbers", f"{answer}, and comparisons of {others}", None, f"arithmetic: {listed}")
    return Verdict(
        "numbers", answer + " throughout" * (len(kinds) == 1), True if kinds else None, f"arithmetic: {listed}"
    )


def divisions(facts: Facts) -> Verdict:
    """Divisions and roots: they take about ten times as long as multiplications."""
    slow = [o for o in facts.operations if is_slow(o)]
    by = [o.operands[0] for o in slow if o.kind == "divide"]
    stored = {o.memory for o in facts.operations if o.stores}
    same = [divisor for divisor in by if divisor not in stored and not registers_in(divisor) & facts.written]
    if facts.whole_divisions:
        return Verdict(
            "divisions", f"{facts.at_most(is_division_of_integers)} of integers per iteration", False,
            "it takes several times as long as a multiplication, and has no vector form", advice.WHOLE_FIX,
        )  # fmt: skip
    most = facts.at_most(lambda o: is_slow(o) and o.kind == "divide")
    some_roots = facts.at_most(lambda o: is_slow(o) and o.kind != "divide")
    roots = count(some_roots, "root") if some_roots else ""
    if same:
        also = f"; {roots}" if roots else ""
        return Verdict(
            "divisions", f"{most} per iteration, {min(len(same), most)} of them by the same number{also}", False,
            "a division takes as long as about ten multiplications",
            "multiply by the reciprocal, computed before the loop (rounding differs in the last place)",
        )  # fmt: skip
    if by:
        what = " and ".join(filter(None, [count(most, "division"), roots]))
        return Verdict("divisions", f"{what} per iteration", None, "the divisor is another number in each iteration")
    if roots:
        return Verdict("divisions", f"{roots} per iteration", None, "a root takes as long as about ten multiplications")
    return Verdict("divisions", "none", True, "no division, no root")
