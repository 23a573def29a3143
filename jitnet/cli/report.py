"""Time every rung of some operations, explain each, and write the results as one HTML file."""

import argparse
import json

from ..lab import compile_cost, estimate, formatting, report
from ..lab.benchmark.candidates import known
from ..process import disturbance
from .shared import check_paths, measuring, measuring_options, output_options


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("operations", nargs="*", default=["matmul"], metavar="OPERATION", help="matmul (default), ...")
    measuring_options(parser)
    parser.add_argument("--out", default="report.html", metavar="FILE", help="where to write (default report.html)")
    output_options(parser)


def run(options: argparse.Namespace) -> int:
    check_paths(options, writes=("out",))
    for operation in options.operations:
        known(operation)
    report.check_report()
    expected = estimate.of_report(options.operations, compile_cost.WARM, report.rungs_on_gpu(options.operations))
    with measuring(options, expected) as show:
        found = report.investigate(options.operations, options.size, options.dtype, options.threads, show.measuring)
    report.write(found, options.out, "jitnet report " + " ".join(options.operations))
    reasons = dict.fromkeys(reason for chapter in found["chapters"] for part in ("ladder", "compile_cost")
                            for reason in chapter[part]["disturbed_by"])  # fmt: skip
    text = formatting.wrapped(f"{options.out}: open it in a browser", disturbance.sentence(reasons))
    print(json.dumps(found) if options.json else "\n".join(text))
    return 0
