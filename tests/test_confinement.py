"""The numbers of system calls and access rights for confined processes equal those in the headers of Linux."""

import os
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


class FakeLinux:
    """The three calls of Landlock, of which one can fail; the rules are kept."""

    def __init__(self, version, fails=()):
        self.version, self.fails, self.rules = version, fails, b""

    def syscall(self, number, *arguments):
        if number == 444 and arguments[0] is None:
            return self.version
        if number in self.fails:
            return -1
        if number == 444:
            self.rules = arguments[0]
            return os.open(os.devnull, os.O_RDONLY)
        return 0


@pytest.mark.parametrize(("version", "numbers"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3)])
def test_rules_of_landlock_have_the_size_of_their_version(version, numbers):
    linux = FakeLinux(version)
    assert confinement._fence_files(linux, [os.devnull])
    assert len(linux.rules) == 8 * numbers


@pytest.mark.parametrize(("version", "fails"), [(0, []), (-1, []), (6, [444]), (6, [446])])
def test_files_are_not_fenced_if_landlock_fails(version, fails):
    assert not confinement._fence_files(FakeLinux(version, fails), [])


def test_calls_are_not_fenced_on_an_unknown_machine(monkeypatch):
    monkeypatch.setattr(confinement.platform, "machine", lambda: "riscv64")
    assert not confinement._fence_calls(FakeLinux(6))
