"""The peak that limits a candidate of a ladder; one that a rung exceeds was measured too low, and is raised.

A peak is the best of several runs, but another process on the same core can use half of its units for minutes. A rung
was checked against float64, so it has done its work; if it is faster than the peak, the peak is wrong. All peaks are
then measured again, and a peak that the rung still exceeds is set to the rung's rate, for this ladder and in the file.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..process.disturbance import ABOVE
from ..process.progress import Report, ignore
from . import formatting, machine, roofline
from .benchmark.candidates import Candidate

Limits = dict[str, Any]


def peak_of(limits: Limits, dtype: np.dtype[Any], who: Candidate, is_product: bool) -> float:
    """The peak of this machine for a candidate, in FLOP/s or bytes/s."""
    if is_product:
        return machine.for_threads(limits["peak"][dtype.name], who.threads)
    return roofline.moving(limits, _level(limits, who), who.kind, who.threads)


def name_of(limits: Limits, who: Candidate, is_product: bool) -> str:
    """The name of the peak."""
    if is_product:
        return "peak rate of multiply-adds"
    doing = {"copy": "copying", "read": "reading"}[who.kind]
    return f"peak bandwidth of {doing} in {_level(limits, who)}"


def _level(limits: Limits, who: Candidate) -> str:
    return machine.level_of(limits["caches"], who.moves, who.threads)


def above(
    rates: Iterable[tuple[str, Candidate, float]], limits: Limits, dtype: np.dtype[Any], is_product: bool,
    report: Report = ignore,
) -> tuple[Limits, list[str]]:  # fmt: skip
    """The peaks, none of which a rung (name, candidate, rate) exceeds, and a sentence for each that was raised.

    A user's kernel that is faster than the machine may not have done the work, and a user's problem may count too much
    work, so these only cause a second measurement.
    """
    first, said = limits, []
    for name, who, rate in sorted(rates, key=lambda each: -each[2]):  # the fastest first: it raises the peak for others
        before = peak_of(limits, dtype, who, is_product)
        if rate <= ABOVE * before:
            continue
        if limits is first:
            limits = machine.best_of(limits, machine.limits(again=True, report=report))
        now = peak_of(limits, dtype, who, is_product)
        if rate > ABOVE * now and who.is_trusted:
            where = ("peak", dtype.name) if is_product else ("bandwidth", _level(limits, who), who.kind)
            limits, now = machine.raised(limits, where, who.threads, rate / now), rate
        if now > before:
            unit, threads = "GFLOP/s" if is_product else "GB/s", formatting.count(who.threads, "thread")
            said.append(
                f"The {name_of(limits, who, is_product)} ({threads}) was measured too low, as {name} exceeded it; it "
                f"was raised from {before / 1e9:.4g} to {now / 1e9:.4g} {unit}."
            )
    return limits, said


def too_low(
    rates: Iterable[tuple[str, Candidate, float]], limits: Limits, dtype: np.dtype[Any], is_product: bool
) -> list[str]:
    """A sentence for each peak that a rung exceeds, for a disturbed measurement, after which no peak is measured again:
    a disturbance makes rungs slower only, so their rates are possible."""
    said: dict[str, str] = {}
    for name, who, rate in sorted(rates, key=lambda each: -each[2]):
        peak = peak_of(limits, dtype, who, is_product)
        what = f"{name_of(limits, who, is_product)} ({formatting.count(who.threads, 'thread')})"
        if rate > ABOVE * peak and who.is_trusted and what not in said:
            unit = "GFLOP/s" if is_product else "GB/s"
            said[what] = (
                f"{name} reached {rate / 1e9:.3g} {unit}, more than the saved {what} of {peak / 1e9:.3g}, which was "
                "measured too low; measure it again when the machine is idle: jitnet machine --again."
            )
    return list(said.values())
