"""The documentation site builds without a warning, shows every public name, and is readable in a browser."""

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import jitnet
import jitnet.lab

DOCS = Path(__file__).parent.parent / "docs"
WIDTHS = ((1280, "light"), (390, "light"), (390, "dark"))
PAGES = ("index", "guide/kernels", "guide/speed", "api/network", "api/kernels", "course/08_the_ladder")


@pytest.fixture(scope="module")
def tabular():
    spec = importlib.util.spec_from_file_location("tabular", DOCS / "tabular.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tabular_docstrings_become_lists_and_code(tabular):
    text = """Product, `A` by B_.

Formula   C = A·B*
          for all
Shapes    A (m, k)
a_name    a sentence
          that flows

    jitnet.matmul(A, B)

>>> print(A)
[[1.  2.]]

    few     one idea
    many    another

In a text, two
spaces are  no row."""
    rst = "\n".join(tabular.as_rst(text))
    assert "Product, ``A`` by B\\_." in rst
    assert (
        "Formula\n    | C = A·B\\*\n    | for all\nShapes\n    A (m, k)\n``a_name``\n    a sentence\n    that flows"
        in rst
    )
    assert ".. code-block:: python\n\n    jitnet.matmul(A, B)" in rst
    assert ".. code-block:: pycon\n\n    >>> print(A)\n    [[1.  2.]]\n" in rst
    assert "``few``\n    one idea\n``many``" in rst
    assert rst.endswith("In a text, two\nspaces are  no row.\n")


def test_conversion_keeps_every_word_of_a_docstring(tabular):
    for name in jitnet.__all__:
        text = getattr(jitnet, name).__doc__ or ""
        words = [word.strip("`") for line in text.splitlines() for word in line.split()]
        shown = "\n".join(tabular.as_rst(text)).replace("\\", "").replace("``", "`")
        assert [word for word in words if word not in shown] == [], name


def test_rows_of_docstrings_begin_a_line():
    for file in Path(jitnet.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            text = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node)
            assert not re.search(r"\S (?:Formula|Shapes|Errors) {2,}\S", text or ""), (file, node.name)


@pytest.mark.parametrize("page", ["lab", "trace"])
def test_line_numbers_in_outputs_of_the_guide_are_current(page):
    source = Path(jitnet.kernels.matmul.__file__).read_text(encoding="utf-8").splitlines()
    text = (DOCS / "guide" / f"{page}.md").read_text(encoding="utf-8")
    shown = re.findall(r"^ *(?:\d+%  matmul\.py:)?(\d+)  (\S.*)$", text, re.MULTILINE)
    assert len(shown) == 2
    for number, line in shown:
        assert source[int(number) - 1].strip().startswith(line)


def test_calls_of_the_lab_in_the_guide_work_after_importing_it():
    """`import jitnet.lab` imports no tool but `check`."""
    for page in (DOCS / "guide").glob("*.md"):
        named = re.findall(r"\bjitnet\.lab\.(\w+)[.(]", page.read_text(encoding="utf-8"))
        assert set(named) <= set(jitnet.lab.__all__), page.name


def test_drawing_on_the_front_page_is_current():
    """docs/graph.svg is in the repository, so that the page is complete without building the site."""
    net = jitnet.Network(jitnet.Dense(64, 32, "relu"), jitnet.Dense(32, 10, "softmax"))
    assert (DOCS / "graph.svg").read_text(encoding="utf-8") == net.graph(optimizer="sgd").svg()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages; lessons are not executed, but show the output that is written in them."""
    for package in ("sphinx", "myst_nb", "furo"):
        pytest.importorskip(package, reason="needs the documentation tools: pip install 'jitnet[docs]'")
    out = tmp_path_factory.mktemp("site") / "html"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-D", "nb_execution_mode=off", str(DOCS), str(out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})
    assert (result.returncode, result.stdout + result.stderr) == (0, "")
    return out


@pytest.mark.slow
def test_reference_has_every_public_name(site):
    inventory = (site / "objects.inv").read_bytes()
    names = {line.split()[0] for line in zlib.decompress(inventory.split(b"\n", 4)[4]).decode().splitlines() if line}
    expected = {f"jitnet.{name}" for name in jitnet.__all__} - {"jitnet.__version__"}
    expected |= {f"jitnet.data.{name}" for name in jitnet.data.__all__}
    expected |= {f"jitnet.Network.{name}" for name in ("fit", "predict", "evaluate", "gradients", "save", "summary")}
    assert expected - names == set()


@pytest.mark.slow
def test_lesson_pages_show_the_expected_output(site):
    page = (site / "course" / "03_by_hand.html").read_text(encoding="utf-8")
    assert "after a step: w1 = 0.6875, b1 = -0.90625, w2 = 3.0625, b2 = -1.375" in page
    assert "# &gt; " not in page
    assert len(list((site / "course").glob("[0-9]*.html"))) == len(list(DOCS.parent.glob("examples/[0-9]*.py")))


@pytest.mark.slow
def test_lesson_runs_as_a_notebook(site, tmp_path):
    book = tmp_path / "lesson.ipynb"
    shutil.copy(DOCS / "course" / "03_by_hand.ipynb", book)
    promised = _outputs(book)
    paths = os.pathsep.join([str(DOCS.parent), str(DOCS.parent / "examples")])
    command = [sys.executable, "-c", "from nbclient.cli import main; main()", "--inplace", str(book)]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": paths}
    )
    assert result.returncode == 0, result.stderr
    computed = _outputs(book)
    assert len(promised) >= 3
    assert [line for line in promised if line not in computed] == []
    assert "image/png" in computed
    assert any(line.startswith("answer 4: right") for line in computed)


def _outputs(book):
    """The lines that the cells of a notebook print, and the MIME types that they show."""
    cells = json.loads(book.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    printed = "".join("".join(output.get("text", [])) for output in outputs)
    return [*printed.splitlines(), *(kind for output in outputs for kind in output.get("data", {}))]


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_and_are_readable_in_a_browser(site, browser, name, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((site / f"{name}.html").as_uri())
    page.wait_for_load_state("networkidle")
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    light = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).every(c => c > 128)"
    )
    assert light == (scheme == "light")
    assert page.locator("img").evaluate_all(
        "images => images.every(one => one.complete && one.naturalWidth && one.alt)"
    )
    context.close()
