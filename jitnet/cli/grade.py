"""Grade a submission, or a folder of them, by the tests of an assignment.

A submission runs in its own process, with limits on its time and memory. It cannot write files, start processes or use
the network (Linux: Landlock and seccomp). Nothing that it prints can earn a point, because another process creates the
inputs, reads the clock and compares the outputs. An assignment lists what submissions may import. The limits do not
protect against bugs of the operating system: for strangers' code, use a container as well.
"""

import argparse
import json
import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import backend, checks, storage
from ..canonical import composed
from ..lab.grade import assignment, grading, output, page, submissions, table
from ..process import progress
from .shared import as_json, check_paths, shown

AGAIN, PAUSE = 3, 5.0
"""Times that disturbed tests of speed are repeated, and the seconds between."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("assignment", help="a folder with assignment.toml")
    parser.add_argument(
        "submission", help="a Python file; or a folder of Python files, or of folders with one for each student"
    )
    parser.add_argument("--csv", metavar="FILE", help="write a table: a row for each submission; other rows of it stay")
    parser.add_argument("--html", metavar="FILE", help="write a page with all results")
    parser.add_argument("--feedback", metavar="FOLDER", help="write a page for each student, with their results alone")
    parser.add_argument("--gradescope", metavar="FILE", help="write results.json for Gradescope, for one submission")
    parser.add_argument(
        "--only", nargs="+", action="extend", metavar="NAME",
        help="grade only these submissions of a folder; write --only=-anna for a name that begins with -",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, metavar="N", help="draw the same tests as the run that printed this seed")
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE",
        help="write one JSON object; without FILE, print it and nothing else. Put it last",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(options: argparse.Namespace) -> int:
    check_paths(options, writes=("csv", "html", "gradescope", *(["json"] if options.json not in (None, "-") else [])))
    wanted = assignment.load(options.assignment)
    found = _chosen(submissions.find(options.submission, wanted.file), options.only)
    _check_replaces_no_class(options)
    options.one = found[0][1] == Path(options.submission)
    options.left_out = submissions.left_out(options.submission, wanted.file)
    if options.gradescope and not options.one:
        raise checks.Error("--gradescope is for one submission; for a folder, there is --csv")
    if options.feedback is not None:
        _make_folder(options.feedback, options.submission)
    earlier = [] if options.csv is None else table.rows_in(options.csv, wanted)
    seed = grading.new_seed() if options.seed is None else checks.whole("seed", options.seed, 0)
    backend.start()
    run = _Run(options, wanted, found, seed, earlier)
    try:
        with shown(options) as show:
            show.expected = grading.expected(wanted, found)
            show.expected_seconds = grading.expected_seconds(wanted, found)
            grading.prepare(wanted, seed)
            run.grade_all(show)
            run.time_open_ones_again(show)
    finally:  # ^C loses no result
        run.end()
    return 0


def _chosen(found: list[tuple[str, Path]], only: list[str] | None) -> list[tuple[str, Path]]:
    """The submissions that --only names."""
    if only is None:
        return found
    names = [name for name, _ in found]
    chosen = {checks.one_of("submission", _meant(name, found), names) for name in only}
    return [(name, path) for name, path in found if name in chosen]


def _meant(name: str, found: list[tuple[str, Path]]) -> str:
    """The submission of that name or file, `anna.py` or `class/ben/work.py`; systems write the letter ö in two ways."""
    if any(name == one for one, _ in found):
        return name
    if len(Path(name).parts) > 1:
        place = composed(os.path.abspath(name))
        inside = (one for one, path in found if Path(place).is_relative_to(composed(os.path.abspath(path))))
        return next(inside, name)
    return next((one for one, path in found if composed(name) in (composed(one), composed(path.name))), name)


def _check_replaces_no_class(options: argparse.Namespace) -> None:
    """Only the table keeps the results of the others."""
    for option in ("html", "json"):
        path = getattr(options, option)
        if options.only is not None and path not in (None, "-") and Path(path).exists():
            raise checks.Error(
                f"{path} exists, and would lose the results of all that --only leaves out; name another file"
            )


def _make_folder(folder: str, place: str) -> None:
    """A new folder among the submissions would be one of them in the next run."""
    if Path(place).resolve() in Path(folder).resolve().parents:
        raise checks.Error(f"--feedback {folder} is in the folder of the submissions; name a folder outside of it")
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise checks.Error(f"cannot write into the folder {folder}: {error.strerror}") from None


def _name_of_page(submission: str, place: int) -> str:
    """`anna.html`; students choose names, and a file system allows 255 bytes."""
    return f"{submission if len(submission.encode()) <= 200 else f'{submission[:40]}-{place + 1}'}.html"


class _Run:
    """The results of a run so far; all files are written again after each submission."""

    def __init__(
        self, options: argparse.Namespace, wanted: assignment.Assignment, found: list[tuple[str, Path]], seed: int,
        earlier: list[table.Row],
    ) -> None:  # fmt: skip
        self.options, self.wanted, self.found, self.seed, self.earlier = options, wanted, found, seed, earlier
        self.expected = grading.seconds_of_each(wanted, found)
        self.results: list[dict[str, Any]] = []

    def grade_all(self, show: progress.Progress) -> None:
        for done, (name, path) in enumerate(self.found):
            say = _saying(show, done, len(self.found), f"{name}: ", grading.left(self.expected, self.results))
            self.results.append(grading.grade(self.wanted, name, path, self.seed, say))
            self._write(self.results[-1])

    def time_open_ones_again(self, show: progress.Progress) -> None:
        """Tests of speed that another program disturbed, a few times; it may have ended."""
        each = grading.seconds_of_repeat(self.expected, self.results)
        for again in range(AGAIN):
            counts = [grading.open_tests(result) for result in self.results]
            places = [place for place, count in enumerate(counts) if count]
            if places and again:
                time.sleep(PAUSE)
            stage = f"repeating disturbed tests of speed ({again + 1} of at most {AGAIN} times), submission"
            for done, place in enumerate(places):
                (name, path), left = self.found[place], grading.about_left(each * sum(counts[place:]))
                start, say = time.monotonic(), _saying(show, done, len(places), f"{stage}: {name}, ", left)
                self.results[place] = grading.timed_again(self.wanted, self.results[place], path, say)
                each = (time.monotonic() - start) / counts[place]
                if again == AGAIN - 1 or not grading.open_tests(self.results[place]):
                    self._write(self.results[place])

    def _write(self, result: dict[str, Any]) -> None:
        """Rewrite all files, so that an interruption loses no results; and print the row of this submission."""
        options, results = self.options, self.results
        if options.csv is not None:
            storage.put(options.csv, table.as_table(self.wanted, results, self.earlier).encode(table.ENCODING))
        if options.html is not None:
            storage.put(options.html, page.as_html(results).encode())
        if options.feedback is not None:
            name = _name_of_page(result["submission"], results.index(result))
            storage.put(Path(options.feedback, name), page.as_html([result]).encode())
        if options.gradescope is not None:
            storage.put(options.gradescope, json.dumps(output.as_gradescope(results[0]), indent=1).encode())
        if options.json not in (None, "-"):
            storage.put(options.json, _as_json(options, results).encode())
        if options.json != "-" and not options.one:
            print(output.row_of(result), flush=True)

    def end(self) -> None:
        """The results as JSON; or in full, if there is one submission; or the tests of the class. And what is left."""
        options, results = self.options, self.results
        if options.json == "-":
            print(_as_json(options, results))
        elif options.one:
            print("\n".join(map(output.as_text, results)))
        elif results:
            print(output.class_as_text(results, options.left_out))
        if results and self.earlier:
            progress.say(f"{options.csv}: {table.replaced(results, self.earlier)}")
        others, still_open = self.found[len(results) :], [r["submission"] for r in results if grading.open_tests(r)]
        if results and others:
            progress.say(
                f"jitnet: {len(results)} of {len(self.found)} submissions were graded; to continue with the same "
                f"tests: {self._only([name for name, _ in others])}"
            )
        elif results and not options.quiet:
            progress.say(f"to repeat these tests: --seed {self.seed}")
        if still_open:
            names = "" if options.one else f": {self._only(still_open)}"
            progress.say(
                f"points for speed are open, because the machine was busy; run it again when it is idle{names}"
            )

    def _only(self, names: list[str]) -> str:
        """The options that grade only these submissions."""
        dashed = [f"--only={name}" for name in names if name.startswith("-")]
        others = [name for name in names if not name.startswith("-")]
        return shlex.join(["--seed", str(self.seed), *dashed, *(["--only", *others] if others else [])])


def _saying(show: progress.Progress, done: int, count: int, name: str, left: str) -> Callable[[str], None]:
    """A callback for the steps of a submission."""
    return lambda step: show.measuring(done, count, f"{name}{step}{left}")


def _as_json(options: argparse.Namespace, results: list[dict[str, Any]]) -> str:
    """The result of a submission, or for a folder of them `{"results": [...]}`."""
    return as_json(results[0] if options.one and results else {"results": results})
