"""Columns of numbers whose differences are small against the numbers, such as nanoseconds since 1970."""

import numpy as np
import pytest
from files import csv

from jitnet.data import Choices, Recipe, from_frame, read_table
from jitnet.data.preprocessing.columns import mean_and_scale

START = 1_700_000_000_000_000_000
DAY = 86_400 * 10**9
Y = ["u", "v"] * 30


def standardized(table, name, **choices):
    """The column as the network sees it."""
    recipe = Recipe.learn(table, range(len(table)), choices=Choices(**choices))
    assert name in recipe.features
    return recipe.X(table, "float64")[:, recipe.features.index(name)]


@pytest.mark.parametrize("step", [DAY, 10**9, 10**6])
@pytest.mark.parametrize("kind", ["frame of floats", "frame of integers", "npz", "csv"])
def test_nanoseconds_are_standardized(tmp_path, step, kind):
    times = START + step * ((7 * np.arange(60)) % 60)
    columns = {"t": times.astype(float) if kind == "frame of floats" else times, "w": np.arange(60) % 7}
    table, name, chosen = from_frame({**columns, "y": Y}, "y"), "t", ["t"] * (kind != "frame of floats")
    if kind == "npz":
        np.savez(tmp_path / "data.npz", X=np.column_stack(list(columns.values())), y=Y)
        table, name, chosen = read_table(tmp_path / "data.npz"), "1", ["1"]
    elif kind == "csv":
        rows = "".join(f"{t},{w},{y}\n" for t, w, y in zip(times, columns["w"], Y, strict=True))
        table = read_table(csv(tmp_path, f"t,w,y\n{rows}"), "y")
    found = standardized(table, name, numeric=chosen)
    expected = (times - times[0]) / step
    np.testing.assert_allclose(found, (expected - expected.mean()) / expected.std(), atol=1e-3)
    if chosen:  # without it, they are codes
        decisions = Recipe.learn(table, range(60)).decisions
        reason = "a different code or number of over 15 digits in each row, like an ID (--numeric NAME keeps it)"
        assert f"left out: {name}: {reason}" in decisions


def test_numbers_that_differ_by_rounding_are_left_out():
    serial = 4_006_381_333_931_000_000.0 + 1000 * (np.arange(60) % 5)
    table = from_frame({"s": serial, "k": [0.3, 0.1 + 0.2] * 30, "w": np.arange(60) % 7, "y": Y}, "y")
    recipe = Recipe.learn(table, range(60))
    reason = "the numbers differ only by rounding (subtract the smallest one from all of them to learn the difference)"
    assert recipe.features == ["w"]
    assert f"left out: s, k: {reason}" in recipe.decisions
    assert np.abs(standardized(table, "s", numeric=["s"])).max() < 0.1  # 2560 before
    shifted = from_frame({"s": serial - serial.min(), "w": np.arange(60) % 7, "y": Y}, "y")
    assert standardized(shifted, "s").std() == pytest.approx(1)


def test_exact_whole_numbers_are_standardized_although_they_are_close():
    numbers = 10.0**15 + np.arange(60) * 7 % 60
    found = standardized(from_frame({"s": numbers, "y": Y}, "y"), "s")
    np.testing.assert_allclose([found.mean(), found.std()], [0, 1], atol=0.02)


def test_mean_and_scale_of_close_numbers_do_not_depend_on_their_number():
    many = np.column_stack([np.tile([START, START + 1e9], 50_000), np.tile([1.0, 3.0], 50_000), np.full(100_000, 0.1)])
    mean, scale = mean_and_scale(many)
    np.testing.assert_array_equal(mean, [START + 5e8, 2, 0.1])
    np.testing.assert_allclose(scale, [5e8, 1, 1], rtol=1e-9)
    for j in range(3):
        np.testing.assert_array_equal(mean_and_scale(many[:, j]), (mean[j], scale[j]))
