"""What `jitnet predict` says about its answers and scores."""

import json

import pytest
from files import csv

import jitnet
from jitnet.cli import predict

QUICK = ("--backend", "numpy", "--hidden", "4", "--epochs", "1", "--quiet")
ROWS = [f"{i % 7},{'uv'[i % 2]},{'' if i == 5 else i * 1.5}" for i in range(40)]
HEAD = "a,b,y\n"


def test_scores_on_the_training_file_are_no_test_scores(run, tmp_path):
    """New rows are not said to be of the training, and without a score there is nothing to warn about."""
    run("train", csv(tmp_path, HEAD + "\n".join(ROWS)), "--target", "y", "--save", "m.npz", *QUICK)
    warning = "trained on rows among these; for new rows, expect the test RMSE that jitnet train printed, not the RMSE"
    same = [f"{row},x" for row in ROWS]
    assert warning in run("predict", "m.npz", csv(tmp_path, "a,b,y,c\n" + "\n".join(same), "same.csv")).err
    other = [f"1{row}" for row in ROWS]
    without = [row.rpartition(",")[0] for row in ROWS]
    for name, text in (("other.csv", HEAD + "\n".join(other)), ("without.csv", "a,b\n" + "\n".join(without))):
        said = run("predict", "m.npz", csv(tmp_path, text, name)).err
        assert "40 rows" in said
        assert "trained on" not in said


@pytest.mark.parametrize(
    ("start", "step", "decimals"), [(250_000, 8_000, 0), (1_700_000_000, 30, 2), (2e-9, 1e-10, 13), (0, 1e9, 0)]
)
def test_decimals_far_below_the_spread_of_the_targets_are_left_out(run, tmp_path, start, step, decimals):
    rows = [f"{i % 7},{start + step * i:.15g}" for i in range(40)]
    run("train", csv(tmp_path, "a,y\n" + "\n".join(rows)), "--target", "y", "--save", "m.npz", *QUICK)
    exact = jitnet.load("m.npz").predict([{"a": 3}], "numpy")
    path = csv(tmp_path, "a\n3\n", "new.csv")
    printed = run("predict", "m.npz", path, "--backend", "numpy").out
    assert printed == f"{round(exact[0], decimals):.15g}\n"
    assert json.loads(run("predict", "m.npz", path, "--json").out)["predictions"] == [float(printed)]


def test_a_prediction_that_rounds_to_0_has_no_sign():
    assert str(predict._rounded([-1e-9, 1.23456789], 1.0)) == "[0.0, 1.2346]"
