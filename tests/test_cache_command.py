"""jitnet cache shows where compiled kernels are and how large; --clear removes only them."""

import json

import pytest

from jitnet import checks, cli
from jitnet.compiler.cache import kernels_folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def filled(folder):
    for name, content in {
        kernels_folder().name + "/sgd-1.kernel": 1000, "kernels-" + "0" * 32 + "/sgd-2.kernel": 500,
        "kernels-" + "0" * 32 + "/sgd-3.abc.tmp": 24, "data/mnist/images": 2000, "machine.json": 7,
        "kernels-mine/sgd-4.kernel": 9, "kernels-" + "1" * 32 + "/notes.txt": 5,
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * content)


def answered(capsys, *options):
    assert cli.main(["cache", *options]) == 0
    return capsys.readouterr().out


def test_output_for_an_empty_cache(folder, capsys):
    found = json.loads(answered(capsys, "--json"))
    assert found["folder"] == str(folder)
    assert found["kernels"] == found["other_versions"] == found["data"] == {"files": 0, "bytes": 0}
    assert "jitnet warmup compiles all kernels" in answered(capsys)
    answered(capsys, "--clear")
    assert not folder.exists()


def test_sizes_are_shown_and_clear_removes_only_kernels(folder, capsys):
    filled(folder)
    (folder / ("kernels-" + "2" * 32)).symlink_to(folder / "data")
    found = json.loads(answered(capsys, "--json"))
    assert found["kernels"] == {"files": 1, "bytes": 1000}
    assert found["other_versions"] == {"files": 2, "bytes": 524}
    assert found["data"] == {"files": 1, "bytes": 2000}
    words = answered(capsys).splitlines()
    assert words[0].endswith(f"{folder} (JITNET_CACHE_DIR)")
    assert words[1:] == [
        "compiled kernels    1 file, 1000 bytes", "of other versions   2 files, 524 bytes",
        "data sets           1 file, 2.0 KiB", "jitnet cache --clear removes the kernels",
    ]  # fmt: skip
    assert "removed 3 kernels, 1.5 KiB" in answered(capsys, "--clear")
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    others = "kernels-" + "1" * 32
    assert left == ["data/mnist/images", f"{others}/notes.txt", "kernels-mine/sgd-4.kernel", "machine.json"]
    assert not kernels_folder().exists()


@pytest.mark.parametrize(
    ("size", "words"),
    [(1, "1 byte"), (1023, "1023 bytes"), (2**20 - 1, "1024.0 KiB"), (2**20, "1.0 MiB"), (3 * 2**29, "1.5 GiB")],
)
def test_sizes_have_binary_units(size, words):
    assert checks.byte_count(size) == words


def test_clear_reports_files_that_it_cannot_remove(folder, capsys, monkeypatch):
    filled(folder)

    def refuse(self, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    assert cli.main(["cache", "--clear"]) == 2
    assert capsys.readouterr().err.startswith(f"jitnet: cannot remove the kernels in {folder}")
