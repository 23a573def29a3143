"""What installed packages say of themselves and of what they need: versions and requirements, without `packaging`."""

import contextlib
import importlib.metadata
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


@dataclass(frozen=True)
class Requirement:
    """A line such as `numba-cuda[cu13]>=0.20; extra == "cuda"`."""

    name: str
    extras: tuple[str, ...]
    versions: str
    """Conditions on the version, as in `<2.6,>=1.22`; empty if any will do."""
    extra: str | None
    """The extra of the package that this belongs to. Other conditions (of the system, of Python) are not looked at."""

    @property
    def pip(self) -> str:
        """In the words of pip."""
        return self.name + (f"[{','.join(self.extras)}]" if self.extras else "") + self.versions


def metadata_of(package: str) -> importlib.metadata.PackageMetadata | None:
    """What an installed package says of itself, or None if it is not installed."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.metadata(package)
    return None


def requirements(package: str) -> list[Requirement]:
    """What an installed package needs, and what its extras need; nothing if it is not installed."""
    about = metadata_of(package)
    return [_parsed(line) for line in (about.get_all("Requires-Dist") or [] if about else [])]


def _parsed(line: str) -> Requirement:
    what, _, condition = line.partition(";")
    match = re.match(r"\s*([\w.-]+)\s*(?:\[([^]]*)\])?\s*\(?([^)]*)\)?\s*$", what)
    if match is None:
        raise ValueError(f"cannot read the requirement {line!r}")
    name, extras, versions = match.groups()
    extra = re.search(r"""\bextra\s*==\s*["']([^"']+)["']""", condition)
    parts = tuple(part.strip() for part in (extras or "").split(",") if part.strip())
    return Requirement(normal(name), parts, versions.replace(" ", ""), normal(extra[1]) if extra else None)


def normal(name: str) -> str:
    """A name as the package index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(package: str) -> str | None:
    """The version of an installed package, by its metadata."""
    about = metadata_of(package)
    return about["Version"] if about else None


def fits(version: str, conditions: str) -> bool:
    """True if the version meets all of them: `fits("2.4.6", "<2.6,>=1.22")`."""
    return all(_meets(version, condition.strip()) for condition in conditions.split(",") if condition.strip())


def _meets(version: str, condition: str) -> bool:
    match = re.match(r"(~=|===?|!=|<=|>=|<|>)\s*(\S+)$", condition)
    if match is None:
        raise ValueError(f"cannot read the condition {condition!r}")
    sign, wanted = match.groups()
    if sign == "~=":  # 1.4.2 and later, as long as it begins with 1.4
        return _ordered(version) >= _ordered(wanted) and _begins(version, wanted.rpartition(".")[0])
    if wanted.endswith(".*"):
        return _begins(version, wanted[:-2]) == (sign != "!=")
    if sign == "<" and _ordered(wanted)[1]:  # 2.0rc1 is before 2.0, but who asks for <2.0 does not mean it
        return _ordered(version)[0] < _ordered(wanted)[0]
    return COMPARE[sign.replace("===", "==")](_ordered(version), _ordered(wanted))


def _begins(version: str, start: str) -> bool:
    numbers = start.split(".")
    return re.findall(r"\d+", version)[: len(numbers)] == numbers


def _ordered(version: str) -> tuple[list[int], bool]:
    """Something that compares as versions do: 2.0rc1 before 2.0, and 2.0 the same as 2.0.0 or 2.0+cpu."""
    match = re.match(r"v?(\d+(?:\.\d+)*)(.*)", version)
    if match is None:
        raise ValueError(f"cannot read the version {version!r}")
    numbers = [int(part) for part in match[1].split(".")]
    while numbers[1:] and numbers[-1] == 0:
        del numbers[-1]
    return numbers, re.match(r"[-_.]?(a|b|c|rc|alpha|beta|pre|preview|dev)", match[2]) is None
