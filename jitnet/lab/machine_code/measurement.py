"""The measured cycles of one iteration of a loop, next to the predicted ones, and the meaning of the difference.

Cycles are time × clock. The time is that of the samples in the loop or, without samples, the CPU time of the whole
call. The clock is measured between the calls by a chain of dependent multiplications. A core that executes 512-bit
vectors may run at a lower clock; the cycles are then overestimated.
"""

from typing import Any

from ..formatting import count, duration, kilobytes
from .cycles import LIMITS
from .hottest import Candidate, moves_vectors
from .integers import integers_of

HOLDS = 1.3
"""A measurement up to this multiple of the prediction confirms it."""

DID_NOT_RUN = "this loop did not run with these arguments"

FAR, MANY = 3, 8
"""Far above it, or with this many bytes per cycle, memory is the limit instead of an error in the tables."""

LESS = 0.9
"""Below this multiple the tables of the program are wrong for this processor."""


def measured(
    loop: Candidate, text: int, run: dict[str, Any], prediction: dict[str, Any], cache: int, others: int = 0
) -> dict[str, Any]:
    """The measurement of one iteration, from a run (`running.py`).

    text        which of the texts of the assembly has the loop
    cache       bytes of the L1 cache
    others      iterations of other versions of this loop

    Keys: missing (why there is none, or None), cycles, clock, iterations (per call), seconds (CPU time per call),
    loop_seconds (the part of it in the loop), size, size_in_words and bytes (of the arguments), threads, samples (how
    many; None if all the time of a call is taken), no_samples (why), limit ("memory", or None), means (the limit in a
    sentence), contradicts (whether it differs from the prediction, so that the predicted limit is in doubt), disturbed,
    disturbed_by (reasons to doubt it).
    """
    if run["missing"]:
        return {"missing": run["missing"], "limit": None}
    iterations = run["executions"][text].get(str(loop.loop.head.row), 0)  # keys are texts in JSON
    if not iterations:
        return {"missing": f"{DID_NOT_RUN}{_instead(others)}", "limit": None}
    seconds = _seconds_in(loop, text, run)
    cycles = seconds * run["clock"] / iterations
    limit, means = _meaning(cycles, prediction, loop, run, cache)
    return {
        "missing": None, "cycles": cycles, "clock": run["clock"], "iterations": iterations, "seconds": run["seconds"],
        "loop_seconds": seconds, "size": run["size"], "size_in_words": run["size_in_words"], "bytes": run["bytes"],
        "threads": run["threads"], "samples": run["samples"] and run["samples"]["count"],
        "no_samples": run["no_samples"], "limit": limit, "means": means,
        "contradicts": _contradicts(cycles, prediction), "disturbed": bool(run["disturbed_by"]),
        "disturbed_by": run["disturbed_by"],
    }  # fmt: skip


def _instead(others: int) -> str:
    """What ran in place of a loop, and what would run it."""
    if not others:
        return ", nor did another version of it: they do not reach its line (try others: --size, --args)"
    return (
        f"; another version of it did, {count(others, 'iteration')}: that is for the rest of a vector, or for arrays "
        "that overlap or have strides (try longer rows, or contiguous arrays that share no memory: --size, --args)"
    )


def _seconds_in(loop: Candidate, text: int, run: dict[str, Any]) -> float:
    """CPU time of all threads in the loop, per call of the function; functions that it calls belong to it."""
    if run["samples"] is None or loop.calls:
        return float(run["seconds"])
    rows = run["samples"]["rows"][text]
    inside = sum(rows.get(str(instruction.row), 0) for instruction in loop.loop.instructions)
    return float(inside * run["samples"]["seconds"] / run["calls"])


def _meaning(
    cycles: float, prediction: dict[str, Any], loop: Candidate, run: dict[str, Any], cache: int
) -> tuple[str | None, str]:
    """The limit that the measurement shows, or None, and a sentence."""
    if prediction["missing"]:
        return None, ""
    times = cycles / prediction["cycles"]
    if times > HOLDS and loop.calls:
        return None, f"the rest is spent in {count(len(loop.calls), 'call')} per iteration, which no prediction counts"
    if run["disturbed_by"]:
        where = "close to" if LESS <= times <= HOLDS else "above" if times > 1 else "below"
        return None, f"{where} the prediction, but the machine was not idle"
    if LESS <= times <= HOLDS:
        return None, f"the prediction holds: the {prediction['limit']} is the limit"
    if times < LESS:
        return None, f"less than predicted: {_why_less(prediction)}"
    if updates := integers_of([operation for _, operation in loop.operations]).updates:
        what = f"it updates {count(len(updates), 'element')} whose index is data"
        return None, f"above all predictions: {what}, and one with the index of the previous one waits for its store"
    room = f"the data ({kilobytes(run['bytes'])}) do not fit into the L1 cache ({kilobytes(cache)})"
    if run["bytes"] <= cache:
        return None, (
            "above all predictions, though the data fit into the L1 cache: too few iterations at a time, "
            "mispredicted branches, a number loaded just after it was stored, or tables that do not fit this processor"
        )
    if times >= FAR or loop.far_apart or _bytes(loop) >= MANY * cycles:
        return "memory", f"far above all predictions, so memory is the limit: {room}"
    return None, f"above all predictions: {room}, or the tables do not fit this processor"


def _contradicts(cycles: float, prediction: dict[str, Any]) -> bool:
    """Less than predicted is no contradiction if an iteration runs some of its blocks only."""
    if prediction["missing"]:
        return False
    times = cycles / float(prediction["cycles"])
    return times > HOLDS or bool(times < LESS and prediction["blocks"] == 1)


def _bytes(loop: Candidate) -> int:
    """What an iteration loads and stores."""
    moved = [o for _, o in loop.operations if o.memory and not o.on_stack and not o.is_constant]
    return sum((o.loads + o.stores) * (o.bits // 8 if moves_vectors(o) else o.element or 4) for o in moved)


def _why_less(prediction: dict[str, Any]) -> str:
    if prediction["blocks"] > 1:
        return "an iteration runs some of the loop's blocks only"
    tables = f"the tables of {prediction['program']} do not fit this processor (another --analyzer may)"
    if prediction["limit"] == LIMITS["chain"]:
        return f"{tables}, or the loop has so few iterations that its next run begins before the chain ends"
    return tables


def in_words(found: dict[str, Any]) -> str:
    """`512 × 512 × 512, 1 thread: 2097152 iterations in 12.1 ms of CPU time, 2.90 GHz`: the time in the loop."""
    size = f"{found['size_in_words']}, " if found["size"] else ""
    how = "" if found["samples"] else "; all of its time is taken, without samples"
    return (
        f"{size}{count(found['threads'], 'thread')}: {found['iterations']} iterations in "
        f"{duration(found['loop_seconds'])} of CPU time, {found['clock'] / 1e9:.2f} GHz{how}"
    )
