"""The report is one self-contained page, tested in a real browser."""

import contextlib
import dataclasses
import importlib.util
import io
import json
import re

import pytest
from brief import measure_briefly
from command import jitnet_command
from test_compile_cost import answers

from jitnet import cli
from jitnet.kernels import LADDERS
from jitnet.lab import report
from jitnet.lab.benchmark import training

COMPILED = ("njit", "reordered", "packed", "packed_parallel")
SHOWN = {"matmul_tn": ("python", *COMPILED, "numpy"), "train": ("python", "fast", "fast_parallel", "numpy")}
"""Some rungs of each chapter: all take a minute to compile, and are in test_explain.py and test_ladder.py."""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory, request, explanations_once, with_peaks):
    """A page with two chapters; compile costs, which take minutes to measure, are simulated."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.setenv("JITNET_CACHE_DIR", with_peaks["JITNET_CACHE_DIR"])
        patch.setitem(LADDERS, "matmul_tn", {name: LADDERS["matmul_tn"][name] for name in SHOWN["matmul_tn"]})
        rungs = {name: training.STEP.rungs[name] for name in SHOWN["train"]}
        patch.setattr(training, "STEP", dataclasses.replace(training.STEP, rungs=rungs))
        if importlib.util.find_spec("numba_cuda"):
            request.getfixturevalue("ptx_once")
            leave_two_rungs(patch)
        answers(patch, parts={"gather": 0.1, "layer": 0.2})
        measure_briefly(patch)
        command = ["report", "matmul_tn", "train", "--size", "48", "--out", str(path), "--json", "--quiet"]
        assert cli.main(command) == 0
    return path, json.loads(printed.getvalue())


def leave_two_rungs(patch):
    """Two of the loops for a GPU: each takes some seconds, and test_explain_gpu.py has all of them."""
    from jitnet.kernels.cuda import LADDERS

    patch.setitem(LADDERS, "matmul_tn", {name: LADDERS["matmul_tn"][name] for name in ("naive", "pipelined")})


@pytest.mark.release
def test_command_writes_a_report_of_measured_figures(tmp_path):
    """Runs the whole command in its own process for an operation that compiles quickly."""
    path = tmp_path / "report.html"
    result = jitnet_command("report", "relu", "--size", "8", "--out", path, "--json", "--quiet")
    assert result.stderr == ""
    found = json.loads(result.stdout)
    (chapter,) = found["chapters"]
    assert [row["name"] for row in chapter["compile_cost"]["rows"]] == ["njit", "parallel"]
    assert all(row["compile_seconds"] > row["load_seconds"] > 0 for row in chapter["compile_cost"]["rows"])
    text = path.read_text()
    assert all(f'id="relu-{part}"' in text for part in ("njit", "parallel", "compile-cost"))
    assert ('id="relu-roofline"' in text) == (chapter["ladder"]["roofline"] is not None)


@pytest.fixture
def page(browser, page_file):
    """The page opened from disk; requests and errors are recorded."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.complaints, page.requests = [], []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(page_file[0].as_uri())
    yield page
    context.close()


def lit(page, side):
    return page.locator(f"#matmul_tn-packed .{side} .lit")


@pytest.mark.slow
def test_page_is_complete_and_makes_no_requests(page, page_file):
    assert page.complaints == []
    assert page.requests == [page_file[0].as_uri()]
    for name in SHOWN["matmul_tn"]:
        assert page.locator("#matmul_tn .ladder th", has_text=re.compile(f"^{name}$")).count() == 1
    for name in COMPILED:
        assert page.locator(f"#matmul_tn-{name} .source .hot").count() > 0
        assert page.locator(f"#matmul_tn-{name} .assembly .hot").count() > 0
        assert page.locator(f"#matmul_tn-{name} .verdicts li").count() >= 8
    for chapter, (operation, rungs) in zip(page_file[1]["chapters"], SHOWN.items(), strict=True):
        assert [rung["name"] for rung in chapter["ladder"]["rungs"]] == list(rungs)
        # a roofline is drawn only for undisturbed measurements
        points = len(rungs) if chapter["ladder"]["roofline"] else 0
        assert page.locator(f"#{operation}-roofline svg circle").count() == points
        assert page.locator(f"#{operation}-compile-cost").inner_text().strip()
    assert "GFLOP/s" in page.locator("#machine").inner_text()
    for link in page.locator("a[href^='#']").all():
        assert page.locator(f"[id='{link.get_attribute('href')[1:]}']").count() == 1


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="needs jitnet[cuda]")
def test_gpu_section_explains_every_rung(page, page_file):
    gpu = page_file[1]["chapters"][0]["gpu"]
    assert page_file[1]["chapters"][1]["gpu"] is None  # a training step is not a kernel
    assert page.locator("#train-gpu").count() == 0
    section = page.locator("#matmul_tn-gpu")
    assert section.locator("tbody th").all_inner_texts() == list(gpu["explanations"])
    for name, row in zip(gpu["explanations"], section.locator("tbody tr:first-child").all(), strict=True):
        counts = gpu["explanations"][name]["counts"]
        assert f"{counts['per_load']:.3g}" in row.inner_text().split("\t")
    assert "reuse: 0.5 multiply-adds per loaded number" in section.locator("tbody").first.inner_text()
    assert section.locator("tbody").last.locator(".bad").count() == 0  # pipelined
    if gpu["obstacle"]:
        assert f"Not yet measured on a GPU: {gpu['obstacle']}." in section.inner_text()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="needs jitnet[cuda]")
def test_measured_gpu_ladder_is_shown(page_file):
    found = json.loads(json.dumps(page_file[1]))
    there = found["chapters"][0]["gpu"]
    rungs = [
        {"name": name, "seconds": 1e-3, "low": 0.9e-3, "high": 1.1e-3, "gflops": 1234.2}
        for name in there["explanations"]
    ]
    there["obstacle"] = None
    there["ladder"] = {
        "operation": "matmul_tn", "shape": [48] * 3, "dtype": "float32", "threads": None, "unit": "GFLOP/s",
        "cpu": "a GPU of mine", "rungs": rungs,
    }  # fmt: skip
    text = report.as_html(found)
    assert "Measured: matmul_tn 48x48x48 float32, on a GPU of mine." in text
    assert text.count("<td>1234</td><td>1 ms ±10%</td>") == len(rungs)
    assert "Not yet measured" not in text
    found["chapters"][0]["gpu"] = None  # without numba-cuda
    assert "on the GPU" not in report.as_html(found)


@pytest.mark.slow
def test_hovering_over_a_line_highlights_its_instructions_and_back(page):
    line = page.locator("#matmul_tn-packed .source .hot").nth(1)
    line.hover()
    at = line.get_attribute("data-at")
    assert lit(page, "source").count() == 1
    instructions = lit(page, "assembly")
    assert instructions.count() == page.locator(f"#matmul_tn-packed .assembly [data-at='{at}']").count() > 0
    instruction = page.locator("#matmul_tn-packed .assembly .hot").first
    instruction.hover()
    at = instruction.get_attribute("data-at")
    assert [part.get_attribute("data-at") for part in lit(page, "source").all()] == [at]
    page.locator("h1").hover()
    assert page.locator(".lit").count() == 0


@pytest.mark.slow
def test_keyboard_focus_highlights_like_the_mouse(page):
    first = page.locator("#matmul_tn-packed .source .hot").first
    first.focus()
    assert lit(page, "assembly").count() > 0
    before = lit(page, "source").get_attribute("data-at")
    page.keyboard.press("ArrowDown")
    after = lit(page, "source").get_attribute("data-at")
    assert after != before
    assert {part.get_attribute("data-at") for part in lit(page, "assembly").all()} == {after}
    page.keyboard.press("ArrowUp")
    assert lit(page, "source").get_attribute("data-at") == before


@pytest.mark.slow
def test_page_is_readable_without_javascript(browser, page_file):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file[0].as_uri())
    text = page.locator("body").inner_text()
    instruction = page_file[1]["chapters"][0]["explanations"]["njit"]["instructions"][0]
    assert instruction["text"].split()[0] in text
    assert f"matmul.py:{instruction['line']}" in text  # the source line of an instruction
    context.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_page_fits_the_window_and_has_contrast(browser, page_file, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(page_file[0].as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        ".map((text) => text.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0))"
    )
    assert abs(ink - paper) > 450
    assert (ink < paper) == (scheme == "light")
    context.close()


@pytest.mark.slow
def test_printed_page_shows_everything(browser, page_file, tmp_path):
    page = browser.new_page()
    page.goto(page_file[0].as_uri())
    page.emulate_media(media="print")
    side = page.locator("#matmul_tn-packed .source")
    assert side.evaluate("(side) => side.scrollHeight <= side.clientHeight + 1")  # no scroll bar hides text
    page.close()


@pytest.mark.slow
def test_names_and_texts_are_escaped(page_file):
    found = json.loads(json.dumps(page_file[1]))
    found["machine"]["cpu"] = "<script>alert(1)</script> & co"
    text = report.as_html(found)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in text


@pytest.mark.slow
def test_uncertain_peaks_are_reported(page_file):
    found = undisturbed(page_file[1])
    text = report.as_html(found)
    assert "too uncertain" not in text
    assert text.count("<figure") == 2
    assert "50.0% of peak" in text
    why = ["other processes used 1.4 of 2 cores"]
    found["machine"] |= {"disturbed": True, "disturbed_by": why}
    for chapter in found["chapters"]:
        chapter["ladder"] |= {"disturbed": True, "disturbed_by": why, "roofline": None}
        chapter["compile_cost"] |= {"disturbed": True, "disturbed_by": why}
        for rung in chapter["ladder"]["rungs"]:
            rung["share_of_peak"] = rung["share_of_numpy"] = None
    text = report.as_html(found)
    assert text.count("Other processes used 1.4 of 2 cores, so times and ratios are too uncertain") == 5
    assert "% of peak" not in text
    assert text.count("<td>–</td><td>–</td>") == sum(len(chapter["ladder"]["rungs"]) for chapter in found["chapters"])
    assert "<figure" not in text
    assert max(float(width) for width in re.findall(r"width:([\d.]+)%", text)) <= 100


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "limit", "sentence"),
    [
        (
            0.267,
            "arithmetic",
            "Its instructions show nothing to fix; its limit is arithmetic, but something outside of",
        ),
        (0.95, "arithmetic", "Its instructions show nothing to fix, and arithmetic is the limit."),
        (0.95, "memory", "Its instructions show nothing to fix; memory should be the limit."),
    ],
)
def test_stated_limit_of_a_loop_agrees_with_its_speed(page_file, share, limit, sentence):
    found = undisturbed(page_file[1])
    chapter = found["chapters"][0]
    for rung in chapter["ladder"]["rungs"]:
        rung["share_of_peak"] = share
    for explained in chapter["explanations"].values():
        explained |= {"limit": limit, "summary": "said before it was measured"}
    assert sentence in report.as_html(found)
    assert "said before it was measured" not in report.as_html(found)


def test_predicted_cycles_are_described_in_a_sentence():
    predicted = {
        "missing": None, "program": "llvm-mca 18", "cycles": 8.04, "limit": "busiest port",
        "port": {"name": "p0", "does": "multiply-adds", "cycles": 8.04},
    }  # fmt: skip
    said = "llvm-mca 18 predicts 8.0 cycles for an iteration: the busiest port (p0, multiply-adds) is the limit"
    assert report._cycles("matmul.packed", predicted) == (
        f"{said}. They are predicted; jitnet explain matmul.packed measures them"
    )
    assert "the front end is the limit" in report._cycles("matmul.njit", predicted | {"limit": "front end"})
    assert report._cycles("matmul.njit", {"missing": "There is no program."}) == ""


def undisturbed(found):
    """The same report as if measured on an idle machine."""
    found = json.loads(json.dumps(found))
    calm = {"disturbed": False, "disturbed_by": []}
    found["machine"] |= calm
    roof = {"name": "multiply-adds", "threads": 1, "x": [1.0, 100.0], "y": [1e12, 1e12]}
    for chapter in found["chapters"]:
        points = [{"name": rung["name"], "custom": False, "x": 10.0, "y": 1e9} for rung in chapter["ladder"]["rungs"]]
        chapter["ladder"] |= calm | {"roofline": {"x": "FLOP", "y": "FLOP/s", "roofs": [roof], "points": points}}
        chapter["compile_cost"] |= calm
        for rung in chapter["ladder"]["rungs"]:
            rung["share_of_peak"] = 0.5
    return found


def test_report_without_machine_code_is_written(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    for what in ("ladder.measure", "compile_cost.account", "machine.limits"):
        monkeypatch.setattr(f"jitnet.lab.{what}", lambda *_, **__: {})
    monkeypatch.setattr(report, "on_gpu", lambda *_: None)
    (chapter,) = report.investigate(["relu"])["chapters"]
    assert chapter["explanations"] == {}


def test_report_without_numba_cuda_has_no_gpu_section(monkeypatch):
    monkeypatch.setattr(report.importlib.util, "find_spec", lambda name: None)
    assert report.on_gpu("matmul") is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["matmull"], "did you mean 'matmul'?"),
        (["matmul", "--out", "nowhere/report.html"], "nowhere"),
        (["matmul", "--size", "x"], "size is 'x'"),
        (["matmul", "--dtype", "int8"], "dtype"),
    ],
)
def test_errors_are_one_line_with_status_2(arguments, message, tmp_path, monkeypatch):
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path))  # no saved peaks
    result = jitnet_command("report", *arguments, status=2)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
