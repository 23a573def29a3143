"""The command line: jitnet train, jitnet predict.

Results go to standard output, everything else to standard error. What a user can mend is one line there and exit
status 2; ^C is 130.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from . import __version__, checks, data, losses, optimizers, plots, progress, storage
from . import backend as backends
from .data import Recipe, Table
from .network import Dense, Network, load
from .training import Diverged, History

NAMED = ("digits", "mnist", "fashion_mnist")


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (try {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = Parser(prog="jitnet", description="A neural network you can read, running at the speed of the hardware.")
    top.add_argument("--version", action="version", version=f"jitnet {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="learn from data", description="Learn from data and report how well.")
    train.add_argument("data", help="digits, mnist, fashion_mnist, or a file: CSV, NPZ with X and y, IDX pictures")
    train.set_defaults(run=train_command)
    what = train.add_argument_group("what to learn")
    what.add_argument(
        "--target", metavar="NAME", help="column of a CSV to learn; without a header they are 1, 2, 3, ..."
    )
    what.add_argument(
        "--task", metavar="TASK", help="classification or regression (default: by the look of the target)"
    )
    what.add_argument("--labels", metavar="FILE", help="IDX file with the labels (default: found beside the pictures)")
    what.add_argument(
        "--path", metavar="FOLDER", help="folder with the files of mnist or fashion_mnist (default: download)"
    )
    what.add_argument(
        "--test", type=float, default=0.2, metavar="SHARE", help="share of samples to hold out (default 0.2)"
    )
    net = train.add_argument_group("the network")
    net.add_argument(
        "--hidden", default="128,64", metavar="N,N,...", help="widths of the hidden layers, or none (default 128,64)"
    )
    net.add_argument(
        "--activation", default="relu", metavar="NAME", help="of the hidden layers: sigmoid, tanh, relu (default), ..."
    )
    net.add_argument("--dtype", default="float32", metavar="NAME", help="float32 (default) or float64")
    how = train.add_argument_group("how to learn")
    how.add_argument("--epochs", type=int, default=30, metavar="N", help="times to see every sample (default 30)")
    how.add_argument("--batch-size", type=int, default=32, metavar="N", help="samples per update (default 32)")
    how.add_argument("--optimizer", default="adam", metavar="NAME", help="sgd, momentum or adam (default)")
    how.add_argument(
        "--lr", type=float, metavar="X", help="learning rate (default: sgd 0.1, momentum 0.05, adam 0.003)"
    )
    how.add_argument(
        "--weight-decay", type=float, default=3e-4, metavar="X", help="pull of weights to 0 (default 0.0003)"
    )
    patience = "stop after N epochs without progress on a fifth of the training samples, kept aside for this"
    how.add_argument("--early-stopping", type=int, metavar="N", help=patience)
    how.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of split, weights and order of samples (default 0)"
    )
    how.add_argument(
        "--backend", default="fast", metavar="NAME", help=f"{', '.join(backends.backends())} (default fast)"
    )
    how.add_argument("--threads", type=int, metavar="N", help="for the back ends parallel and fast (default: all)")
    out = train.add_argument_group("what to keep")
    out.add_argument("--save", metavar="FILE", help="write the model")
    out.add_argument("--plot", metavar="PNG", help="draw loss and accuracy per epoch")
    out.add_argument("--checkpoint", metavar="FILE", help="keep the state of the training here")
    out.add_argument("--checkpoint-every", type=int, default=1, metavar="N", help="every N epochs (default 1)")
    out.add_argument("--resume", action="store_true", help="continue from the checkpoint")
    _output_options(out)

    predict = commands.add_parser("predict", help="use a model", description="Print one answer per row of a file.")
    predict.add_argument("model", help="file that jitnet train --save wrote")
    predict.add_argument("data", help="file of the same kind; the target may be missing")
    predict.add_argument("--labels", metavar="FILE", help="IDX file with the labels, to measure the accuracy")
    predict.add_argument("--out", metavar="FILE", help="write the answers to a file instead")
    predict.add_argument(
        "--backend", default="fast", metavar="NAME", help=f"{', '.join(backends.backends())} (default fast)"
    )
    predict.set_defaults(run=predict_command)
    _output_options(predict)
    return top


def _output_options(group: Any) -> None:
    group.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    group.add_argument("--quiet", action="store_true", help="show no progress")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    try:
        options = parser().parse_args(arguments)
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except checks.Error as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except MemoryError as error:
        return _complain(f"not enough memory ({error}); take a smaller file or network")
    except KeyboardInterrupt:
        print("jitnet: interrupted", file=sys.stderr)
        return 130


def _complain(message: str) -> int:
    print("jitnet: " + " ".join(message.split()), file=sys.stderr)
    return 2


@dataclass
class Samples:
    """What a run learns from and is judged by."""

    recipe: Recipe
    train: tuple[NDArray[Any], NDArray[Any]]
    validation: tuple[NDArray[Any], NDArray[Any]]
    test: tuple[NDArray[Any], NDArray[Any]]


def train_command(options: argparse.Namespace) -> int:
    """jitnet train."""
    began = time.perf_counter()
    backends.get(options.backend)
    settings = {"weight_decay": options.weight_decay, **({} if options.lr is None else {"lr": options.lr})}
    optimizer = optimizers.get(options.optimizer, **settings)
    hidden = _widths(options.hidden)
    activation = checks.one_of("activation", options.activation, losses.ACTIVATIONS)
    for path in (options.save, options.checkpoint):
        if path is not None:
            storage.check_writable(path)
    if options.plot is not None:
        plots.check_drawing(options.plot)

    samples = _samples(options)
    recipe = samples.recipe
    init = "he" if activation == "relu" else "glorot"
    widths = [len(recipe.features), *hidden]
    net = Network(
        *(Dense(n_in, n_out, activation, init=init) for n_in, n_out in pairwise(widths)),
        Dense(widths[-1], recipe.width, "softmax" if recipe.classes else "identity"),
        seed=options.seed, dtype=options.dtype,
    )  # fmt: skip
    net.recipe = recipe.plain()
    what = f"{recipe.width} classes" if recipe.classes else f"regression of {recipe.target}"
    intro = (
        f"{options.data}: {len(samples.train[0])} samples to learn from, {len(samples.test[0])} to be judged by, "
        f"{len(recipe.features)} columns, {what}\n{net!r}, back end {options.backend}"
    )
    try:
        history = net.fit(
            *samples.train, epochs=options.epochs, batch_size=options.batch_size, optimizer=optimizer,
            backend=options.backend, validation=samples.validation, threads=options.threads,
            early_stopping=options.early_stopping, checkpoint=options.checkpoint,
            checkpoint_every=options.checkpoint_every, resume=options.resume,
            progress=progress.Progress() if options.quiet else progress.on_standard_error(intro),
        )  # fmt: skip
    except Diverged as error:
        if options.save is None or not error.history.epochs:
            raise
        net.save(options.save)
        raise checks.Error(f"{error}; the model as of epoch {error.history.epochs} is in {options.save}") from None
    result = {
        "data": options.data, "task": recipe.task, "backend": options.backend, "seed": options.seed,
        "network": "-".join(str(n) for n in [*widths, recipe.width]), "parameters": net.parameters,
        "samples": {"train": len(samples.train[0]), "test": len(samples.test[0])},
        "epochs": history.epochs, "stopped": history.stopped,
        "train_loss": history.loss[-1] if history.loss else None,
        **_judge(net, samples, options.backend),
        "seconds": sum(history.seconds), "compile_seconds": history.compile_seconds,
        "total_seconds": time.perf_counter() - began, "save": options.save, "plot": options.plot,
    }  # fmt: skip
    if options.save is not None:
        net.save(options.save)
    if options.plot is not None and history.epochs:
        plots.draw_history(history, options.plot, f"{options.data}: {result['network']}, {options.optimizer}")
    print(json.dumps(result) if options.json else _in_words(result, history))
    return 130 if history.stopped == "interrupted" else 0


def _widths(text: str) -> list[int]:
    if text == "none":
        return []
    try:
        return [checks.whole("a width in --hidden", int(part), least=1) for part in text.split(",")]
    except ValueError:
        raise checks.Error(f"--hidden is {text!r}, but must be widths such as 64,32, or none") from None


def _samples(options: argparse.Namespace) -> Samples:
    """Read the data, hold out the test part, and learn the recipe from the rest."""
    for name, value, works_with in (
        ("--target", options.target, "a CSV file"),
        ("--labels", options.labels, "IDX pictures"),
    ):
        if value is not None and options.data in NAMED:
            raise checks.Error(f"{name} works with {works_with}, not with {options.data}")
    if options.path is not None and options.data not in NAMED[1:]:
        raise checks.Error("--path works with mnist and fashion_mnist")
    checks.number("--test", options.test, above=0, below=1)
    checks.whole("--seed", options.seed, least=0)
    judged = None
    if options.data in NAMED[1:]:
        (X, y), (X_test, y_test) = getattr(data, options.data)(options.path)
        table, judged = _pictures(X, y), _pictures(X_test, y_test)
    elif options.data == "digits":
        table = _pictures(*data.digits())
    elif not Path(options.data).exists() and not Path(options.data).suffix:
        checks.one_of("data set", options.data, NAMED)  # a word and no file: a data set misspelt
        raise AssertionError("a known name was handled above")
    else:
        table = data.read_table(options.data, options.target, labels=options.labels)
    rows = np.arange(len(table.X))
    held_out = rows[:0]
    if judged is None:
        (rows, _), (held_out, _) = data.split(rows, rows, options.test, options.seed)
    aside = held_out
    if options.early_stopping is not None:  # what decides when to stop must not be what judges the result
        (rows, _), (aside, _) = data.split(rows, rows, 0.2, options.seed)
    recipe = Recipe.learn(table, rows, options.task)
    X, Y = recipe.X(table), recipe.Y(table)
    test = (X[held_out], Y[held_out]) if judged is None else (recipe.X(judged), recipe.Y(judged))
    validation = test if options.early_stopping is None else (X[aside], Y[aside])
    return Samples(recipe, (X[rows], Y[rows]), validation, test)


def _pictures(X: NDArray[Any], y: NDArray[Any]) -> Table:
    return Table(X, y, [str(i + 1) for i in range(X.shape[1])], "label", "pictures")


def _judge(net: Network, samples: Samples, backend: str) -> dict[str, float]:
    """How well the network does on samples that it has not seen."""
    X, Y = samples.test
    measured = net.evaluate(X, Y, backend=backend)
    result = {f"test_{name}": value for name, value in measured.items()}
    if samples.recipe.classes is None:  # the loss is of standardised numbers: give the error in the target's own unit
        wrong = net.forward(X, backend)[:, 0].astype(np.float64) - Y[:, 0]
        result["test_rmse"] = math.sqrt(np.mean(wrong**2)) * samples.recipe.target_scale
        spread = float(np.var(Y))
        result["test_r2"] = 1 - float(np.mean(wrong**2)) / spread if spread > 0 else math.nan
    return result


def _in_words(result: dict[str, Any], history: History) -> str:
    if "test_accuracy" in result:
        right = round(result["test_accuracy"] * result["samples"]["test"])
        verdict = f"test accuracy {result['test_accuracy']:.2%} ({right} of {result['samples']['test']})"
    else:
        verdict = f"test RMSE {result['test_rmse']:.4g}, R² {result['test_r2']:.3f}"
    text = (
        f"{verdict}, test loss {result['test_loss']:.4f}, after {result['epochs']} epochs in {result['seconds']:.2f} s"
    )
    text += f" (kernels ready in {result['compile_seconds']:.2f} s)"
    if history.stopped == "early":
        text += f"\nstopped early; the weights are those of epoch {history.best_epoch}"
    if history.stopped == "interrupted":
        text += "\ninterrupted; what was learned so far is kept"
    if result["save"]:
        text += f"\nmodel in {result['save']}; use it with: jitnet predict {result['save']} FILE"
    if result["plot"] and history.epochs:
        text += f"\npicture in {result['plot']}"
    return text


def predict_command(options: argparse.Namespace) -> int:
    """jitnet predict."""
    backends.get(options.backend)
    if options.out is not None:
        storage.check_writable(options.out)
    net = load(options.model)
    if net.recipe is None:
        raise checks.Error(
            f"{options.model} was saved without a recipe for files; "
            f"use it in Python: jitnet.load({options.model!r}).predict(X)"
        )
    recipe = Recipe.from_plain(net.recipe)
    if (len(recipe.features), recipe.width) != (net.layers[0].n_in, net.layers[-1].n_out):
        raise checks.Error(f"{options.model} is damaged: its recipe does not fit its layers")
    table = data.read_table(options.data, recipe.target, labels=options.labels, features=recipe.features)
    answers = recipe.answers(net.forward(recipe.X(table), options.backend))
    result: dict[str, Any] = {"model": options.model, "data": options.data, "predictions": answers}
    if table.y is not None:
        result.update(_compare(recipe, table, answers))
    lines = "".join(f"{answer if isinstance(answer, str) else format(answer, '.9g')}\n" for answer in answers)
    if options.out is not None:
        with storage.replacing(options.out) as file:
            file.write(lines.encode())
    if options.json:
        print(json.dumps(result))
    elif options.out is None:
        print(lines, end="")
    if not options.quiet:
        found = [f"{name} {result[name]:.4g}" for name in ("accuracy", "rmse") if name in result]
        print(f"{len(answers)} rows" + "".join(f", {text}" for text in found), file=sys.stderr)
    return 0


def _compare(recipe: Recipe, table: Table, answers: Sequence[Any]) -> dict[str, float]:
    """How good the answers are, where the file has the target too."""
    assert table.y is not None
    if recipe.classes is not None:
        return {"accuracy": float(np.mean([str(y) == answer for y, answer in zip(table.y, answers, strict=True)]))}
    if table.y.dtype.kind == "U":
        return {}
    return {"rmse": math.sqrt(np.mean((table.y.astype(np.float64) - np.array(answers)) ** 2))}
