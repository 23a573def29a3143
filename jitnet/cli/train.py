"""Train a network on a data set and report its accuracy or error on test samples."""

import argparse
import contextlib
import math
import tempfile
import time
import uuid
from itertools import pairwise
from pathlib import Path
from typing import Any

from .. import backend as backends
from .. import checks, optimizers
from ..data import Recipe
from ..data.table import called
from ..display import plots
from ..distributed import Alone, Comm, is_on_all_ranks, launcher, on_all_ranks, read_once
from ..kernels.activations import ACTIVATIONS
from ..layers import Dense, Dropout, Layer
from ..losses import LOSSES
from ..network import Network
from ..optimizers import Optimizer
from ..process import disturbance, progress
from ..process.interruption import Interrupt
from ..training.history import History
from ..training.loop import Diverged
from . import samples, scores
from .compiling import in_two_processes
from .shared import NAMED, as_json, backend_option, check_paths, dtype_option, output_options, plot_option, shown

SENTENCES = 30
"""How many decisions about columns are shown before training."""
COMPARED = 0.5
"""Seconds of training from which users compare times, so a disturbance is reported."""
OF_RANK = ("run", "threads")
"""Options that can differ between ranks."""
NOTES = 8
"""How many warnings are repeated below the result."""

RISEN = 1.2
"""If the last test loss is more than this many times the lowest one, a note suggests early stopping."""
GOOD = 0.9995
"""The accuracy or R² from which there is no such note."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data",
        help="digits, mnist, fashion_mnist, or a file: CSV (- for standard input), a workbook such as .xlsx, Parquet, "
        "NPZ with X and y, IDX images, or a folder that has one folder of images for each class",
    )
    _data_options(parser)
    _network_options(parser)
    _training_options(parser)
    _output_options(parser)


def _data_options(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("data")
    what.add_argument(
        "--target", type=samples.typed_name, metavar="NAME",
        help="column to predict; without a header, columns are called 1, 2, ...",
    )  # fmt: skip
    what.add_argument(
        "--task", metavar="TASK",
        help="classification or regression (default: words, and at most 20 different whole numbers, are classes)",
    )  # fmt: skip
    what.add_argument("--labels", metavar="FILE", help="IDX file with the labels (default: found next to the images)")
    for name, metavar, text in (
        ("drop", "A,B", "columns to leave out; names with a comma are quoted: 'a,\"b, c\"'"),
        ("categorical", "A,B", "columns whose values are categories, even if they are numbers"),
        ("numeric", "A,B", "columns to read as numbers; other text there is missing"),
        ("missing", "A=0,...", "values that stand for a missing cell: A=0 in column A; --missing=-999 in all columns"),
    ):
        what.add_argument(
            f"--{name}",
            type=samples.typed_name,
            action="append",
            default=[],
            metavar=metavar,
            help=f"{text}; repeatable",
        )
    what.add_argument(
        "--path", metavar="FOLDER", help="folder with the files of mnist or fashion_mnist (default: download)"
    )
    what.add_argument("--test", type=float, metavar="FRACTION", help="fraction of samples to hold out (default 0.2)")
    samples.reading_options(what)


def _network_options(parser: argparse.ArgumentParser) -> None:
    net = parser.add_argument_group("network")
    net.add_argument(
        "--hidden", default="128,64", metavar="N,N,...", help="widths of the hidden layers, or none (default 128,64)"
    )
    net.add_argument(
        "--activation", default="relu", metavar="NAME",
        help=f"activation of the hidden layers: {', '.join(ACTIVATIONS)} (default relu)",
    )  # fmt: skip
    net.add_argument(
        "--dropout", type=float, default=0.0, metavar="RATE",
        help="fraction of each hidden layer dropped in training (default 0)",
    )  # fmt: skip
    dtype_option(net)


def _training_options(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("training")
    how.add_argument("--epochs", type=int, default=30, metavar="N", help="passes over the samples (default 30)")
    how.add_argument("--batch-size", type=int, default=32, metavar="N", help="samples per update (default 32)")
    names = ", ".join(optimizers.OPTIMIZERS)
    how.add_argument("--optimizer", default="adam", metavar="NAME", help=f"{names} (default adam)")
    usual = ", ".join(f"{name} {lr:g}" for name, lr in optimizers.USUAL_LR.items())
    how.add_argument("--lr", type=float, metavar="X", help=f"learning rate (default: {usual})")
    how.add_argument(
        "--loss", metavar="NAME", help=f"{', '.join(LOSSES)} (default: cross_entropy for classes, else mse)"
    )
    how.add_argument(
        "--weight-decay", type=float, metavar="X",
        help=f"L2 weight decay (default: adamw {_usual_decay('adamw'):g}, others {_usual_decay('sgd'):g})",
    )  # fmt: skip
    patience = "stop after N epochs without progress on a fifth of the training samples, set aside for validation"
    how.add_argument("--early-stopping", type=int, metavar="N", help=patience)
    how.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed for split, weights and order of samples (default 0)"
    )
    backend_option(how)
    how.add_argument(
        "--threads", type=int, metavar="N",
        help="number of threads, for the backends parallel and fast (default: 1 or all, whichever is faster)",
    )  # fmt: skip
    how.add_argument(
        "--reduction", metavar="HOW",
        help="how gradients of several processes are added up: tree, for the same bits on any number (default "
        "under mpiexec), the same with a number of blocks per batch (tree has 8), or fast",
    )  # fmt: skip


def _output_options(parser: argparse.ArgumentParser) -> None:
    out = parser.add_argument_group("output")
    out.add_argument("--save", metavar="FILE", help="write the model to this file")
    plot_option(out, "loss and accuracy per epoch")
    out.add_argument(
        "--checkpoint", metavar="FILE", help="save the training state here (exit status 1 if it cannot be written)"
    )
    out.add_argument("--checkpoint-every", type=int, metavar="N", help="save it every N epochs (default 1)")
    out.add_argument("--resume", action="store_true", help="continue from the checkpoint")
    output_options(out)


def run(options: argparse.Namespace) -> int:
    try:
        comm = launcher.world()
        if comm is None:
            return _train(options, None, Alone())
        with contextlib.closing(comm), comm.or_abort():
            return _train(options, comm, comm)
    except Exception as error:
        if is_on_all_ranks(error) and not launcher.is_first():  # the first rank reports it
            return 2
        raise


def _train(options: argparse.Namespace, comm: Comm | None, ranks: Comm) -> int:
    """The command, on one of the ranks of `comm`. Rank 0 writes files and reports."""
    began = time.perf_counter()
    with ranks.together():
        backend = backends.get(options.backend)
        optimizer, hidden = _optimizer(options), _hidden(options)
        _check_files(options, ranks)
    ranks.compare({name: value for name, value in vars(options).items() if name not in OF_RANK}, "give all the same")
    parts = read_once(ranks, lambda: samples.read(options))
    recipe = parts.recipe
    with ranks.together():
        net = _network(hidden, options, recipe)
    show = shown(options, _introduction(options, parts, net))
    show.held_out = _held_out(options)
    with disturbance.Watch(backend.cores(options.threads)) as watch, in_two_processes(show):
        history = _fit(net, parts, optimizer, options, show, comm)
    if ranks.rank > 0:
        return 130 if history.stopped == "interrupted" else 0
    disturbed_by = watch.reasons if ranks.size == 1 else []  # the other ranks are no disturbance
    save, plot, unwritten = _write(net, history, options)
    with backends.threads(history.threads if backend.uses_threads else None):  # the number that was faster in training
        scored = scores.of(net, parts, options.backend)
    result = {
        "data": options.data, "task": recipe.task, "backend": options.backend, "seed": options.seed,
        "network": net.widths, "parameters": net.parameters,
        "samples": {"train": len(parts.train[0]), "test": len(parts.test[0]), **_set_aside(options, parts)},
        "decisions": recipe.decisions, "warnings": recipe.warnings,
        "epochs": history.epochs, "stopped": history.stopped,
        "train_loss": history.loss[-1] if history.loss else None,
        **scored, "threads": history.threads,
        "seconds": sum(history.seconds), "compile_seconds": history.compile_seconds,
        "total_seconds": time.perf_counter() - began,
        "disturbed": bool(disturbed_by), "disturbed_by": disturbed_by, "save": save, "plot": plot,
        "unwritten": unwritten, **({} if comm is None else {"ranks": comm.size}),
    }  # fmt: skip
    print(as_json(result) if options.json else _in_words(result, history))
    if history.stopped == "interrupted":
        return 130
    return 1 if unwritten else 0


def _optimizer(options: argparse.Namespace) -> Optimizer:
    checks.one_of("optimizer", options.optimizer, optimizers.OPTIMIZERS)
    decay = _usual_decay(options.optimizer) if options.weight_decay is None else options.weight_decay
    settings = {"weight_decay": decay, **({} if options.lr is None else {"lr": options.lr})}
    return optimizers.get(options.optimizer, **settings)


def _usual_decay(optimizer: str) -> float:
    """The default of --weight-decay: the optimizer's own, unless that is 0."""
    return float(getattr(optimizers.OPTIMIZERS[optimizer], "weight_decay", 0)) or 3e-4


def _hidden(options: argparse.Namespace) -> list[int]:
    """The widths of the hidden layers, after their options have been validated."""
    checks.number("--dropout", options.dropout, least=0, below=1)
    checks.one_of("activation", options.activation, ACTIVATIONS)
    if options.hidden == "none":
        if options.dropout:
            raise checks.Error(f"--dropout is {options.dropout:g}, but --hidden none has no layer for it; omit one")
        return []
    try:
        return [checks.whole("a width in --hidden", int(part), least=1) for part in options.hidden.split(",")]
    except ValueError:
        raise checks.Error(f"--hidden is {options.hidden!r}, but must be widths such as 64,32, or none") from None


def _check_files(options: argparse.Namespace, ranks: Comm) -> None:
    if ranks.size > 1 and options.data == "-":
        raise checks.Error("- is standard input, which mpiexec gives to one process; name a file that all can read")
    if options.loss is not None:
        checks.one_of("loss", options.loss, LOSSES)
    check_paths(options, reads=("data", "labels"), writes=("save", "plot", "checkpoint") * (ranks.rank == 0))
    if options.resume and options.checkpoint is None:
        raise checks.Error("--resume needs --checkpoint FILE, the file to continue from")
    if options.checkpoint_every is not None and options.checkpoint is None:
        raise checks.Error("--checkpoint-every needs --checkpoint FILE")


def _network(hidden: list[int], options: argparse.Namespace, recipe: Recipe) -> Network:
    widths = [recipe.inputs, *hidden]
    layers: list[Layer] = []
    for n_in, n_out in pairwise(widths):
        layers.append(Dense(n_in, n_out, options.activation))
        layers += [Dropout(options.dropout)] if options.dropout else []
    layers.append(Dense(widths[-1], recipe.target.width, "softmax" if recipe.classes else "identity"))
    net = Network(*layers, seed=options.seed, dtype=options.dtype)
    net.recipe = recipe.plain()
    return net


def _introduction(options: argparse.Namespace, parts: samples.Samples, net: Network) -> str:
    """The data, the decisions about them, and the network."""
    recipe = parts.recipe
    if recipe.classes:
        what = checks.count(recipe.target.width, "class", "classes")
    else:
        what = f"regression of {called(recipe.target.name)}"
    counts = {"training sample": len(parts.train[0]), "test sample": len(parts.test[0])}
    sizes = ", ".join(checks.count(number, name) for name, number in counts.items())
    sizes += "".join(f", {number} for {name}" for name, number in _set_aside(options, parts).items())
    sizes += f", {checks.count(len(recipe.features), 'column')}"
    if recipe.inputs != len(recipe.features):
        sizes += f" as {recipe.inputs} inputs"
    sentences = [*recipe.decisions[:SENTENCES]]
    if len(recipe.decisions) > SENTENCES:
        sentences.append(f"and {len(recipe.decisions) - SENTENCES} more of this kind; --json has all")
    if any("(--" in sentence for sentence in sentences):
        sentences.insert(0, "how the data are read (the option in parentheses changes it):")
    return "\n".join([f"{options.data}: {sizes}, {what}", *sentences, f"{net!r}, backend {options.backend}"])


def _held_out(options: argparse.Namespace) -> str:
    """What the samples are whose loss is shown for each epoch."""
    return "test" if options.early_stopping is None else "validation"


def _set_aside(options: argparse.Namespace, parts: samples.Samples) -> dict[str, int]:
    return {"validation": len(parts.validation[0])} if options.early_stopping is not None else {}


def _fit(
    net: Network, parts: samples.Samples, optimizer: Optimizer, options: argparse.Namespace, show: progress.Progress,
    comm: Comm | None,
) -> History:  # fmt: skip
    try:
        return net.fit(
            *parts.train, epochs=options.epochs, batch_size=options.batch_size, optimizer=optimizer, loss=options.loss,
            backend=options.backend, validation=parts.validation, threads=options.threads,
            early_stopping=options.early_stopping, checkpoint=options.checkpoint,
            checkpoint_every=1 if options.checkpoint_every is None else options.checkpoint_every,
            resume=options.resume, progress=show, comm=comm, reduction=options.reduction,
        )  # fmt: skip
    except Diverged as error:
        if options.save is None or (comm is not None and comm.rank > 0):
            raise
        if not error.history.epochs:
            raise on_all_ranks(checks.Error(f"{error}; {options.save} was not written")) from None
        where, problem = _save(net, options.save)
        kept = problem or f"the model as of epoch {error.history.epochs} is in {where}"
        raise on_all_ranks(checks.Error(f"{error}; {kept}")) from None


def _write(net: Network, history: History, options: argparse.Namespace) -> tuple[str | None, str | None, list[str]]:
    """Write the model and the plot; returns their paths, and what could not be written."""
    save, plot, problems = options.save, options.plot if history.epochs else None, []
    if save is not None:  # first of all, so that nothing after it can lose the model
        save, problem = _save(net, save)
        problems += [problem] if problem else []
    if plot is not None:
        try:
            title = f"{options.data}: {net.widths}, {options.optimizer}"
            of_what = "" if net.recipe is None or net.recipe["classes"] else " of the standardized target"
            plots.draw_history(history, plot, title, _held_out(options), f"{net.loss}{of_what}")
        except checks.Error as error:
            plot = None
            problems.append(str(error))
    for problem in problems:
        progress.say(f"jitnet: {' '.join(problem.split())}")
    # an error of the checkpoint was reported when it happened
    return save, plot, [*filter(None, [history.checkpoint_error]), *problems]


def _save(net: Network, path: str) -> tuple[str | None, str]:
    """Save the model, or if that fails, save it in the folder for temporary files; the path, and what went wrong."""
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


def _in_words(result: dict[str, Any], history: History) -> str:
    if "test_accuracy" in result:
        right = round(result["test_accuracy"] * result["samples"]["test"])
        verdict = f"test accuracy {result['test_accuracy']:.2%} ({right} of {result['samples']['test']})"
    else:
        r2 = result["test_r2"]
        verdict = f"test RMSE {result['test_rmse']:.4g}" + ("" if math.isnan(r2) else f", R² {r2:.3f}")
    epochs = checks.count(result["epochs"], "epoch")
    of_what = "" if "test_accuracy" in result else " (of the standardized target)"
    text = f"{verdict}, test loss {result['test_loss']:.4f}{of_what}, after {epochs} in {result['seconds']:.2f} s"
    text += f" (compiled or loaded in {result['compile_seconds']:.2f} s)"
    text += f"\n{scores.in_words(result)}"
    text += "".join(f"\nnote: {warning}" for warning in result["warnings"][:NOTES])
    if (more := len(result["warnings"]) - NOTES) > 0:
        text += f"\nnote: and {checks.count(more, 'more note')}; --json has all"
    losses = history.validation_loss or [0.0]  # without early stopping those of the test samples
    best = losses.index(min(losses))
    lowest, last = f"{losses[best]:.4f}", f"{losses[-1]:.4f}"
    is_good = result.get("test_accuracy", result.get("test_r2", 0)) >= GOOD
    if history.best_epoch is None and losses[-1] > RISEN * losses[best] and lowest != last and not is_good:
        text += (
            f"\nnote: the test loss was lowest after epoch {best + 1}, {lowest}, and is {last} at the end; "
            "--early-stopping 5 keeps the weights of the best epoch"
        )
    if history.stopped:
        text += f"\n{history.ending.words} after {epochs}"
        text += f"; the weights are those of epoch {history.best_epoch}" if history.best_epoch else ""
    if result["disturbed"] and result["seconds"] >= COMPARED:
        text += f"\n{disturbance.sentence(result['disturbed_by'])}"
        text += " Until then, --threads 1 may be faster." if backends.get(result["backend"]).uses_threads else ""
    if result["save"]:
        example = result["data"] if result["data"] in NAMED else "FILE"
        text += f"\nmodel in {result['save']}; use it with: jitnet predict {result['save']} {example}"
    if result["plot"]:
        text += f"\nplot in {result['plot']}"
    return text
