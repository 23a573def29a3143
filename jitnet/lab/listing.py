"""Explanations on a terminal: verdicts, and the source next to the machine code."""

import shutil
import textwrap
from collections import defaultdict
from pathlib import Path
from typing import Any

from ..display import markup
from ..process import disturbance
from . import formatting
from .machine_code import sources
from .machine_code.assembly import Place
from .machine_code.measurement import in_words
from .machine_code.verdicts import to_fix

WIDTH = min(100, max(formatting.WIDTH, shutil.get_terminal_size((100, 24)).columns))
NAME = 20
SOURCE = WIDTH * 4 // 5 - 30
LEAST = 24
"""Columns: of the whole text (100, or fewer on a narrower terminal), of the name of a verdict, of the source at the
machine code, and the fewest that a long instruction leaves to the source."""

PORTS = (
    "A port starts one instruction per cycle; a chain of dependent instructions waits for its own results; the front "
    "end delivers the instructions. The largest should be the limit, if the data are in the L1 cache."
)
SYNTAX = (
    "The last operand of an instruction is its target; parentheses mean an address in memory. %xmm, %ymm and %zmm are "
    "vector registers of 128, 256 and 512 bits, %k masks; the others hold integers and addresses."
)
SYNTAX_OF_ARM = (
    "The first operand of an instruction is its target, except in a store; brackets mean an address in memory. v, q, d "
    "and s are vector registers, of 128 bits or a part of them; x and w hold integers and addresses."
)
LINES = 8
"""Lines of the profile that are shown."""

MARKS = {True: "✓", False: "✗", None: "·"}
KEY = "✓ good   ✗ to fix   · neither: may be unavoidable"

_PACKAGE = Path(__file__).parents[2]


def short(file: str) -> str:
    """The name of a file relative to the working folder, or to the package."""
    for folder in (Path.cwd(), _PACKAGE):
        if Path(file).is_relative_to(folder):
            return str(Path(file).relative_to(folder))
    return file


def line_of(file: str, line: int) -> str:
    text = sources.text_of(file)
    return text[line - 1] if 0 < line <= len(text) else ""


def functions_around(places: list[Place]) -> list[dict[str, Any]]:
    """The functions that contain these lines, in this order: file, function, first, lines."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for file, line in places:
        if file:
            name, first, last = sources.function_around(file, line)
            lines = list(sources.text_of(file)[first - 1 : last])
            found.setdefault((file, first), {"file": file, "function": name, "first": first, "lines": lines})
    return list(found.values())


def wrapped(text: str, head: str = "") -> list[str]:
    """Lines of text, behind a head in its own column if there is one."""
    indent = NAME if head else 0
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"{head:{indent - 1}} " if indent else "", subsequent_indent=" " * indent,
        break_on_hyphens=False,
    )  # fmt: skip


class Explanation(dict[str, Any]):
    """The result of `explain`: a dict, which a notebook shows as its verdicts and the instructions."""

    def _repr_html_(self) -> str:
        rows = [
            [f"{MARKS[v['good']]} {v['name']}", v["answer"], v["evidence"], v["fix"] if v["good"] is False else ""]
            for v in self["verdicts"]
        ]
        loop = self["loop"]
        place = f"{short(loop['file'])}, line {loop['line']}, in {loop['function']}"
        listing = "\n".join(beside(self["instructions"], loop, "instructions"))
        cycles = "\n".join([*cycles_of(self), "", *profile_of(self)])
        return (
            markup.table(
                f"{self['target']}: {self['summary']}", ["", "verdict", "evidence", "fix"], rows, KEY, figures=False
            )
            + markup.folded("cycles and source lines", cycles)
            + markup.folded(f"{len(self['instructions'])} instructions of {place}", listing)
        )


def judged(found: dict[str, Any]) -> list[str]:
    """The verdicts, the summary, and each fix once."""
    lines = []
    for verdict in found["verdicts"]:
        lines += wrapped(f"{verdict['answer']} ({verdict['evidence']})", f"{MARKS[verdict['good']]} {verdict['name']}")
    lines += ["", *wrapped(found["summary"])]
    fixes: dict[str, list[str]] = {}
    for verdict in to_fix(found["verdicts"]):
        fixes.setdefault(verdict["fix"], []).append(verdict["name"])
    for fix, names in fixes.items():
        lines += wrapped(fix, f"→ {names[0]}")
    return lines


def by_line(
    weights: list[tuple[Place, float]], samples: int | None = None, waiting: int | None = None
) -> dict[str, Any]:
    """samples, waiting, lines, elsewhere: the sums of the shares of each line, largest first, and the rest to 1."""
    sums: dict[Place, float] = defaultdict(float)
    for place, share in weights:
        sums[place] += share
    lines = [
        {"file": file, "line": line, "source": line_of(file, line).partition("  #")[0].strip(), "share": share}
        for (file, line), share in sorted(sums.items(), key=lambda item: -item[1])
        if share > 0
    ]
    return {"samples": samples, "waiting": waiting, "lines": lines, "elsewhere": max(0.0, 1 - sum(sums.values()))}


def cycles_of(found: dict[str, Any]) -> list[str]:
    """The predicted and measured cycles of an iteration."""
    cycles, taken = found["cycles"], found["measured"]
    lines = []
    if cycles["missing"]:
        lines += wrapped(cycles["missing"])
    else:
        limit, port = cycles["limit"], cycles["port"]
        lines += wrapped(f"Cycles of one iteration, predicted by {cycles['program']} for {cycles['model']}:")
        divider = cycles["divider"]
        lines += _figures([
            ("busiest port", port["cycles"], f"{port['name']}, {port['does']}"),
            *([("divider", divider["cycles"], f"{divider['name']}, divisions and roots")] if divider else []),
            ("dependency chain", cycles["chain"]["cycles"], ""),
            *([("front end", cycles["front_end"]["cycles"], "")] if cycles["front_end"] else []),
        ], limit, not (taken or {}).get("contradicts"))  # fmt: skip
    if taken and not taken["missing"]:
        lines += ["Cycles of one iteration:"] if cycles["missing"] else []
        lines += _figures([("measured", taken["cycles"], in_words(taken))])
        lines += wrapped(f"→ {taken['means']}") if taken["means"] else []
        lines += wrapped(disturbance.sentence(taken["disturbed_by"]))
    elif taken:
        lines += wrapped(f"Not measured: {taken['missing']}.")
    for note in cycles["notes"]:
        lines += wrapped(f"Note: {note}.")
    return [*lines, *(wrapped(PORTS) if not cycles["missing"] else [])]


def _figures(rows: list[tuple[str, float, str]], limit: str = "", is_marked: bool = True) -> list[str]:
    """Rows of a figure, its name, and more about it; the limit is the first, and marked unless it is in doubt."""
    found = []
    for name, figure, more in sorted(rows, key=lambda row: row[0] != limit):
        first, *rest = textwrap.wrap(more, WIDTH - 40) or [""]
        found.append(f"{figure:8.1f}  {name + ' (the limit)' * (is_marked and name == limit):30}{first}".rstrip())
        found += [" " * 40 + line for line in rest]
    return found


def profile_of(found: dict[str, Any]) -> list[str]:
    """The share of each source line."""
    lines = found["lines"]
    if lines is None:
        return []
    taken = found["measured"]
    if lines["samples"]:
        title = f"Source lines of the whole function by {lines['samples']} samples of its run:"
        if lines["waiting"]:
            share = lines["waiting"] / (lines["samples"] + lines["waiting"])
            title = f"{title[:-1]}, without the {share:.0%} in which threads wait for work:"
    else:
        why = f"; there are no samples: {taken['no_samples']}" if taken and taken.get("no_samples") else ""
        title = f"Source lines of this loop by predicted cycles, not by a measurement{why}:"
    rows = [
        (row["share"], f"{short(row['file'])}:{row['line']}  {row['source']}") for row in lines["lines"] if row["line"]
    ]
    merged = sum(row["share"] for row in lines["lines"] if not row["line"])
    shown = rows[:LINES]
    if rest := sum(share for share, _ in rows[LINES:]):
        shown.append((rest, "other lines"))
    shown.append((merged, "no line: instructions that the compiler added, or merged from several lines"))
    shown.append((lines["elsewhere"], "outside: called functions, Numba's runtime"))
    return [*wrapped(title), *(_cut(f"{share:8.0%}  {what}", WIDTH) for share, what in shown if share >= 0.005)]


def beside(instructions: list[dict[str, Any]], loop: dict[str, Any], title: str, run: int = 0) -> list[str]:
    """The source on the left, its instructions on the right, in their order.

    run     how many equal instructions in a row for one line are shown; the others are counted. 0: all
    """
    lines = [_abreast("line  source", title), "─" * WIDTH]
    header = line_of(loop["file"], loop["line"])
    margin = len(header) - len(header.lstrip())
    before: Place = ("", 0)
    file = loop["file"]
    alike = 0
    last = None
    for instruction in instructions:
        place = instruction["file"], instruction["line"]
        does = place, instruction["text"].split()[0]
        alike = alike + 1 if does == last else 1
        if run and alike > run:
            lines[-1 if alike > run + 1 else len(lines) :] = [f"{'':{SOURCE}}  … {alike - run} more of {does[1]}"]
            continue
        last = does
        left = ""
        if place != before and place[1]:
            if place[0] != file:
                file = place[0]
                lines.append(_cut(f"      in {short(file)}:", WIDTH))
            code = line_of(*place)
            code = code[min(margin, len(code) - len(code.lstrip())) :] if file == loop["file"] else code.strip()
            code = code.partition("  #")[0] if len(code) > SOURCE - 6 else code
            left = f"{place[1]:4}  {code}"
            before = place
        called = f"  # {instruction['comment']}" if instruction["text"].startswith("call") else ""
        lines.append(_abreast(left, instruction["text"], called))
    return [*lines, "─" * WIDTH]


def _abreast(left: str, right: str, more: str = "") -> str:
    """A line of two columns; a long right one takes space from the left one."""
    room = WIDTH - 2 - len(right)
    source = min(SOURCE, room) if room >= LEAST else SOURCE
    return f"{_cut(left, source):{source}}  {_cut(right + more, WIDTH - source - 2)}".rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
