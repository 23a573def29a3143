"""A training on disk: saved between epochs, and restored only after validation. `plan` is that of the training."""

import contextlib
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import checks, storage
from ..compiler.types import Vector
from .history import ENDINGS, History
from .state import State

RECORDED = (
    "loss", "validation_loss", "validation_accuracy", "seconds", "compile_seconds", "best_epoch", "stopped",
)  # fmt: skip
"""The saved fields of the history."""

CALLER = 6
"""The stack level of a warning that names the line which calls `fit`."""


class Checkpoint:
    """The file of a training, written after every `every` epochs and after the last one; without a path, none."""

    def __init__(self, path: str | Path | None = None, every: int = 1) -> None:
        self.path: Any = path
        self.every, self.is_wanted = every, path is not None
        self._written = 0
        """The epoch in the file; 0 if this training has not written or restored it."""

    def is_due(self, history: History, epochs: int, is_interrupted: bool) -> bool:
        """True after an epoch that has to be saved; not if ^C ended an epoch before its last batch."""
        is_last = history.epochs == epochs or history.ending.is_final or is_interrupted
        is_whole = history.stopped != "interrupted"
        return self.is_wanted and is_whole and (history.epochs % self.every == 0 or is_last)

    def write_or_warn(self, state: State, plan: Any) -> None:
        """Write the file, or warn once and continue: a full disk must not end the training.

        With several ranks, the first one writes it, and a full disk is an error that ends all of them.
        """
        history = state.history
        if plan.comm.rank > 0:
            return
        try:
            self._write(state, plan)
        except checks.Error as error:
            if history.checkpoint_error:
                return
            left = "this run has no checkpoint yet"
            if self._written:
                left = f"the checkpoint of epoch {self._written} is still there"
            history.checkpoint_error = f"{error}; {left}"
            if plan.comm.size > 1:  # many machines should not work for a result that may be lost
                raise checks.Error(history.checkpoint_error) from None
            warnings.warn(f"{history.checkpoint_error}; training continues", stacklevel=CALLER)
        else:
            history.checkpoint_error, self._written = "", history.epochs

    def _write(self, state: State, plan: Any) -> None:
        """Write the file atomically."""
        arrays = _vectors(state)
        if state.best_theta is not None:
            arrays["best_theta"] = state.best_theta
        about = {
            "settings": plan.settings(), "step": state.step,
            "history": {name: getattr(state.history, name) for name in RECORDED} | _lasting(state.history),
            "best_loss": None if state.history.best_epoch is None else state.best_loss,
        }  # fmt: skip
        storage.write(self.path, "checkpoint", about, arrays)

    def warn_of_replacing(self) -> None:
        """A warning if the new training will replace a checkpoint."""
        epochs = 0
        with contextlib.suppress(checks.Error, OSError), storage.reading(self.path, "checkpoint") as (about, _):
            epochs = len(about["history"]["loss"])
        if epochs:
            text = f"this training replaces the checkpoint of {checks.count(epochs, 'epoch')} in {self.path}"
            warnings.warn(f"{text}; add resume to continue it", stacklevel=CALLER)

    def restore(self, state: State, plan: Any) -> None:
        """Restore the state in the file, and its seed if the plan has none.

        Errors    FileNotFoundError; ValueError if the file is damaged or belongs to another run; nothing is changed
                  then
        """
        about, seed, history, arrays = self._read(state, plan)
        if history.epochs > plan.epochs:
            raise checks.Error(
                f"checkpoint {self.path} has {checks.count(history.epochs, 'epoch')} already, more than "
                f"epochs={plan.epochs}; increase epochs"
            )
        for name, vector in _vectors(state).items():
            vector[...] = arrays[name]
        if history.best_epoch:
            state.best_theta = arrays.get("best_theta")
            state.best_loss = getattr(history, plan.early_stopping.monitor)[history.best_epoch - 1]
        state.step, state.history, plan.seed = about["step"], history, seed
        self._written = history.epochs

    def _read(self, state: State, plan: Any) -> tuple[dict[str, Any], int, History, dict[str, Any]]:
        """The description, the seed, the history and the arrays, all validated."""
        if not os.path.exists(self.path):
            raise FileNotFoundError(
                f"there is no checkpoint {self.path} to continue; make the first run without resume"
            )
        with storage.reading(self.path, "checkpoint") as (about, archive):
            try:
                kept = checks.fields("settings", about["settings"])
                seed = checks.whole("seed", kept["seed"], least=0)
                now = plan.settings() | ({"seed": seed} if plan.seed is None else {})
                different = [text for name in now for text in _differences(name, kept.get(name), now[name])]
                if not different:
                    history = replace(state.history, **_recorded(about["history"], plan))
                    _check_counts(about, history, plan)
                    restores = plan.early_stopping is not None and plan.early_stopping.restore
                    names = [*_vectors(state), *(["best_theta"] if history.best_epoch and restores else [])]
                    arrays = storage.arrays_of(archive, dict.fromkeys(names, state.theta.shape), state.theta.dtype)
            except (checks.Error, KeyError) as error:
                raise checks.Error(
                    f"checkpoint {self.path} is incomplete or damaged ({checks.reason(error)}); start again without "
                    "resume"
                ) from None
        if different:
            raise checks.Error(
                f"checkpoint {self.path} belongs to another run: {'; '.join(different)}; use the same, or start again "
                "without resume"
            )
        return about, seed, history, arrays


def _lasting(history: History) -> dict[str, str]:
    return {} if history.ending.is_final else {"stopped": ""}


def _vectors(state: State) -> dict[str, Vector]:
    """The parameters and the optimizer's vectors, by their names in the file."""
    return {"theta": state.theta, **{f"memory{i}": vector for i, vector in enumerate(state.memory)}}


def _differences(name: str, before: Any, now: Any) -> list[str]:
    """What has changed: only the fields that differ, and only the layers that differ."""
    if before == now:
        return []
    if name == "data":
        return ["the data are different, or split differently"]
    if isinstance(before, dict) and isinstance(now, dict):
        if before.get("name") != now.get("name"):
            before, now = before.get("name"), now.get("name")
        elif before.keys() == now.keys():
            return [text for key in now for text in _differences(f"{key} of {name}", before[key], now[key])]
    if name == "layers" and isinstance(before, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        return [text for l, pair in pairs for text in _differences(f"layer {l}", *pair)]
    return [f"{name} was {str(before)[:200]}, is {str(now)[:200]}"]


def _recorded(content: Any, plan: Any) -> dict[str, Any]:
    """The history of a checkpoint: each number is validated, and every list is as long as that of the losses."""
    history = checks.fields("history", content, RECORDED)
    epochs = len(checks.listed("loss", history["loss"]))
    validated = 0 if plan.held_out is None else epochs
    for name, length, limits in (
        ("loss", epochs, {}),
        ("seconds", epochs, {"least": 0}),
        ("validation_loss", validated, {}),
        ("validation_accuracy", validated if plan.validation_task != "numbers" else 0, {"least": 0, "most": 1}),
    ):
        values = enumerate(checks.listed(name, history[name], length), 1)
        history[name] = [checks.number(f"{name} of epoch {epoch}", value, **limits) for epoch, value in values]
    history["compile_seconds"] = checks.number("compile_seconds", history["compile_seconds"], least=0)
    checks.one_of("reason", history["stopped"], ENDINGS)
    if history["best_epoch"] is not None:
        checks.whole("best_epoch", history["best_epoch"], least=1)
    return history


def _check_counts(about: dict[str, Any], history: Any, plan: Any) -> None:
    """Check the fields that follow from the number of epochs and the best epoch."""
    batches = -(-len(plan.X) // plan.batch_size)
    best, waited = history.best_epoch, history.epochs - (history.best_epoch or 0)
    is_over = plan.early_stopping is not None and waited >= plan.early_stopping.patience
    steps = about["step"] if plan.batches else history.epochs * batches
    stopped = history.stopped if history.ending.is_final and history.stopped != "early" else ""
    for name, value, expected in (
        ("step", about["step"], checks.whole("step", steps, least=0)),
        ("best_epoch", best, best if plan.early_stopping is not None and waited >= 0 else None),
        ("stopped", history.stopped, "early" if is_over else stopped),
    ):
        if type(value) is not type(expected) or value != expected:
            epochs = checks.count(history.epochs, "epoch")
            raise checks.Error(f"{name} is {checks.shown(value)}, but must be {expected!r} after {epochs}")
    best_loss = None if best is None else getattr(history, plan.early_stopping.monitor)[best - 1]
    if about["best_loss"] != best_loss:
        raise checks.Error(f"best_loss is {checks.shown(about['best_loss'])}, but must be {best_loss!r}")
