"""Measure the machine peaks once and save them: multiply-adds per second, and the bandwidth of each cache."""

import argparse
import json

from ..lab import estimate, machine
from .shared import measuring, output_options


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--again", action="store_true", help="measure again, and replace the saved peaks")
    output_options(parser)


def run(options: argparse.Namespace) -> int:
    with measuring(options, estimate.LIMITS) as show:
        found = machine.limits(options.again, show.measuring)
    print(json.dumps(found) if options.json else machine.as_text(found))
    return 0
