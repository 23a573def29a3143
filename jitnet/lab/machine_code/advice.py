"""The fixes of verdicts. Advice that the source or the data of a loop rule out is replaced, or left out."""

from . import indices, reductions, sources
from .facts import Facts

CAUSES = ("vectorized", "checks", "numbers", "divisions")
"""Verdicts on what the instructions are for; the others are on their number and width, which follow from it."""

VIEW = "take a view of the row first (row = A[i]), and use the loop variable as the index"
INNER = "make the loop over elements the inner one, so that each sum has a lane of its own"
ORDER = 'allow another order: fastmath={"contract", "reassoc", "nsz"}'
INNER_OR_ORDER = f"{INNER}; or {ORDER}"
DEPENDS = "if it does, the loop cannot be vectorized; if not: "
EXIT = "exit"
CARRIES = "carries"
"""Not advice: what a loop with an exit, or with a value that is carried, needs depends on its source."""
SUMS_FIX = f"{ORDER}; or keep partial sums in an array, sums[j] += part[j], and add them up after the loop"
CALL_FIX = "write the function out with +, −, × and ÷ (a polynomial for exp or tanh), or take the call out of the loop"
FAR_FIX = "let the inner loop walk along rows: change the order of the loops, or make a contiguous copy first"
UNSIGNED_FIX = "an index that is never negative can be unsigned: np.uint64(k)"
WRAP_FIX = (
    "negative indices wrap around: take a view first (row = A[k]; part = x[k:]) and use the loop variable as the "
    f"index, or start the loop at 0; {UNSIGNED_FIX}"
)
APART_FIX = "write into another array than the loop reads: copy the row that it reads first"
SHORT_FIX = "if the loop is short, make a longer one the inner loop, or go over all elements in one loop: x.ravel()"
TABLES_FIX = "several private tables: add to each of four in turn, and add them up after the loop"
NEXT_FIX = (
    "store the numbers that the loop uses next to one another: an array for each field of a record, or a contiguous "
    "copy for several loops"
)
WHOLE_FIX = "count with an addition, divide by a power of two (x >> 3, x & 7), or use floats"
INLINE_FIX = "inline the helper: @numba.njit(..., forceinline=True)"
FLOAT32_FIX = (
    "give constants, whole numbers and initial values the type of the data: np.float32(...), x.dtype.type(...)"
)
ZERO_FIX = 'allow infinity instead: error_model="numpy"'
BOUNDS_FIX = "remove boundscheck once the function works"
SELECT_FIX = "let every iteration do the work, and select a value: a if c else b"
MASK_FIX = "make the loop over elements the inner one, where each keeps its value once it is done: a if done else b"
ALLOCATION_FIX = "allocate arrays of full size before the loop, and fill them in it"
TEXT_FIX = "let the function take bytes in place of a text: np.frombuffer(text.encode(), np.uint8)"
PARTIAL_FIX = (
    "keep partial results in an array, best[j] = max(best[j], part[j]) for each j of a view part = x[i : i + 64], and "
    "combine them after the loop"
)


def is_cause(name: str, fix: str) -> bool:
    """Whether a verdict comes first; so do numbers that are far apart."""
    return name in CAUSES or fix in (FAR_FIX, NEXT_FIX)


def fix_that_fits(name: str, fix: str, facts: Facts) -> str:
    """Another fix for the verdict of this name where the usual one cannot help; "" if there is none."""
    place = facts.loop.place
    if fix == FAR_FIX:
        return _of_numbers_far_apart(facts)
    if fix in (EXIT, SELECT_FIX) or (fix in (CARRIES, INNER_OR_ORDER) and sources.leaves(*place)):
        return _of_an_exit(facts)
    if fix == FLOAT32_FIX:
        return _of_a_float64(facts)
    if fix == CALL_FIX:
        return _of_calls(facts)
    if fix == APART_FIX and not indices.reads_what_it_writes(*place):
        return SHORT_FIX
    if fix.startswith(DEPENDS) and facts.carried and not reductions.reduces(*place):
        return ""  # it does: a number that it stores is in a register for the next iteration
    if fix == WRAP_FIX and facts.integers.indirect:
        return UNSIGNED_FIX  # no view helps where the index is a number in memory
    if VIEW in fix and name == "vectorized" and (facts.integers.indirect or reductions.recurs(*place)):
        return ""  # nor where it is counted
    if name == "accumulators" and facts.came_back and indices.reads_what_it_writes(*place):
        return ""  # other iterations read from memory what is kept there
    if fix in (CARRIES, INNER_OR_ORDER) and indices.recurs_in_memory(*place) and not indices.swappable(*place):
        return ""  # it carries a number in memory, too
    if fix == INNER_OR_ORDER:
        return _of_a_sum(facts)
    if fix == CARRIES:
        return INNER if indices.swappable(*place) else "" if reductions.recurs(*place) else PARTIAL_FIX
    return fix


def _of_a_sum(facts: Facts) -> str:
    """In another order, LLVM takes whole vectors only of contiguous numbers."""
    if not facts.over_elements and indices.swappable(*facts.loop.place):
        return f"{INNER}; or make a contiguous copy first, and {ORDER}" if facts.far else INNER_OR_ORDER
    contiguous = _of_numbers_far_apart(facts) if facts.far else ""
    return f"{contiguous}; and {ORDER}" if contiguous else SUMS_FIX


def _of_a_float64(facts: Facts) -> str:
    """It names the first expression of the loop that makes a float64."""
    file, (first, last) = facts.loop.place[0], sources.lines_of_loop(*facts.loop.place)
    for where, line, operands in facts.widened:
        if where == file and first <= line <= last:
            code = sources.text_of(file)[line - 1].partition("#")[0].strip()
            return f"line {line}, `{code}`, makes a float64 of {' and '.join(operands)}: {FLOAT32_FIX}"
    return FLOAT32_FIX


def _of_calls(facts: Facts) -> str:
    symbols = " ".join(symbol or "" for _, symbol in facts.loop.calls)
    return TEXT_FIX if "unicode" in symbols else ALLOCATION_FIX if "NRT_" in symbols else CALL_FIX


def _of_numbers_far_apart(facts: Facts) -> str:
    if indices.walks_columns(*facts.loop.place):
        return FAR_FIX
    if facts.wraps:
        return UNSIGNED_FIX if facts.integers.indirect else WRAP_FIX
    if facts.any_stride:
        declared = facts.any_stride.replace(":]", "::1]")
        return f"the type {facts.any_stride} allows any stride: declare {declared}, and pass contiguous arrays"
    if sources.depth(*facts.loop.place) > 1 or not facts.code:
        return FAR_FIX
    return "" if facts.integers.indirect else NEXT_FIX


def _of_an_exit(facts: Facts) -> str:
    """What an iteration passes to the next one cannot be selected before that is known."""
    place = facts.loop.place
    if facts.zero_checks and not sources.leaves(*place):
        return ZERO_FIX
    if facts.ways_out and facts.options.get("boundscheck"):
        return BOUNDS_FIX
    if reductions.recurs(*place):
        return MASK_FIX if indices.swappable(*place) else ""
    return SELECT_FIX
