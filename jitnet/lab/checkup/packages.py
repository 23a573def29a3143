"""Packages: are the needed ones installed, do their versions fit together, and which optional ones are missing?"""

import contextlib
import importlib
import importlib.metadata
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ... import __version__
from ..machine_code import analyzers
from ..machine_code.instructions import ARM, machine
from . import NOTE, OK, WRONG, Item, pip_install

NEEDED = ("numba", "llvmlite", "numpy")

FOR_DEVELOPERS = ("test", "bench", "dev")
"""Extras that no command of jitnet uses, so they are not checked."""

PURPOSES = {
    "rich": "progress bars", "matplotlib": "--plot", "threadpoolctl": "NumPy held to --threads",
    "packaging": "comparing versions here", "jinja2": "jitnet report", "pygments": "jitnet report",
    "numba-cuda": "kernels on an NVIDIA GPU",
}  # fmt: skip


def installed(package: str) -> str | None:
    """The version of an installed package, by its metadata."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def requirements(package: str, extra: str = "") -> list[Any]:
    """The requirements of an installed package, or those that an extra adds, with those of the extras it names."""
    from packaging.requirements import Requirement

    found = []
    lines = importlib.metadata.requires(package) or [] if installed(package) else []
    for one in map(Requirement, lines):
        if one.marker is None:
            belongs = not extra
        else:
            belongs = one.marker.evaluate({"extra": extra}) and not (extra and one.marker.evaluate({"extra": ""}))
        if belongs and one.name == package:
            found += [needed for nested in one.extras for needed in requirements(package, nested)]
        elif belongs:
            found.append(one)
    return found


def examine_python() -> Iterator[Item]:
    """This Python, and whether the jitnet that runs is the one that is installed."""
    yield Item("python", OK, f"{platform.python_version()}, {platform.python_implementation()}, {platform.machine()}")
    root, version = Path(__file__).parents[3], installed("jitnet")
    if version == __version__:
        yield Item("jitnet", OK, f"{version} in {root}")
        return
    fix = pip_install("-e", str(root)) if (root / "pyproject.toml").exists() else None
    other = f"{version} is installed" if version else "it is not installed, so its requirements are unknown"
    yield Item("jitnet", NOTE, f"{__version__} runs from {root}, but {other}", fix)


def examine_needed() -> Iterator[Item]:
    """Numba, llvmlite and NumPy: the loaded version is the installed one, and fits the requirements of the others."""
    wanted: dict[str, dict[str, Any]] = {package: {} for package in NEEDED}
    if installed("packaging") is None:
        yield Item("packaging", NOTE, "missing, so versions cannot be compared", pip_install("packaging"))
    else:
        for user in ("jitnet", *NEEDED):
            for one in requirements(user):
                if one.name in wanted and one.specifier:
                    wanted[one.name][user] = one.specifier
    for package in NEEDED:
        version = importlib.import_module(package).__version__
        together = package + ",".join(map(str, wanted[package].values()))
        unmet = [
            f"{user} needs {specifier}" for user, specifier in wanted[package].items()
            if not specifier.contains(version, prereleases=True)
        ]  # fmt: skip
        if unmet:
            yield Item(package, WRONG, f"{version}, but {' and '.join(unmet)}", pip_install(together))
        elif installed(package) not in (version, None):
            found = f"{version} is loaded, but {installed(package)} is installed, by its metadata"
            yield Item(package, WRONG, found, pip_install(together, anew=True))
        else:
            met = "".join(f", {user} needs {specifier}" for user, specifier in wanted[package].items())
            yield Item(package, OK, version + met)


def examine_extras() -> Iterator[Item]:
    """Each extra of jitnet: are its packages installed, and new enough?"""
    if installed("jitnet") is None or installed("packaging") is None:  # another item reports it
        return
    for extra in importlib.metadata.metadata("jitnet").get_all("Provides-Extra") or []:
        if extra in FOR_DEVELOPERS:
            continue
        missing, unfit, install, fits = [], [], [], []
        for one in requirements("jitnet", extra):
            version = installed(one.name)
            if version is None:
                missing.append(one.name + (f" ({PURPOSES[one.name]})" if one.name in PURPOSES else ""))
            elif not one.specifier.contains(version, prereleases=True):
                unfit.append(f"{one.name} is {version}, not {one.specifier}")
            else:
                fits.append(f"{one.name} {version}")
                continue
            one.marker = None
            install.append(str(one))
        found = [*unfit, *([f"missing: {', '.join(missing)}"] if missing else [])]
        state = WRONG if unfit else NOTE if missing else OK
        fix = pip_install(*install) if install else None
        yield Item(f"extra {extra}", state, "; ".join(found or [", ".join(fits)]), fix)


def examine_analyzer() -> Iterator[Item]:
    """The external program with which `jitnet explain` predicts cycles."""
    if machine() in ARM:  # explain does not predict there
        return
    program = analyzers.found()
    if program is not None:
        yield Item("analyzer", OK, f"{program} predicts cycles for jitnet explain")
        return
    finding = f"missing: a program with which jitnet explain predicts cycles: {analyzers.WHERE}"
    yield Item("analyzer", NOTE, finding, pip_install("osaca"))
