"""The examples in docstrings run and print what is written there; help and tab completion show the public names."""

import doctest
import importlib
import inspect
import pydoc
import re

import pytest

import jitnet
from jitnet.optimizers import USUAL_LR

MODULES = [
    "", ".calculus", ".display.graph", ".display.summary", ".functions", ".interop.keras", ".network",
    ".training.fitting", ".training.single_step", ".training.state",
]  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_docstring_examples_run(module):
    failed, tried = doctest.testmod(importlib.import_module(f"jitnet{module}"))
    assert failed == 0
    assert tried > 0


def test_tab_completion_shows_only_public_names():
    assert set(dir(jitnet)) == set(jitnet.__all__)
    assert len(jitnet.__all__) == len(set(jitnet.__all__))
    net = jitnet.Network(jitnet.Dense(2, 2))
    assert [name for name in dir(net) if name[0] != "_"] == [
        "classes", "dtype", "evaluate", "fit", "forward", "grad", "gradients", "graph", "layers", "load_state_dict",
        "loss", "parameters", "partial_fit", "predict", "recipe", "save", "seed", "state_dict", "step", "summary",
        "task", "theta", "widths",
    ]  # fmt: skip


def test_map_names_every_public_name():
    text = jitnet.__doc__
    for name in set(jitnet.__all__) - {"__version__"}:
        assert name in text, name


@pytest.mark.parametrize("name", ["fit", "step", "forward", "gradients", "evaluate", "graph", "load_state_dict"])
def test_first_line_of_help_is_short(name):
    text = pydoc.plain(pydoc.render_doc(getattr(jitnet.Network, name)))
    signature = text.splitlines()[2]
    assert "numpy._typing" not in signature
    parameters = inspect.signature(getattr(jitnet.Network, name)).parameters
    assert len(signature) < 45 * (len(parameters) + 1)  # short names of types, however many options there are


def test_help_of_fit_tells_the_learning_rate_that_each_name_stands_for():
    text = re.search(r"^ *optimizer +(.*)$", jitnet.Network.fit.__doc__, re.M)[1]
    rates, waiting = {}, []
    for name, rate in re.findall(r'"(\w+)"|([\d.]+)\)', text.removesuffix("or SGD(0.5), ...")):
        waiting += [name] if name else []
        if rate:
            rates |= dict.fromkeys(waiting, float(rate))
            waiting = []
    assert rates == USUAL_LR
    assert f"lr={USUAL_LR['adam']}" in jitnet.Adam.__doc__
