"""Notebooks show tables, curves and progress bars; and a history can be plotted."""

import json
import sys
import types
from html.parser import HTMLParser

import numpy as np
import pytest
from runs import make, spiral
from test_ladder import made_up

import jitnet
from jitnet import History
from jitnet.display import markup
from jitnet.lab import explain
from jitnet.lab.ladder_table import Ladder, as_text
from jitnet.process import progress


class Page(HTMLParser):
    """Checks that every tag is closed, and collects the cells of tables row by row."""

    def __init__(self, html):
        super().__init__()
        self.open, self.rows, self.text = [], [], ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_network_is_shown_as_the_table_of_its_summary():
    net = make(widths=(2, 17, 3))
    page = Page(net._repr_html_())
    assert page.rows == [
        ["layer", "output", "parameters", "shapes"], ["dense tanh", "17", "51", "W 2×17, b 17"],
        ["dense softmax", "3", "54", "W 17×3, b 3"], ["total, float32", "", "105", ""],
    ]  # fmt: skip
    assert page.text.startswith("Network 2-17-3")
    assert repr(net.summary()) == str(net.summary())  # readable at a prompt and as the last line of a cell
    assert [line.split() for line in net.summary().splitlines()] == [" ".join(row).split() for row in page.rows]


@pytest.mark.parametrize("epochs", [0, 1, 2, 9, 10, 11, 30, 997])
def test_history_shows_about_ten_epochs_and_the_last(epochs):
    history = History(
        loss=[1 / e for e in range(1, epochs + 1)], seconds=[0.5] * epochs, validation_loss=[2.0] * epochs,
        validation_accuracy=[0.875] * epochs, best_epoch=epochs or None,
    )  # fmt: skip
    page = Page(history._repr_html_())
    head, *rows = page.rows
    shown = [int(row[0]) for row in rows]
    assert len(rows) <= 12
    assert shown == sorted(set(shown))
    if epochs:
        assert head == ["epoch", "loss", "validation loss", "accuracy", "seconds"]
        assert (shown[0], shown[-1]) == (1, epochs)
        assert rows[-1][1:] == [f"{1 / epochs:.4f}", "2.0000", "87.5%", "0.5"]
        assert f"{epochs} epoch" in page.text
        assert f"the weights are those of epoch {epochs}" in page.text
    assert ("polyline" in history._repr_html_()) == (epochs > 1)


def test_history_says_why_training_ended():
    X, y = spiral()
    history = make().fit(X, y, epochs=2, backend="numpy")
    assert "2 epochs in" in history._repr_html_()
    history.stopped = "early"
    assert ", stopped early" in history._repr_html_()


def test_loss_curve_begins_at_zero():
    svg = markup.curve([4.0, 2.0, 0.0])
    assert 'points="0.0,0.0 120.0,24.0 240.0,48.0"' in svg


def test_ladder_is_shown_as_a_table_and_is_still_a_dict():
    found = Ladder(made_up("matmul", ["python", "njit", "numpy"]))
    page = Page(found._repr_html_())
    assert page.rows[0] == ["rung", "time", "spread", "GFLOP/s", "vs python", "vs prev", "of peak", "vs NumPy"]
    assert [row[0] for row in page.rows[1:]] == ["python (64x64x64)", "njit", "numpy"]
    assert page.rows[2][1] == "123.4 µs"
    assert "used 101.4 of 128 cores" in page.text
    assert found == made_up("matmul", ["python", "njit", "numpy"])
    assert isinstance(found, dict)
    assert json.loads(json.dumps(found)) == found


def test_failed_custom_kernel_is_a_row():
    found = made_up("matmul", ["python", "njit", "numpy"])
    found["rungs"].append({"name": "<mine>", "custom": True, "checked": False, "error": "wrote <nothing>"})
    page = Page(Ladder(found)._repr_html_())
    assert page.rows[-1] == ["<mine>", "left out: it has an error", *[""] * 6]
    assert "<mine> wrote <nothing>" in page.text
    assert repr(Ladder(found)) == str(Ladder(found)) == as_text(found)  # at a prompt
    assert "<mine> wrote <nothing>" in as_text(found).splitlines()


@pytest.mark.slow  # a process that compiles
@pytest.mark.skipif(not explain.is_readable(), reason="explain cannot parse the code of this machine")
def test_explanation_shows_verdicts_and_folds_the_instructions():
    found = explain.explain("relu.njit")
    page = Page(found._repr_html_())
    assert page.text.startswith(f"relu.njit: {found['summary']}")
    assert [row[0][2:] for row in page.rows[1:]] == [verdict["name"] for verdict in found["verdicts"]]
    assert all(instruction["text"] in page.text for instruction in found["instructions"][:3])
    assert "details" in found._repr_html_()


@pytest.fixture
def notebook(monkeypatch):
    """Simulates IPython in a kernel; a list has the contents that a cell displayed, in order."""
    shown = []
    handle = types.SimpleNamespace(update=shown.append)
    package, module = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    package.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    package.display = module

    def display(content, display_id):
        assert display_id
        shown.append(content)
        return handle

    module.HTML, module.display = str, display
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return shown


def test_progress_is_shown_in_a_notebook(notebook, capsys):
    X, y = spiral()
    make().fit(X, y, epochs=5, backend="numpy", progress=True, validation=(X, y))
    assert capsys.readouterr() == ("", "")
    page = Page(notebook[-1])
    assert page.text.strip().startswith("epoch 5/5  loss")
    assert 'value="1.0000"' in notebook[-1]
    assert "accuracy" in page.text


def test_every_progress_event_is_shown_in_a_notebook(notebook):
    bars = progress.on_standard_error("an <intro>")
    assert isinstance(bars, progress.Cell)
    bars.expected = "about 3 s"
    with bars:
        bars.compiling(1, 4, "matmul")
        assert 'value="0.2500"' in notebook[-1]
        bars.compiling(4, 4, "")
        bars.measuring(0, 2, "timing, round: njit")
        bars.training(2, 4)
        assert "epoch 3/4" in notebook[-1]
        bars._latest = 0.0
        bars.batch(50, 100)
        assert 'value="0.6250"' in notebook[-1]
        bars.note("a note & more")
    text = Page(notebook[-1]).text
    for part in ("an <intro>", "compiled 4 kernels", "about 3 s", "timing njit", "a note & more"):
        assert part in text


def test_terminals_and_scripts_are_not_notebooks(monkeypatch):
    assert not progress.in_notebook()
    package = types.ModuleType("IPython")
    monkeypatch.setitem(sys.modules, "IPython", package)
    for shell in (None, object()):  # a script that imports IPython, and IPython in a terminal
        package.get_ipython = lambda shell=shell: shell
        assert not progress.in_notebook()


def test_plot_of_a_history_has_all_curves():
    pytest.importorskip("matplotlib")
    X, y = spiral()
    history = make().fit(X, y, epochs=3, backend="numpy", validation=(X, y))
    figure = history.plot("a spiral")
    loss, accuracy = figure.axes
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), history.loss)
    np.testing.assert_array_equal(loss.lines[1].get_ydata(), history.validation_loss)
    np.testing.assert_array_equal(accuracy.lines[0].get_ydata(), history.validation_accuracy)
    assert figure.get_suptitle() == "a spiral"
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_plot_without_matplotlib_is_an_error(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(jitnet.Error, match=r"drawing needs matplotlib: pip install 'jitnet\[cli\]'"):
        History(loss=[1.0]).plot()


def test_a_history_is_one_line():
    done = History(loss=[1.0, 0.25], validation_accuracy=[0.4, 0.5], seconds=[1, 2], best_epoch=1, stopped="early")
    assert repr(done) == (
        "<History: 2 epochs, loss 1 to 0.25, validation accuracy 0.5, 3 s, best epoch 1, stopped: early>"
    )
    assert repr(History()) == "<History: 0 epochs, 0 s>"
    assert repr(History(checkpoint_error="disk full")) == "<History: 0 epochs, 0 s, checkpoint failed>"
