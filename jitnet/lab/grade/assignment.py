"""An assignment: the file assignment.toml in a folder, with the files of its problems next to it.

    title = "Loops for a matrix product"
    threads = 1                     # of a submission, and of the rungs that it is compared with
    seconds = 10                    # that a call may take
    memory = 2                      # GiB that it may allocate
    imports = ["math", "numba", "numpy"]

    [[kernel]]
    name = "reordered"              # a function of the submission
    problem = "matmul"              # a problem of jitnet, or a file next to this one: "conv2d.py"

    [[kernel.test]]
    check = "correct"               # correct, no race, vectorized, speed
    points = 3
    hint = "Which index runs fastest?"

    [[kernel.test]]
    check = "speed"
    of = "reordered"                # a rung of the problem, or peak: the roofline of this machine
    reach = 0.5                     # half of its speed
    points = 2

Tests may have a dtype, and a list of shapes in place of the problem's own.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import checks
from ...process import resources
from .. import problems
from ..oracle import Shape
from ..problems import Problem
from .language import Language
from .parent import Limits
from .vocabulary import MODULES, NUMPY, is_allowed_name

FILE = "assignment.toml"

CHECKS = {"correct": 0.0, "no race": 1.0, "vectorized": 2.2, "speed": 2.5}
"""The tests -> seconds of each on an idle machine, after the test of correctness that every kernel begins with."""

PEAK = "peak"

MOST = 10
"""The largest reach, a fraction: no kernel is that much faster than a good rung."""

_KEYS = {
    "assignment": ("title", "threads", "seconds", "memory", "imports", "numpy", "file", "kernel"),
    "kernel": ("name", "problem", "test"),
    "test": ("check", "points", "hint", "of", "reach", "shapes", "dtype"),
}


@dataclass(frozen=True)
class Test:
    """A test of a kernel, with its points."""

    check: str
    points: float
    hint: str = ""
    of: str = PEAK
    reach: float = 0.0
    shapes: tuple[Shape, ...] = ()
    dtype: str = ""

    @property
    def is_chosen(self) -> bool:
        """Whether it tests correctness on shapes, or in a dtype, of its own."""
        return self.check == "correct" and bool(self.shapes or self.dtype)

    @property
    def title(self) -> str:
        """`correct`, `at least 50% of the speed of tiled for (512, 512, 512)`."""
        title = self.check
        if title == "speed":
            title = f"at least {self.reach:.0%} of {'the peak' if self.of == PEAK else f'the speed of {self.of}'}"
        if self.dtype:
            title += f" in {self.dtype}"
        return title + (f" for {' and '.join(map(str, self.shapes))}" if self.shapes else "")


@dataclass(frozen=True)
class Kernel:
    """A function that submissions must have."""

    name: str
    problem: Problem
    spec: str
    """How the problem is loaded: its name, or the path of its file."""
    tests: tuple[Test, ...]


@dataclass(frozen=True)
class Assignment:
    """Kernels with their tests, and what submissions may do."""

    title: str
    path: Path
    kernels: tuple[Kernel, ...]
    limits: Limits
    language: Language
    file: str
    """The name of the file that students hand in, in their own folder."""

    @property
    def points(self) -> float:
        return sum(test.points for kernel in self.kernels for test in kernel.tests)


def load(place: str | Path) -> Assignment:
    """The assignment in a folder, or in a file of that kind. Errors name the file and the entry."""
    path = Path(place)
    path = path / FILE if path.is_dir() else path
    if not path.is_file():
        raise checks.Error(f"there is no assignment {place}; expected a folder with {FILE}")
    try:
        content = path.read_text(encoding="utf-8")
        found = _toml().loads(content)
    except ValueError as error:  # of TOML, or of UTF-8
        raise checks.Error(f"{path}: {error}") from None
    try:
        return _assignment(found, path)
    except checks.Error as error:
        text = str(error)
        raise checks.Error(text if text.startswith(str(path)) else f"{path}: {text}") from None


def _toml() -> Any:
    for name in ("tomllib", "tomli"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise checks.Error("Python 3.10 reads assignments with the package tomli: pip install 'jitnet[lab]'")


def _assignment(found: dict[str, Any], path: Path) -> Assignment:
    _check_keys("assignment", found, required=("title", "kernel"))
    threads, cores = checks.whole("threads", found.get("threads", 1), 1), len(resources.cores())
    if threads > cores:
        raise checks.Error(f"threads is {threads}, but this machine has {checks.count(cores, 'core')}")
    seconds = checks.number("seconds", found.get("seconds", Limits.seconds), above=0, most=3600)
    memory = checks.number("memory", found.get("memory", Limits.memory), above=0, below=1e6)
    language = Language(_texts("imports", found.get("imports", MODULES)), _texts("numpy", found.get("numpy", NUMPY)))
    kernels = tuple(_kernel(entry, path.parent) for entry in _tables("kernel", found["kernel"]))
    names = [kernel.name for kernel in kernels]
    for name in names:
        if names.count(name) > 1:
            raise checks.Error(f"kernel {name!r} is there twice; put its tests below one [[kernel]]")
    for kernel in kernels:
        _check_language(kernel, language)
    return Assignment(
        checks.text("title", found["title"]), path, kernels, Limits(seconds, memory, threads), language,
        checks.text("file", found.get("file", f"{path.parent.resolve().name}.py")),
    )  # fmt: skip


def _check_language(kernel: Kernel, language: Language) -> None:
    for test in kernel.tests:
        if language.is_free and test.check in ("no race", "vectorized"):
            raise checks.Error(
                f'kernel {kernel.name!r}: {test.check!r} reads the source, which imports = ["*"] does not limit; '
                "list the modules that submissions may import"
            )


def _kernel(entry: dict[str, Any], folder: Path) -> Kernel:
    _check_keys("kernel", entry, required=("name", "problem", "test"))
    name = checks.text("name of a kernel", entry["name"])
    if not is_allowed_name(name):
        raise checks.Error(
            f"the kernel {name!r} is not a name for a function, or is one of Python's own; take my_{name}"
        )
    spec = checks.text(f"problem of {name}", entry["problem"])
    spec = str(folder.resolve() / spec) if spec.endswith(".py") else spec
    try:
        problem = problems.tried(spec)
        tests = tuple(_test(test, problem) for test in _tables("kernel.test", entry["test"]))
    except checks.Error as error:
        raise checks.Error(f"kernel {name!r}: {error}") from None
    return Kernel(name, problem, spec, tests)


def _test(entry: dict[str, Any], problem: Problem) -> Test:
    _check_keys("test", entry, required=("check", "points"))
    check = checks.one_of("check", entry["check"], CHECKS)
    points = checks.number("points", entry["points"], least=0)
    if check == "speed":
        of = checks.one_of("rung for 'of'", entry.get("of", PEAK), [PEAK, *problem.rungs])
        if "reach" not in entry:
            raise checks.Error("a test of speed has no 'reach'; reach = 0.5 asks for half of the speed")
        checks.number("reach, a fraction of the speed,", entry["reach"], above=0, most=1 if of == PEAK else MOST)
    elif "of" in entry or "reach" in entry:
        raise checks.Error(f'of and reach belong to check = "speed", not to {check!r}; leave them out')
    if "dtype" in entry:
        checks.one_of("dtype", entry["dtype"], problem.dtypes)
    return Test(
        check, points, checks.text("hint", entry.get("hint", "")), entry.get("of", PEAK), entry.get("reach", 0.0),
        _shapes(entry.get("shapes", []), problem), entry.get("dtype", ""),
    )  # fmt: skip


def _shapes(found: Any, problem: Problem) -> tuple[Shape, ...]:
    size = len(problem.shapes[0])
    is_list = isinstance(found, list) and all(isinstance(s, list) and len(s) == size for s in found)
    if not is_list or not all(type(n) is int and n >= 0 for s in found for n in s):
        raise checks.Error(f"shapes is {checks.shown(found)}, but must be a list of lists of {size} whole numbers")
    return tuple(tuple(shape) for shape in found)


def _check_keys(what: str, entry: Any, required: tuple[str, ...]) -> None:
    for key in entry:
        checks.one_of(f"entry of {what}", key, _KEYS[what])
    for key in required:
        if key not in entry:
            raise checks.Error(f"{what} has no {key!r}; needed: {', '.join(required)}")


def _tables(name: str, found: Any) -> list[dict[str, Any]]:
    if isinstance(found, dict):
        raise checks.Error(f"[{name}] must be written as [[{name}]], because there may be several")
    if not isinstance(found, list) or not found or not all(isinstance(entry, dict) for entry in found):
        raise checks.Error(f"{name} is {checks.shown(found)}, but must be written as [[{name}]]")
    return found


def _texts(name: str, found: Any) -> tuple[str, ...]:
    if not isinstance(found, (list, tuple)) or not all(isinstance(part, str) for part in found):
        raise checks.Error(f"{name} is {checks.shown(found)}, but must be a list of texts")
    return tuple(found)
