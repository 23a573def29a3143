"""The command line: jitnet train, predict, warmup, and the instruments of the lab.

Results go to standard output, everything else to standard error. What a user can fix is one line there and exit
status 2; status 1 means that the work is done, but a file could not be written; ^C is 130. SIGTERM and SIGHUP do what
^C does, with 143 and 129. What the commands do is in commands.py.
"""

import argparse
import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .. import __version__, checks, interruption, progress
from .. import backend as backends
from ..kernels.activations import ACTIVATIONS
from ..plots import ENDINGS
from .commands import predict_command, train_command, warmup_command


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """A command that is unknown is told as all else that is: with the nearest."""
        if action.choices is not None:
            try:
                checks.one_of("command", value, action.choices)
            except checks.Error as error:
                self.error(str(error))

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (try {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = Parser(prog="jitnet", description="A neural network you can read, running at the speed of the hardware.")
    top.add_argument("--version", action="version", version=f"jitnet {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="learn from data", description="Learn from data and report how well.")
    train.add_argument("data", help="digits, mnist, fashion_mnist, or a file: CSV, NPZ with X and y, IDX pictures")
    train.set_defaults(run=train_command)
    what = train.add_argument_group("what to learn")
    what.add_argument(
        "--target", metavar="NAME", help="column of a CSV to learn; without a header they are 1, 2, 3, ..."
    )
    what.add_argument(
        "--task",
        metavar="TASK",
        help="classification or regression (default: text and few different whole numbers are classes)",
    )
    what.add_argument("--labels", metavar="FILE", help="IDX file with the labels (default: found beside the pictures)")
    what.add_argument(
        "--path", metavar="FOLDER", help="folder with the files of mnist or fashion_mnist (default: download)"
    )
    what.add_argument("--test", type=float, metavar="SHARE", help="share of samples to hold out (default 0.2)")
    net = train.add_argument_group("the network")
    net.add_argument(
        "--hidden", default="128,64", metavar="N,N,...", help="widths of the hidden layers, or none (default 128,64)"
    )
    net.add_argument(
        "--activation",
        default="relu",
        metavar="NAME",
        help=f"of the hidden layers: {', '.join(ACTIVATIONS)}; default relu",
    )
    net.add_argument("--dtype", default="float32", metavar="NAME", help="float32 (default) or float64")
    how = train.add_argument_group("how to learn")
    how.add_argument("--epochs", type=int, default=30, metavar="N", help="times to see every sample (default 30)")
    how.add_argument("--batch-size", type=int, default=32, metavar="N", help="samples per update (default 32)")
    how.add_argument("--optimizer", default="adam", metavar="NAME", help="sgd, momentum or adam (default)")
    how.add_argument(
        "--lr", type=float, metavar="X", help="learning rate (default: sgd 0.1, momentum 0.05, adam 0.003)"
    )
    how.add_argument(
        "--weight-decay", type=float, default=3e-4, metavar="X", help="pull of weights to 0 (default 0.0003)"
    )
    patience = "stop after N epochs without progress on a fifth of the training samples, kept aside for this"
    how.add_argument("--early-stopping", type=int, metavar="N", help=patience)
    how.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of split, weights and order of samples (default 0)"
    )
    how.add_argument("--backend", default="fast", metavar="NAME", help=f"{', '.join(backends.NAMES)} (default fast)")
    how.add_argument(
        "--threads", type=int, metavar="N", help="for parallel and fast (default: 1 or all, whichever is faster)"
    )
    out = train.add_argument_group("what to keep")
    out.add_argument("--save", metavar="FILE", help="write the model")
    out.add_argument("--plot", metavar="FILE", help=f"draw loss and accuracy per epoch: {', '.join(ENDINGS)}")
    out.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="keep the state of the training here (exit status 1 if it cannot be written)",
    )
    out.add_argument("--checkpoint-every", type=int, metavar="N", help="every N epochs (default 1)")
    out.add_argument("--resume", action="store_true", help="continue from the checkpoint")
    _output_options(out)

    predict = commands.add_parser("predict", help="use a model", description="Print one answer per row of a file.")
    predict.add_argument("model", help="file that jitnet train --save wrote")
    predict.add_argument("data", help="file of the same kind, where the target may be missing; or digits, mnist, ...")
    predict.add_argument("--labels", metavar="FILE", help="IDX file with the labels, to measure the accuracy")
    predict.add_argument("--out", metavar="FILE", help="write the answers to a file instead")
    predict.add_argument(
        "--backend", default="fast", metavar="NAME", help=f"{', '.join(backends.NAMES)} (default fast)"
    )
    predict.set_defaults(run=predict_command)
    _output_options(predict)

    warmup = commands.add_parser(
        "warmup", help="compile all kernels", description="Compile all kernels now, so that no later run has to wait."
    )
    warmup.add_argument("--backend", default="fast", metavar="NAME", help=f"{', '.join(backends.NAMES)} (default fast)")
    warmup.set_defaults(run=warmup_command)
    _output_options(warmup)

    ladder = commands.add_parser(
        "ladder", help="time every rung of an operation",
        description="Check every rung of an operation, then time them in turn, on the same data.",
    )  # fmt: skip
    ladder.add_argument(
        "operation", nargs="?", default="matmul", help="matmul (default), sigmoid, adam, ..., train; update is sgd"
    )
    _measuring_options(ladder)
    ladder.add_argument(
        "--with", dest="own", action="append", default=[], metavar="FILE.PY:NAME",
        help="a kernel of yours among them, also module:name; repeatable. It runs in a process of its own, "
        "with at most 3/4 of the memory, and files of at most 100 MiB",
    )  # fmt: skip
    ladder.add_argument(
        "--patience", type=float, default=20.0, metavar="SECONDS",
        help="what one call of yours may take, compilation apart, before it counts as hanging (default 20)",
    )  # fmt: skip
    ladder.add_argument("--backend", metavar="NAME", help="cuda: the rungs of the GPU in place of the processor's")
    ladder.add_argument(
        "--count", action="store_true",
        help="with --backend cuda: count what each rung asks of memory instead of timing it; this needs no GPU",
    )  # fmt: skip
    ladder.add_argument("--plot", metavar="FILE", help=f"draw the speed of each rung: {', '.join(ENDINGS)}")
    ladder.set_defaults(run=_lab("ladder"))
    _output_options(ladder)

    explain = commands.add_parser(
        "explain", help="what the compiler made of a loop",
        description="The hottest loop of a function beside its machine code, and verdicts in plain words.",
    )  # fmt: skip
    explain.add_argument(
        "target", help="operation.rung such as matmul.tile, or a function of yours: file.py:function, module:function"
    )
    explain.add_argument(
        "--dtype", default="float32", metavar="NAME", help="of a rung, or with --as: float32 (default) or float64"
    )
    explain.add_argument(
        "--as", dest="operation", metavar="OPERATION", help="a function of yours takes the arguments of matmul, ..."
    )
    explain.add_argument(
        "--args", metavar="EXPR", help="or these, in Python with np: 'np.ones(9), 3', 'np.ones((64, 64)), 3'"
    )
    explain.add_argument("--types", metavar="TYPES", help="or of these types: 'float32[::1], int64', 'float32[:,::1]'")
    explain.add_argument(
        "--options", metavar="EXPR", help="compile with these instead: 'fastmath=True, error_model=\"numpy\"'"
    )
    explain.add_argument(
        "--backend", metavar="NAME", help="cuda: a rung of the GPU, for which neither a GPU nor a driver is needed"
    )
    explain.add_argument("--capability", metavar="N.N", help="compute capability of that GPU (default 9.0)")
    explain.set_defaults(run=_lab("explain"))
    _output_options(explain)

    report = commands.add_parser(
        "report", help="write what the lab finds as a page",
        description="Time every rung of some operations, explain each, and write it all as one HTML file.",
    )  # fmt: skip
    report.add_argument("operations", nargs="*", default=["matmul"], metavar="OPERATION", help="matmul (default), ...")
    _measuring_options(report)
    report.add_argument("--out", default="report.html", metavar="FILE", help="where to write (default report.html)")
    report.set_defaults(run=_lab("report"))
    _output_options(report)

    machine = commands.add_parser(
        "machine", help="measure the limits of this machine",
        description="Peak of multiply-adds and bandwidth of each cache, measured once and kept.",
    )  # fmt: skip
    machine.add_argument("--again", action="store_true", help="measure, whatever is kept")
    machine.set_defaults(run=_lab("machine"))
    _output_options(machine)

    ledger = commands.add_parser(
        "ledger", help="what compiling costs, and when it has paid",
        description="Compile from an empty cache, load from a warm one, call, and compare with the interpreter.",
    )  # fmt: skip
    ledger.add_argument(
        "what", nargs="?", default="fast", metavar="OPERATION | BACKEND",
        help="matmul, sigmoid, ... or njit, parallel, fast (default): a training step of a small network",
    )  # fmt: skip
    ledger.add_argument(
        "--size",
        metavar="N",
        help="128 for an operation, 32x64x32 for a step: batch x inputs x hidden units (defaults)",
    )
    ledger.add_argument("--dtype", default="float32", metavar="NAME", help="float32 (default) or float64")
    ledger.add_argument(
        "--plot", metavar="FILE", help=f"draw the seconds spent after so many calls: {', '.join(ENDINGS)}"
    )
    ledger.set_defaults(run=_lab("ledger"))
    _output_options(ledger)

    doctor = commands.add_parser(
        "doctor", help="find what is wrong here, and what fixes it",
        description="Look at all that jitnet rests on, and say what fixes what is wrong; exit status 1 if anything is.",
    )  # fmt: skip
    doctor.set_defaults(run=_lab("doctor"))
    _output_options(doctor)
    return top


def _lab(command: str) -> Callable[[argparse.Namespace], int]:
    """A command of the lab, imported when it is called: who trains needs no lab."""

    def run(options: argparse.Namespace) -> int:
        from . import lab

        if command != "doctor":  # doctor lists what keeps the others from running
            backends.start()
        status: int = getattr(lab, f"{command}_command")(options)
        return status

    return run


def _measuring_options(group: Any) -> None:
    group.add_argument("--size", default="512", metavar="N", help="512 (default), or m x n_in x n_out: 64x784x128")
    group.add_argument("--dtype", default="float32", metavar="NAME", help="float32 (default) or float64")
    group.add_argument("--threads", type=int, metavar="N", help="for the parallel rungs (default: all)")


def _output_options(group: Any) -> None:
    group.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    group.add_argument("--quiet", action="store_true", help="show no progress")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    with contextlib.suppress(AttributeError):  # of a stand-in for the terminal
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    with interruption.raised() as heard:
        try:
            status = _run(arguments)
        except KeyboardInterrupt:
            status = 130
            if not heard:
                progress.say("jitnet: interrupted")
    if not heard:
        return status
    progress.say(f"jitnet: ended by {signal.Signals(heard[0]).name}")
    return 128 + heard[0]


def _run(arguments: Sequence[str] | None) -> int:
    """A command, and what went wrong with it in one line."""
    try:
        options = parser().parse_args(arguments)
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            status: int = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        _write_nowhere()
        return 0
    except checks.Error as error:
        return _complain(str(error))
    except OSError as error:
        if error.filename is None:
            _write_nowhere()
        return _complain(f"{error.filename or 'output'}: {error.strerror}" if error.strerror else str(error))
    except MemoryError as error:
        return _complain(f"not enough memory ({checks.reason(error)}); take a smaller file or network")


def _write_nowhere() -> None:
    """Discard what standard output still holds: writing it when Python ends would raise the error again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    progress.say(f"jitnet: {' '.join(str(message).split())}")


def _complain(message: str) -> int:
    progress.say("jitnet: " + " ".join(message.split()))
    return 2
