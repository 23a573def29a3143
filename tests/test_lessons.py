"""The course in examples/: every lesson runs, prints the promised output, and draws its plot.

A line that begins with `# >` in a lesson is exact output. Figures that depend on the machine are relations, tested
here with a wide margin. Numbers that the lesson computes by hand are computed again in NumPy.
"""

import functools
import importlib.util
import io
import os
import platform
import re
import runpy
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jitnet

FOLDER = Path(__file__).parent.parent / "examples"
LESSONS = sorted(FOLDER.glob("[0-9]*.py"))
X86 = platform.machine().lower() in ("x86_64", "amd64")
WITH_CUDA = importlib.util.find_spec("numba_cuda") is not None
ONLY_ON_X86 = "whole vectors "
"""How promises begin that need `explain`, which reads the instructions of x86-64."""


def run(lesson, *arguments, cwd=None, **environment):
    names = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", str(lesson), *map(str, arguments)],
        capture_output=True, text=True, encoding="utf-8", check=False, cwd=cwd, env={**names, **environment},
    )  # fmt: skip


def run_here(lesson, *arguments):
    """What a lesson prints when it runs in this process, where PTX that other tests have generated is at hand."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(lesson), *map(str, arguments)])
        patch.setattr(sys, "stdout", printed)
        patch.syspath_prepend(lesson.parent)
        runpy.run_path(str(lesson), run_name="__main__")
        patch.delitem(sys.modules, "_course")  # it has read this command line
    printed.seek(0)
    return printed.read()


@pytest.fixture(scope="module")
def lesson(tmp_path_factory, request):
    """The output of a lesson with its answers, and the folder with its plots. Each lesson runs once."""

    @functools.cache
    def result_of(number):
        (file,) = FOLDER.glob(f"{number:02}_*.py")
        if number == 11 and not WITH_CUDA:
            pytest.skip("pip install 'jitnet[cuda]' to run this lesson")
        folder = tmp_path_factory.mktemp(file.stem)
        if number == 11:
            request.getfixturevalue("ptx_once")
            return run_here(file, "--out", folder, "--answers"), folder
        result = run(file, "--out", folder, "--answers")
        assert result.returncode == 0, result.stderr
        return result.stdout, folder

    return result_of


def numbers(text, pattern):
    """All numbers in the lines that match, line by line."""
    lines = [line for line in text.splitlines() if re.search(pattern, line)]
    assert lines, pattern
    return [[float(number) for number in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", line)] for line in lines]


def answers(text):
    return [block.strip() for block in re.split(r"^answer \d: ", text, flags=re.MULTILINE)[1:]]


@pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
def test_a_lesson_keeps_its_promises(lesson, file):
    printed, folder = lesson(int(file.stem[:2]))
    text = file.read_text(encoding="utf-8")
    lines = iter(printed.splitlines())
    if printed.startswith("a GPU: "):
        return  # what is promised there is for machines without one
    for promise in re.findall(r"^# > (.*)$", text, re.MULTILINE):
        if X86 or not promise.startswith(ONLY_ON_X86):
            assert promise in lines, promise  # in this order: `in` uses up the lines before it
    pictures = list(folder.iterdir())
    assert pictures
    for picture in pictures:
        content = picture.read_bytes()
        assert content.startswith(b"\x89PNG")
        assert min(struct.unpack(">2I", content[16:24])) > 200
        assert f"picture: {picture}" in printed


@pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
def test_a_lesson_has_its_parts(lesson, file):
    text = file.read_text(encoding="utf-8")
    code = [line for line in re.sub(r'^""".*?"""', "", text, flags=re.DOTALL).splitlines() if line.strip(" ")]
    assert len([line for line in code if not line.startswith("#")]) <= 80
    assert text.startswith(f'"""Lesson {int(file.stem[:2])}. ')
    questions = re.findall(r"^# \d\. ", text[text.index("# %% Exercises") : text.index("# %% Answers")], re.MULTILINE)
    assert 2 <= len(questions) == len(answers(lesson(int(file.stem[:2]))[0]))


def test_answers_are_shown_on_request_only(tmp_path):
    result = run(LESSONS[0], "--out", tmp_path / "new" / "folder")
    assert result.returncode == 0
    assert not answers(result.stdout)
    assert list((tmp_path / "new" / "folder").glob("*.png"))


def test_without_a_word_pictures_go_to_a_folder_beside_the_current_one(tmp_path):
    result = run(LESSONS[0], cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert list((tmp_path / "pictures").glob("*.png"))


def test_a_notebook_needs_no_options(tmp_path):
    """A notebook's kernel has a command line of its own; plots and answers appear in their cells."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, types\n"
        "ipython = types.ModuleType('IPython')\n"
        "ipython.version_info = (9, 0)  # matplotlib looks at it\n"
        "display = types.ModuleType('IPython.display')\n"
        "display.Image, display.display = lambda path: path, lambda path: print('shown:', path)\n"
        "kernel = types.ModuleType('ipykernel')\n"
        "sys.modules.update({'ipykernel': kernel, 'IPython': ipython, 'IPython.display': display})\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    result = run(LESSONS[0], "-f", "kernel.json", cwd=tmp_path, PYTHONPATH=path)
    assert result.returncode == 0, result.stderr
    assert f"shown: {Path('pictures') / LESSONS[0].stem}.png" in result.stdout
    assert len(answers(result.stdout)) == 3


def test_errors_are_one_line(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['matplotlib'] = None\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    for result, word in (
        (run(LESSONS[0], "--out", file), "name another folder with --out"),
        (run(LESSONS[0], "--out", tmp_path / "out", PYTHONPATH=path), "pip install 'jitnet[lessons]'"),
    ):
        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1
        assert word in result.stderr
        assert not result.stdout


def test_01_one_weight(lesson):
    printed, _ = lesson(1)
    w = 0.5
    for step, _, _ in numbers(printed, r"^step \d"):
        assert [step, w, (2 * w - 3) ** 2] == pytest.approx(numbers(printed, rf"^step {step:.0f}")[0], rel=1e-3)
        w -= 0.1 * 2 * (2 * w - 3) * 2
    first, second, third = answers(printed)
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
    times = {int(n): (by_jacobian, outer) for n, by_jacobian, outer in numbers(printed, "by the Jacobian")}
    assert times[256][0] > 50 * times[256][1]
    first, second, third = answers(printed)
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
    first, second, third = answers(printed)
    assert first == f"L = {0.5**2 / 2}, delta2 = {0.5 * 0.25}"
    assert second.startswith("dw1 = 0.0, db1 = 0.0")
    assert third.endswith("= 0.0")


def test_04_two_transformations(lesson):
    printed, _ = lesson(4)
    assert numbers(printed, "^remaining error")[0][0] < 0.03
    ((sigmoid, tanh),) = [pair[1:] for pair in numbers(printed, "^loss after 1000")]
    assert tanh < sigmoid
    x = np.linspace(-np.pi, np.pi, 64)
    least = np.mean(np.minimum(np.sin(x), 0) ** 2)
    ((with_sigmoid, with_tanh),) = numbers(printed, "^loss with sigmoid")
    assert with_tanh < 0.05 < least <= with_sigmoid < 1.2 * least
    first, second, third = answers(printed)
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
    first, second, third = answers(printed)
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
    first, second, third = answers(printed)
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
    share = dict(numbers(printed, "^spiral after"))
    assert share[1] < 75 < 95 < share[300]
    assert {file.name for file in folder.iterdir()} == {"07_digits.png", "07_spiral.png"}
    first, second, third = answers(printed)
    assert first.startswith("no: ")
    assert numbers(first, ".")[0][0] < adam[-1]
    assert second == "SGD(0.1) 0, Momentum(0.1) 1, Adam(0.003) 2"
    assert 0.9 < numbers(third, ".")[0][0] < 1


def test_08_the_ladder(lesson):
    printed, _ = lesson(8)
    ((clock, _, cache, peak),) = numbers(printed, "GHz, L1 cache")
    rates = [line[0] for line in numbers(printed, "GFLOP/s, measured")]
    expected = [0.01, clock / 2, min(cache / 6, peak), min(cache / 1.5, peak), peak]
    assert rates == pytest.approx(expected, rel=0.02)
    measured = [line[1] for line in numbers(printed, "GFLOP/s, measured")]
    assert measured[:3] == sorted(measured[:3])  # each of these is ten times the one before, or more
    assert measured[2] < measured[4]
    first, second, third = answers(printed)
    assert first.startswith("16 multiply-adds; 4 ")
    assert second.startswith(f"240 times; {8 / 240:.3f} bytes")
    assert third == "(1e8 − 1e8) + 1 = 1.0, but (1e8 + 1) − 1e8 = 0.0"


def test_10_threads(lesson):
    printed, _ = lesson(10)
    most = int(numbers(printed, "^threads: ")[0][0])
    assert len(numbers(printed, r"\bgain ")) == 4  # and not "again"
    (counts,) = numbers(printed, "^several threads count")
    assert len(counts) == 5
    assert 0 < min(counts) <= max(counts) <= 40_000_000
    assert (min(counts) < 40_000_000) == (most > 1)
    first, second, third = answers(printed)
    assert first == "t/2 + 5 = 0.55·t, so t = 100 µs"
    assert second == "1e-20, and 0.0: the first"
    assert third == "2000000"


def test_09_why_not_vectors(lesson):
    printed, _ = lesson(9)
    times = numbers(printed, "times as fast$")
    assert len(times) == 6
    for before, after, gain in times:
        assert after < before
        assert gain == pytest.approx(before / after, rel=0.05)
    if X86:
        assert len(re.findall("LLVM: |calls per iteration", printed)) == 6
    first, second, third = answers(printed)
    one_sum, many = numbers(first, "errors")[0]
    assert many < one_sum < 1e-5
    assert second.endswith("True")
    assert "which is True" in third


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
    first, second, third = answers(printed)
    assert numbers(first, "GFLOP")[0][-2:] == [round(3000 / 33 * 2), 3000 / 5 * 2]
    assert second.endswith(f": {60_000 / 3_000 * 8 / 2:g}")
    assert numbers(third, "bytes")[0][-1] == 33


@pytest.mark.skipif(WITH_CUDA, reason="the package that is to be missing is here")
def test_the_gpu_lesson_says_what_it_needs(tmp_path):
    (lesson_11,) = FOLDER.glob("11_*.py")
    result = run(lesson_11, "--out", tmp_path)
    assert result.returncode == 2
    assert re.fullmatch(r"this lesson needs no GPU, but .*pip install 'jitnet\[cuda\]'.*\n", result.stderr)


def test_12_your_own_kernel(lesson):
    printed, _ = lesson(12)
    assert re.search("what is wrong: .* wrong, first at ", printed)
    ((*_, far, _, near),) = numbers(printed, "^W is in")
    expected = {"reordered": (12, 4), "four_k": (6, 4), "blocked": (3, 1)}
    for name, (near_bytes, far_bytes) in expected.items():
        predicted, measured = numbers(printed, f"^{name} +predicted")[0]
        assert predicted <= min(2 * near / near_bytes, 2 * far / far_bytes) * 1.02
        assert measured > 0
    first, second, third = answers(printed)
    assert numbers(first, "5 bytes")[0][-1] == numbers(printed, "^four_k +predicted")[0][0]
    assert numbers(second, "9 bytes")[0][-1] <= 2 * near / 9 * 1.02
    assert third.startswith("returns its result")


MADE_UP = """
import sys
import jitnet.lab.timing, jitnet.disturbance, numba
from jitnet.lab.timing import Timing
factor, reasons = {factor}, {reasons}
jitnet.disturbance.reasons = lambda *_: reasons
def in_turn(calls, **_):
    seconds = 1e-3 if numba.get_num_threads() == 1 else 1e-3 / factor
    return {{name: Timing(seconds, seconds, seconds, seconds) for name in calls}}
jitnet.lab.timing.in_turn = in_turn
from jitnet.lab import ladder, machine
speeds = dict(python=0.01, njit=1.0, reordered=20.0, four_k=20.0 * factor, blocked=60.0, packed=100.0)
def compare(operation, own, size, threads):
    rungs = [dict(name=name, gflops=speed, checked=True) for name, speed in speeds.items()]
    (mine,) = own
    rungs.append(dict(name=mine, gflops=speeds["four_k"], checked=mine == "four_k", error="is wrong, first at (0, 0)"))
    return dict(rungs=rungs, disturbed=bool(reasons), disturbed_by=reasons)
ladder.compare = compare
rates = dict.fromkeys(("read", "write", "copy"), 2e11)
machine.limits = lambda *_, **__: dict(
    caches=dict(L1=1 << 15, L2=1 << 21), bandwidth=dict(L1={{"1": rates}}, L2={{"1": rates}}),
    peak=dict(float32={{"1": 1e11}}), clock=3e9, disturbed=False)
"""


def made_up(tmp_path, number, factor, reasons=()):
    """The output of a lesson for simulated measurements."""
    (tmp_path / "sitecustomize.py").write_text(MADE_UP.format(factor=factor, reasons=list(reasons)))
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    (file,) = FOLDER.glob(f"{number:02}_*.py")
    result = run(file, "--out", tmp_path / "out", PYTHONPATH=path, NUMBA_NUM_THREADS="2")
    assert result.returncode == 0, result.stderr
    assert list((tmp_path / "out").glob("*.png"))
    return result.stdout


@pytest.mark.parametrize(("factor", "effect"), [(1.9, "gains"), (1.05, "stays about the same"), (0.07, "loses")])
def test_what_lesson_10_concludes_follows_from_its_measurements(tmp_path, factor, effect):
    printed = made_up(tmp_path, 10, factor)
    assert f"2 threads instead of one: the long product, 512³ {effect}, the short product, 16³ {effect}\n" in printed
    assert sum(word in printed for word in ("gains", "stays about the same", "loses")) == 1


def test_lesson_10_concludes_nothing_on_a_busy_machine(tmp_path):
    printed = made_up(tmp_path, 10, 0.07, ["other processes used 1.4 of 2 cores"])
    assert "Other processes used 1.4 of 2 cores, so times and ratios are too uncertain to compare" in printed
    assert "\n2 threads instead of one\n" in printed


@pytest.mark.parametrize(
    ("factor", "order"),
    [(2, "reordered ≤ four_k ≤ blocked"), (0.5, "four_k ≤ reordered ≤ blocked"), (5, "reordered ≤ blocked ≤ four_k")],
)
def test_what_lesson_12_concludes_follows_from_its_measurements(tmp_path, factor, order):
    conclusion = made_up(tmp_path, 12, factor).partition("from slow to fast, predicted and measured:\n")[2]
    predicted, measured = (line.strip() for line in conclusion.splitlines()[:2])
    assert predicted == "reordered ≤ four_k ≤ blocked"
    assert measured == order


def test_lesson_12_concludes_nothing_on_a_busy_machine(tmp_path):
    printed = made_up(tmp_path, 12, 2, ["other processes used 1.4 of 2 cores"])
    assert "Other processes used 1.4 of 2 cores, so times" in printed
    assert "from slow to fast" not in printed


def test_the_map_of_the_course_leads_somewhere():
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    course = readme[readme.index("## The course") : readme.index("## Your own data")]
    for folder, text in ((FOLDER, (FOLDER / "README.md").read_text(encoding="utf-8")), (FOLDER.parent, course)):
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
