"""Restrict this process: limits on memory and files against mistakes, Linux's Landlock and seccomp against malice.

`limit` is for every process that runs a user's kernel. `confine` is for a process that may be hostile: it permanently
removes access to all files but a list to read (Landlock), to other processes, to the network, and to more time and
cores (seccomp). Only Linux has both; `confine` returns what the process can still do on this system.
"""

import contextlib
import ctypes
import errno
import os
import platform
import signal
import struct
from collections.abc import Iterable

FILES = 64
"""Files that a confined process may have open."""

READ, READ_FOLDER, EXECUTE = 1 << 2, 1 << 3, 1 << 0
"""Landlock's names for reading a file, listing a folder, and mapping code of it."""

ACCESSES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Version of Landlock -> all accesses to files that it can deny; to connect (4) and to send signals (6) come extra."""

DENIED = {
    # other processes: starting, observing and stopping them, or outliving the group that is killed at the end
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "setpgid": (109, 154), "setsid": (112, 157), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "unshare": (272, 97), "setns": (308, 268), "kcmp": (312, 272),
    # more cores, a higher priority, higher limits
    "sched_setaffinity": (203, 122), "sched_setattr": (314, 274), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "setpriority": (141, 140), "setrlimit": (160, 164),
    # what Landlock does not cover: the network beyond TCP, modes and owners of files
    "socket": (41, 198), "socketpair": (53, 199), "mount": (165, 40), "chroot": (161, 51), "chmod": (90, None),
    "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None), "lchown": (94, None),
    "fchown": (93, 55), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    # memory that no limit counts, or that outlives the process
    "memfd_create": (319, 279), "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    "add_key": (248, 217), "keyctl": (250, 219),
    # interfaces of the operating system that no numerical loop needs
    "bpf": (321, 280), "perf_event_open": (298, 241), "io_uring_setup": (425, 425), "userfaultfd": (323, 282),
}  # fmt: skip
"""System call -> its number on x86-64 and on 64-bit ARM."""

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Machine -> which of the two numbers, and its name in seccomp."""

_CLONE, _CLONE3, _KILL, _TGKILL, _PRLIMIT = (56, 220), (435, 435), (62, 129), (234, 131), (302, 261)
_FCNTL, _SIGNALS = (72, 25), (8, 10, 15)
"""A call, and its commands F_SETOWN, F_SETSIG and F_SETOWN_EX."""

_THREAD = 0x10000
"""The flag with which clone makes a thread, not a process."""

_PDEATHSIG, _NO_NEW_PRIVILEGES = 1, 38
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
"""Offsets in the data of a system call that a filter reads."""


def limit(memory: int, file: int) -> int:
    """Limit the memory that this process can allocate from now on, and the size of files that it writes, in bytes.

    Returns the memory left to it, 0 without a limit: only Linux enforces one.
    """
    with contextlib.suppress(ImportError):
        import resource

        lower(resource.RLIMIT_CORE, 0)  # no core dump
        lower(resource.RLIMIT_FSIZE, file)
        with contextlib.suppress(OSError):  # only Linux has this file
            with open("/proc/self/statm") as numbers:
                in_use = int(numbers.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            lower(resource.RLIMIT_AS, in_use + memory)
            return memory
    return 0


def lower(name: int, value: int) -> None:
    """Lower a limit of `resource` permanently."""
    import resource

    _, highest = resource.getrlimit(name)
    value = value if highest == resource.RLIM_INFINITY else min(value, highest)
    resource.setrlimit(name, (value, value))


def confine(readable: Iterable[str], seconds: int) -> list[str]:
    """Restrict this process, permanently, to reading these files and folders, and to this much time of one core.

    It must have no threads yet, because each thread is confined separately. Returns what it can still do here.
    """
    with contextlib.suppress(ImportError):
        import resource

        lower(resource.RLIMIT_NOFILE, FILES)
        lower(resource.RLIMIT_CPU, seconds)
    if not hasattr(ctypes, "CDLL") or platform.system() != "Linux":
        return ["read and write files", "start processes", "use the network"]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _drop_capabilities(libc)
    left = [] if _fence_files(libc, readable) else ["read and write files"]
    return left + ([] if _fence_calls(libc) else ["start processes", "use the network"])


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Drop the capabilities of root, so that limits and file modes apply to it too."""
    libc.capset(struct.pack("<Ii", 0x20080522, 0), bytes(24))


def _fence_files(libc: ctypes.CDLL, readable: Iterable[str]) -> bool:
    """Deny all files but these, and with newer versions of Landlock connections and signals to other processes."""
    version = libc.syscall(444, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    accesses = ACCESSES[max(known for known in ACCESSES if known <= version)]
    rules = struct.pack("<QQQ", accesses, 3, 3)[: 8 * (1 + (version >= 4) + (version >= 6))]
    ruleset = libc.syscall(444, rules, ctypes.c_size_t(len(rules)), 0)
    if ruleset < 0:
        return False
    for path in readable:
        if os.path.exists(path):
            allowed = EXECUTE | READ | (READ_FOLDER if os.path.isdir(path) else 0)
            place = os.open(path, os.O_RDONLY if not hasattr(os, "O_PATH") else os.O_PATH)
            libc.syscall(445, ruleset, 1, struct.pack("<Qi", allowed, place), 0)
            os.close(place)
    fenced: bool = libc.syscall(446, ruleset, 0) == 0
    os.close(ruleset)
    return fenced


def _fence_calls(libc: ctypes.CDLL) -> bool:
    """Deny the system calls of `DENIED`, and processes, but not threads."""
    if platform.machine() not in MACHINES or struct.calcsize("P") != 8:
        return False
    filters = b"".join(_filter(*MACHINES[platform.machine()]))
    buffer = ctypes.create_string_buffer(filters)
    program = struct.pack("@HP", len(filters) // 8, ctypes.addressof(buffer))
    return bool(libc.syscall({0: 317, 1: 277}[MACHINES[platform.machine()][0]], 1, 0, program) == 0)


def _filter(which: int, machine: int) -> list[bytes]:
    """A program for the kernel: each instruction is a code, two distances to jump (if true, if not), and a number."""

    def step(code: int, number: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("<HBBI", code, yes, no, number)

    refuse, allow = step(_RETURN, _REFUSE | errno.EPERM), step(_RETURN, _ALLOW)
    program = [step(_LOAD, _MACHINE), step(_EQUAL, machine, yes=1), refuse, step(_LOAD, _NUMBER)]
    program += [step(_AT_LEAST, 0x40000000, no=1), refuse]  # the second set of system call numbers of x86-64
    for numbers in DENIED.values():
        if (number := numbers[which]) is not None:
            program += [step(_EQUAL, number, no=1), refuse]
    # the C library then uses clone, whose flags the filter can read
    program += [step(_EQUAL, _CLONE3[which], no=1), step(_RETURN, _REFUSE | errno.ENOSYS)]
    program += [
        step(_EQUAL, _CLONE[which], no=4), step(_LOAD, _ARGUMENTS), step(_ANY_BIT, _THREAD, no=1), allow, refuse,
        # it may look at its limits: new ones are at an address, of which the filter reads half at a time
        step(_EQUAL, _PRLIMIT[which], no=6), step(_LOAD, _ARGUMENTS + 16), step(_EQUAL, 0, no=3),
        step(_LOAD, _ARGUMENTS + 20), step(_EQUAL, 0, no=1), allow, refuse,
        # a pipe that is ready could send any signal to any process
        step(_EQUAL, _FCNTL[which], no=6), step(_LOAD, _ARGUMENTS + 8),
        *(step(_EQUAL, command, yes=3 - place) for place, command in enumerate(_SIGNALS)), allow, refuse,
    ]  # fmt: skip
    for call in (_KILL, _TGKILL):  # it may end itself
        program += [
            step(_EQUAL, call[which], no=4), step(_LOAD, _ARGUMENTS), step(_EQUAL, os.getpid(), no=1), allow, refuse,
        ]  # fmt: skip
    return [*program, allow]
