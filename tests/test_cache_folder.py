"""Machine code is loaded only from files that no other user can have written, and files are written atomically."""

import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import pytest

from jitnet.compiler import cache_folder

CODE = b"machine code"
ANOTHER = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@pytest.fixture
def path(tmp_path):
    """The path of a kernel, in an existing cache folder."""
    cache_folder._warn_once.cache_clear()
    cache_folder._sweep_out_temporaries.cache_clear()
    path = tmp_path / "cache" / f"kernels-{'a' * 32}" / f"relu-{'b' * 32}.kernel"
    cache_folder.write_cached(path, CODE)
    assert cache_folder.read_cached(path) == CODE
    return path


def said(function, *arguments):
    """The result of a function, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function(*arguments)
    return result, [str(warning.message) for warning in caught]


def check_refused(path, *texts):
    """The file is neither read nor written, and one warning gives the reason, the path and the fix."""
    before = path.read_bytes()
    result, (warning,) = said(cache_folder.read_cached, path)
    assert result is None
    for text in (*texts, "so compiled kernels are neither loaded from there nor saved there; "):
        assert text in warning
    assert "\n" not in warning
    assert said(cache_folder.write_cached, path, b"newer") == (None, [])  # the warning appears only once
    assert said(cache_folder.is_cached, path) == (False, [])
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_new_folders_and_files_are_private(tmp_path):
    code = """
import os, sys
from pathlib import Path
os.umask(0)
from jitnet.compiler import cache_folder as folder
folder.write_cached(Path(sys.argv[1]), b"x")
folder.make_cache_folder()
"""
    path = tmp_path / "cache" / "kernels" / "relu.kernel"
    environment = {**os.environ, "JITNET_CACHE_DIR": str(tmp_path / "above" / "other")}
    subprocess.run([sys.executable, "-c", code, path], check=True, env=environment)
    modes = [place.stat().st_mode & 0o777 for place in (path.parent.parent, path.parent, path)]
    assert modes == [0o700, 0o700, 0o600]
    assert (tmp_path / "above" / "other").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_folder_that_others_can_write_to_is_refused(path, level, mode):
    place = path.parents[level]
    place.chmod(mode)
    check_refused(path, f"other users can write to {place} (mode {mode:o})", f"chmod 700 {place}")
    place.chmod(0o755)  # others may read it
    assert said(cache_folder.read_cached, path) == (CODE, [])


def test_suggested_fix_has_an_absolute_path(path, monkeypatch):
    monkeypatch.chdir(path.parents[2])
    path.parent.chmod(0o777)
    assert cache_folder.objection_to(path.parent.relative_to(path.parents[2]))[1] == f"chmod 700 {path.parent}"


def test_shared_folder_is_refused_without_suggesting_chmod(path):
    """Other users need the mode of a shared folder, as with JITNET_CACHE_DIR=/tmp."""
    path.parent.parent.chmod(0o1777)
    check_refused(path, "mode 1777", "set JITNET_CACHE_DIR to a folder of your own")


def test_file_in_place_of_the_folder_is_not_to_get_another_mode(path):
    """With JITNET_CACHE_DIR=/dev/null, chmod would take the device from all other users."""
    file = path.parents[2] / "file"
    file.touch()
    file.chmod(0o666)
    assert cache_folder.objection_to(file / "kernels-0") is None
    _, warned = said(cache_folder.write_cached, file / "kernels-0" / "relu-0.kernel", CODE)
    assert [message.partition(" in ")[0] for message in warned] == ["cannot save compiled kernels"]


def test_folder_of_another_user_is_refused(path, monkeypatch):
    monkeypatch.setattr(cache_folder.os, "geteuid", lambda: os.getuid() + 1)
    check_refused(path, f"{path.parent.parent} belongs to another user (uid {os.getuid()})", "JITNET_CACHE_DIR")


@as_root
@pytest.mark.parametrize("level", [0, 1])
def test_root_refuses_folders_of_other_users(path, level):
    os.chown(path.parents[level], ANOTHER, ANOTHER)
    check_refused(path, f"{path.parents[level]} belongs to another user (uid {ANOTHER})", "JITNET_CACHE_DIR")


@as_root
def test_file_of_another_user_is_ignored_and_replaced(path):
    os.chown(path, ANOTHER, ANOTHER)
    assert said(cache_folder.read_cached, path) == (None, [])
    assert not cache_folder.is_cached(path)
    cache_folder.write_cached(path, b"newer")  # replaces it
    assert cache_folder.read_cached(path) == b"newer"


def test_file_that_others_can_write_to_is_ignored(path):
    for mode in (0o666, 0o620, 0o602):
        path.chmod(mode)
        assert said(cache_folder.read_cached, path) == (None, [])
        assert not cache_folder.is_cached(path)
    path.chmod(0o644)
    assert cache_folder.read_cached(path) == CODE


def test_links_to_own_folders_are_followed_and_linked_files_ignored(path):
    """Links to the user's own folders are allowed; a file must not be a link."""
    aside = path.parents[2] / "aside"
    path.parent.parent.rename(aside)
    path.parent.parent.symlink_to(aside)
    assert said(cache_folder.read_cached, path) == (CODE, [])
    aside.chmod(0o777)
    check_refused(path, "other users can write to")
    aside.chmod(0o700)
    other = path.with_name(f"tanh-{'b' * 32}.kernel")
    path.rename(other)
    path.symlink_to(other)
    assert cache_folder.read_cached(other) == CODE
    assert cache_folder.read_cached(path) is None
    assert not cache_folder.is_cached(path)


@as_root
def test_links_of_another_user_are_refused(path):
    """The owner of a link can change its target at any time."""
    aside = path.parents[2] / "aside"
    path.parent.parent.rename(aside)
    link = path.parent.parent
    link.symlink_to(aside)
    os.lchown(link, ANOTHER, ANOTHER)
    check_refused(path, f"{link} belongs to another user")
    link.unlink()
    link.symlink_to(aside)
    os.chown(aside, ANOTHER, ANOTHER)
    cache_folder._warn_once.cache_clear()
    check_refused(path, f"{link} belongs to another user")


def test_without_a_home_folder_the_cache_is_in_the_temporary_folder(monkeypatch):
    """The folder's name contains the user id: a fixed name would belong to the first user who creates it."""

    def no_home(self):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("JITNET_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", no_home)
    assert cache_folder.cache_folder() == Path(tempfile.gettempdir()) / f"jitnet-{os.geteuid()}"


def test_owners_are_not_checked_on_windows(path, monkeypatch):
    path.parent.chmod(0o777)
    path.chmod(0o666)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(os, "geteuid")
    assert said(cache_folder.read_cached, path) == (CODE, [])
    assert cache_folder.temporary_cache_folder().name == "jitnet"


def test_damaged_file_is_ignored(path):
    whole = path.read_bytes()
    for damaged in (b"", whole[:10], whole[:-1], whole[:-1] + b"?", whole + b"?"):
        path.write_bytes(damaged)
        assert cache_folder.read_cached(path) is None
    path.unlink()
    assert cache_folder.read_cached(path) is None
    path.mkdir()
    assert cache_folder.read_cached(path) is None
    assert not cache_folder.is_cached(path)


def test_packed_files_unpack_to_the_same_parts():
    about = {"name": "Σ", "numbers": [1, [True, None]]}
    for code in ([], [b""], [b"a\nb", b"", b"\0" * 9]):
        assert cache_folder.unpacked(cache_folder.packed(about, *code)) == (about, code)
    for other in (None, b"", b"\n", b"\x80\x04K\x01.", b"{"):
        assert cache_folder.unpacked(other) is None


def full(path, size=1 << 20):
    """Write a megabyte where only a few bytes fit."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        return said(cache_folder.write_cached, path, b"x" * size)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_full_disk_leaves_the_old_file_and_causes_one_warning(path):
    """A partial file is removed, the old file stays, and there is one warning."""
    other = path.with_name(f"tanh-{'b' * 32}.kernel")
    _, (warning,) = full(path)
    assert "cannot save compiled kernels" in warning
    assert str(path.parent) in warning
    assert "JITNET_CACHE_DIR" in warning
    assert full(other) == (None, [])
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert cache_folder.read_cached(path) == CODE


def test_interrupted_write_leaves_no_temporary_file(path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cache_folder.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache_folder.write_cached(path, b"newer")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_folder_that_cannot_be_created_causes_a_warning(path):
    """A file has the folder's name."""
    below = path / "kernels" / "x.kernel"
    assert said(cache_folder.read_cached, below) == (None, [])
    _, (warning,) = said(cache_folder.write_cached, below, CODE)
    assert f"cannot save compiled kernels in {below.parent} (" in warning


@as_root
@pytest.mark.parametrize("level", [0, 1])
def test_read_only_folder_is_read_and_causes_one_warning(path, level):
    """Existing files are loaded; failing to save causes one warning. Not as root, who can write anywhere."""
    code = """
import os, sys, warnings
from pathlib import Path
from jitnet.compiler import cache_folder as folder
os.seteuid(int(sys.argv[2]))
path = Path(sys.argv[1])
print(folder.read_cached(path), folder.is_cached(path))
for name in "xy":
    folder.write_cached(path.with_name(name) if path.parent.exists() else path, b"x")
"""
    for place in (path, *path.parents[:2]):
        os.chown(place, ANOTHER, ANOTHER)
    path.parents[2].chmod(0o755)
    if level:  # the folder of these kernels does not exist, and cannot be created
        path.unlink()
        path.parent.rmdir()
    path.parents[level].chmod(0o500)
    here = path.relative_to(path.parents[2])  # only root can enter the folders above
    result = subprocess.run(
        [sys.executable, "-c", code, here, str(ANOTHER)], capture_output=True, text=True, check=True,
        cwd=path.parents[2], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert result.stdout.split("\n")[0] == ("None False" if level else f"{CODE} True")
    assert result.stderr.count(f"cannot save compiled kernels in {here.parent} (Permission denied)") == 1


def test_temporary_files_of_killed_processes_are_removed(path):
    """Only files that are older than an hour and have jitnet's names."""
    now = time.time()
    left, young = (path.with_suffix(f".{letter * 32}.tmp") for letter in "cd")
    others = [path.with_name(name) for name in ("notes.tmp", f"relu.{'c' * 32}.tmp", f"{left.name}.txt", "x.kernel")]
    for file in (left, young, *others):
        file.write_bytes(b"part")
        os.utime(file, (now - 3700,) * 2)
    os.utime(young, (now - 3500,) * 2)
    cache_folder.read_cached(path)
    assert left.exists()  # once per process
    cache_folder._sweep_out_temporaries.cache_clear()
    assert cache_folder.read_cached(path) == CODE
    assert sorted(path.parent.iterdir()) == sorted([path, young, *others])


def test_old_folders_are_removed(tmp_path):
    """Only jitnet's folders without a new file for a month, and only jitnet's files in them."""
    now, day = time.time(), 86400
    ages = {"a": 31, "b": 29, "c": 400, "d": 400}
    folders = {letter: tmp_path / f"kernels-{letter * 32}" for letter in ages}
    folders |= {name: tmp_path / name for name in ("kernels-linux", "data")}
    for place in folders.values():
        place.mkdir()
        (place / "x.kernel").write_text("x")
        (place / "x.tmp").write_text("x")
    (folders["c"] / "thesis.txt").write_text("x")
    elsewhere = tmp_path / "elsewhere"
    folders["d"].rename(elsewhere)
    folders["d"].symlink_to(elsewhere)
    for name, place in folders.items():
        os.utime(place, (now - ages.get(name, 400) * day,) * 2, follow_symlinks=False)
    os.utime(elsewhere, (0, 0))
    cache_folder.write_cached(tmp_path / f"kernels-{'e' * 32}" / "relu.kernel", CODE)
    assert not folders["a"].exists()
    assert sorted(file.name for file in folders["b"].iterdir()) == ["x.kernel", "x.tmp"]
    assert [file.name for file in folders["c"].iterdir()] == ["thesis.txt"]
    for place in (folders["kernels-linux"], folders["data"], elsewhere):
        assert len(list(place.iterdir())) == 2


@as_root
def test_folder_of_another_user_does_not_stop_the_removal(tmp_path, monkeypatch):
    old = tmp_path / f"kernels-{'a' * 32}"
    old.mkdir()
    (old / "x.kernel").write_text("x")
    os.utime(old, (0, 0))

    def not_yours(self, *_, **__):
        raise PermissionError(1, "Operation not permitted")

    path = tmp_path / f"kernels-{'e' * 32}" / "relu.kernel"
    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda self, **k: (not_yours if self.parent == old else unlink)(self, **k))
    assert said(cache_folder.write_cached, path, CODE) == (None, [])
    assert cache_folder.read_cached(path) == CODE


def test_file_begins_with_its_checksum(path):
    assert path.read_bytes() == hashlib.blake2b(CODE, digest_size=32).digest() + CODE
