"""What the commands do: train and predict, from files to files."""

import argparse
import json
import math
import os
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import backend as backends
from .. import checks, data, disturbance, optimizers, plots, progress, storage
from ..compiler.cache_folder import cache_folder
from ..data import Recipe, Table
from ..kernels import LADDERS
from ..kernels.activations import ACTIVATIONS
from ..layers import Dense
from ..network import Network, load
from ..training import Diverged, History, Interrupt

NAMED = ("digits", "mnist", "fashion_mnist")
"""Data sets that go by a name."""


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
    activation = checks.one_of("activation", options.activation, ACTIVATIONS)
    check_paths(options, reads=("data", "labels"), writes=("save", "plot", "checkpoint"))
    if options.resume and options.checkpoint is None:
        raise checks.Error("--resume needs --checkpoint FILE, the file to continue from")
    if options.checkpoint_every is not None and options.checkpoint is None:
        raise checks.Error("--checkpoint-every needs --checkpoint FILE")
    if options.plot is not None:
        plots.check_drawing(options.plot)

    samples = _samples(options)
    recipe = samples.recipe
    init = ACTIVATIONS[activation].init
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
        f"{len(recipe.features)} columns, {what}\n{net!r}, backend {options.backend}"
    )
    show = progress.Progress() if options.quiet else progress.on_standard_error(intro)
    watch = disturbance.Watch(backends.cores_of(options.backend, options.threads))
    try:
        with watch:
            history = net.fit(
                *samples.train, epochs=options.epochs, batch_size=options.batch_size, optimizer=optimizer,
                backend=options.backend, validation=samples.validation, threads=options.threads,
                early_stopping=options.early_stopping, checkpoint=options.checkpoint,
                checkpoint_every=1 if options.checkpoint_every is None else options.checkpoint_every,
                resume=options.resume, progress=show,
            )  # fmt: skip
    except Diverged as error:
        if options.save is None:
            raise
        if not error.history.epochs:
            raise checks.Error(f"{error}; {options.save} was not written") from None
        where, problem = _save(net, options.save)
        kept = problem or f"the model as of epoch {error.history.epochs} is in {where}"
        raise checks.Error(f"{error}; {kept}") from None
    save, plot, unwritten = options.save, options.plot if history.epochs else None, [history.checkpoint_error]
    if save is not None:  # first of all, so that nothing after it can lose the model
        save, problem = _save(net, save)
        unwritten.append(problem)
    if plot is not None:
        try:
            plots.draw_history(history, plot, f"{options.data}: {net.widths}, {options.optimizer}")
        except checks.Error as error:
            plot = None
            unwritten.append(str(error))
    for problem in filter(None, unwritten[1:]):  # the first was reported when it happened
        progress.say(f"jitnet: {' '.join(problem.split())}")
    result = {
        "data": options.data, "task": recipe.task, "backend": options.backend, "seed": options.seed,
        "network": net.widths, "parameters": net.parameters,
        "samples": {"train": len(samples.train[0]), "test": len(samples.test[0])},
        "epochs": history.epochs, "stopped": history.stopped,
        "train_loss": history.loss[-1] if history.loss else None,
        **_judge(net, samples, options.backend, options.threads), "threads": history.threads,
        "seconds": sum(history.seconds), "compile_seconds": history.compile_seconds,
        "total_seconds": time.perf_counter() - began,
        "disturbed": bool(watch.reasons), "disturbed_by": watch.reasons, "save": save, "plot": plot,
        "unwritten": list(filter(None, unwritten)),
    }  # fmt: skip
    print(_as_json(result) if options.json else _in_words(result, history))
    if history.stopped == "interrupted":
        return 130
    return 1 if result["unwritten"] else 0


def _save(net: Network, path: str) -> tuple[str | None, str]:
    """Save the model; where that fails, in the folder for temporary files. The file, and what went wrong."""
    with Interrupt() as interrupt:  # ^C waits until the model is saved
        where, problem = _saved(net, path)
    if interrupt.asked:
        progress.say(f"jitnet: {problem or f'the model is in {where}'}")
        raise KeyboardInterrupt
    return where, problem


def _saved(net: Network, path: str) -> tuple[str | None, str]:
    try:
        net.save(path)
        return path, ""
    except checks.Error as error:
        instead = Path(tempfile.gettempdir()) / f"{Path(path).stem}-{uuid.uuid4().hex[:12]}.npz"
        try:
            net.save(instead)
        except checks.Error:
            return None, f"{error}; {instead.parent} cannot be written either, so the model is lost"
        return str(instead), f"{error}; the model is in {instead} instead"


def check_paths(options: argparse.Namespace, reads: Sequence[str], writes: Sequence[str]) -> None:
    """Every file to be written can be written, and none of them is another one."""
    names: dict[str, str] = {}
    for option in (*reads, *writes):
        path = getattr(options, option)
        if path is None or (option == "data" and path in NAMED):
            continue
        real = os.path.realpath(path)
        if real in names and option in writes:
            raise checks.Error(f"{path} is both {names[real]} and {option}; name another file")
        names[real] = option
        if option in writes:
            storage.check_writable(path)


def _as_json(result: dict[str, Any]) -> str:
    """One line of JSON, which knows no NaN and no infinity: they become null."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(part) for name, part in value.items()}
        if isinstance(value, list):
            return [plain(part) for part in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(plain(result), allow_nan=False)


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
    if options.test is not None and options.data in NAMED[1:]:
        raise checks.Error(f"--test does not work with {options.data}, which has test samples of its own")
    share = 0.2 if options.test is None else checks.number("--test", options.test, above=0, below=1)
    checks.whole("--seed", options.seed, least=0)
    if options.data in NAMED:
        table, judged = _named(options.data, options.path)
    elif not Path(options.data).exists() and not Path(options.data).suffix:  # a data set misspelt?
        try:
            checks.one_of("data set", options.data, NAMED)
        except checks.Error as error:
            raise checks.Error(f"{error}; and there is no file of that name") from None
    else:
        table, judged = data.read_table(options.data, options.target, labels=options.labels), None
    rows = np.arange(len(table.X))
    held_out = rows[:0]
    if judged is None:
        (rows, _), (held_out, _) = data.split(rows, rows, share, options.seed)
    aside = held_out
    if options.early_stopping is not None:  # what decides when to stop must not be what judges the result
        (rows, _), (aside, _) = data.split(rows, rows, 0.2, options.seed)
    recipe = Recipe.learn(table, rows, options.task)
    dtype = checks.dtype_of(options.dtype)
    X, Y = recipe.X(table, dtype), recipe.Y(table, dtype)
    test = (X[held_out], Y[held_out]) if judged is None else (recipe.X(judged, dtype), recipe.Y(judged, dtype))
    validation = test if options.early_stopping is None else (X[aside], Y[aside])
    return Samples(recipe, (X[rows], Y[rows]), validation, test)


def _named(name: str, path: str | None = None) -> tuple[Table, Table | None]:
    """A data set by its name: samples to learn from and, where it has them, those to be judged by."""
    if name == "digits":
        return _pictures(*data.digits()), None
    train, test = data.mnist(path) if name == "mnist" else data.fashion_mnist(path)
    return _pictures(*train), _pictures(*test)


def _pictures(X: NDArray[Any], y: NDArray[Any]) -> Table:
    return Table(X, y, [str(i + 1) for i in range(X.shape[1])], "label", "pictures")


def _judge(net: Network, samples: Samples, backend: str, threads: int | None) -> dict[str, float]:
    """How well the network does on samples that it has not seen."""
    X, Y = samples.test
    with backends.threads(threads):
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
        text += f"\ninterrupted after {result['epochs']} epochs"
    if result["disturbed"]:
        text += f"\n{disturbance.sentence(result['disturbed_by'])}"
        text += " Until then, --threads 1 may be faster." if result["backend"] in backends.THREADED else ""
    if result["save"]:
        example = result["data"] if result["data"] in NAMED else "FILE"
        text += f"\nmodel in {result['save']}; use it with: jitnet predict {result['save']} {example}"
    if result["plot"]:
        text += f"\npicture in {result['plot']}"
    return text


def predict_command(options: argparse.Namespace) -> int:
    """jitnet predict."""
    run = backends.get(options.backend)
    check_paths(options, reads=("model", "data", "labels"), writes=("out",))
    net = load(options.model)
    if net.recipe is None:
        raise checks.Error(
            f"{options.model} was saved without a recipe for files; "
            f"use it in Python: jitnet.load({options.model!r}).predict(X)"
        )
    try:
        recipe = Recipe.from_plain(net.recipe)
    except checks.Error as error:
        raise checks.Error(f"{options.model}: {error}") from None
    if (len(recipe.features), recipe.width) != (net.layers[0].n_in, net.layers[-1].n_out):
        raise checks.Error(f"{options.model} is damaged: its recipe does not fit its layers")
    if options.data in NAMED:
        learned_from, judged = _named(options.data)
        table = judged or learned_from
    else:
        table = data.read_table(options.data, recipe.target, labels=options.labels, features=recipe.features)
    with progress.Progress() if options.quiet else progress.on_standard_error() as show:
        run.compile(net.operations(), net.dtype, show.compiling)
    answers = recipe.answers(net.forward(recipe.X(table, net.dtype), options.backend))
    result: dict[str, Any] = {"model": options.model, "data": options.data, "predictions": answers}
    result.update(recipe.score(table, answers))
    lines = "".join(f"{answer if isinstance(answer, str) else format(answer, '.9g')}\n" for answer in answers)
    if options.out is not None:
        with storage.replacing(options.out) as file:
            file.write(lines.encode())
    if options.json:
        print(_as_json(result))
    elif options.out is None:
        print(lines, end="")
    if not options.quiet:
        found = f", accuracy {result['accuracy']:.2%}" if "accuracy" in result else ""
        found += f", RMSE {result['rmse']:.4g}" if "rmse" in result else ""
        progress.say(f"{len(answers)} rows{found}")
    return 0


def warmup_command(options: argparse.Namespace) -> int:
    """jitnet warmup."""
    began = time.perf_counter()
    run = backends.get(options.backend)
    show = progress.Progress() if options.quiet else progress.on_standard_error()
    needed = run.compiles
    with show:
        compiled = sum(run.compile(LADDERS, dtype, show.compiling) for dtype in run.dtypes)
    seconds, folder = time.perf_counter() - began, str(cache_folder())
    if options.json:
        about = {"backend": run.name, "kernels": needed, "compiled": compiled, "seconds": seconds, "cache": folder}
        print(json.dumps(about))
    elif needed:
        print(f"{compiled} kernels compiled in {seconds:.1f} s, {needed - compiled} were there; they are in {folder}")
    else:
        print(f"backend {run.name} compiles nothing")
    return 0
