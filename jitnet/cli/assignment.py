"""Begin an assignment: jitnet assignment new FOLDER --problem NAME.

The new folder has assignment.toml (kernels, tests, points, hints), solution.py for your solution, and a folder for the
students, with a starter file with holes and a public test; with a problem of your own, a copy of its file, too, from
which you can delete the rungs. Edit them all; then `jitnet grade FOLDER FOLDER/solution.py` must give all points, and
the starter file none.
"""

import argparse

from ..lab.grade import new
from ..process import progress


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["new"], metavar="new", help="write the files of a new assignment")
    parser.add_argument("folder", help="a new folder; its name is that of the file that students hand in")
    parser.add_argument(
        "--problem", action="append", required=True, metavar="NAME",
        help="a problem of jitnet such as matmul or prefix_sum, or the file of one; repeatable",
    )  # fmt: skip
    parser.add_argument("--title", default="", metavar="TEXT", help="the title of the assignment")


def run(options: argparse.Namespace) -> int:
    for path in new.write(options.folder, options.problem, options.title):
        print(path)
    progress.say(f"next: write solution.py, then jitnet grade {options.folder} {options.folder}/solution.py")
    return 0
