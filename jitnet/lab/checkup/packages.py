"""Are the packages there that jitnet needs, do they fit together, and which optional ones are missing?"""

import importlib
import platform
from collections.abc import Iterator
from pathlib import Path

from ... import __version__
from .items import NOTE, OK, WRONG, Item, pip_install
from .versions import Requirement, fits, installed, metadata_of, normal, requirements

NEEDED = ("numba", "llvmlite", "numpy")

FOR_DEVELOPERS = ("test", "bench", "dev")
"""Extras that no command of jitnet uses: what is too old there is in nobody's way."""

GIVES = {
    "rich": "progress bars", "matplotlib": "pictures, --plot", "threadpoolctl": "NumPy held to --threads",
    "numba-cuda": "kernels on an NVIDIA GPU", "pytest": "the tests", "pytest-benchmark": "benchmarks/",
    "pytest-cov": "coverage", "hypothesis": "tests on drawn examples", "ruff": "style checks",
    "mypy": "type checks", "torch": "PyTorch as a peer", "jax": "JAX as a peer",
    "scikit-learn": "scikit-learn as a peer",
}  # fmt: skip
"""Package -> what it is good for here."""


def examine_python() -> Iterator[Item]:
    """This Python, against what jitnet and Numba say they need."""
    version = platform.python_version()
    for package in ("jitnet", "numba"):
        about = metadata_of(package)
        needed = about["Requires-Python"] if about and "Requires-Python" in about else None
        if needed and not fits(version, needed):
            yield Item("python", WRONG, f"{version}, but {package} needs {needed}: install such a Python")
            return
    yield Item("python", OK, f"{version}, {platform.python_implementation()}, {platform.machine()}")


def examine_jitnet() -> Iterator[Item]:
    """Is jitnet installed, and is what runs what is installed?"""
    root, version = Path(__file__).parents[3], installed("jitnet")
    if version == __version__:
        yield Item("jitnet", OK, f"{version} in {root}")
        return
    fix = pip_install("-e", str(root)) if (root / "pyproject.toml").exists() else None
    if version is None:
        found = f"{__version__} runs from {root} without being installed, so what it needs is not on record"
    else:
        found = f"{__version__} runs from {root}, but {version} is installed"
    yield Item("jitnet", NOTE, found, fix)


def examine_needed() -> Iterator[Item]:
    """Numba, llvmlite and NumPy: what is loaded is what is installed, and is what the others need."""
    conditions: dict[str, dict[str, str]] = {package: {} for package in NEEDED}
    for who in ("jitnet", *NEEDED):
        for needed in requirements(who):
            if needed.name in conditions and needed.extra is None and needed.versions:
                conditions[needed.name][who] = needed.versions
    for package in NEEDED:
        version = importlib.import_module(package).__version__
        all_conditions = ",".join(conditions[package].values())
        unmet = [f"{who} needs {text}" for who, text in conditions[package].items() if not fits(version, text)]
        if unmet:
            yield Item(package, WRONG, f"{version}, but {' and '.join(unmet)}", pip_install(package + all_conditions))
        elif installed(package) not in (version, None):
            found = f"{version} is loaded, but {installed(package)} is installed, by its metadata"
            yield Item(package, WRONG, found, pip_install(package + all_conditions, anew=True))
        else:
            fitting = "".join(f", {who} needs {text}" for who, text in conditions[package].items())
            yield Item(package, OK, version + fitting)


def examine_extras() -> Iterator[Item]:
    """Each extra of jitnet: complete, or what is missing, what that would give, and how to get it."""
    needed = requirements("jitnet")
    for extra in sorted({one.extra for one in needed if one.extra}, key=lambda name: (name in FOR_DEVELOPERS, name)):
        missing, too_old, install = [], [], []
        wanted = _with_nested(extra, needed)
        for one in wanted:
            version = installed(one.name)
            if version is None:
                missing.append(one.name + (f" ({GIVES[one.name]})" if one.name in GIVES else ""))
            elif not fits(version, one.versions):
                too_old.append(f"{one.name} is {version}, not {one.versions}")
            else:
                continue
            install.append(one.pip)
        name = f"extra {extra}"
        if install:
            state = WRONG if too_old and extra not in FOR_DEVELOPERS else NOTE
            found = [*too_old, *([f"missing: {', '.join(missing)}"] if missing else [])]
            yield Item(name, state, "; ".join(found), pip_install(*install))
        else:
            yield Item(name, OK, ", ".join(f"{one.name} {installed(one.name)}" for one in wanted))


def _with_nested(extra: str, needed: list[Requirement]) -> list[Requirement]:
    """What an extra asks for; where it names other extras of jitnet, what those ask for."""
    found: dict[str, Requirement] = {}
    waiting, seen = [extra], set()
    while waiting:
        current = waiting.pop(0)
        seen.add(current)
        for one in needed:
            if one.extra == current and one.name == "jitnet":
                waiting += [name for name in map(normal, one.extras) if name not in seen]
            elif one.extra == current:
                found.setdefault(one.name, one)
    return sorted(found.values(), key=lambda one: one.name)
