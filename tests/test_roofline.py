"""The roofline plot has its lines and points at the right positions, and its labels do not overlap."""

from itertools import pairwise

import pytest

from jitnet.lab.plots import apart
from jitnet.lab.roofline import roofline

TIMED = {"custom": False, "checked": True}
RATES = {"L1": 4e11, "L2": 2e11, "memory": 5e10}
LIMITS = {
    "caches": {"L1": 1 << 15, "L2": 1 << 20},
    "peak": {"float32": {"1": 1e11, "2": 2e11, "4": 4e11}},
    "bandwidth": {
        level: {"1": {"read": rate / 4, "copy": rate / 8}, "2": {"read": rate / 2, "copy": rate / 4},
                "4": {"read": rate, "copy": rate / 2}}
        for level, rate in RATES.items()
    },
}  # fmt: skip


def test_slope_meets_the_peak_where_both_limits_are_equal():
    rung = TIMED | {"name": "packed", "gflops": 90.0, "intensity": 8.0, "bytes": 4096}
    found = roofline(
        {"unit": "GFLOP/s", "dtype": "float32", "limit_kind": "copy", "threads": 2, "rungs": [rung]}, LIMITS
    )
    assert found["points"] == [{"name": "packed", "custom": False, "x": 8.0, "y": 90e9}]
    assert [(roof["name"], roof["threads"]) for roof in found["roofs"]] == [
        ("L1", 2), ("L2", 2), ("memory", 2), ("multiply-adds", 1), ("multiply-adds", 2)
    ]  # fmt: skip
    ridges = {roof["name"]: roof["x"][1] for roof in found["roofs"][:3]}
    assert ridges == {"L1": 1.0, "L2": 2.0, "memory": 8.0}  # 2e11 FLOP/s over 2e11, 1e11 and 2.5e10 bytes/s
    for roof in found["roofs"][:3]:
        assert roof["y"][1] == 2e11
        assert roof["y"][0] / roof["x"][0] == pytest.approx(RATES[roof["name"]] / 2)
    assert [roof["y"] for roof in found["roofs"][3:]] == [[1e11, 1e11], [2e11, 2e11]]
    assert all(roof["x"][0] < 8.0 < roof["x"][1] for roof in found["roofs"][3:])


def test_bandwidth_has_a_step_for_each_cache_size():
    rung = TIMED | {"name": "njit", "gbytes": 3.0, "bytes": 2 << 20, "intensity": 1.0}
    found = roofline({"unit": "GB/s", "dtype": "float32", "limit_kind": "copy", "threads": 1, "rungs": [rung]}, LIMITS)
    assert found["points"] == [{"name": "njit", "custom": False, "x": 2 << 20, "y": 3e9}]
    assert [(roof["name"], roof["y"][0]) for roof in found["roofs"]] == [
        ("L1", 5e10), ("L2", 2.5e10), ("memory", 6.25e9)
    ]  # fmt: skip
    assert [roof["x"][1] for roof in found["roofs"]][:2] == [1 << 15, 1 << 20]
    assert found["roofs"][-1]["x"] == [1 << 20, 8 << 20]


def test_peaks_are_interpolated_between_thread_counts():
    rung = TIMED | {"name": "packed", "gflops": 90.0, "intensity": 8.0, "bytes": 4096}
    found = roofline(
        {"unit": "GFLOP/s", "dtype": "float32", "limit_kind": "copy", "threads": 3, "rungs": [rung]}, LIMITS
    )
    assert [(roof["threads"], roof["y"][1]) for roof in found["roofs"][-2:]] == [(1, 1e11), (3, pytest.approx(3e11))]
    assert found["roofs"][0]["y"][0] / found["roofs"][0]["x"][0] == pytest.approx(3e11)  # reading from the L1


@pytest.mark.parametrize("places", [[0.5], [0.1, 0.9], [0.5, 0.5, 0.5], [0.9, 0.52, 0.5, 0.1, 0.51], []])
def test_labels_keep_their_order_and_do_not_overlap(places):
    moved = apart(places, 0.05, 0, 1)
    order = sorted(range(len(places)), key=lambda i: places[i])
    heights = [moved[i] for i in order]
    assert all(b - a >= 0.05 - 1e-12 for a, b in pairwise(heights))
    assert sum(moved) == pytest.approx(sum(places))  # crowded labels move as little as possible
    if places in ([0.5], [0.1, 0.9]):
        assert moved == places  # isolated labels do not move


def test_labels_stay_within_the_picture():
    moved = apart([0.99, 1.0, 0.98, 0.01, 0.01, 0.0], 0.05, 0, 1)
    assert moved == pytest.approx([0.95, 1.0, 0.9, 0.05, 0.1, 0.0])
