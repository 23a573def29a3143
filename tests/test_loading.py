"""Users' functions are found and loaded, and files in the current folder shadow no modules in the lab's processes."""

import sys

import pytest

import jitnet
from jitnet import checks
from jitnet.lab import loading, worker


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def test_a_file_in_a_package_is_a_part_of_it(folder):
    package = folder / "parcel" / "inner"
    package.mkdir(parents=True)
    for place in (package, package.parent):
        (place / "__init__.py").touch()
    (package.parent / "other.py").write_text("def double(x):\n    return 2 * x\n")
    (package / "mine.py").write_text("from ..other import double\ndef f(x):\n    return double(x) + 1\n")
    assert loading.load("parcel/inner/mine.py:f")(3) == 7
    assert loading.load("parcel.inner.mine:f")(3) == 7


def test_a_package_of_another_place_is_not_taken_for_it(folder):
    (folder / "json").mkdir()
    (folder / "json" / "__init__.py").touch()
    (folder / "json" / "decoder.py").write_text("def f(x):\n    return x\n")
    with pytest.raises(jitnet.Error, match=r"json\.decoder is .* already; rename the package"):
        loading.load("json/decoder.py:f")


def test_a_file_with_the_name_of_a_module_of_python(folder):
    """jitnet loads the user's module, and Python's module stays unchanged for all others."""
    (folder / "random.py").write_text("def f(x):\n    return x + 1\n")
    assert loading.load("random.py:f")(1) == 2
    assert sys.modules["random"].__file__ != str(folder / "random.py")


def test_files_of_the_working_folder_are_not_taken_for_those_of_python(folder):
    for name in ("json", "signal", "importlib"):
        (folder / f"{name}.py").write_text("raise SystemError('imported')\n")
    assert worker.ask(checks.count, 2, "thread") == "2 threads"
