"""x86-64 instructions, as far as the speed of a loop depends on them: SSE, AVX2 and AVX-512 in AT&T syntax.

In this syntax the last operand is the target: `vfmadd231ps (%rax), %zmm1, %zmm2` adds mem·zmm1 to zmm2.
"""

import functools
import re

from .operation import Operation, split

_FMA = re.compile(r"vf(n?m(add|sub)|maddsub|msubadd)\d{3}([ps])([sd])$")
_FLOAT = re.compile(
    r"v?(add|sub|mul|div|sqrt|min|max|hadd|addsub|scalef|rndscale|round|getexp|rcp14|rsqrt14)([ps])([sd])$"
)
_WHOLE = re.compile(
    r"v?p(add|sub|mull?|muludq|muldq|min[su]|max[su]|abs|madd\w\w|opcnt|lzcnt|ro[lr]v?|sll[vwdq]?|sra[vwdq]?|srl[vwdq]?)([bwdq]?)$"
)
_CONVERT = re.compile(r"v?cvt(t?)(\w+?)2(\w+)$")
_COMPARE = re.compile(r"v?u?comis([sd])$")
_WIDE = re.compile(r"i?(div|mul)[bwlq]?$")
"""With one operand, they compute with rax and rdx, and leave that operand as it is."""
_EXTENDS = ("cqto", "cltd", "cwtd")
"""They fill rdx with the sign of rax."""
_DIVIDE = re.compile(r"i?div[bwlq]?$")
_MOVE = re.compile(
    r"(v?mov(?!msk)\w*|v?lddqu|v?broadcast\w+|v?pbroadcast\w+|v?pmov[sz]x\w+|v?gather\w+|v?pgather\w+|v?scatter\w+|"
    r"v?extract\w+|v?pextr\w|v?pinsr\w|v?insertps|vp?maskmov\w+|vp?expand\w|vp?compress\w|set\w+)$"
)
_JUMP = re.compile(r"j[a-z]+$")
_REGISTER = re.compile(
    r"%(?:[xyz]mm(\d+)|k(\d)|(r?)([a-d])([xlh])|[re]?([a-d])x|[re]?(si|di|bp|sp)l?|r(\d+)[bwd]?|(rip))\b"
)
_BYTES = {"b": 1, "w": 2, "d": 4, "q": 8}
_ONLY_READS = ("cmp", "test", "ucomi", "comi", "vucomi", "vcomi", "vptest", "ptest", "bt", "vtestp", "prefetch", "push")
_TARGET_IS_NEW = ("mov", "lea", "set", "pop", "cvt", "sqrt", "pmov", "pshufd", "broadcast", "pabs", "rcp", "rsqrt")
"""Instructions with two operands that write their target without reading it; others modify it."""


def registers_in(operand: str) -> frozenset[str]:
    """Their names without their width: v3 for xmm3, ymm3 and zmm3, ax for rax, eax and al."""
    found = set()
    for vector, mask, _, letter, _, wide, other, number, _ in _REGISTER.findall(operand):
        name = f"v{vector}" * bool(vector) or f"k{mask}" * bool(mask) or f"{letter or wide}x" * bool(letter or wide)
        found.add(name or other or f"r{number}" * bool(number) or "ip")
    return frozenset(found)


@functools.lru_cache(maxsize=65536)
def understood(text: str) -> Operation:
    """Parse one instruction, such as `vaddps %zmm0, %zmm1, %zmm1`."""
    name, _, rest = text.partition(" ")
    while name in ("rep", "lock", "rex64", "notrack", "{evex}", "{vex}"):
        name, _, rest = rest.partition(" ")
    operands = split(rest)
    kind, element, is_float, packed = _kind(name)
    widths = [{"x": 128, "y": 256, "z": 512}[width] for width in re.findall(r"%([xyz])mm", rest)]
    bits = max(widths, default=0)
    memory = next((o for o in operands if "(" in o), "")
    plain_memory = re.sub(r" \{[^}]*\}|\{[^}]*\}", "", memory)
    target = operands[-1] if operands else ""
    touches = bool(memory) and not name.startswith(("lea", "nop", "prefetch")) and kind not in ("jump", "call")
    only_reads = name.startswith(_ONLY_READS)
    into_memory = "(" in target and not only_reads and touches
    copies = kind == "move" or name.startswith(("mov", "set", "vcvtps2ph"))
    reads = frozenset[str]().union(*map(registers_in, operands[:-1]))
    reads |= registers_in(memory) | frozenset(r for r in registers_in(target) if r[0] == "k" and "{%" in target)
    writes = frozenset[str]()
    if operands and "(" not in target and not only_reads and kind not in ("jump", "call"):
        writes = registers_in(target.partition("{")[0])
        changes = kind == "fma" or (len(operands) <= 2 and not name.removeprefix("v").startswith(_TARGET_IS_NEW))
        merges = "{%k" in target and "{z}" not in target
        if (changes and not (name[0] == "v" and kind != "fma")) or merges:
            reads |= writes
        if _clears(name, operands):
            reads -= writes
    elif only_reads:
        reads |= registers_in(target)
    if _WIDE.match(name) and len(operands) == 1:
        reads, writes, into_memory = registers_in(target) | {"ax", "dx"}, frozenset({"ax", "dx"}), False
        reads -= {"dx"} if "mul" in name and "dx" not in registers_in(target) else frozenset()
    elif name in _EXTENDS:
        reads, writes = frozenset({"ax"}), frozenset({"dx"})
    elif name.startswith("mulx"):
        reads, writes = reads - registers_in(operands[1]) | {"dx"}, writes | registers_in(operands[1])
    return Operation(
        name, operands, kind, element, is_float, bits // 8 // element if packed and element else 1, bits,
        touches and (not into_memory or not copies), into_memory, plain_memory, reads, writes,
    )  # fmt: skip


def _clears(name: str, operands: tuple[str, ...]) -> bool:
    """x ^ x and x − x are 0 for any x."""
    return re.match(r"v?p?xor|xor|v?psub|sub", name) is not None and len(set(operands)) == 1 and len(operands) > 1


def _kind(name: str) -> tuple[str, int, bool, bool]:
    """(kind, bytes of a number, is it a float, is it a vector?)"""
    if m := _FMA.match(name):
        return "fma", 4 if m[4] == "s" else 8, True, m[3] == "p"
    if m := _FLOAT.match(name):
        kinds = {"add": "add", "sub": "add", "mul": "multiply", "div": "divide"}
        return kinds.get(m[1], "other"), 4 if m[3] == "s" else 8, True, m[2] == "p"
    if m := _WHOLE.match(name):
        size = _BYTES.get(m[2] or m[1][-1], 8)
        kind = "add" if m[1] in ("add", "sub") else "multiply" if m[1].startswith("mul") else "other"
        return kind, size, False, True
    if _DIVIDE.match(name):
        return "divide", 0, False, False
    if name.startswith("imul"):
        return "multiply", 0, False, False
    if m := _COMPARE.match(name):
        return "", 4 if m[1] == "s" else 8, True, False
    if _CONVERT.match(name):
        return "convert", 0, True, False
    if _MOVE.match(name):
        return "move", 0, False, False
    if name.startswith("call"):
        return "call", 0, False, False
    return ("jump", 0, False, False) if _JUMP.match(name) else ("", 0, False, False)
