"""Kernels that replace functions of the judge."""

import numpy as np
import pytest

from jitnet import checks
from jitnet.lab.benchmark import timed
from jitnet.lab.benchmark.patches import Snapshot
from jitnet.lab.benchmark.timed import Timed
from jitnet.lab.oracle import Case


@pytest.mark.parametrize(
    ("owner", "name", "path"),
    [
        (Case, "error", "jitnet.lab.oracle.case.Case.error"),
        (Timed, "_stores_results", "jitnet.lab.benchmark.timed.Timed._stores_results"),
        (np, "array_equal", "numpy.array_equal"),
        (np.random, "default_rng", "numpy.random.default_rng"),
        (timed, "FASTER", "jitnet.lab.benchmark.timed.FASTER"),
        (checks, "count", "jitnet.checks.count"),
    ],
)
def test_a_function_that_was_replaced_is_named(owner, name, path, monkeypatch):
    before = Snapshot()
    monkeypatch.setattr(owner, name, lambda *_: None)
    assert before.changed() == f"replaces {path}; leave jitnet and NumPy as they are"
    monkeypatch.undo()
    assert before.changed() is None
    monkeypatch.setattr(owner, "other", 3, raising=False)
    assert before.changed() is None


def test_a_function_with_other_code_is_named(monkeypatch):
    before = Snapshot()
    monkeypatch.setattr(Case.error, "__code__", (lambda _: None).__code__)
    assert before.changed().startswith("replaces jitnet.lab.oracle.case.Case.error;")
    monkeypatch.undo()
    assert before.changed() is None
