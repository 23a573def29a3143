"""The conclusions of lessons follow from their measurements, simulated here; disturbed measurements give none."""

import contextlib
import re

import numba
import pytest
from cases import release
from course import lesson_file, run_here

import jitnet
from jitnet.lab import ladder, machine, timing
from jitnet.process import disturbance

BUSY = ["other processes used 1.4 of 2 cores"]


def made_up(tmp_path, monkeypatch, number, factor, reasons=()):
    """The output of a lesson with simulated measurements on two threads; cells without conclusions are skipped."""
    threads = [2]

    @contextlib.contextmanager
    def limited(count):
        threads.append(count)
        yield
        threads.pop()

    def time_alternating(calls):
        seconds = 1e-3 if threads[-1] == 1 else 1e-3 / factor
        return dict.fromkeys(calls, timing.Timing(seconds, seconds, seconds, seconds))

    def compare(operation, custom, *_, **__):
        speeds = {"python": 0.01, "njit": 1.0, "unrolled": 4.0, "reordered": 20.0, "four_k": 20.0 * factor,
                  "blocked": 60.0, "tiled": 90.0, "packed": 100.0}  # fmt: skip
        rungs = [{"name": n, "gflops": speed, "speedup": 100 * speed, "checked": True} for n, speed in speeds.items()]
        error = "is wrong, first at (0, 0)"
        rungs += [{"name": n, "gflops": 20.0 * factor, "checked": n == "four_k", "error": error} for n in custom]
        return {"rungs": rungs, "disturbed": bool(reasons), "disturbed_by": list(reasons)}

    rates = dict.fromkeys(("read", "write", "copy"), 2e11)
    limits = {"caches": {"L1": 1 << 15, "L2": 1 << 21}, "bandwidth": {"L1": {"1": rates}, "L2": {"1": rates}},
              "peak": {"float32": {"1": 1e11}}, "clock": 3e9, "disturbed": False}  # fmt: skip
    monkeypatch.setattr(disturbance, "reasons", lambda *_: list(reasons))
    monkeypatch.setattr(timing, "time_alternating", time_alternating)
    monkeypatch.setattr(ladder, "compare", compare)
    monkeypatch.setattr(machine, "limits", lambda: limits)
    monkeypatch.setattr(numba, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(jitnet.backend, "threads", limited)
    text, file = lesson_file(number).read_text(encoding="utf-8"), tmp_path / lesson_file(number).name
    cells = re.split(r"^(?=# %% \[markdown\])", text, flags=re.MULTILINE)
    slow = re.compile(r".*\n# (A race|The fix|The same bits|Through a microscope)\n")
    file.write_text("".join(cell for cell in cells if not slow.match(cell)), encoding="utf-8")
    status, printed, errors = run_here(file, "--out", tmp_path / "out")
    assert status == 0, errors
    assert list((tmp_path / "out").glob("*.png"))
    return printed


@pytest.mark.parametrize(("factor", "effect"), [(1.9, "gains"), (1.05, "stays about the same"), (0.07, "loses")])
def test_conclusion_of_lesson_10_follows_from_its_measurements(tmp_path, monkeypatch, factor, effect):
    printed = made_up(tmp_path, monkeypatch, 10, factor)
    assert f"2 threads instead of one: the long product (512³) {effect}, the short product (16³) {effect}\n" in printed
    assert sum(word in printed for word in ("gains", "stays about the same", "loses")) == 1


@pytest.mark.parametrize(
    ("factor", "order"),
    [(2, "reordered ≤ four_k ≤ blocked"), (0.5, "four_k ≤ reordered ≤ blocked"), (5, "reordered ≤ blocked ≤ four_k")],
)
def test_conclusion_of_lesson_12_follows_from_its_measurements(tmp_path, monkeypatch, factor, order):
    conclusion = made_up(tmp_path, monkeypatch, 12, factor).partition("from slow to fast, predicted and measured:\n")[2]
    predicted, measured = (line.strip() for line in conclusion.splitlines()[:2])
    assert predicted == "reordered ≤ four_k ≤ blocked"
    assert measured == order


@pytest.mark.slow  # runs the longest lesson once more; test_lessons.py runs it too
def test_conclusion_of_lesson_8_follows_from_its_measurements(tmp_path, monkeypatch):
    printed = made_up(tmp_path, monkeypatch, 8, 1)
    assert (
        "unrolled   predicted        6 GFLOP/s, measured        4; gain predicted    4.0, measured    4.0\n" in printed
    )
    assert "from python to packed: 10000 times as fast" in printed


@pytest.mark.parametrize(
    ("number", "conclusion"),
    [release(8, "from python to packed"), (10, "gains"), (12, "from slow to fast")],
)
def test_lessons_draw_no_conclusion_on_a_busy_machine(tmp_path, monkeypatch, number, conclusion):
    """The tests above find each of these texts on a quiet machine."""
    printed = made_up(tmp_path, monkeypatch, number, 1.9, BUSY)
    assert "Other processes used 1.4 of 2 cores, so times and ratios are too uncertain to compare" in printed
    assert conclusion not in printed
