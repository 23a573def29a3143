"""Results of a grader: as text, and in Gradescope's format."""

import statistics
import textwrap
from typing import Any

from ... import checks
from ...process import disturbance
from ..formatting import WIDTH, wrapped

MARKS = {True: "✓", False: "✗", None: "–"}
UNJUDGED = "not judged"
RACY = "fails 'no race'"
"""The end of what the other tests of a kernel with a race say; that one names the race."""


def number(points: float) -> str:
    """`3`, `2.5`."""
    return f"{points:.2f}".rstrip("0").rstrip(".")


def one_line(text: str) -> str:
    """Text from a submission, shortened to one line without control characters by `checks.Error`."""
    return str(checks.Error(" ".join(text.split())))


def as_text(result: dict[str, Any]) -> str:
    """A submission: its points, then each test; what happened, if points were lost or a time measured; and the hint."""
    lines = [headline(result), ""]
    for test, said in said_once(result["tests"]):
        points = MARKS[None] if test["passed"] is None else number(test["points"])
        lines.append(f"{MARKS[test['passed']]} {points:>4} of {number(test['of'])}  {test['test']}")
        if not test["passed"] or test["check"] == "speed":
            texts = [said, f"Hint: {test['hint']}" if test["hint"] else ""]
            lines += [
                "    " + line for text in texts for line in textwrap.wrap(text, WIDTH - 4, break_on_hyphens=False)
            ]
    notes = wrapped(*notes_of(result))
    return "\n".join([*lines, *([""] if notes else []), *notes])


def said_once(tests: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
    """Tests with what happened; if it is the same as for the test before, "as above", or nothing if it passed."""
    before = [None, *(test["said"] for test in tests)]
    return [
        (test, one_line(test["said"]) if test["said"] != last else "" if test["passed"] else "as above")
        for test, last in zip(tests, before, strict=False)
    ]


def headline(result: dict[str, Any]) -> str:
    return f"{result['submission']}: {points_of(result)}"


def points_of(result: dict[str, Any]) -> str:
    """`6 of 8 points`; `6 of 6 points, 1 test not judged`: those points are not in the sum."""
    points = f"{number(result['points'])} of {number(result['of'])} points"
    unjudged = sum(test["passed"] is None for test in result["tests"])
    return points + (f", {checks.count(unjudged, 'test')} not judged" if unjudged else "")


def score(test: dict[str, Any]) -> str:
    """The points of a test; one that was not judged counts neither as 0 nor as full marks."""
    return UNJUDGED if test["passed"] is None else number(test["points"])


def row_of(result: dict[str, Any]) -> str:
    """A submission of a class: its points, the first that it lost, and the first test that could not be judged."""
    text = "; ".join(filter(None, (headline(result), first_lost(result), first_unjudged(result), result["note"])))
    return textwrap.fill(text, WIDTH, subsequent_indent="    ", break_on_hyphens=False)


def median_of(results: list[dict[str, Any]]) -> str:
    """`median 4.5 of 8 points`; a test that was not judged does not count, so submissions can differ in their sum."""
    most = max(result["of"] for result in results)
    return f"median {number(statistics.median(result['points'] for result in results))} of {number(most)} points"


def passed_by(results: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """Each test of a class: its name, how many submissions passed it, and for how many it was judged."""
    rows = zip(*(result["tests"] for result in results), strict=True)
    return [
        (row[0]["test"], sum(test["passed"] is True for test in row), sum(test["passed"] is not None for test in row))
        for row in rows
    ]


def class_as_text(results: list[dict[str, Any]], left_out: list[str]) -> str:
    """Below the rows: the median, how many passed each test, and what was left out."""
    lines = ["", f"{checks.count(len(results), 'submission')}, {median_of(results)}; passed by:"]
    lines += [f"{passed:>4} of {judged:<4} {test}" for test, passed, judged in passed_by(results)]
    others = f"left out, because it is no submission: {checks.some(left_out)}" if left_out else ""
    return "\n".join([*lines, *wrapped(others)])


def first_lost(result: dict[str, Any]) -> str:
    """`add is wrong: ...`, `add fails 'no race': ...`, or what is wrong with the file; "" if no points were lost."""
    if result["refused"]:
        return str(result["refused"])
    for test in result["tests"]:
        if test["passed"] is False:
            if test["said"].endswith(RACY):
                of_kernel = (other for other in result["tests"] if other["kernel"] == test["kernel"])
                test = next((other for other in of_kernel if other["check"] == "no race"), test)
            title = test["test"].removeprefix(f"{test['kernel']}: ")
            fails = "" if test["check"] == "correct" else f" fails '{title}':"
            return f"{test['kernel']}{fails} {one_line(test['said'])}"
    return ""


def first_unjudged(result: dict[str, Any]) -> str:
    """`add: no race: not judged: ...`; "" if all tests were judged."""
    unjudged = (test for test in result["tests"] if test["passed"] is None)
    return next((f"{test['test']}: {one_line(test['said'])}" for test in unjudged), "")


def notes_of(result: dict[str, Any]) -> list[str]:
    """Notes that a reader of the result must see."""
    notes = [f"{result['note'][0].upper()}{result['note'][1:]}."] if result["note"] else []
    if result["unfenced"]:
        notes.append(f"On this system the submission could {result['unfenced']}: grade strangers' code in a container.")
    # a test that is judged was clearly passed, or clearly not
    if result["disturbed_by"] and any(test["passed"] is None for test in result["tests"]):
        notes.append(disturbance.sentence(result["disturbed_by"]))
    return notes


def as_gradescope(result: dict[str, Any]) -> dict[str, Any]:
    """The content of results.json, as Gradescope's documentation describes it."""
    tests = [
        {
            "name": test["test"], "score": test["points"], "max_score": test["of"],
            "status": "passed" if test["passed"] else "failed",
            "output": one_line(test["said"]) + (f"\nHint: {test['hint']}" if test["hint"] else ""),
        }
        for test in result["tests"] if test["passed"] is not None
    ]  # fmt: skip
    return {
        "score": result["points"], "execution_time": round(result["seconds"]), "visibility": "visible",
        "output": " ".join([f"{result['assignment']}: {headline(result)}.", *notes_of(result)]), "tests": tests,
    }  # fmt: skip
