"""Kernels that replace functions of the judge."""

import numpy as np
import pytest

from jitnet.lab.benchmark.patches import Snapshot
from jitnet.lab.benchmark.timed import Timed
from jitnet.lab.oracle import Case


@pytest.mark.parametrize(
    ("owner", "name", "path"),
    [
        (Case, "error", "jitnet.lab.oracle.case.Case.error"),
        (Timed, "_kept", "jitnet.lab.benchmark.timed.Timed._kept"),
        (np, "array_equal", "numpy.array_equal"),
    ],
)
def test_a_function_that_was_replaced_is_named(owner, name, path, monkeypatch):
    before = Snapshot()
    monkeypatch.setattr(owner, name, lambda *_: None)
    assert before.changed() == f"replaces {path}; leave the functions of jitnet and NumPy as they are"
    monkeypatch.undo()
    assert before.changed() is None
    monkeypatch.setattr(owner, "other", 3, raising=False)
    assert before.changed() is None
