"""The documentation site: `sphinx-build -W docs docs/_build/html`, offline; the pages are in docs/_build/html.

Lessons are executed, which takes minutes. For work on the prose: `-D nb_execution_mode=off` shows the output that
they promise, without plots. `sphinx-build -b linkcheck docs docs/_build/links` visits the links to the outside.
"""

import importlib.util
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import pages  # noqa: E402
import tabular  # noqa: E402

import jitnet  # noqa: E402

project = "jitnet"
author = project_copyright = "The jitnet developers"
release = version = jitnet.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!jitnet\.).*")]  # classes of other packages: their sites are elsewhere
smartquotes = False
default_role = "code"

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say it in shapes; types of NumPy fill half a page
autodoc_preserve_defaults = True
autosummary_generate = False
maximum_signature_line_length = 80

myst_enable_extensions = []  # dollars and braces in the lessons mean themselves
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_in_temp = True
nb_merge_streams = True
nb_code_prompt_show = "Show the answers"
nb_code_prompt_hide = "Hide the answers"
if importlib.util.find_spec("numba_cuda") is None:
    nb_execution_excludepatterns = ["course/11_*"]  # it needs the extra `cuda`
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), str(HERE.parent / "examples")])

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = "jitnet"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False


def to_pages(app, docname, content):
    """Links out of docs/ lead to pages of the site."""
    page = HERE / f"{docname}.md"
    if page.exists() and not docname.startswith(("course/", "files/")):
        content[0] = pages.linked(content[0], page.parent, f"{docname}.md")


def readable(app, what, name, obj, options, lines):
    lines[:] = tabular.as_rst("\n".join(lines))


def setup(app):
    pages.make()
    app.connect("source-read", to_pages)
    app.connect("autodoc-process-docstring", readable)
