"""The doctor's checks of packages, and of the GPU with its driver."""

import shutil
import subprocess
import sys

import numba
import pytest
from test_doctor import PIP, by_name, clean  # noqa: F401  a fixture

from jitnet.lab.checkup import Item, hardware, packages, pip_install, unset


def metadata(folder, name, version, *lines):
    """Writes the metadata of a package; the package itself need not exist."""
    about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(f"{line}\n" for line in lines)
    (about / "METADATA").write_text(text)
    return about


def test_incompatible_packages_are_found(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    needs = "Requires-Dist: numpy<2.0,>=1.22", "Requires-Dist: llvmlite >=0.1"
    about = metadata(tmp_path, "numba", numba.__version__, *needs)
    items = {item.name: item for item in packages.examine_needed()}
    assert items["numpy"].state == "wrong"
    assert items["numpy"].finding.endswith("but numba needs <2.0,>=1.22")
    assert items["numpy"].fix.startswith(PIP)
    assert "<2.0,>=1.22" in items["numpy"].fix
    assert (items["numba"].state, items["llvmlite"].state) == ("ok", "ok")
    shutil.rmtree(about)
    assert {item.state for item in packages.examine_needed()} == {"ok"}
    about = metadata(tmp_path, "numpy", "1.0")
    items = {item.name: item for item in packages.examine_needed()}
    assert items["numpy"].state == "wrong"
    assert "is loaded, but 1.0 is installed" in items["numpy"].finding
    assert "--force-reinstall" in items["numpy"].fix
    shutil.rmtree(about)
    metadata(tmp_path, "jitnet", "0.0.1", "Requires-Dist: numba>=99")
    items = {item.name: item for item in packages.examine_needed()}
    assert items["numba"].finding.endswith("but jitnet needs >=99")
    _, item = packages.examine_python()
    assert item.state == "note"
    assert item.finding.endswith("but 0.0.1 is installed")


def test_extras_list_missing_and_old_packages(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    needed = [
        "numba>=0.61", "surely-missing[fast,x]>=3; extra == 'show'", "rich>=13; extra == 'show'",
        "old.thing~=2.1; python_version >= '3.10' and extra == 'show'", "old.thing>=2; extra == 'dev'",
        "jitnet[show]; extra == 'all'", "unheard-of>1; extra == 'all'", "numpy>=2; extra == 'whole'",
    ]  # fmt: skip
    extras = [f"Provides-Extra: {name}" for name in ("show", "all", "whole", "dev")]
    metadata(tmp_path, "jitnet", "0.1.0", *extras, *(f"Requires-Dist: {line}" for line in needed))
    metadata(tmp_path, "rich", "13.1")
    about = metadata(tmp_path, "Old_Thing", "1.9")
    items = {item.name: item for item in packages.examine_extras()}
    assert list(items) == ["extra show", "extra all", "extra whole"]
    assert items["extra whole"].state == "ok"
    assert items["extra show"].state == "wrong"
    assert items["extra show"].finding == "old.thing is 1.9, not ~=2.1; missing: surely-missing"
    assert items["extra show"].fix == pip_install("surely-missing[fast,x]>=3", "old.thing~=2.1")
    assert "unheard-of>1" in items["extra all"].fix
    shutil.rmtree(about)
    metadata(tmp_path, "old-thing", "2.2")
    metadata(tmp_path, "surely-missing", "3.0")
    items = {item.name: item for item in packages.examine_extras()}
    assert [item.state for item in items.values()] == ["ok", "note", "ok"]
    assert items["extra all"].finding == "missing: unheard-of"


def test_note_for_a_missing_package_says_what_it_is_for(tmp_path, monkeypatch):
    found = {"jitnet": "0.1.0", "packaging": "26"}
    monkeypatch.setattr(packages, "installed", found.get)
    monkeypatch.syspath_prepend(tmp_path)
    metadata(tmp_path, "jitnet", "0.1.0", "Provides-Extra: cli", "Requires-Dist: matplotlib>=3.9; extra == 'cli'")
    (item,) = packages.examine_extras()
    assert item == Item("extra cli", "note", "missing: matplotlib (--plot)", pip_install("matplotlib>=3.9"))
    del found["packaging"]
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)  # importing it fails
    assert list(packages.examine_extras()) == []
    first, *_ = packages.examine_needed()
    assert (first.name, first.state) == ("packaging", "note")
    found.clear()
    _, item = packages.examine_python()
    assert "it is not installed" in item.finding


FAKE_DRIVER = """
int cuDriverGetVersion(int *v) { *v = 12040; return 0; }
int cuInit(unsigned f) { return FAULT; }
int cuDeviceGetCount(int *n) { *n = 2; return 0; }
int cuDeviceGetName(char *s, int n, int d) { s[0] = 'A' + d; s[1] = 0; return 0; }
int cuDeviceGetAttribute(int *x, int what, int d) { *x = what == 75 ? 9 : d; return 0; }
"""


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs a C compiler for a fake driver")
@pytest.mark.slow  # four processes
def test_gpu_and_driver_errors_are_found(tmp_path, monkeypatch):
    """A small C library replaces the driver; a real process calls it."""
    source, library = tmp_path / "cuda.c", tmp_path / "libcuda.so.1"
    source.write_text(FAKE_DRIVER)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    monkeypatch.setattr(hardware, "installed", lambda name: None)

    def examined(fault):
        subprocess.run(["cc", "-shared", "-fPIC", f"-DFAULT={fault}", "-o", library, source], check=True)
        return list(hardware.examine_gpu())

    package, driver, device = examined(0)
    assert package.fix == pip_install("jitnet[cuda12]")
    assert driver == Item("CUDA driver", "ok", "for CUDA 12.4")
    assert device.finding == "A (compute capability 9.0), B (compute capability 9.1)"
    _, driver, device = examined(999)
    assert (driver.state, device.state) == ("wrong", "note")
    assert "error 999" in driver.finding
    _, driver, device = examined(hardware.NO_DEVICE)
    assert (driver.state, device.state) == ("ok", "note")
    assert "no NVIDIA GPU" in device.finding
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert list(hardware.examine_gpu())[2].fix == unset("CUDA_VISIBLE_DEVICES")


def test_missing_driver_is_a_note(monkeypatch):
    nothing = {"library": None, "version": None, "error": 0, "devices": []}
    monkeypatch.setattr(hardware, "ask", lambda *_, **__: nothing)
    monkeypatch.setattr(hardware, "installed", lambda name: "0.20")
    assert [item.state for item in hardware.examine_gpu()] == ["ok", "note", "note"]


@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({}, "vector width", "ok"), ({"right": False}, "compiler", "wrong"), ({"compiled": False}, "compiler", "wrong"),
        ({"bits": 64}, "vector width", "note"),
    ],
)  # fmt: skip
def test_gpu_compiler_is_examined(changes, name, state, monkeypatch):
    found = {"right": True, "compiled": True, "bits": hardware.vector_unit()[0], "seconds": 0.1}
    monkeypatch.setattr(hardware, "ask", lambda *_, **__: found | changes)
    assert {item.name: item.state for item in hardware.examine_compiler()}[name] == state
