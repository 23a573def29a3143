"""Docstrings are plain text with two forms of their own: rows, and indented lines, which are code.

    Formula   Z = X·W + b          a row is a name, at least two spaces, and a text,
              with X (m, n_in)     which can go on in indented lines

`as_rst` writes them for Sphinx's autodoc.
"""

import re
import textwrap
from typing import Any, NamedTuple


class Part(NamedTuple):
    kind: str  # text, code or rows
    lines: list[Any]  # of rows: [name, lines]


ROW = re.compile(r"(\S(?:\S| (?! )){0,30}) {2,}(\S.*)")


def parts(text: str) -> list[Part]:
    found: list[Part] = []
    open_part = False  # a blank line closes a part
    for line in text.expandtabs().splitlines():
        last = found[-1] if found and open_part else None
        row = ROW.fullmatch(line)
        if not line.strip():
            open_part = False
            continue
        if line.startswith("  ") and last and last.kind == "rows":
            last.lines[-1][1].append(line.strip())
        elif last and last.kind == "code" and (line.startswith("  ") or last.lines[0].startswith(">>> ")):
            last.lines.append(line)
        elif line.startswith(("    ", ">>> ")):  # an example goes on to the next blank line
            found.append(Part("code", [line]))
        elif row and last and last.kind == "rows":
            last.lines.append([row[1], [row[2]]])
        elif row and (last is None or last.lines[-1].endswith(":")):
            found.append(Part("rows", [[row[1], [row[2]]]]))
        elif last and last.kind == "text":
            last.lines.append(line)
        else:
            found.append(Part("text", [line]))
        open_part = True
    return _settled(found)


def _settled(found: list[Part]) -> list[Part]:
    """Indented lines are rows if each has a name of words and one text; the rest is code, with its blank lines."""
    settled: list[Part] = []
    for kind, lines in found:
        if kind != "code":
            settled.append(Part(kind, lines))
            continue
        rows = [re.fullmatch(r" *([\w., -]*\w) {2,}(\S(?:\S| (?! ))*)", line) for line in lines]
        if all(rows):
            settled.append(Part("rows", [[row[1], [row[2]]] for row in rows if row]))
        elif settled and settled[-1].kind == "code" and lines[0][0] == settled[-1].lines[0][0]:
            settled[-1].lines.extend(["", *lines])
        else:
            settled.append(Part("code", lines))
    return [Part(kind, textwrap.dedent("\n".join(lines)).split("\n")) if kind == "code" else Part(kind, lines)
            for kind, lines in settled]  # fmt: skip


def as_rst(text: str) -> list[str]:
    """The docstring in reStructuredText: rows as a definition list, indented lines as a block of code."""
    out: list[str] = []
    for kind, lines in parts(text):
        if kind == "text":
            out += [_escaped(line) for line in lines]
        elif kind == "code":
            out += [f".. code-block:: {_language(lines)}", "", *(f"    {line}" for line in lines)]
        else:
            out += [".. rst-class:: rows", ""]
            for name, texts in lines:
                bar = "| " * (name == "Formula")  # formulas keep their lines; a sentence flows
                lines_of_text = [bar + _escaped(line) for line in texts]
                out += [_escaped(name) if name[:1].isupper() else f"``{name}``", *(f"    {t}" for t in lines_of_text)]
        out.append("")
    return out


def _escaped(line: str) -> str:
    """Plain text for reStructuredText; `code` stays code."""
    pieces = re.split(r"`([^`]+)`", line)
    for place, piece in enumerate(pieces):
        pieces[place] = f"``{piece}``" if place % 2 else re.sub(r"([\\*_|`])", r"\\\1", piece)
    return re.sub(r"``(?=\w)", r"``\\ ", "".join(pieces)) if len(pieces) % 2 == 0 else "".join(pieces)


def _language(lines: list[str]) -> str:
    text = "\n".join(lines)
    if text.startswith(">>> "):
        return "pycon"
    try:
        compile(text, "", "exec")
    except SyntaxError:
        return "text"
    return "python" if re.search(r"\w\(|^@|^import |^from ", text, re.MULTILINE) else "text"
