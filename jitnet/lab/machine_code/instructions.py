"""Instructions of the processors that can be read: x86-64, whose registers begin with %, and AArch64."""

import platform
import re

from . import aarch64, x86
from .operation import Operation as Operation

X86, ARM = ("x86_64", "amd64"), ("arm64", "aarch64")
"""The names of processors, as systems give them."""

_X86_WITHOUT_REGISTERS = re.compile(r"j[a-z]+ |call|ret|nop|vzero|c[lq]t|endbr|ud2|leave|rep")


def machine() -> str:
    """The processor that is compiled for."""
    return platform.machine().lower()


def is_readable() -> bool:
    """True if the instructions of this machine can be read."""
    return machine() in X86 + ARM


def register_name(bits: int) -> str:
    """What vector registers of this width are called on this machine."""
    if machine() in ARM:
        return {32: "s", 64: "d", 128: "q"}[bits]
    return {128: "xmm", 256: "ymm", 512: "zmm"}[bits]


def understood(text: str) -> Operation:
    """Parse one instruction, such as `vaddps %zmm0, %zmm1, %zmm1` or `fadd v0.4s, v1.4s, v2.4s`."""
    if "%" in text or _X86_WITHOUT_REGISTERS.match(text):
        return x86.understood(text)
    return aarch64.understood(text)


def registers_in(operand: str) -> frozenset[str]:
    """The registers that an operand names, without their width: v3 for zmm3 and for v3.4s."""
    return x86.registers_in(operand) if "%" in operand else aarch64.registers_in(operand)
