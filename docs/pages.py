"""Pages that are made from files outside of docs/: the lessons, each file that a page links to, and a graph.

A lesson becomes a notebook, `course/NN_topic.ipynb`: its prose as Markdown, its code as cells, and the output that it
promises (lines `# >`) as their output, until the lesson is executed. A link to another file leads to a page
`files/...` with its text, so that the site is complete without a repository next to it.
"""

import os
import re
from pathlib import Path

import nbformat.v4 as notebook

import jitnet

DOCS = Path(__file__).parent
ROOT = DOCS.parent
LINK = re.compile(r"(!?\[[^\]]*\]\()(?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")


def make() -> None:
    """Write the pages; those that are up to date keep their time, so that Sphinx reads only what has changed."""
    lessons = sorted((ROOT / "examples").glob("[0-9]*.py"))
    made = [write(page_of(path), lesson(path)) for path in lessons]
    course = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    names = dict(re.findall(r"^\| \[([^]]+)\]\((\d[^)]+)\.py\)", course, re.MULTILINE))  # of its table
    tree = "".join(f"{name} <{stem}>\n" for name, stem in names.items())
    course = linked(course, ROOT / "examples", "course/index.md")
    made.append(write("course/index.md", f"{course}\n```{{toctree}}\n:hidden:\n\n{tree}```\n"))
    net = jitnet.Network(jitnet.Dense(64, 32, "relu"), jitnet.Dense(32, 10, "softmax"))
    made.append(write("graph.svg", net.graph(optimizer="sgd").svg()))
    waiting = [ROOT / "examples" / "README.md", *DOCS.glob("*.md"), *(DOCS / "guide").glob("*.md")]
    seen: set[Path] = set()
    while waiting:
        page = waiting.pop()
        for start, target, _ in LINK.findall(page.read_text(encoding="utf-8")):
            file = (page.parent / target).resolve()
            if not start.startswith("!") and file.is_file() and page_of(file).startswith("files/") and file not in seen:
                seen.add(file)
                made.append(write(page_of(file), shown(file)))
                waiting += [file] * (file.suffix == ".md")
    for old in {*(DOCS / "course").rglob("*.*"), *(DOCS / "files").rglob("*.*")} - {*made}:
        old.unlink()


def write(name: str, text: str) -> Path:
    path = DOCS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path


def page_of(file: Path) -> str:
    """The page that shows a file, as a path from docs/."""
    if file.is_relative_to(DOCS):
        return file.relative_to(DOCS).as_posix()
    name = file.relative_to(ROOT).as_posix()
    if name == "examples/README.md":
        return "course/index.md"
    if re.match(r"examples/\d", name):
        return f"course/{file.stem}.ipynb"
    return f"files/{name.replace('.', '_')}.md"


def linked(text: str, place: Path, page: str) -> str:
    """The text of a file in the folder `place`, shown as `page`, with its links leading to pages."""

    def link(match: re.Match[str]) -> str:
        target = (place / match[2]).resolve()
        if target.is_dir():
            return match[1].strip("[](")  # a folder has no page
        to = target if match[1].startswith("!") else DOCS / page_of(target)
        to = os.path.relpath(to, (DOCS / page).parent)
        return f"{match[1]}{to}{match[3] or ''})"

    pieces = re.split(r"(^```.*?^```)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(piece if piece.startswith("```") else LINK.sub(link, piece) for piece in pieces)


def shown(file: Path) -> str:
    name = file.relative_to(ROOT).as_posix()
    if file.suffix == ".png":
        return (
            f"---\norphan: true\n---\n\n# {name}\n\n![{name}]({os.path.relpath(file, (DOCS / page_of(file)).parent)})\n"
        )
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        head = "" if text.startswith("# ") else f"# {name}\n\n"
        return f"---\norphan: true\n---\n\n{head}{linked(text, file.parent, page_of(file))}"
    language = {".py": "python", ".cff": "yaml", ".toml": "toml", ".json": "json"}.get(file.suffix, "text")
    fence = "`" * 6
    return f"---\norphan: true\n---\n\n# {name}\n\n{fence}{{code-block}} {language}\n:linenos:\n\n{text}\n{fence}\n"


def lesson(path: Path) -> str:
    """A lesson as a notebook in JSON."""
    found, title = [], ""
    pieces = re.split(r"^# %%(.*)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    for kind, body in zip(pieces[::2], pieces[1::2], strict=True):
        if "markdown" in kind:
            prose = re.sub(r"^# ?", "", body.strip().strip('"'), flags=re.MULTILINE)
            title = prose.partition("\n")[0]
            prose = prose.replace("Lines that begin with `# >` show what", "The lines below a cell are what")
            found.append(notebook.new_markdown_cell(prose))
            continue
        lines = body.strip().split("\n")
        code = "\n".join(line for line in lines if not line.startswith("# > ")).strip()
        found.append(notebook.new_code_cell(code, metadata=_look(title, code)))
        promised = "".join(f"{line[4:]}\n" for line in lines if line.startswith("# > "))
        if promised:
            found[-1].outputs = [notebook.new_output("stream", name="stdout", text=promised)]
    for number, one in enumerate(found):
        one.id = f"cell-{number}"  # the same in each build
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return notebook.writes(notebook.new_notebook(cells=found, metadata=kernel))


def _look(title: str, code: str) -> dict[str, object]:
    """Answers are folded; the title of a plot is its text for those who cannot see it."""
    look: dict[str, object] = {"tags": ["hide-cell"]} if title.startswith("Answer") else {}
    caption = re.search(r'new_figure\([^"]*"([^"]+)"', code)
    if caption:
        look["mystnb"] = {"image": {"alt": caption[1]}}
    return look
