"""Grade a submission, or a folder of them, by the tests of an assignment.

A submission runs in its own process, with limits on its time and memory. It cannot write files, start processes or use
the network (Linux: Landlock and seccomp). Nothing that it prints can earn a point, because another process creates the
inputs, reads the clock and compares the outputs. An assignment lists what submissions may import. The limits do not
protect against bugs of the operating system: for strangers' code, use a container as well.
"""

import argparse
import functools
import json
from pathlib import Path
from typing import Any

from .. import backend, checks, storage
from ..lab.grade import assignment, grading, output, page
from ..process import progress
from .shared import as_json, check_paths, shown


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("assignment", help="a folder with assignment.toml")
    parser.add_argument(
        "submission", help="a Python file; or a folder of Python files, or of folders with one for each student"
    )
    parser.add_argument("--csv", metavar="FILE", help="write a table: a row for each submission")
    parser.add_argument("--html", metavar="FILE", help="write a page with all results")
    parser.add_argument("--gradescope", metavar="FILE", help="write results.json for Gradescope, for one submission")
    parser.add_argument("--seed", type=int, metavar="N", help="draw the same tests as the run that printed this seed")
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE",
        help="write one JSON object; without FILE, print it and nothing else. Put it last",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(options: argparse.Namespace) -> int:
    check_paths(options, writes=("csv", "html", "gradescope", *(["json"] if options.json not in (None, "-") else [])))
    wanted = assignment.load(options.assignment)
    found = grading.submissions(options.submission, wanted.file)
    options.one = found[0][1] in (Path(options.submission), Path(options.submission) / wanted.file)
    if options.gradescope and not options.one:
        raise checks.Error("--gradescope is for one submission; for a folder, there is --csv")
    seed = grading.new_seed() if options.seed is None else checks.whole("seed", options.seed, 0)
    backend.start()
    results: list[dict[str, Any]] = []
    try:
        with shown(options) as show:
            show.expected = grading.expected(wanted, found)
            grading.prepare(wanted, seed)
            for done, (name, path) in enumerate(found):
                say = functools.partial(_say, show, done, len(found), name)
                results.append(grading.grade(wanted, name, path, seed, say))
                _write(options, results)
    finally:  # ^C loses no result
        _print(options, results, len(found))
    return 0


def _say(show: progress.Progress, done: int, count: int, name: str, step: str) -> None:
    show.measuring(done, count, f"{name}: {step}")


def _write(options: argparse.Namespace, results: list[dict[str, Any]]) -> None:
    """Rewrite all files after each submission, so that an interruption loses no results."""
    if options.csv is not None:
        _replace(options.csv, output.as_table(results))
    if options.html is not None:
        _replace(options.html, page.as_html(results))
    if options.gradescope is not None:
        _replace(options.gradescope, json.dumps(output.as_gradescope(results[0]), indent=1))
    if options.json not in (None, "-"):
        _replace(options.json, _as_json(options, results))


def _replace(path: str, text: str) -> None:
    with storage.replacing(path) as target:
        target.write(text.encode())


def _as_json(options: argparse.Namespace, results: list[dict[str, Any]]) -> str:
    """The result of a submission, or for a folder of them `{"results": [...]}`."""
    return as_json(results[0] if options.one and results else {"results": results})


def _print(options: argparse.Namespace, results: list[dict[str, Any]], count: int) -> None:
    """The results: as JSON, in full if there is one submission, else a line for each, and the tests of the class."""
    if options.json == "-":
        print(_as_json(options, results))
    elif options.one:
        print("\n".join(map(output.as_text, results)))
    elif results:
        print(output.class_as_text(results))
    if results and len(results) < count:
        progress.say(f"jitnet: {len(results)} of {count} submissions were graded")
    elif results and not options.quiet:
        progress.say(f"to repeat these tests: --seed {results[0]['seed']}")
