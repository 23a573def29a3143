"""Explain a compiled function: the source of its hottest loop next to the machine code, with verdicts in plain words.

    from jitnet.lab import explain
    found = explain.explain("matmul.packed")
    print(explain.as_text(found))

The function is compiled in a separate process (`requests.py`, `compiling.py`), its machine code is parsed
(`assembly.py`, `x86.py`, `aarch64.py`), the hottest loop is found (`hottest.py`) and judged (`verdicts.py`), and its
cycles are predicted by an external program (`cycles.py`). With `run`, that process also runs the function, to measure
the cycles (`measurement.py`) and to sample the share of each source line.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numba

from .. import checks
from ..checks import count
from ..compiler import intrinsics
from ..process.progress import Report, ignore
from . import listing
from .listing import KEY, Explanation, beside, functions_around, judged, line_of, short, wrapped
from .machine import cache_sizes
from .machine_code import analyzers, remarks, sources
from .machine_code.assembly import Function, Instruction, Place, functions_of, plain_name
from .machine_code.cycles import limit_of, predicted
from .machine_code.facts import Facts
from .machine_code.hottest import Candidate, candidates, hottest
from .machine_code.instructions import ARM, machine
from .machine_code.instructions import is_readable as is_readable
from .machine_code.measurement import measured
from .machine_code.requests import ProcessError, answers, request_for
from .machine_code.running import can_run as can_run
from .machine_code.verdicts import Verdict, fitting, summary, vectorized, verdicts
from .machine_code.work import Work, work_of

_NUMBA = str(Path(numba.__file__).parent)
IN_CACHE = " where the data are in the L1 cache"
"""Of a limit other than memory: predictions assume it."""

_UNITS = {512: "AVX-512", 256: "AVX2", 128: "SSE"}


def explain(
    target: str, dtype: str = "float32", arguments: str | None = None, types: str | None = None,
    options: str | None = None, operation: str | None = None, report: Report = ignore,
    analyzer: str | None = None, run: str | int | None = None, problem: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Explain one function: `operation.rung` of `jitnet.kernels.LADDERS`, or `file.py:function`, `module:function`.

    dtype       float32 or float64, for a rung, an operation or a problem
    arguments   for your own function: example arguments in Python, with the names of NumPy: `"ones(9), 3"`
    types       or their types in Numba's notation: `"float32[:,::1], int64"`
    operation   or the operation of `LADDERS` whose arguments it takes: `"matmul"`
    options     options of `numba.njit` in place of those of the function: `"fastmath=True"`. A function without a
                decorator is compiled with the options of jitnet's kernels.
    problem     or the problem whose arguments it takes: `"conv2d"`, or a file
    analyzer    the program that predicts cycles: llvm-mca, osaca, or a path; otherwise the first on the PATH
    run         the size of the arguments of an operation or a problem, such as 512 or "64x784x128" ("" for the default
                of the problem): the function is also run, for two seconds, to measure cycles and source lines. With
                `arguments` any size will do.

    Keys of the result, which contains only dicts, lists, texts and numbers:

    target, name, signature, options, file, line    of the function
    cpu, numba, vector_unit    the target of the compilation; name, bits and registers of the vector unit
    loop            file, line, last (its last line), function, source (of its first line), depth
    sources         a list of functions that are part of the loop: file, function, first (line), lines
    instructions    of the loop: text, comment (LLVM's, or the called function), file, line ("" and 0 if unknown)
    verdicts        name, answer, good (True, False, or None for neither), evidence, fix
    summary         in one sentence
    limit           arithmetic, memory, the dependency chain or the front end; None if there is something to fix first
    remarks         LLVM's remarks on this loop
    cycles          the predicted cycles of an iteration: `jitnet.lab.machine_code.cycles.predicted`
    measured        the measured ones: `jitnet.lab.machine_code.measurement.measured`; None if it was not run
    lines           samples (how many) of the whole function, or None if the shares are those of the predicted cycles of
                    the loop; waiting: how many more were in threads that wait for work; lines: file, line, source,
                    share, largest first; elsewhere: the share of other code

    Raises `jitnet.Error`, in one line, if something is missing or wrong.
    """
    request = request_for(target, dtype, arguments, types, options, operation, run, problem)
    analyzers.found(analyzer)  # an error now, not after compiling
    try:
        (answer,) = answers([request], report)
    except ProcessError as error:
        if run is None:
            raise
        (answer,) = answers([request | {"run": None}], report)
        answer["run"] = {"missing": f"running it failed: {error.how}"}
    return _explained(target, answer, analyzer)


def explain_all(requests: Iterable[dict[str, Any]], report: Report = ignore) -> list[dict[str, Any]]:
    """Explain several functions in one process; requests are the arguments of `explain`, as dicts."""
    asked = [request_for(**request) for request in requests]
    return [
        _explained(request["target"], answer) for request, answer in zip(asked, answers(asked, report), strict=True)
    ]


def _explained(target: str, answer: dict[str, Any], analyzer: str | None = None) -> dict[str, Any]:
    if "error" in answer:
        raise checks.Error(answer["error"])
    texts, found = _loops(answer)
    if not found:
        raise checks.Error(f"there is no loop in the machine code of {target}: the source has none, or LLVM removed it")
    run = answer.get("run")
    strided = re.search(r"\[:(,:)*\]", answer["signature"]) is not None
    iterations = _iterations(found, texts, run)
    loop = hottest(found, strided, iterations, bool(run and run.get("size")), _samples(found, texts, run))
    if run and not run["missing"] and "seconds" not in run:  # only iterations were counted
        run = None
    found_verdicts = verdicts(_facts(answer, loop))
    prediction = predicted(loop, answer["cpu"], analyzer)
    others = sum(n for one, n in zip(found, iterations, strict=False) if one is not loop and one.place == loop.place)
    measurement = _measurement(loop, texts, run, prediction, others)
    limit = _limit(found_verdicts, loop, prediction, measurement or {})
    file, line = loop.place
    name, _, _ = sources.function_around(file, line)
    shown = [_shown(instruction) for instruction in loop.loop.instructions]
    called = {id(instruction): plain_name(symbol) for instruction, symbol in loop.calls if symbol}
    return Explanation({
        "target": target,
        **{key: answer[key] for key in ("name", "signature", "options", "file", "line", "cpu", "numba")},
        "vector_unit": {
            "name": "NEON" if machine() in ARM else _UNITS[8 * intrinsics.VECTOR_BYTES],
            "bits": 8 * intrinsics.VECTOR_BYTES, "registers": intrinsics.REGISTERS,
        },
        "loop": {
            "file": file, "line": line, "last": sources.lines_of_loop(file, line)[1],
            "function": name or plain_name(loop.loop.function.symbol), "source": line_of(file, line).strip(),
            "depth": loop.depth,
        },
        "sources": functions_around([loop.place, *shown]),
        "instructions": [
            {"text": i.text, "comment": called.get(id(i), i.comment), "file": place[0], "line": place[1]}
            for i, place in zip(loop.loop.instructions, shown, strict=True)
        ],
        "verdicts": found_verdicts, **summary(found_verdicts, limit, "" if limit == "memory" else IN_CACHE),
        "remarks": remarks.about(answer["remarks"], loop.place),
        "cycles": prediction, "measured": measurement,
        "lines": _sampled_lines(texts, run) or _predicted_lines(shown, prediction),
    })  # fmt: skip


def _loops(answer: dict[str, Any]) -> tuple[list[list[Function]], list[Candidate]]:
    """The functions of each text of the assembly, and their innermost loops."""
    texts = [functions_of(text) for text in answer["assembly"]]
    return texts, candidates([function for functions in texts for function in functions], answer["links"])


def _facts(answer: dict[str, Any], loop: Candidate) -> Facts:
    kinds = answer["signature"].replace("[", " [")
    only_float32 = "float32 [" in kinds and "float64 [" not in kinds
    bits, registers = 8 * intrinsics.VECTOR_BYTES, intrinsics.REGISTERS
    any_stride = ", ".join(dict.fromkeys(re.findall(r"\w+\[(?::,)*:\]", answer["signature"])))
    return Facts(
        loop, answer["remarks"], answer["options"], bits, registers, only_float32, any_stride, answer["widened"]
    )


def executed(target: str, problem: str, shape: Sequence[int], dtype: str, moves: bool) -> tuple[Work, Verdict | None]:
    """The work of one call of a user's kernel on a problem, and whether the loop is vectorized that it names.

    moves    count the numbers that it moves, not those that it computes
    """
    request = request_for(target, dtype, problem=problem, times=False) | {"run": list(shape)}
    (answer,) = answers([request])
    if "error" in answer or answer["run"]["missing"]:
        raise checks.Error(answer.get("error") or answer["run"]["missing"])
    texts, loops = _loops(answer)
    work = work_of(texts, answer["links"], answer["run"]["executions"], loops, moves)
    facts = _facts(answer, work.loop) if work.loop else None
    return work, fitting(vectorized(facts), facts) if facts else None


def _measurement(
    loop: Candidate, texts: list[list[Function]], run: dict[str, Any] | None, prediction: dict[str, Any], others: int
) -> dict[str, Any] | None:
    if run is None:
        return None
    return measured(loop, _text_of(loop, texts), run, prediction, cache_sizes()["L1"], others)


def _text_of(loop: Candidate, texts: list[list[Function]]) -> int:
    return next(n for n, functions in enumerate(texts) if loop.loop.function in functions)


def _iterations(found: list[Candidate], texts: list[list[Function]], run: dict[str, Any] | None) -> list[int]:
    """The iterations of each loop in a call; [] if there was none."""
    if run is None or run["missing"]:
        return []
    return [run["executions"][_text_of(loop, texts)].get(str(loop.loop.head.row), 0) for loop in found]


def _samples(found: list[Candidate], texts: list[list[Function]], run: dict[str, Any] | None) -> list[int]:
    """The samples in each loop; [] if there were none."""
    if run is None or run["missing"] or not run.get("samples"):
        return []
    rows = [run["samples"]["rows"][_text_of(loop, texts)] for loop in found]
    return [sum(of.get(str(i.row), 0) for i in loop.loop.instructions) for loop, of in zip(found, rows, strict=True)]


def _sampled_lines(texts: list[list[Function]], run: dict[str, Any] | None) -> dict[str, Any] | None:
    """The share of each source line in the samples of threads that do not wait; None without samples.

    A sample is at the instruction that comes next: the one before it, in its block, took the time.
    """
    samples = None if run is None or run["missing"] else run["samples"]
    if not samples or not (count := samples["count"] - samples["waiting"]):
        return None
    weights: list[tuple[Place, float]] = []
    for functions, rows in zip(texts, samples["rows"], strict=True):
        for block in (block for function in functions for block in function.blocks):
            place, before = ("", 0), None
            for instruction in block.instructions:
                if instruction.places:  # without a line: that of the previous instruction
                    place = _shown(instruction)
                weights.append((before or place, rows.get(str(instruction.row), 0) / count))
                before = place
    return listing.by_line(weights, count, samples["waiting"])


def _predicted_lines(places: list[Place], prediction: dict[str, Any]) -> dict[str, Any] | None:
    """The share of the predicted cycles of each source line of the loop; None without a prediction."""
    if prediction["missing"]:
        return None
    weights = zip(places, prediction["weights"], strict=True)
    return listing.by_line([(place, weight / prediction["cycles"]) for place, weight in weights])


def _shown(instruction: Instruction) -> Place:
    """The innermost place outside of Numba; if all are in Numba, the innermost."""
    ours = [place for place in instruction.places if not place[0].startswith(_NUMBA)]
    named = [place for place in ours if sources.function_around(*place)[0]]  # array expressions claim to be on line 1
    return (named or ours or list(instruction.places) or [("", 0)])[-1]


def _limit(
    verdicts: list[dict[str, Any]], loop: Candidate, prediction: dict[str, Any], measurement: dict[str, Any]
) -> str | None:
    """What limits the loop if there is nothing to fix: by the measurement, a prediction that it does not contradict, or
    the instructions."""
    if measurement.get("contradicts"):
        return None if measurement["limit"] is None else str(measurement["limit"])
    of = {verdict["name"]: verdict for verdict in verdicts}
    traffic, accumulators = of["loads and stores"], of["accumulators"]
    otherwise = "arithmetic" if traffic["good"] and loop.arithmetic else "memory"
    alone = None in (accumulators["good"], of["vectorized"]["good"])
    waits = alone and accumulators["answer"].startswith("in registers")
    return limit_of(prediction, None if waits else otherwise)


def as_text(found: dict[str, Any]) -> str:
    """For a terminal of 80 to 100 columns."""
    unit, loop = found["vector_unit"], found["loop"]
    options = ", ".join(f"{key}={_option(value)}" for key, value in found["options"].items() if value and key[0] != "_")
    return "\n".join([
        *wrapped(f"{found['target']}({found['signature']})"),
        *wrapped(f"compiled with {options or 'no options'}, for {found['cpu']} with {unit['name']}: "
                 f"{unit['registers']} vector registers of {unit['bits']} bits"),
        "", *wrapped(f"Hottest loop: {short(loop['file'])}, line {loop['line']}, in {loop['function']}"), "",
        *judged(found), "", *listing.cycles_of(found), "", *listing.profile_of(found), "",
        *beside(found["instructions"], loop, f"one iteration: {count(len(found['instructions']), 'instruction')}"),
        *wrapped(listing.SYNTAX_OF_ARM if machine() in ARM else listing.SYNTAX), KEY,
    ])  # fmt: skip


def _option(value: Any) -> str:
    return "{" + ", ".join(map(str, value)) + "}" if isinstance(value, list) else str(value)
