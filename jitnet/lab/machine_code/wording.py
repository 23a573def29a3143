"""Parts of the answers of verdicts: the types, the widths and the latencies of the instructions."""

import re
from collections import Counter

from .instructions import Operation, register_name

_COMPARES = re.compile(r"v?(u?comi|cmp\w*)[sp]([sd])$|fcmp")


def type_of(operation: Operation) -> str:
    return f"{'float' if operation.is_float else 'int'}{8 * operation.element}"


def widths(packed: list[Operation]) -> str:
    """How many instructions work on vectors of each width; "" if all are alike."""
    counts = Counter((o.bits, type_of(o)) for o in packed)
    if len({bits for bits, _ in counts}) == 1 or len({kind for _, kind in counts}) == 1:
        return ""
    parts = [
        f"{bits} bits ({register_name(bits)}) for {times} × {kind}" for (bits, kind), times in counts.most_common()
    ]
    return ", ".join(parts)


LATENCIES = {
    (True, "fma"): "a multiply-add has a latency of 4 or 5 cycles",
    (True, "add"): "an addition has a latency of 2 to 4 cycles",
    (True, "multiply"): "a multiplication has a latency of 3 to 5 cycles",
    (False, "add"): "an addition of integers has a latency of 1 cycle",
}
"""Of floats or not, and kind."""


def latency(steps: list[Operation]) -> str:
    """The latency of the steps of a chain, if all are of one kind."""
    kinds = {(o.is_float, o.kind) for o in steps}
    waits = "each waits for the result of the step before"
    return LATENCIES.get(kinds.pop(), waits) if len(kinds) == 1 else waits


def compared(operations: list[Operation]) -> str:
    """The types of the floats that are compared."""
    found = [match for o in operations if (match := _COMPARES.match(o.name))]
    return " and ".join(sorted({{"s": "float32", "d": "float64", None: "floats"}[match[2]] for match in found}))
