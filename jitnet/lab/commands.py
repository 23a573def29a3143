"""What the commands of the lab do. Their words are in cli.py, which imports this file when one of them is called."""

import argparse
import json

from .. import progress
from ..commands import check_paths
from ..plots import check_drawing
from . import doctor, ladder, ledger, machine, pictures


def machine_command(options: argparse.Namespace) -> int:
    """jitnet machine."""
    with progress.Progress() if options.quiet else progress.on_standard_error() as show:
        found = machine.limits(options.again, show.measuring)
    print(json.dumps(found) if options.json else machine.as_text(found))
    return 0


def ladder_command(options: argparse.Namespace) -> int:
    """jitnet ladder."""
    check_paths(options, reads=(), writes=("plot",))
    if options.plot is not None:
        check_drawing()
    with progress.Progress() if options.quiet else progress.on_standard_error() as show:
        result = ladder.measure(options.operation, options.size, options.dtype, options.threads, show.measuring)
    if options.plot is not None:
        pictures.draw_ladder(result, options.plot)
    print(json.dumps(result) if options.json else ladder.as_text(result))
    return 0


def ledger_command(options: argparse.Namespace) -> int:
    """jitnet ledger."""
    check_paths(options, reads=(), writes=("plot",))
    if options.plot is not None:
        check_drawing()
    with progress.Progress() if options.quiet else progress.on_standard_error() as show:
        result = ledger.account(options.what, options.size, options.dtype, show.measuring)
    if options.plot is not None:
        pictures.draw_ledger(result, options.plot)
    print(json.dumps(result) if options.json else ledger.as_text(result))
    return 0


def doctor_command(options: argparse.Namespace) -> int:
    """jitnet doctor."""
    with progress.Progress() if options.quiet else progress.on_standard_error() as show:
        found = doctor.examine(show.measuring)
    print(json.dumps(found) if options.json else doctor.as_text(found))
    return 0 if found["healthy"] else 1
