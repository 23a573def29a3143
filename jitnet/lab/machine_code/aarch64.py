"""AArch64 instructions, as far as the speed of a loop depends on them: integers, scalar floats and NEON.

The first operand is the target: `fmla v2.4s, v1.4s, v0.s[0]` adds v1·v0[0] to v2. `Operation.operands` has the order of
x86's AT&T syntax, target last. A vector register is v3 whatever part is used (q3, d3, s3, v3.4s), x3 and w3 are x3.
On a Mac, LLVM writes the shape behind the name, `fmla.4s v2, v1, v0[0]`.
"""

import functools
import re

from .operation import Operation, split

_REGISTER = re.compile(r"(?<![\w%:.#])(?:([vqdshb])(\d+)|[xw](\d+)|(w?sp))(?![\w:])")
_VECTOR = re.compile(r"\bv\d+\.(\d*)([bhsd])(\[\d+\])?")
_OF_APPLE = re.compile(r"(\w+)\.(\d*)([bhsd])$")
_BYTES = {"b": 1, "h": 2, "s": 4, "d": 8, "q": 16}
_KINDS = (
    (re.compile(r"fn?m(add|sub|la|ls)$"), "fma"),
    (re.compile(r"fn?mulx?$"), "multiply"),
    (re.compile(r"f(add|sub|addp)$"), "add"),
    (re.compile(r"f(div|sqrt)$|[su]div$"), "divide"),
    (re.compile(r"f(min|max)(nm)?[pv]?$|f(abs|neg|abd|rint\w|rsqrt[es]|recp[ex]?s?)$"), "other"),
    (re.compile(r"f?cvt\w*$|[su]cvtf$"), "convert"),
    (re.compile(r"(ld|st)(n?p|u?r\w*|[1-4]r?)$|f?movi?$|dup$|ins$|[us]mov$|mvni$|ext$|(zip|uzp|trn)[12]$"), "move"),
    (re.compile(r"blr?$"), "call"),
    (re.compile(r"b(\.\w\w)?$|br$|t?c?bn?z$"), "jump"),
)
_WHOLE = {"add": "add", "sub": "add", "mul": "multiply", "mla": "multiply", "mls": "multiply"}
"""Integer arithmetic that counts if it is on vectors."""

_ONLY_READS = ("st", "cmp", "cmn", "tst", "fcmp", "ccmp", "fccmp", "prfm", "ret")
_MODIFIES = ("fmla", "fmls", "mla", "mls", "movk", "ins", "bsl", "bit", "bif")


def registers_in(operand: str) -> frozenset[str]:
    """Their names without their width: v3 for q3, s3 and v3.4s, x3 for x3 and w3."""
    found = set()
    for vector, number, whole, pointer in _REGISTER.findall(operand):
        found.add(f"v{number}" if vector else f"x{whole}" if whole else pointer and "sp")
    return frozenset(found)


@functools.lru_cache(maxsize=65536)
def understood(text: str) -> Operation:
    """Parse one instruction, such as `fmla v0.4s, v1.4s, v2.s[0]`."""
    name, _, rest = text.partition(" ")
    of_apple = _OF_APPLE.match(name)
    name = of_apple[1] if of_apple else name
    operands = split(rest)
    shapes = [of_apple.groups()[1:]] if of_apple else [found[:2] for found in _VECTOR.findall(rest) if not found[2]]
    kind, element, is_float, lanes, bits = _kind(name, [(int(n or 1), _BYTES[size]) for n, size in shapes], rest)
    at = next((n for n, o in enumerate(operands) if o.startswith("[")), None)
    memory = "" if at is None else operands[at]
    touches = bool(memory) and not name.startswith("prfm")
    stores = touches and name.startswith("st")
    pair = touches and name in ("ldp", "ldnp")
    targets = () if name.startswith(_ONLY_READS) or kind in ("jump", "call") else operands[: 2 if pair else 1]
    writes = frozenset[str]().union(*map(registers_in, targets))
    reads = frozenset[str]().union(*map(registers_in, operands[len(targets) :]))
    if name.startswith(_MODIFIES) or (targets and re.search(r"\w\[\d", targets[0])):  # one lane of the target
        reads |= writes
    if touches and at is not None and (memory.endswith("!") or at + 1 < len(operands)):  # pre- or post-index
        writes |= frozenset(list(registers_in(memory))[:1])
    if name == "blr":
        operands = (f"*{operands[0]}",)
    return Operation(
        name, tuple(reversed(operands)) if kind != "jump" else operands, kind, element, is_float, lanes, bits,
        touches and not stores, stores, memory, reads, writes,
    )  # fmt: skip


def _kind(name: str, shapes: list[tuple[int, int]], rest: str) -> tuple[str, int, bool, int, int]:
    """(kind, bytes of a number, is it a float, numbers per instruction, bits of the widest vector register)

    `shapes` of its vectors: lanes, and bytes of a lane.
    """
    kind = next((kind for pattern, kind in _KINDS if pattern.match(name)), "")
    lanes, element = max(shapes, default=(1, 0))
    scalar = re.match(r"([qdshb])\d+\b", rest)
    bits = max([8 * count * size for count, size in shapes] + [8 * _BYTES[scalar[1]] if scalar else 0])
    if not kind and shapes and name in _WHOLE:
        return _WHOLE[name], element, False, lanes, bits
    is_float = name.startswith("f") and kind in ("fma", "multiply", "add", "divide", "other", "convert")
    if is_float and not shapes and scalar:
        element = _BYTES[scalar[1]]
    return kind, element if is_float else 0, is_float, lanes if kind not in ("", "move", "convert") else 1, bits
