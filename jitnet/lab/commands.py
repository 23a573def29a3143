"""What the commands of the lab do. Their words are in cli.py, which imports this file when one of them is called."""

import argparse
import json

from .. import progress
from ..commands import check_paths
from ..plots import check_drawing
from . import explain, ladder, machine, pictures


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


def explain_command(options: argparse.Namespace) -> int:
    """jitnet explain."""
    with progress.Progress() if options.quiet else progress.on_standard_error() as show:
        found = explain.explain(
            options.target, options.dtype, options.args, options.types, options.options, show.measuring
        )
    print(json.dumps(found) if options.json else explain.as_text(found))
    return 0
