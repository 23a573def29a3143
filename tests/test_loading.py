"""Users' functions are loaded, and files in the current folder do not shadow modules in worker processes."""

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


def test_file_in_a_package_can_use_relative_imports(folder):
    package = folder / "parcel" / "inner"
    package.mkdir(parents=True)
    for place in (package, package.parent):
        (place / "__init__.py").touch()
    (package.parent / "other.py").write_text("def double(x):\n    return 2 * x\n")
    (package / "mine.py").write_text("from ..other import double\ndef f(x):\n    return double(x) + 1\n")
    assert loading.load("parcel/inner/mine.py:f")(3) == 7
    assert loading.load("parcel.inner.mine:f")(3) == 7


def test_package_with_the_name_of_a_loaded_one_is_an_error(folder):
    (folder / "json").mkdir()
    (folder / "json" / "__init__.py").touch()
    (folder / "json" / "decoder.py").write_text("def f(x):\n    return x\n")
    with pytest.raises(jitnet.Error, match=r"json\.decoder is .* already; rename the package"):
        loading.load("json/decoder.py:f")


def test_file_can_have_the_name_of_a_standard_module(folder):
    """jitnet loads the user's module, and other imports still get Python's module."""
    (folder / "random.py").write_text("def f(x):\n    return x + 1\n")
    assert loading.load("random.py:f")(1) == 2
    assert sys.modules["random"].__file__ != str(folder / "random.py")


def test_files_in_the_working_folder_do_not_shadow_standard_modules(folder):
    for name in ("json", "signal", "importlib"):
        (folder / f"{name}.py").write_text("raise SystemError('imported')\n")
    assert worker.ask(checks.count, 2, "thread") == "2 threads"


def test_loading_a_file_writes_nothing_beside_it(folder, monkeypatch):
    """Teachers hand out the folder of a problem file."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (folder / "helper_of_mine.py").write_text("def helper():\n    return 3\n")
    (folder / "mine.py").write_text("from helper_of_mine import helper\ndef kernel():\n    return helper()\n")
    assert loading.load(f"{folder / 'mine.py'}:kernel")() == 3
    assert sorted(path.name for path in folder.iterdir()) == ["helper_of_mine.py", "mine.py"]
    (folder / "mine.py").write_text("raise ValueError\n")
    with pytest.raises(checks.Error):
        loading.load(f"{folder / 'mine.py'}:kernel")
    assert not sys.dont_write_bytecode  # others do
