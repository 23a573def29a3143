"""Why LLVM left a loop as it is: its remarks, in plain words, with what to change.

    remark: matmul.py:37:1: loop not vectorized: cannot prove it is safe to reorder floating-point operations
    remark: matmul.py:36:1: loop not vectorized

LLVM tries several times, and on several copies of a loop. What it says of copies that are vectorised already is left
out here.
"""

import re
from dataclasses import dataclass

from . import sources
from .assembly import Place

_REMARK = re.compile(r"^remark: (.*):(\d+):\d+: (.*)$")
_MADE = re.compile(r"vectorized loop \(vectorization width: (\d+), interleaved count: (\d+)\)")


@dataclass(frozen=True)
class Reason:
    said: str
    """By LLVM."""
    words: str
    fix: str


_VIEW = "take a view of the row first (row = A[i]), and let the loop's own variable be the index"
_REASONS = (
    (
        "reorder floating-point",
        "a sum is added up in the order in which it is written; lanes side by side would add it in another, which "
        "rounds differently",
        'make the loop over elements the inner one, so that each sum has a lane of its own; or allow another order: '
        'fastmath={"contract", "reassoc", "nsz"}',
    ),
    (
        "call instruction",
        "there is a call in the loop, and it takes one number at a time",
        "write the function out with +, −, × and ÷ (a polynomial for exp or tanh), or take the call out of the loop",
    ),
    (
        "early exit|control flow|could not determine number of loop iterations|multiple exits",
        "the loop may end before its last turn (break, return, an exception or a while), or it branches, so a whole "
        "vector of turns cannot be taken at once",
        "let every turn do its work and choose between values (a if c else b); error_model=\"numpy\" and no "
        "boundscheck take away the exceptions",
    ),
    (
        "cannot identify array bounds",
        "LLVM cannot tell which part of the memory the loop reaches: an index may be negative, and then Python counts "
        "from the end, or it is read from an array",
        _VIEW + "; an index that is never negative can be unsigned: np.uint64(k)",
    ),
    (
        "unsafe dependent memory|could not determine.*dependence|backward dependence",
        "a turn may read what an earlier one wrote, as far as LLVM can tell",
        "if it does, the loop is a chain and has to stay one; if not, say so: " + _VIEW + ", and write into "
        "an array of its own",
    ),
    (
        "loop invariant address",
        "the same element of an array is written at every turn, and other arrays may overlap it",
        "keep it in a local variable, and store it behind the loop",
    ),
    (
        "memory checks|runtime pointer checks|memory conflicts|cannot check memory dependencies",
        "the arrays may overlap, and there are too many of them to be checked in pairs",
        "cut the loop in several, each with fewer arrays, or work on rows of one array",
    ),
    (
        "identified as reduction",
        "a value goes from turn to turn in a way that is no plain sum, product, minimum or maximum",
        "give each lane a value of its own: let the loop run over elements, or keep several partial results",
    ),
    (
        "not beneficial",
        "LLVM expects to gain nothing: numbers would have to be gathered one by one from places far apart",
        "let the inner loop walk along rows: change the order of the loops, or make a contiguous copy first",
    ),
    (
        "induction variable|could not determine",
        "LLVM does not see how the loop counts",
        "use for i in range(n), with whole numbers",
    ),
    (
        "instruction cannot be vectorized|return type cannot|Store instruction|type",
        "there is something in the loop that has no form for vectors",
        "look at the instructions: conversions, divisions of whole numbers and tuples are usual suspects",
    ),
)  # fmt: skip
_SAYS_NOTHING = ("already been vectorized", "interleaving", "loop not vectorized$")


def reasons(remarks: str, place: Place) -> list[Reason]:
    """What LLVM said against vectors for the loop that begins there, the most telling first."""
    said = [text for text in about(remarks, place) if not re.search("|".join(_SAYS_NOTHING), text)]
    found = [reason for text in said if (reason := _explained(text)) is not None]
    return sorted(found, key=lambda reason: [words for _, words, _ in _REASONS].index(reason.words))


def success(remarks: str, place: Place) -> str | None:
    """LLVM's own word that it vectorised the loop that begins there."""
    made = [text for text in about(remarks, place) if _MADE.search(text)]
    return made[-1] if made else None


def about(remarks: str, place: Place) -> list[str]:
    """What LLVM said of that loop: of its lines, but those of loops inside. Each thing once."""
    found = []
    for text in remarks.splitlines():
        remark = _REMARK.match(text)
        if remark is not None and remark[1] == place[0].replace("\\", "/").rsplit("/", 1)[-1]:
            line = int(remark[2])
            if line == place[1] or sources.loop_around(place[0], frozenset([line])) == place[1]:
                found.append(remark[3])
    return list(dict.fromkeys(found))


def _explained(said: str) -> Reason | None:
    for pattern, words, fix in _REASONS:
        if re.search(pattern, said, re.IGNORECASE):
            return Reason(said.split(". Use #pragma")[0].removeprefix("loop not vectorized: "), words, fix)
    return None
