"""The command line: jitnet train, predict, warmup and the tools of the lab, one file per command.

A command's file has `add_options(parser)` and `run(options)`; its docstring is the description in --help. It is
imported when its command is called, so training imports no tools of the lab.

Results go to standard output, everything else to standard error. An error that a user can fix is one line there and
exit status 2. Status 1: the work is done, but a file could not be written. ^C gives 130, SIGTERM 143, SIGHUP 129.
"""

import argparse
import contextlib
import errno
import gc
import importlib
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn

from .. import __version__, checks
from ..distributed import launcher
from ..process import interruption, progress

COMMANDS = {
    "train": "train a network on a data set",
    "predict": "apply a saved model to a file",
    "warmup": "compile all kernels now",
    "ladder": "time every rung of an operation",
    "explain": "the machine code of a loop, and what is slow in it",
    "trace": "how a kernel accesses memory: strides, reuse and cache misses of each line",
    "check": "find races and other bugs in a kernel, by running its source",
    "report": "measurements and explanations as one HTML page",
    "machine": "machine peaks: compute and bandwidth",
    "compile-cost": "compile times, and the break-even number of calls",
    "assignment": "create an assignment: starter files, public test, points",
    "grade": "grade students' kernels by the tests of an assignment",
    "cache": "where compiled kernels are, how large they are, and how to remove them",
    "doctor": "find problems with this installation, and how to fix them",
}
"""Command -> its line in `jitnet --help`."""

ALIASES = {"compile-cost": ["ledger"]}


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Name the nearest command for an unknown one, as other errors name the nearest backend or dtype."""
        if action.choices is not None:
            try:
                checks.one_of("command", value, action.choices)
            except checks.Error as error:
                self.error(str(error))

    def error(self, message: str) -> NoReturn:
        line = launcher.reported(f"{self.prog}: {message} (try {self.prog} --help)")
        if line is not None:
            print(line, file=sys.stderr)
        sys.exit(2)


class CommandParser(Parser):
    """The parser of one command. It imports the command's file when the command is called."""

    _arguments: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        command = importlib.import_module(f".{self.prog.split()[-1].replace('-', '_')}", __package__)
        self.description = command.__doc__
        command.add_options(self)
        self.set_defaults(run=command.run)
        self._arguments = args or ()
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            known = self._option_string_actions
            hint = checks.did_you_mean(unknown[0], known)
            if "--target" in known and not unknown[0].startswith("-"):
                hint = f" (to predict the column {unknown[0]}: --target {unknown[0]})"
            self.error(f"unknown argument {unknown[0]}{hint}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """With a hint if the value of an option, such as a column called -41.8e3, is taken for another option."""
        for option, value in pairwise(self._arguments):
            is_it = message == f"argument {option}: expected one argument"
            if is_it and value.startswith("-") and value not in self._option_string_actions:
                message += f"; if {value} is its value, write {shlex.quote(f'{option}={value}')}"
        super().error(message)


def parser() -> Parser:
    """All commands."""
    top = Parser(
        prog="jitnet",
        description="A neural-network library in which you can read every loop.",
        epilog="Begin with: jitnet train digits. The options of a command: jitnet train --help",
    )
    top.add_argument("--version", action="version", version=f"jitnet {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=CommandParser)
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text, aliases=ALIASES.get(name, []))
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the parent process closed it
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    with contextlib.suppress(AttributeError):  # stdout is not a real text stream
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    unraisable = sys.unraisablehook
    with interruption.raised() as heard:
        try:
            status = _run(arguments)
        except KeyboardInterrupt:
            sys.unraisablehook = lambda _: None  # the compiler's half-made objects, freed after this, have errors
            status = 130
            if not heard:
                progress.say("jitnet: interrupted")
    sys.unraisablehook = unraisable
    if arguments is None:  # the process ends now
        gc.freeze()  # or Python would search all objects of the imports for cycles, for a tenth of a second
    if not heard:
        return status
    where = launcher.place()
    rank = "" if where is None else f"rank {where[0]}: "
    progress.say(f"jitnet: {rank}ended by {signal.Signals(heard[0]).name}")
    return 128 + heard[0]


def _run(arguments: Sequence[str] | None) -> int:
    """Run a command; turn an error that a user can fix into one line."""
    try:
        top = parser()
        options = top.parse_args(arguments)
        if options.command is None:
            top.print_help()
            return 0
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            status: int = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of our output, such as head, has closed the pipe
        _write_nowhere()
        return 0
    except checks.Error as error:
        return _complain(str(error))
    except OSError as error:
        if error.errno == errno.ENOENT and error.filename is None:  # of os.getcwd
            return _complain("the working folder was removed; change to another one")
        if error.filename is None:
            _write_nowhere()
        elif isinstance(error, FileNotFoundError):
            return _complain(f"there is no file {error.filename}")
        elif isinstance(error, IsADirectoryError):
            return _complain(f"{error.filename} is a folder, but must be a file")
        return _complain(f"{error.filename or 'output'}: {error.strerror}" if error.strerror else str(error))
    except MemoryError as error:
        return _complain(f"not enough memory ({checks.reason(error)}); take a smaller file or network")


def _write_nowhere() -> None:
    """Discard the buffer of standard output, which Python would write at exit, with the same error again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    progress.say(f"jitnet: {' '.join(str(message).split())}")


def _complain(message: str) -> int:
    progress.say("jitnet: " + " ".join(message.split()))
    return 2
