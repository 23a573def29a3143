"""Why LLVM did not vectorize a loop: its remarks in plain words, with a fix.

    remark: matmul.py:37:1: loop not vectorized: cannot prove it is safe to reorder floating-point operations
    remark: matmul.py:36:1: loop not vectorized

LLVM tries several times, and on several copies of a loop. Remarks on copies that are vectorized already are left out.
"""

import re
from dataclasses import dataclass

from . import sources
from .advice import CALL_FIX, CARRIES, DEPENDS, EXIT, FAR_FIX, INNER_OR_ORDER, UNSIGNED_FIX, VIEW
from .assembly import Place

_REMARK = re.compile(r"^remark: (.*):(\d+):\d+: (.*)$")
_MADE = re.compile(r"vectorized loop \(vectorization width: (\d+), interleaved count: (\d+)\)")


@dataclass(frozen=True)
class Reason:
    said: str
    """By LLVM."""
    words: str
    fix: str


_REASONS = (
    (
        "reorder floating-point",
        "a sum is added up in the order in which it is written; the lanes of a vector would add it in another order, "
        "which rounds differently",
        INNER_OR_ORDER,
    ),
    (
        "call instruction",
        "there is a call in the loop, which computes one number at a time",
        CALL_FIX,
    ),
    (
        "early exit|control flow|could not determine number of loop iterations|multiple exits",
        "the loop may end before its last iteration (break, return, an exception or a while), or it branches, so the "
        "iterations of a whole vector cannot run at once",
        EXIT,
    ),
    (
        "cannot identify array bounds",
        "LLVM cannot tell which part of the memory the loop reaches: an index may be negative, and then Python counts "
        "from the end, or it is read from an array",
        VIEW + "; " + UNSIGNED_FIX,
    ),
    (
        "unsafe dependent memory|could not determine.*dependence|backward dependence",
        "an iteration may read what an earlier one wrote, as far as LLVM can tell",
        DEPENDS + VIEW + ", and write into a separate array",
    ),
    (
        "loop invariant address",
        "every iteration writes the same element of an array, and other arrays may overlap it",
        "keep it in a local variable, and store it after the loop",
    ),
    (
        "memory checks|runtime pointer checks|memory conflicts|cannot check memory dependencies",
        "the arrays may overlap, and there are too many to check each pair",
        "split the loop into several, each with fewer arrays, or work on rows of one array",
    ),
    (
        "identified as reduction",
        "a value is carried from one iteration to the next, but not as a plain sum, product, minimum or maximum that "
        "only the code after the loop reads",
        CARRIES,
    ),
    (
        "not beneficial",
        "LLVM expects no gain, often because numbers would have to be loaded one by one from places far apart",
        FAR_FIX,
    ),
    (
        "induction variable|could not determine",
        "LLVM does not recognize the loop counter",
        "use for i in range(n), with integers",
    ),
    (
        "instruction cannot be vectorized|return type cannot|Store instruction|type",
        "something in the loop has no vector form",
        "look at the instructions: conversions, integer divisions and tuples are usual suspects",
    ),
)  # fmt: skip
_SAYS_NOTHING = ("already been vectorized", "interleaving", "loop not vectorized$")


def reasons(remarks: str, place: Place) -> list[Reason]:
    """Why LLVM did not vectorize the loop that begins there, the most informative reason first."""
    said = [text for text in about(remarks, place) if not re.search("|".join(_SAYS_NOTHING), text)]
    found = [reason for text in said if (reason := _explained(text)) is not None]
    return sorted(found, key=lambda reason: [words for _, words, _ in _REASONS].index(reason.words))


def success(remarks: str, place: Place) -> str | None:
    """The remark that LLVM vectorized the loop that begins there, or None."""
    made = [text for text in about(remarks, place) if _MADE.search(text)]
    return made[-1] if made else None


def about(remarks: str, place: Place) -> list[str]:
    """The remarks on that loop, without those on inner loops; each once."""
    found = []
    for text in remarks.splitlines():
        remark = _REMARK.match(text)
        if remark is not None and remark[1] == place[0]:
            line = int(remark[2])
            if line == place[1] or sources.loop_around(place[0], frozenset([line])) == place[1]:
                found.append(remark[3])
    return list(dict.fromkeys(found))


def _explained(said: str) -> Reason | None:
    for pattern, words, fix in _REASONS:
        if re.search(pattern, said, re.IGNORECASE):
            return Reason(said.split(". Use #pragma")[0].removeprefix("loop not vectorized: "), words, fix)
    return None
