"""Create an assignment: jitnet assignment new FOLDER --problem NAME.

The new folder contains assignment.toml (kernels, tests, points, hints), solution.py for your solution, and a folder for
the students with a starter file and a public test. If the problem is your own, that folder also has a copy of its file;
delete the rungs in it if students should find them on their own. Edit all files until `jitnet grade FOLDER
FOLDER/solution.py` gives all points to the solution and none to the starter file. `update` writes the public test and
the rules in the starter file's docstring again, so that they agree with assignment.toml; if `file` has
another name there, the starter file gets it.
"""

import argparse
from pathlib import Path

from .. import checks
from ..lab import problems
from ..lab.grade import assignment, new, student
from ..process import progress


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", choices=["new", "update"], metavar="new|update",
        help="write the files of a new assignment, or the students' rules and public test again",
    )  # fmt: skip
    parser.add_argument("folder", help="a new folder; the file that students hand in gets its name")
    parser.add_argument(
        "--problem", action="append", default=[], metavar="NAME",
        help="a problem of jitnet such as matmul or prefix_sum, or a problem file; repeatable",
    )  # fmt: skip
    parser.add_argument("--title", default="", metavar="TEXT", help="the title of the assignment")


def run(options: argparse.Namespace) -> int:
    if options.action == "update":
        if options.problem or options.title:
            raise checks.Error("update takes no --problem and no --title; edit assignment.toml")
        written, notes = student.update(assignment.load(options.folder))
        for path in written:
            print(path)
        for note in notes:
            progress.say(f"jitnet: {note}")
        return 0
    if not options.problem:
        raise checks.Error("a new assignment needs a problem: --problem matmul")
    for path in new.write(options.folder, options.problem, options.title):
        print(path)
    for spec in options.problem:
        problem = problems.load(spec)
        rungs = [name for name in problem.rungs if name != "numpy"] if spec.endswith(".py") else []
        if rungs:
            copy = Path(options.folder, student.FOLDER, Path(spec).name)
            shown = ", ".join(rungs)
            progress.say(f"{copy} shows students the rungs {shown}; to hide them, delete them and RUNGS in it")
        if why := new.only_naive(spec, problem):
            progress.say(why)
    solution = f"{options.folder}/solution.py"
    progress.say(f"next: fill the gaps in {solution}, then jitnet grade {options.folder} {solution}")
    return 0
