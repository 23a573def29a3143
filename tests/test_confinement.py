"""The numbers of system calls and access rights for confined processes equal those in the headers of Linux."""

import re
from pathlib import Path

import pytest

from jitnet.lab import confinement

HEADERS = [  # x86-64 has its own header, ARM the generic one
    ("x86_64", "x86_64-linux-gnu/asm/unistd_64.h"), ("aarch64", "asm-generic/unistd.h"),
]  # fmt: skip


CALLS = confinement.DENIED | {
    "clone": confinement._CLONE, "clone3": confinement._CLONE3, "kill": confinement._KILL,
    "tgkill": confinement._TGKILL, "prlimit64": confinement._PRLIMIT, "fcntl": confinement._FCNTL,
}  # fmt: skip


def definitions(header, pattern):
    """Name -> number, as defined in a header of Linux."""
    path = Path("/usr/include", header)
    if not path.exists():
        pytest.skip("needs the headers of Linux, as in the package linux-libc-dev")
    return {name: int(number) for name, number in re.findall(pattern, path.read_text(), re.MULTILINE)}


@pytest.mark.parametrize(("machine", "header"), HEADERS)
def test_system_call_numbers_equal_those_of_linux(machine, header):
    numbers = definitions(header, r"^#define __NR\w*?_(\w+)\s+(\d+)$")
    which, _ = confinement.MACHINES[machine]
    ours = {name: both[which] for name, both in CALLS.items() if name in numbers}  # older headers lack the newest
    assert len(ours) > 40
    assert ours == {name: numbers[name] for name in ours}


def test_landlock_versions_have_the_access_rights_of_linux():
    bits = definitions("linux/landlock.h", r"LANDLOCK_ACCESS_FS_(\w+)\s+\(1ULL << (\d+)\)")
    newest = {1: "MAKE_SYM", 2: "REFER", 3: "TRUNCATE", 5: "IOCTL_DEV"}
    known = {version: 2 ** (bits[name] + 1) - 1 for version, name in newest.items() if name in bits}
    assert known.items() <= confinement.ACCESSES.items()
