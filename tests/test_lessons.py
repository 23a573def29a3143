"""The course in examples/: every lesson runs, prints the output written in it, and draws its plot.

A line that begins with `# >` in a lesson is exact output. For figures that depend on the
machine, a test checks relations with a wide margin. Numbers computed by hand in a lesson are computed again in NumPy.
"""

import functools
import importlib.util
import os
import platform
import re
import struct
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from brief import measure_briefly
from cases import slow
from course import FOLDER, LESSONS, answers, lesson_file, numbers, run_here

import jitnet
from jitnet.lab import explain

X86 = platform.machine().lower() in ("x86_64", "amd64")
WITH_CUDA = importlib.util.find_spec("numba_cuda") is not None
ONLY_ON_X86 = "whole vectors "
"""Beginnings of output lines that need `explain`, which parses x86-64 instructions."""

COURSE = [slow(file) if file.stem[:2] in ("09", "10", "11", "12") else file for file in LESSONS]
"""Lessons that measure for seconds or start processes that compile run in CI only. test_conclusions.py and
test_exercises.py test parts of them."""


@pytest.fixture(scope="module")
def lesson(tmp_path_factory, request, with_peaks):
    """The output of a lesson with its answers, and the folder with its plots. Each lesson runs once, briefly."""

    @functools.cache
    def result_of(number):
        file = lesson_file(number)
        if number == 11 and not WITH_CUDA:
            pytest.skip("pip install 'jitnet[cuda]' to run this lesson")
        folder = tmp_path_factory.mktemp(file.stem) / "new" / "folder"
        if number == 11:
            request.getfixturevalue("ptx_once")
        with pytest.MonkeyPatch.context() as patch:
            measure_briefly(patch)
            patch.setenv("JITNET_CACHE_DIR", with_peaks["JITNET_CACHE_DIR"])
            status, printed, errors = run_here(file, "--out", folder, "--answers")
        assert status == 0, errors
        return printed, folder

    return result_of


@pytest.mark.parametrize("file", COURSE, ids=lambda file: file.stem)
def test_lesson_prints_its_expected_output(lesson, file):
    printed, folder = lesson(int(file.stem[:2]))
    text = file.read_text(encoding="utf-8")
    lines = iter(printed.splitlines())
    if printed.startswith("a GPU: "):
        return  # the expected output is that of machines without a GPU
    for promise in re.findall(r"^# > (.*)$", text, re.MULTILINE):
        if X86 or not promise.startswith(ONLY_ON_X86):
            assert promise in lines, promise  # in this order: `in` advances the iterator
    pictures = list(folder.iterdir())
    assert pictures
    for picture in pictures:
        content = picture.read_bytes()
        assert content.startswith(b"\x89PNG")
        assert min(struct.unpack(">2I", content[16:24])) > 200
        assert f"picture: {picture}" in printed


@pytest.mark.parametrize("file", COURSE, ids=lambda file: file.stem)
def test_lesson_has_all_its_parts(lesson, file):
    text, number = file.read_text(encoding="utf-8"), int(file.stem[:2])
    assert text.startswith(f'# %% [markdown]\n"""Lesson {number}. ')
    before, exercises, after = re.split(r"^# (?:Exercises|Answers)\n", text, flags=re.MULTILINE)
    code = re.sub(r'^# %% .*?""".*?"""', "", before, flags=re.DOTALL).splitlines()
    assert len([line for line in code if line.strip() and not line.startswith("#")]) <= 80
    questions = re.findall(r"^# \d\. ", exercises, re.MULTILINE)
    assert len(questions) == len(answers(lesson(number)[0])) == 4
    assert f"examples/{file.name} --check my_answer.py`" in exercises.replace("\n#    ", " ")
    assert re.fullmatch("right: .* agrees with .*", answers(lesson(number)[0])[3])
    assert "if ANSWERS:" in after


@pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
def test_prose_is_markdown(file):
    """Each text cell has an underlined title; each code cell begins with its output or with code."""
    text = file.read_text(encoding="utf-8")
    title, line, *_ = text.split('"""')[1].splitlines()
    assert line == "=" * len(line)
    assert len(title) <= len(line)
    for kind, *lines in (cell.splitlines() for cell in re.split(r"^# %%", text, flags=re.MULTILINE)[2:]):
        if not kind:
            assert re.match(r"# > |[^#]|$", lines[0]), f"{lines[0]!r} belongs in a text cell"
            continue
        assert kind == " [markdown]"
        title, line, *prose = (line[2:] for line in lines if line)
        assert line == "-" * len(title)
        for line in prose:
            assert not re.match(r" {4}|[#>|]|\* ", line), f"{line!r} is neither a paragraph nor a list"
            assert line.count("`") % 2 == 0, f"{line!r} has a command that is broken across lines"
        assert "*" not in re.sub("`[^`]*`|[*][*]", "", "\n".join(prose)), "in formulas, write · for products"


def test_lesson_as_a_script_saves_plots_and_hides_answers(tmp_path):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", str(LESSONS[0])], cwd=tmp_path,
        capture_output=True, text=True, encoding="utf-8", check=False,
        env={name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert not answers(result.stdout)
    assert list((tmp_path / "pictures").glob("*.png"))


def test_lesson_in_a_notebook_needs_no_options(tmp_path, monkeypatch):
    """A notebook's kernel has its own command line; plots and answers appear in their cells."""
    display = types.ModuleType("IPython.display")
    display.Image, display.display = lambda path: path, lambda path: print("shown:", path)
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.chdir(tmp_path)
    _, printed, _ = run_here(LESSONS[0], "-f", "kernel.json")
    assert f"shown: {Path('pictures') / LESSONS[0].stem}.png" in printed
    assert len(answers(printed)) == 4


def test_errors_of_a_lesson_are_one_line(tmp_path, monkeypatch):
    (tmp_path / "answer.py").write_text("def step(")
    (tmp_path / "other.py").write_text("def stop(): ...")
    runs = [
        (["--out", tmp_path / "answer.py"], "name another folder with --out"),
        (["--check", tmp_path / "answer.py"], "answer.py, line 1"),
        (["--check", tmp_path / "other.py"], "'step'; known: stop"),
        (["--check", tmp_path / "none"], "there is no file"),
        (["--out", tmp_path / "out"], "pip install -e '.[lessons]'"),
    ]
    for arguments, word in runs:
        if "lessons" in word:
            monkeypatch.setitem(sys.modules, "matplotlib", None)
        status, printed, error = run_here(LESSONS[0], *arguments)
        assert (status, printed, len(error.splitlines())) == (2, "", 1), error
        assert word in error


def test_01_one_weight(lesson):
    printed, _ = lesson(1)
    w = 0.5
    for step, _, _ in numbers(printed, r"^step \d"):
        assert [step, w, (2 * w - 3) ** 2] == pytest.approx(numbers(printed, rf"^step {step:.0f}")[0], rel=1e-3)
        w -= 0.1 * 2 * (2 * w - 3) * 2
    first, second, third, _ = answers(printed)
    assert first.endswith("lr = 0.125: w = 1.5")
    assert "w = 2.5, then w = 0.5" in second
    assert "w = 2.9" in second
    assert third.startswith("derivative = 8:")


def test_02_jacobians(lesson):
    printed, _ = lesson(2)
    x, W, b, y = np.array([1, 2, 3.0]), np.array([[1, 0], [0, 1], [1, -1.0]]), np.array([0, 1.0]), np.array([2, 1.0])
    delta = (x @ W + b - y) * 2 / 2
    assert f"delta = {delta}" in printed
    assert "dW, row by row: " + " ".join(map(str, np.outer(x, delta))) in printed
    assert f"gradient of share 0 by its weights: {x * (x @ W + b - y)[0]}" in printed
    times = {int(n): (by_jacobian, outer) for n, by_jacobian, outer in numbers(printed, "by the Jacobian")}
    assert times[256][0] > 50 * times[256][1]
    first, second, third, _ = answers(printed)
    assert first == f"{784 * 128**2} and {784 * 128}"
    assert second == "0 of 12"
    assert numbers(third, "difference")[0][0] < 1e-15


def test_03_by_hand(lesson):
    printed, _ = lesson(3)
    x, y, w1, b1, w2, b2 = 2, 1, 0.5, -1, 3, -1.5

    def loss(w1, b1, w2, b2):
        a1 = 1 / (1 + np.exp(-(x * w1 + b1)))
        a2 = 1 / (1 + np.exp(-(a1 * w2 + b2)))
        return (a2 - y) ** 2 / 2, a1, a2

    L, a1, a2 = loss(w1, b1, w2, b2)
    delta2 = (a2 - y) * a2 * (1 - a2)
    delta1 = delta2 * w2 * a1 * (1 - a1)
    slopes = [a1 * delta2, delta2, x * delta1, delta1]
    assert numbers(printed, "^paper") == [[L, a1, a2, delta2, delta1, *slopes]]
    assert len(re.findall("equal: True", printed)) == 4
    after = [w1 - slopes[2], b1 - slopes[3], w2 - slopes[0], b2 - slopes[1]]
    assert numbers(printed, "^after a step")[0][1::2] == after
    assert f"loss {loss(*after)[0]:.4f} instead" in printed
    first, second, third, _ = answers(printed)
    assert first == f"L = {0.5**2 / 2}, delta2 = {0.5 * 0.25}"
    assert second.startswith("dw1 = 0.0, db1 = 0.0")
    z2 = w2 / (1 + np.exp(-b1)) + b2  # for x = 0, z1 is b1
    a1, a2 = 1 / (1 + np.exp(-b1)), 1 / (1 + np.exp(-z2))
    assert third == f"dw1 = x·delta1 = 0·({(a2 - y) * a2 * (1 - a2) * w2 * a1 * (1 - a1):.4f}) = 0.0"
    assert "-0.0874" in third


def test_04_two_transformations(lesson):
    printed, _ = lesson(4)
    assert numbers(printed, "^remaining error")[0][0] < 0.03
    ((sigmoid, tanh),) = [pair[1:] for pair in numbers(printed, "^loss after 1000")]
    assert tanh < sigmoid
    x = np.linspace(-np.pi, np.pi, 64)
    least = np.mean(np.minimum(np.sin(x), 0) ** 2)
    ((with_sigmoid, with_tanh),) = numbers(printed, "^loss with sigmoid")
    assert with_tanh < 0.05 < least <= with_sigmoid < 1.2 * least
    first, second, third, _ = answers(printed)
    slope, intercept = np.polyfit(x, np.sin(x), 1)
    line = np.mean((np.sin(x) - slope * x - intercept) ** 2)
    assert numbers(first, "line")[0] == pytest.approx([line, line], abs=2e-4)
    one, two, three = numbers(second, ".")[0]
    assert three < 0.03 < two < one
    assert third == "0.25 at z = 0 and 1.00 at z = 0"


def test_05_rows_and_columns(lesson):
    printed, _ = lesson(5)
    X, W, b = np.arange(1.0, 9).reshape(4, 2), np.array([[1.0, 0, 2], [0, 1, -1]]), np.array([10.0, 20, 30])
    Z = X @ W + b
    assert printed.count(f"sample 0: {Z[0]}") == 2
    assert f"sample 3: {Z[3]}" in printed
    (per_sample,) = numbers(printed, "^µs for each")
    assert per_sample[3] < per_sample[0]
    for *shape, measured, predicted in numbers(printed, "measured"):
        assert predicted / 10 < measured < predicted * 10, shape
    first, second, third, _ = answers(printed)
    assert first == f"X (64, 784), W (784, 128), Z (64, 128): {2 * 64 * 784 * 128} FLOP"
    square = np.array([[0.0, 1], [2, 3]])
    assert second.endswith(f"{(X @ square)[0]} is not {(X @ square.T)[0]}")
    assert f"sample 0 gets {(X @ W)[0] + 10}" in third


def test_06_depth(lesson):
    printed, _ = lesson(6)
    expected = {"sigmoid, glorot": 0.25, "tanh, glorot": 1, "relu, glorot": np.sqrt(0.5), "relu, he": 1}
    for name, factor in expected.items():
        ((measured, after),) = numbers(printed, f"^{name}: .* for each layer")
        assert measured == pytest.approx(factor, abs=0.09), name
        assert after == pytest.approx(measured**19, rel=0.5), name
    sigmoid, tanh, relu = (share[-1] for share in numbers(printed, "^12 layers"))
    assert sigmoid < 20 < 80 < min(tanh, relu)
    first, second, third, _ = answers(printed)
    assert first == "√(¼·1·1) = 0.5; measured 0.50"
    assert 0.23**9 > 1e-6 > 0.23**10
    assert second.endswith("= 9.4, so after 10")
    assert third.startswith("[0.0, 0.0]")


def test_07_training(lesson):
    printed, folder = lesson(7)
    assert f"equal probabilities: loss {np.log(10):.3f}" in printed
    sgd, momentum, adam = (line[-5:] for line in numbers(printed, "^loss with"))
    assert max(momentum[3], adam[3]) < sgd[3]
    ((right, of, accuracy),) = numbers(printed, "^right: ")
    assert of == 359
    assert accuracy == pytest.approx(right / of, abs=6e-4)
    assert accuracy > 0.9
    chances = [line[2] for line in numbers(printed, "gave the right answer")]
    assert chances == sorted(chances)
    assert chances[0] < 0.5
    share = {epoch: parts for epoch, *parts in numbers(printed, "^spiral after")}
    assert max(share[1]) < 75 < 90 < min(share[300])
    assert {file.name for file in folder.iterdir()} == {"07_digits.png", "07_spiral.png"}
    first, second, third, _ = answers(printed)
    assert first.startswith("no: ")
    assert numbers(first, ".")[0][0] < adam[-1]
    assert second == "SGD(0.1) 0, Momentum(0.1) 1, Adam(0.003) 2"
    assert numbers(third, ".")[0] == [pytest.approx(accuracy, abs=0.05), pytest.approx(right, abs=18), right]


def test_08_the_ladder(lesson):
    printed, _ = lesson(8)
    ((clock, _, cache, peak),) = numbers(printed, "GHz, L1 cache")
    rates = [line[0] for line in numbers(printed, "GFLOP/s, measured")]
    expected = [0.01, clock / 2, 2 * clock, min(cache / 6, peak), min(cache / 1.5, peak), peak, peak]
    assert rates == pytest.approx(expected, rel=0.02)
    measured = [line[1] for line in numbers(printed, "GFLOP/s, measured")]
    python, njit, unrolled, reordered, *top = measured
    assert 10 * python < njit
    if "from python to packed" in printed:  # not on a busy machine
        assert max(njit, unrolled) < reordered < max(top)
        ((total,),), (gains,) = numbers(printed, "^from python"), numbers(printed, "^    compiled × ")
        assert gains == pytest.approx([njit / python, reordered / njit, top[2] / reordered], rel=0.05)
        assert total == pytest.approx(np.prod(gains), rel=0.05)
    if explain.is_readable():
        assert "\n    vectorized: no" in printed.split("matmul.njit: ")[1].split("matmul.unrolled: ")[0]
        assert "\n    vectorized: yes" in printed.split("matmul.reordered: ")[1].split("matmul.blocked: ")[0]
    loads, misses = zip(*(line[1:] for line in numbers(printed, "misses per multiply-add")), strict=True)
    assert loads == pytest.approx([2, 2, 2 + 1 / 512, 8 / 16 + 1 / 512], abs=0.006)
    by_hand = [1 + 1 / 32, 1 / 16, 1 / 16, 1 / 64]  # W, and Z where it collides with W; other misses are rare
    assert misses == pytest.approx(by_hand, abs=0.004)
    first, second, third, _ = answers(printed)
    assert first.startswith("16 multiply-adds; 4 ")
    assert second.startswith(f"192 times; {8 / 192:.3f} bytes")
    assert third == "(1e8 − 1e8) + 1 = 1.0, but (1e8 + 1) − 1e8 = 0.0"


@pytest.mark.slow
def test_10_threads(lesson):
    printed, _ = lesson(10)
    most = int(numbers(printed, "^threads: ")[0][0])
    assert len(numbers(printed, r"\bgain ")) == 4  # does not match "again"
    (counts,) = numbers(printed, "^several threads count")
    assert len(counts) == 5
    assert 0 < min(counts) <= max(counts) <= 40_000_000
    assert (min(counts) < 40_000_000) == (most > 1)
    assert "in a tree of eight blocks: the same bits: True" in printed
    assert "in a ring of 2, 4 and 8 machines: the same bits: False" in printed
    first, second, third, _ = answers(printed)
    assert first == "t/2 + 5 = 0.55·t, so t = 100 µs"
    assert second == "1e-20, and 0.0: the first"
    assert third == "2000000"


@pytest.mark.slow
def test_09_why_not_vectors(lesson):
    printed, _ = lesson(9)
    times = numbers(printed, "times as fast$")
    assert len(times) == 6
    for before, after, gain in times:
        assert after < before
        assert gain == pytest.approx(before / after, rel=0.05)
    if X86:
        assert len(re.findall(r"LLVM: .*\n    (?!fixed: )|calls per iteration", printed)) == 6
    first, second, third, _ = answers(printed)
    one_sum, many = numbers(first, "errors")[0]
    assert many < one_sum < 1e-5
    assert second.endswith("True")
    assert "which is True" in third


@pytest.mark.slow
def test_11_the_gpu(lesson):
    printed, _ = lesson(11)
    assert "all eight are right: True" in printed
    lines = numbers(printed, "reads for each multiply-add predicted")
    assert len(lines) == 8
    for *_, predicted, counted, _ in lines:
        assert counted == predicted
    assert [line[-1] for line in lines[:3]] == [33, 5, 0.25]
    accesses = [line[0] for line in numbers(printed, "accesses to shared")]
    assert accesses == sorted(set(accesses), reverse=True)
    first, second, third, _ = answers(printed)
    assert numbers(first, "GFLOP")[0][-2:] == [round(3000 / 33 * 2), 3000 / 5 * 2]
    assert second.endswith(f": {60_000 / 3_000 * 8 / 2:g}")
    assert numbers(third, "bytes")[0][-1] == 33


@pytest.mark.skipif(WITH_CUDA, reason="needs a machine without numba-cuda")
def test_gpu_lesson_names_the_missing_package(tmp_path):
    status, _, error = run_here(lesson_file(11), "--out", tmp_path)
    assert status == 2
    assert re.fullmatch(r"this lesson needs no GPU, but .*pip install 'jitnet\[cuda\]'.*\n", error)


@pytest.mark.slow
def test_12_your_own_kernel(lesson):
    printed, _ = lesson(12)
    assert re.search("^first_try .* wrong, first at ", printed, re.MULTILINE)
    ((*_, far, _, near),) = numbers(printed, "^W is in")
    expected = {"reordered": (12, 4), "four_k": (6, 4), "blocked": (3, 1)}
    for name, (near_bytes, far_bytes) in expected.items():
        predicted, measured = numbers(printed, f"^{name} +predicted")[0]
        assert predicted <= min(2 * (near + 0.5) / near_bytes, 2 * (far + 0.5) / far_bytes) + 0.05  # all are rounded
        assert measured > 0
    first, second, third, _ = answers(printed)
    four_k = numbers(printed, "^four_k +predicted")[0][0]
    # Equal if the cache of W is the limit, 6/5 if L1 is.
    assert four_k <= numbers(first, "5 bytes")[0][-1] <= 6 / 5 * four_k + 0.1
    assert numbers(second, "9 bytes")[0][-1] <= 2 * (near + 0.5) / 9 + 0.05
    assert third.startswith("mine returns its result")


def test_links_of_the_course_map_exist():
    guide = FOLDER.parent / "docs" / "guide"
    course = (guide / "course.md").read_text(encoding="utf-8")
    for folder, text in ((FOLDER, (FOLDER / "README.md").read_text(encoding="utf-8")), (guide, course)):
        rows = re.findall(r"^\| \[(\d+)\. .*$", text, re.MULTILINE)
        assert [int(number) for number in rows] == [int(file.stem[:2]) for file in LESSONS]
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (folder / target).exists(), target
    for loops, rungs in re.findall(r"\| ([^|]*kernels/\w+\.py[^|]*) \| ([^|]*) \|$", course, re.MULTILINE):
        ladders = []
        for file, names in re.findall(r"kernels/(\w+)\.py\)([^;]*)", loops):
            source = (FOLDER.parent / "jitnet" / "kernels" / f"{file}.py").read_text(encoding="utf-8")
            for name in re.findall(r"`(\w+)`", names):
                assert f"def {name}(" in source, name
                ladders.append(jitnet.kernels.LADDERS[name])
        for rung in rungs.split(", "):
            assert any(rung in ladder for ladder in ladders), (loops, rung)
