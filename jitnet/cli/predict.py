"""Print one answer for each row of a file."""

import argparse
import csv
import io
import math
import sys
import zipfile
from typing import Any

from .. import backend as backends
from .. import checks, data, storage
from ..data import Recipe
from ..data.table import called
from ..network import Network, load
from ..process import progress
from . import samples
from .shared import NAMED, as_json, backend_option, check_paths, output_options, shown

DIGITS = 4
"""Decimals more than this many digits below the first digit of the targets' standard deviation are noise."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="file that jitnet train --save wrote")
    parser.add_argument(
        "data",
        help="file of the same kind (- is standard input), where the target may be missing; a folder of images; "
        "or one image; or digits, mnist, ...",
    )
    parser.add_argument("--labels", metavar="FILE", help="IDX file with the labels, to measure the accuracy")
    parser.add_argument(
        "--proba", action="store_true", help="print the probability of each class, below a line with their names"
    )
    parser.add_argument("--out", metavar="FILE", help="write the answers to a file instead")
    samples.reading_options(parser)
    backend_option(parser)
    output_options(parser)


def run(options: argparse.Namespace) -> int:
    backend = backends.get(options.backend)
    check_paths(options, reads=("model", "data", "labels"), writes=("out",))
    net, recipe = _model(options)
    table = _read(options, recipe)
    X, notes = recipe.prepare(table, net.dtype)
    notes = [*table.notes, *notes]
    target = called(recipe.target.name)
    if unknown := recipe.target.unknown(table):
        notes.append(f"never right, since training did not have {target} = {checks.some(unknown, 5)}")
    with shown(options) as show:
        backend.prepare(net.needed(len(X)), net.dtype, show)
    A = net.forward(X, options.backend)
    answers = recipe.answers(A)
    predictions = answers if recipe.classes else _rounded(answers, recipe.target.scale)
    result: dict[str, Any] = {"model": options.model, "data": options.data, "predictions": predictions}
    if options.proba:
        result |= {"classes": recipe.classes, "probabilities": A.tolist()}
        lines = _table([recipe.classes or [], *([format(p, ".9g") for p in row] for row in A.tolist())])
    else:
        lines = "".join(f"{one if isinstance(one, str) else format(one, '.15g')}\n" for one in predictions)
    result.update(scored := recipe.score(table, answers))
    if not scored and recipe.target.name in table and not table[recipe.target.name].missing.all():
        notes.append(f"not compared with {target}{recipe.target.why_not_compared(table)}")
    if scored and samples.fingerprint(X[~table[recipe.target.name].missing]) == recipe.fingerprint:
        score = "accuracy" if recipe.classes else "RMSE"
        notes.append(
            f"the model was trained on rows among these; for new rows, expect the test {score} that jitnet train "
            f"printed, not the {score} here"
        )
    result["notes"] = notes
    if options.out is not None:
        storage.put(options.out, lines.encode())
    if options.json:
        print(as_json(result))
    elif options.out is None:
        _print(lines)
    if not options.quiet:
        for note in notes:
            progress.say(note)
        progress.say(f"{checks.count(len(answers), 'row')}{_score_in_words(result)}")
    return 0


def _model(options: argparse.Namespace) -> tuple[Network, Recipe]:
    """The model, and its recipe for files."""
    try:
        net = load(options.model)
    except storage.NotDefinedError as error:
        raise checks.Error(
            f"{error}; jitnet predict imports no file, so load it in Python: jitnet.load({options.model!r})"
        ) from None
    except checks.Error as error:
        hint = "" if zipfile.is_zipfile(options.model) else "; jitnet predict MODEL DATA takes the model first"
        raise checks.Error(f"{error}{hint}") from None
    if net.recipe is None:
        raise checks.Error(
            f"{options.model} was saved without a recipe for files; "
            f"use it in Python: jitnet.load({options.model!r}).predict(X)"
        )
    try:
        recipe = Recipe.from_plain(net.recipe)
    except checks.Error as error:
        raise checks.Error(f"{options.model}: {error}") from None
    if (recipe.inputs, recipe.target.width) != (net.layers[0].n_in, net.layers[-1].n_out):
        raise checks.Error(f"{options.model} is damaged: its recipe does not fit its layers")
    if options.proba and recipe.classes is None:
        raise checks.Error(f"--proba needs a classifier, but {options.model} predicts numbers")
    return net, recipe


def _read(options: argparse.Namespace, recipe: Recipe) -> data.Table:
    """The rows to predict."""
    how = samples.reading(options)
    if options.data in NAMED:
        train, test = samples.named(options.data)
        return test or train
    return recipe.read(options.data, options.labels, **how)


def _score_in_words(result: dict[str, Any]) -> str:
    text = f", accuracy {result['accuracy']:.2%}" if "accuracy" in result else ""
    text += f", RMSE {result['rmse']:.4g}" if "rmse" in result else ""
    return text + (f" ({result['judged']} with a target)" if "judged" in result else "")


def _rounded(values: list[Any], scale: float) -> list[float]:
    """Values of a target with this standard deviation, with the decimals that can mean something."""
    decimals = max(0, DIGITS - math.floor(math.log10(scale)))
    return [round(value, decimals) + 0.0 for value in values]  # 0.0 for −0.0


def _table(rows: list[list[str]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _print(text: str) -> None:
    """To standard output in UTF-8, as `--out` writes it, whatever the encoding of the terminal."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # a replaced stream
        print(text, end="")
    else:
        sys.stdout.flush()
        buffer.write(text.encode())
        buffer.flush()
