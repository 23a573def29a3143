"""Check everything that jitnet needs and print the command that fixes each problem; exit status 1 if there is one."""

import argparse
import json

from ..lab import doctor
from .shared import output_options, shown


def add_options(parser: argparse.ArgumentParser) -> None:
    output_options(parser)


def run(options: argparse.Namespace) -> int:
    with shown(options) as show:
        found = doctor.examine(show.measuring)
    print(json.dumps(found) if options.json else doctor.as_text(found))
    return 0 if found["healthy"] else 1
