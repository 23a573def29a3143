"""The process in which a submission runs: it calls a function on command, and says when it has returned.

It knows nothing that is worth points. The grader draws the inputs, writes them into memory that both share, starts the
clock, and reads the outputs there; what this process says is only believed where it costs points.
"""

import importlib
import json
import mmap
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.dispatcher import Dispatcher

from ... import checks
from .. import confinement, loading, problems
from ..benchmark import custom

SYSTEM = (
    "/usr", "/lib", "/lib64", "/nix/store", "/etc/ld.so.cache", "/dev/urandom", "/dev/null", "/sys/devices/system/cpu",
)  # fmt: skip
"""What Python, its packages and a threading layer read, besides their own folders."""


def main() -> None:
    """Load a function, then call it for each line of standard input."""
    job = json.loads(sys.argv[1])
    channel = os.dup(1)
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)

    def say(what: str, text: str = "") -> None:
        os.write(channel, json.dumps([what, text[:2000]]).encode() + b"\n")

    custom.watch_compiling(begins=lambda: say("compiling"), ends=lambda: say("compiled"))
    if job["trusted"]:
        function = problems.load(job["problem"]).rungs[job["name"]]
    else:
        lacking = _fence(job)
        say("fenced", "; ".join(lacking))
        try:
            function = loading.load(f"{os.path.basename(job['file'])}:{job['name']}")
        except BaseException as error:
            own = isinstance(error, checks.Error)  # a whole sentence, but this is the predicate of one
            say("error", f"does not load: {error}" if own else loading.raised(error, job["file"]))
            return
    say("loaded")
    _answer(function, job["memory"], say)


def _fence(job: dict[str, Any]) -> list[str]:
    """Keep the process to its share; returns what it could still do on this system."""
    setattr(Dispatcher, "enable_caching", lambda self: None)  # noqa: B010  cache=True would write files
    parallel = importlib.import_module("numba.np.ufunc.parallel")
    parallel._set_init_process_lock()  # makes a file in /dev/shm
    homes = [str(Path(module.__file__ or "").parents[1]) for module in (numba, np, llvmlite)]
    confinement.limit(job["bytes"], 0)
    return confinement.confine(
        [*SYSTEM, sys.prefix, sys.base_prefix, *homes, os.path.dirname(job["file"])], job["seconds"]
    )


def _answer(function: Callable[..., object], number: int, say: Callable[..., None]) -> None:
    memory = mmap.mmap(number, 0)
    for line in sys.stdin.buffer:
        call = json.loads(line)
        if call["size"] != len(memory):
            memory = mmap.mmap(number, call["size"])
        arguments = [_argument(memory, part) for part in call["arguments"]]
        try:
            function(*arguments)
        except BaseException as error:  # sys.exit too
            say("error", custom.in_words(error, function, arguments, "in a call"))
        else:
            say("done")


def _argument(memory: mmap.mmap, part: dict[str, Any]) -> Any:
    """An array in the shared memory, or a number."""
    dtype = np.dtype(part["dtype"])
    if "value" in part:
        value = dtype.type(part["value"])
        return value.item() if part["plain"] else value
    return np.ndarray(part["shape"], dtype, memory, part["at"])
