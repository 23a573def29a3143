"""What the commands of the lab do. Their words are in cli.py, which imports this file when one of them is called."""

import argparse
import json

from .. import progress
from . import machine


def machine_command(options: argparse.Namespace) -> int:
    """jitnet machine."""
    with progress.Progress() if options.quiet else progress.on_standard_error() as show:
        found = machine.limits(options.again, show.measuring)
    print(json.dumps(found) if options.json else machine.as_text(found))
    return 0
