"""Results of a grader as one HTML page, which loads nothing and contains no script.

All texts are escaped here, because submissions choose names of files and messages of exceptions.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from ... import checks
from .output import MARKS, median_of, notes_of, number, one_line, passed_by, points_of, said_once, score

CSS = Path(__file__).parents[1] / "templates" / "page.css"

STYLE = """
body { max-width: 60rem; }
td:nth-child(2), th:nth-child(2) { text-align: left; }
.tests td { vertical-align: top; }
.tests td:first-child { width: 1.5rem; font-weight: 600; }
.tests td:last-child { white-space: nowrap; }
.tests tr.lost td:first-child { color: var(--orange); }
.tests tr.passed td:first-child { color: var(--green); }
.tests p { margin: .1rem 0 .4rem; color: var(--faint); overflow-wrap: anywhere; }
.tests p.hint { color: var(--ink); }
table.class { width: auto; min-width: 24rem; margin-bottom: 1.5rem; }
progress { width: 8rem; accent-color: var(--green); vertical-align: middle; }
"""

CLASS = {True: "passed", False: "lost", None: "unjudged"}


def as_html(results: list[dict[str, Any]]) -> str:
    """A page of one submission, or of a class: a table, then the tests of each."""
    title = escape(results[0]["assignment"])
    return "\n".join([
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f'<title>{title}: results</title>\n<link rel="icon" href="data:,">',
        f"<style>{CSS.read_text(encoding='utf-8')}{STYLE}</style>\n</head>\n<body>",
        f'<header><p class="overline">jitnet grade</p><h1>{title}</h1></header>\n<main>',
        *(_class(results) if len(results) > 1 else []),
        *(part for place, result in enumerate(results) for part in _submission(place, result)),
        f"</main>\n<footer><p>To repeat these tests: --seed {results[0]['seed']}</p></footer>\n</body>\n</html>\n",
    ])  # fmt: skip


def _class(results: list[dict[str, Any]]) -> list[str]:
    """The tables of a class: its submissions, and how many passed each test."""
    submissions = [
        (f'<a href="#s{place}">{escape(one_line(result["submission"]))}</a>', result["points"], result["of"],
         points_of(result))
        for place, result in enumerate(results)
    ]  # fmt: skip
    tests = [(escape(test), passed, judged, f"{passed} of {judged}") for test, passed, judged in passed_by(results)]
    return [
        f"<p>{checks.count(len(results), 'submission')}, {median_of(results)}</p>",
        *_bars("test", "passed by", tests),
        *_bars("submission", "points", submissions),
    ]


def _bars(what: str, count: str, rows: Sequence[tuple[str, float, float, str]]) -> list[str]:
    """A table with a bar in each row: its name, how much of how much, and the same as text."""
    return [
        f'<table class="class">\n<thead><tr><th scope="col">{what}</th><th scope="col"></th>'
        f'<th scope="col">{count}</th></tr></thead>\n<tbody>',
        *(
            f'<tr><td>{name}</td><td><progress value="{part:g}" max="{max(whole, 1e-9):g}"></progress></td>'
            f"<td>{said}</td></tr>"
            for name, part, whole, said in rows
        ),
        "</tbody>\n</table>",
    ]


def _submission(place: int, result: dict[str, Any]) -> list[str]:
    return [
        f'<section id="s{place}">\n<h2>{escape(one_line(result["submission"]))}: {points_of(result)}</h2>',
        *(f"<p><small>{escape(note)}</small></p>" for note in notes_of(result)),
        '<table class="tests">\n<tbody>',
        *(_test(test, said) for test, said in said_once(result["tests"])),
        "</tbody>\n</table>\n</section>",
    ]


def _test(test: dict[str, Any], said: str) -> str:
    """The row of a test. What happened is shown for passed tests too: it has the times."""
    said = f"<p>{escape(said)}</p>" if said else ""
    of = "" if test["passed"] is None else f" of {number(test['of'])}"
    hint = f'<p class="hint">Hint: {escape(test["hint"])}</p>' if test["hint"] else ""
    return (
        f'<tr class="{CLASS[test["passed"]]}"><td>{MARKS[test["passed"]]}</td>'
        f"<td>{escape(test['test'])}{said}{hint}</td>"
        f"<td>{score(test)}{of}</td></tr>"
    )
