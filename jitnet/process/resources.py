"""The resources of this process: the cores it can run on, and the control groups that limit it further."""

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def cores() -> list[int]:
    """The numbers of the cores that this process can run on; `taskset` reduces them."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def control_groups(controller: str) -> Iterator[Path]:
    """The folders of this process's control groups for "cpu" or "memory" (Linux): its own first, then the parents.

    The limits of each of them apply. On other systems, and where the groups are unknown, there are none.
    """
    try:
        groups = [line.split(":", 2) for line in MEMBERSHIP.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return
    for _, controllers, path in groups:
        if controllers and controller not in controllers.split(","):
            continue
        base = ROOT / controller if controllers else ROOT  # version 1, or 2, which names no controllers
        inner = base / path.lstrip("/")
        yield inner
        yield from (folder for folder in inner.parents if folder.is_relative_to(base))
