"""The findings of the sanitizer: each is a sentence that names the element and the lines, and the usual fix."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ...checks import count

SCAN = "write range, or compute it as a scan, as jitnet's problem prefix_sum does"

FIXES = {
    "race": "let each iteration write its own elements: divide another loop, such as one over the elements of ARRAY",
    "racing result": "update a variable instead, total += x or best = max(best, x), of which Numba gives each thread "
    "its own, and store it in ARRAY after the loop",
    "racing table": "give each thread its own table, tables[numba.get_thread_id()], and add the tables up into ARRAY "
    "after the loop",
    "racing sum": "divide another loop: let prange run over the elements of ARRAY, so that each iteration adds to its "
    "own element",
    "racing buffer": "allocate the buffer inside the loop, so that each iteration has its own",
    "racing neighbors": "read from a copy of ARRAY, which is made before the loop",
    "recurrence": f"an iteration needs the result of another one: {SCAN}",
    "recurrence in place": f"an iteration needs the result of another one: {SCAN}; if it needs what was there before "
    "the loop, read from a copy of ARRAY",
    "overlap": "copy first, or write a loop: with parallel=True the elements are copied by several threads",
    "shared": "let each iteration write its own element of an array that is allocated before the loop",
    "carried": "assign it in every iteration, from the loop variable, or make the loop serial",
    "index of extreme": "let each prange iteration search one block and store what it finds in arrays, one element per "
    "block, and compare these after the loop: Numba has no reduction for an index",
    "reduction": "read it after the loop; inside, each thread has a part of it only; for the sum up to each element, "
    f"{SCAN}",
    "lost": "write it as acc += x: then the parts of all threads are added into the array",
    "step": "loop over the number of steps, and compute the index from it: i = start + k * step",
    "escapes": "write it into an array, or compute it after the loop: a variable of the body is private",
    "outside": "check the bounds of the loop, and its last block; compiled code would read or overwrite other memory",
    "negative": "if wrapping around to the end is meant, write A[-1] or A[i % n]; otherwise begin the loop later",
    "not initialized": "write it first, a 0 for example: an output, like np.empty, contains arbitrary values",
    "parameters": "write the parameters in the order of the call: inputs, then outputs",
    "unwritten": "write every element, also after the last whole block, and where an inner loop has no iteration",
    "tail": "write the rest after the last whole block too, unless the kernel is only called with whole blocks",
    "renamed": "write `[...] = ` after its name, which stores the result in the array of the caller",
    "constant": "give the array as an argument",
    "input": "write into an output, or a copy",
    "exits": "run all iterations, with an `if` around what the rest need not do; or write range",
    "overflow": "take an integer type with more bits",
    "complex": "store .real or .imag, or take an array of complex128",
    "unsigned": "compute with signed integers: np.int64(a[i]) - b[i]",
    "random": "draw the numbers before the loop, or compute them from the index, by a hash",
    "float64": "write constants as ARRAY.dtype.type(0.5), begin sums with ARRAY.dtype.type(0), and do not mix in "
    "integers",
    "threads": "divide the work into parts whose number does not depend on the threads, if bits must not change",
    "differs": "check how the work is divided: some elements are skipped, or computed twice",
    "machine": "this machine has fewer threads; for others take numba.get_num_threads() in the kernel",
    "large": "e to a large number is infinite, and ∞/∞ is NaN: subtract the largest number first, or write e^{-|x|}",
    "square": "check which dimension each loop runs over, and each index goes along",
    "division": "check the divisor first, or compile with error_model='numpy', which gives infinity or NaN",
    "nested": "compile it without parallel=True, or write range in it: the loop around it uses all threads already",
    "fits": "nothing is wrong if the kernel is only called with such arguments",
    "few": "nothing is wrong if it is never called with so few; otherwise check the length before any element is used",
    "unsupported": "write it with what Numba compiles: loops over indices, arithmetic, functions of math",
    "not reached": "give arguments that reach it: --args",
    "stopped": "check a part of it, in a separate function",
    "too long": "use smaller arrays, or find the infinite loop",
}
"""Kind of finding, or of race -> the usual fix; ARRAY stands for the name of the array."""

BROKEN = ("raises", "stopped", "too long")
"""Kinds of errors that end a run."""

WARNINGS = (
    "negative", "float64", "threads", "machine", "nested", "square", "large", "unsigned", "tail", "exits", "fits",
    "few",
)  # fmt: skip
NOTES = ("printed", "not covered", "not reached", "not shown", "order", "random", "serial", "not compared", "guessed")


@dataclass
class Finding:
    """An error, or a possible one."""

    kind: str
    message: str
    lines: list[int] = field(default_factory=list)
    file: str = ""
    array: str = ""
    element: list[int] = field(default_factory=list)
    iterations: list[int] = field(default_factory=list)
    times: int = 1
    special: str = ""
    """The key of its fix, if it has another than others of its kind."""
    fix: str = field(init=False)
    """The usual one of its kind; a finding of another kind that `replace` makes of it has that of the other kind."""

    def __post_init__(self) -> None:
        self.fix = FIXES.get(self.special or self.kind, "")

    @property
    def severity(self) -> str:
        return "warning" if self.kind in WARNINGS else "note" if self.kind in NOTES else "error"

    def __str__(self) -> str:
        lines = "" if self.kind == "race" else f", {_lines(self.lines)}"  # its sentence names them
        where = f" ({os.path.basename(self.file)}{lines})" if self.lines else ""
        return f"{self.message}{where}"


def returned(outputs: Sequence[str]) -> str:
    """The error of a kernel that returns what it must write."""
    return f"returns its result, but must write it into {' and '.join(outputs)}: {outputs[0]}[...] = the result"


def _lines(numbers: list[int]) -> str:
    """`line 8`, `lines 8 and 9`."""
    different = list(dict.fromkeys(numbers))
    return f"line{'s' * (len(different) > 1)} {' and '.join(map(str, different))}"


class Report:
    """The findings of a check: true if there is an error; as text, a line for each."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.runs: list[str] = []
        """What it was given in each run."""
        self.given: Sequence[Any] = ()
        """The arguments of the first run."""
        self.findings: list[Finding] = []
        self._known: dict[Any, Finding] = {}
        self.of_runs: list[tuple[int, dict[Any, tuple[int, int]]]] = []
        """The accesses of each run; file and line of a prange loop -> the accesses in it, and its most iterations."""
        self.dependences: dict[Any, Any] = {}
        """File, loop and array -> the dependences that its races show."""

    def add(self, finding: Finding, *key: Any) -> Finding:
        """The first one of its kind at these lines is kept, and returned; others are counted."""
        key = (finding.kind, finding.file, *finding.lines, *key)
        if key in self._known:
            self._known[key].times += 1
        else:
            self._known[key] = finding
            self.findings.append(finding)
        return self._known[key]

    def of(self, severity: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == severity]

    @property
    def errors(self) -> list[Finding]:
        return self.of("error")

    @property
    def warnings(self) -> list[Finding]:
        return self.of("warning")

    @property
    def notes(self) -> list[Finding]:
        return self.of("note")

    def __bool__(self) -> bool:
        return bool(self.errors)

    def __str__(self) -> str:
        lines = []
        for severity in ("error", "warning", "note"):
            for finding in self.of(severity):
                more = (
                    f", and {count(finding.times - 1, 'more time')}" if finding.times > 1 and severity != "note" else ""
                )
                lines.append(f"{severity}: {finding}{more}")
                if finding.fix:
                    lines.append(f"    fix: {finding.fix}")
        return "\n".join([*lines, self.summary()])

    __repr__ = __str__  # readable at a prompt and as the last line of a cell

    def summary(self) -> str:
        """`racy: 2 errors, 1 warning in 9 runs`."""
        parts = [count(len(self.of(kind)), kind) for kind in ("error", "warning") if self.of(kind)]
        where = ", except in what was not covered," if any(note.kind == "not covered" for note in self.notes) else ""
        return f"{self.name}: {', '.join(parts) or 'nothing unsafe'}{where} in {count(len(self.runs), 'run')}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        findings = [asdict(f) | {"severity": f.severity} for f in self.findings]
        return {"kernel": self.name, "passed": not self, "runs": self.runs, "findings": findings}
