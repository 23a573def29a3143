"""The data caches of this machine, as the system describes them."""

from pathlib import Path
from typing import NamedTuple

from .memory import LINE

PAGE = 4096
"""Bytes that are contiguous in physical memory; the position within a page determines the sets of a cache."""

DESCRIPTIONS = Path("/sys/devices/system/cpu/cpu0/cache")


class Cache(NamedTuple):
    """One cache. An address can only use the `ways` lines of its set."""

    level: int
    size: int
    ways: int
    line: int


TYPICAL = {1: Cache(1, 32 << 10, 8, LINE), 2: Cache(2, 1 << 20, 16, LINE), 3: Cache(3, 8 << 20, 16, LINE)}
"""Assumed if the system does not describe its caches: on anything but Linux, and in some virtual machines."""


def data_caches(folder: Path = DESCRIPTIONS) -> dict[int, Cache]:
    """Level -> cache, as described by Linux; empty if there is no description."""
    found = {}
    for index in sorted(folder.glob("index*")):
        try:
            kind, *texts = (
                (index / name).read_text(encoding="ascii").strip()
                for name in ("type", "level", "size", "ways_of_associativity", "coherency_line_size")
            )
            level, ways, line = int(texts[0]), int(texts[2]), int(texts[3])
            size = bytes_of(texts[1])
        except (OSError, ValueError):
            continue
        if kind != "Instruction" and ways > 0 and line > 0 and size >= ways * line:
            found[level] = Cache(level, size, ways, line)
    return found


def bytes_of(text: str) -> int:
    """`bytes_of("48K")` is 49152."""
    powers = {"K": 10, "M": 20, "G": 30}
    return int(text[:-1]) << powers[text[-1]] if text[-1:] in powers else int(text)
