"""The results of the lab as one HTML file, which loads nothing from the network.

Jinja2 renders the files in templates/, and Pygments highlights code. The extra `lab` installs both.
"""

import datetime
import functools
import importlib.util
import math
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np

from .. import __version__, backend, checks, storage
from ..backend import cuda
from ..kernels import LADDERS
from ..process import disturbance
from ..process.progress import Report, ignore, stage
from . import compile_cost, explain, ladder, ladder_table, machine
from .benchmark.candidates import known
from .formatting import SPEEDS, count, duration, nothing_to_fix, ratio, share, spread
from .listing import short
from .machine_code.cycles import LIMITS
from .problems import size_in_words
from .templates.charts import roofline_places

TEMPLATES = Path(__file__).parent / "templates"
NOT_COMPILED = ("python", "numpy")
COUNTED = "64x784x128"
"""The size of the arguments with which the iterations of loops are counted, to find the hottest."""


def check_report() -> None:
    """Raise before the measurements if the packages for the page are missing."""
    missing = [name for name in ("jinja2", "pygments") if importlib.util.find_spec(name) is None]
    if missing:
        raise checks.Error(f"a report needs {' and '.join(missing)}: pip install 'jitnet[lab]'")


def investigate(
    operations: Sequence[str] = ("matmul",), size: str | int = 512, dtype: str = "float32", threads: int | None = None,
    report: Report = ignore,
) -> dict[str, Any]:  # fmt: skip
    """The content of the page, as one JSON object.

    Keys: machine, chapters: a list of ladder (of `ladder.measure`), explanations (rung -> the result of
    `explain.explain`; none for a training step, and on machines that it does not support), compile_cost (of
    `compile_cost.account`), gpu (of `on_gpu`); versions, date.
    """
    wanted = dict.fromkeys(known(operation) for operation in operations)  # each once
    ladder.shape_of(size)  # errors come before the measurements
    checks.dtype_of(dtype)
    backend.check_threads(threads, "fast")
    limits = machine.limits(report=stage("machine peaks", report))
    chapters = []
    for operation in wanted:
        in_chapter = stage(operation, report)
        measured = ladder.measure(operation, size, dtype, threads, in_chapter, limits)
        names = [name for name in LADDERS.get(operation, {}) if name not in NOT_COMPILED and explain.is_readable()]
        counted = COUNTED if explain.can_run() else None
        requests = [{"target": f"{operation}.{name}", "dtype": dtype, "run": counted, "times": False} for name in names]
        explained = explain.explain_all(requests, stage("explaining", in_chapter)) if requests else []
        costs = compile_cost.account(operation, dtype=dtype, report=stage("compile cost", in_chapter))
        chapters.append({
            "ladder": measured, "explanations": dict(zip(names, explained, strict=True)), "compile_cost": costs,
            "gpu": on_gpu(operation, size, stage("the GPU", in_chapter)),
        })  # fmt: skip
    return {
        "machine": limits, "chapters": chapters, "date": datetime.date.today().isoformat(),
        "versions": {
            "jitnet": __version__, "Python": platform.python_version(), "numba": numba.__version__,
            "llvmlite": llvmlite.__version__, "NumPy": np.__version__,
        },
    }  # fmt: skip


def on_gpu(operation: str, size: str | int = 512, report: Report = ignore) -> dict[str, Any] | None:
    """An operation on the GPU; None if it has no GPU kernels, or they cannot be compiled.

    Keys: explanations (rung -> the result of `gpu.explaining.explain`, for the GPU of this machine or else for 9.0),
    ladder (of `ladder.measure_gpu`; None without a GPU), obstacle (why there is no GPU, or None).
    """
    if importlib.util.find_spec("numba_cuda") is None:
        return None
    from ..kernels.cuda import LADDERS as KERNELS
    from .gpu import explaining
    from .gpu.running import CAPABILITY

    if operation not in KERNELS or explaining.obstacle():
        return None
    obstacle = cuda.obstacle()
    capability = CAPABILITY if obstacle else explaining.at_hand()
    return {
        "explanations": {
            name: explaining.explain(f"{operation}.{name}", capability, report=report)
            for name, rung in KERNELS[operation].items()
            if rung.capability <= capability
        },
        "ladder": None if obstacle else ladder.measure_gpu(operation, size, report),
        "obstacle": obstacle,
    }


def rungs_on_gpu(operations: Sequence[str]) -> int:
    """The number of GPU rungs that a report on these operations explains."""
    if importlib.util.find_spec("numba_cuda") is None:
        return 0
    from ..kernels.cuda import LADDERS as KERNELS

    return sum(len(KERNELS.get(operation, ())) for operation in operations)


def write(found: dict[str, Any], path: str | Path, command: str = "jitnet report") -> None:
    """Write the page atomically."""
    storage.put(path, as_html(found, command).encode())


def as_html(found: dict[str, Any], command: str = "jitnet report") -> str:
    """The page, with style, script and plots inline."""
    import jinja2
    from markupsafe import Markup

    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    picture = templates.get_template("roofline.svg")
    chapters = [_chapter(chapter) for chapter in found["chapters"]]
    for chapter, source in zip(chapters, found["chapters"], strict=True):
        roofline = source["ladder"]["roofline"]
        chapter["roofline"] = Markup(picture.render(roofline_places(roofline))) if roofline else ""
    limits = found["machine"]
    return templates.get_template("report.html").render(
        chapters=chapters, machine=limits, limits=list(machine.rows(limits)), counts=list(limits["peak"]["float32"]),
        date=found["date"], command=command, disturbed=disturbance.sentence(limits["disturbed_by"]),
        versions=", ".join(f"{name} {version}" for name, version in found["versions"].items()),
        style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")), colors=Markup(_colors()),
        script=Markup((TEMPLATES / "report.js").read_text(encoding="utf-8")),
    )  # fmt: skip


def _chapter(chapter: dict[str, Any]) -> dict[str, Any]:
    """One operation as the templates need it: texts and widths of bars."""
    result, costs = chapter["ladder"], chapter["compile_cost"]
    operation, threads = result["operation"], result["threads"]
    key, digits = SPEEDS[result["unit"]], 2 if result["disturbed"] else 3
    rates = [rung[key] for rung in result["rungs"]]
    floor = min(rates) / 2  # so that the slowest rung has a bar too
    limit = max([*rates, *(rung[key] / rung["share_of_peak"] for rung in result["rungs"] if rung["share_of_peak"])])
    rungs = []
    for rung in result["rungs"]:
        name = rung["name"]
        explained = chapter["explanations"].get(name)
        entry = {
            "id": f"{operation}-{name}", "name": name, "idea": rung["idea"], "kind": _kind(name),
            "rate": f"{rung[key]:.4g}", "time": duration(rung["seconds"]),
            "spread": spread(rung["low"], rung["seconds"], rung["high"]),
            "speedup": ratio(rung["speedup"], digits),
            "gain": ratio(rung["gain"], digits, 2) if rung["gain"] else "",
            "share_of_peak": share(rung["share_of_peak"]), "share_of_numpy": ladder_table.vs_numpy(rung),
            "width": round(100 * math.log(rung[key] / floor) / math.log(limit / floor), 1),
            "smaller": "" if rung["shape"] == result["shape"] else f" (at {_size(operation, rung['shape'])})",
            "explained": explained is not None,
        }  # fmt: skip
        rungs.append(entry | (_explained(entry["id"], explained, _reached(result, rung)) if explained else {}))
    return {
        "operation": operation, "shape": _size(operation, result["shape"]), "dtype": result["dtype"],
        "unit": result["unit"], "threads": count(threads, "thread"), "several": threads > 1,
        "limit": result["limit"], "rungs": rungs, "disturbed": disturbance.sentence(result["disturbed_by"]),
        "compile_cost": {
            "subject": compile_cost.subject(costs), "unit": compile_cost.unit_of(costs),
            "table": compile_cost.table(costs),
            "disturbed": disturbance.sentence(costs["disturbed_by"]),
        },
        "gpu": _gpu(chapter["gpu"]) if chapter["gpu"] else None,
    }  # fmt: skip


def _gpu(found: dict[str, Any]) -> dict[str, Any]:
    """The rungs of the GPU as rows of a table, with their speed if there was a GPU."""
    measured = found["ladder"]
    names = ["registers", "spilled", "shared", "warps", "limited by", "multiply-adds per load", "bytes", "useful"]
    if measured:
        names += [measured["unit"], "time"]
    rungs = {rung["name"]: rung for rung in measured["rungs"]} if measured else {}
    rows = []
    for name, explained in found["explanations"].items():
        launch = next(launch for launch in explained["launches"] if launch["main"])
        known, each = launch["registers"] is not None, explained["counts"]["per_load"]
        cells = [
            launch["registers"] if known else "?", f"{launch['spilled']} B" if known else "?",
            f"{launch['shared']:,} B", f"{launch['warps']}/{launch['most_warps']}" if known else "?",
            launch["limits"] or "", "" if each is None else f"{each:.3g}",
            f"{explained['counted']['bytes']:.3g}", share(explained["counted"]["useful"]),
        ]  # fmt: skip
        if name in rungs:
            rung = rungs[name]
            about = spread(rung["low"], rung["seconds"], rung["high"])
            cells += [f"{rung[SPEEDS[measured['unit']]]:.4g}", f"{duration(rung['seconds'])} {about}"]
        bad = [verdict for verdict in explained["verdicts"] if verdict["good"] is False]
        rows.append({
            "name": name, "cells": [*cells, *([""] * (len(names) - len(cells)))], "bad": bad,
            "idea": explained["idea"].partition(" Reads ")[0].replace("`", ""),
        })  # fmt: skip
    first = next(iter(found["explanations"].values()))
    return {
        "names": names, "rows": rows, "capability": first["capability"], "compiler": first["compiler"],
        "measured": ladder_table.subject(measured) if measured else "", "obstacle": found["obstacle"],
        "command": f"jitnet explain {first['target']} --backend cuda",
    }  # fmt: skip


def _size(operation: str, shape: list[int]) -> str:
    return size_in_words(operation, shape, "×")


def _kind(name: str) -> str:
    return "numpy" if name == "numpy" else "threaded" if name.endswith("parallel") else "serial"


def _colors() -> str:
    """Colors of words in code, for light paper and for dark."""
    from pygments.formatters import HtmlFormatter

    light, dark = (
        HtmlFormatter(style=style, nobackground=True).get_style_defs(".pair") for style in ("friendly", "github-dark")
    )
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


@functools.cache
def _lexer(language: str) -> Any:
    from pygments.lexers import get_lexer_by_name

    return get_lexer_by_name(language, stripnl=False, ensurenl=False)


def _coloured(lines: list[str], language: str) -> list[Any]:
    """Each line as markup. All are highlighted at once, since strings may span lines."""
    from markupsafe import Markup
    from pygments import highlight
    from pygments.formatters import HtmlFormatter

    formatter = HtmlFormatter(nowrap=True)
    text = highlight("\n".join(lines), _lexer(language), formatter)
    return [Markup(line) for line in text.split("\n")][: len(lines)]


def _reached(result: dict[str, Any], rung: dict[str, Any]) -> dict[str, float]:
    """Limit of a loop -> the fraction of it that the rung reached; empty if unknown."""
    limit = "arithmetic" if result["unit"] == "GFLOP/s" else "memory"
    return {} if rung["share_of_peak"] is None else {limit: rung["share_of_peak"]}


def _explained(prefix: str, found: dict[str, Any], reached: dict[str, float]) -> dict[str, Any]:
    """Source and instructions, line by line; lines that belong together have the same `at`."""
    files = {listing["file"]: n for n, listing in enumerate(found["sources"])}
    made = {(instruction["file"], instruction["line"]) for instruction in found["instructions"]}

    def at(file: str, line: int) -> str:
        return f"{files[file]}.{line}" if file in files else ""

    sources = []
    for listing in found["sources"]:
        coloured = _coloured(listing["lines"], "python")
        lines = [
            {
                "number": number, "text": text, "hot": (listing["file"], number) in made,
                "at": at(listing["file"], number), "id": f"{prefix}-{at(listing['file'], number)}",
            }
            for number, text in enumerate(coloured, listing["first"])
        ]  # fmt: skip
        title = f"{listing['function']} in {short(listing['file'])}"
        sources.append({"title": title, "lines": lines})
    texts = _coloured([instruction["text"] for instruction in found["instructions"]], "gas")
    assembly = []
    for instruction, text in zip(found["instructions"], texts, strict=True):
        place = at(instruction["file"], instruction["line"])
        where = f"{short(instruction['file'])}:{instruction['line']}" if place else ""
        target = f"{prefix}-{place}" if place else ""
        assembly.append({"text": text, "at": place, "hot": bool(place), "where": where, "target": target})
    verdicts = [
        verdict | {"state": {True: "good", False: "bad", None: "note"}[verdict["good"]]}
        for verdict in found["verdicts"]
    ]  # fmt: skip
    limit = found["limit"]
    summary = nothing_to_fix(limit, reached.get(limit)) if limit else found["summary"]
    cycles = _cycles(found["target"], found["cycles"])
    return {"verdicts": verdicts, "sources": sources, "assembly": assembly, "summary": summary, "cycles": cycles}


def _cycles(target: str, predicted: dict[str, Any]) -> str:
    """The predicted cycles and their limit as a sentence; empty without a prediction."""
    if predicted["missing"]:
        return ""
    port = predicted["port"]
    which = f" ({port['name']}, {port['does']})" if predicted["limit"] == LIMITS["port"] else ""
    return (
        f"{predicted['program']} predicts {predicted['cycles']:.1f} cycles for an iteration: the {predicted['limit']}"
        f"{which} is the limit. They are predicted; jitnet explain {target} measures them"
    )
