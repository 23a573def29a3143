"""Files are written whole or not at all, with the mode, links and names that they had."""

import io
import os
import re
import stat
import subprocess
import sys

import numpy as np
import pytest
from test_storage import make

import jitnet
from jitnet import Dense, Network, storage
from jitnet.display import plots


def test_saving_succeeds_if_the_folder_cannot_be_synced(tmp_path, monkeypatch):
    """At that point the file is complete."""
    sync = os.fsync

    def refuses_folders(number):
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise OSError(22, "Invalid argument")
        sync(number)

    monkeypatch.setattr(os, "fsync", refuses_folders)
    make().save(tmp_path / "net.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]


def test_saving_follows_a_link_and_keeps_the_name(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    make().save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert jitnet.load(tmp_path / "real").parameters == make().parameters


@pytest.mark.slow  # eight processes
def test_killed_process_leaves_the_old_file_or_the_new_one(tmp_path):
    """Real processes save repeatedly and are killed at random times."""
    code = (
        "import sys, jitnet\n"
        "nets = [jitnet.Network(jitnet.Dense(200, 300), seed=s) for s in (1, 2)]\n"
        "print('ready', flush=True)\n"
        "while True:\n    for net in nets: net.save(sys.argv[1])\n"
    )
    path = tmp_path / "m.npz"
    good = {Network(Dense(200, 300), seed=seed).theta.tobytes() for seed in (1, 2)}
    Network(Dense(200, 300), seed=1).save(path)
    rng = np.random.default_rng(0)
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.01, 0.15))
        process.kill()
        process.wait()
        process.stdout.close()
        assert jitnet.load(path).theta.tobytes() in good
    left = [file for file in tmp_path.iterdir() if file.name != "m.npz"]
    assert all(re.fullmatch(r"\.m\.npz\.[0-9a-f]{12}\.tmp", file.name) for file in left)
    for file in left:  # a later writer removes them after an hour
        os.utime(file, (0, 0))
    Network(Dense(200, 300), seed=2).save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["m.npz"]


def test_concurrent_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "file"
    with storage.replacing(path) as first:
        first.write(b"a" * 1000)
        with storage.replacing(path) as second:
            second.write(b"b" * 10)
        assert path.read_bytes() == b"b" * 10
        first.write(b"a" * 1000)
    assert path.read_bytes() == b"a" * 2000


def test_saving_keeps_the_file_mode(tmp_path):
    path = tmp_path / "m.npz"
    make().save(path)
    path.chmod(0o600)
    make().save(path)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_temporary_file_has_the_mode_of_the_final_file(tmp_path):
    """It has it from the start; a new file has the mode of the umask."""
    path, before = tmp_path / "m.npz", os.umask(0o022)
    try:
        for mode, expected in ((None, 0o644), (0o600, 0o600), (0o640, 0o640), (0o664, 0o644)):
            if mode is not None:
                path.chmod(mode)
            with storage.replacing(path) as file:
                assert os.fstat(file.fileno()).st_mode & 0o777 == expected
            assert path.stat().st_mode & 0o777 == (mode or expected)
    finally:
        os.umask(before)


def test_only_old_temporary_files_of_the_same_file_are_removed(tmp_path):
    ours = ".m.npz.0123456789ab.tmp"
    others = (
        ".m.npz.my-notes.tmp", ".m.npz.0123456789abc.tmp", ".m.npz.0123456789a.tmp", ".m.npz.0123456789ag.tmp",
        ".m.npz.x.0123456789ab.tmp", "m.npz.0123456789ab.tmp", ".n.npz.0123456789ab.tmp", ".m.npz.0123456789ab.tmp~",
    )  # fmt: skip
    for name in (ours, *others):
        (tmp_path / name).write_text("precious")
        os.utime(tmp_path / name, (1, 1))
    recent = tmp_path / ".m.npz.ba9876543210.tmp"  # of an active writer
    recent.write_text("")
    make().save(tmp_path / "m.npz")
    assert {file.name for file in tmp_path.iterdir()} == {*others, recent.name, "m.npz"}


FULL = """
import resource, sys, warnings
import jitnet
from jitnet import Dense, Network, storage
from jitnet.display import plots
path = sys.argv[1]
small, large = Network(Dense(2, 2, "softmax"), seed=1), Network(Dense(300, 300), seed=1)
small.save(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
warnings.simplefilter("ignore")  # about the checkpoint that cannot be written; training continues

def data(path):
    with storage.replacing(path) as file:
        file.write(bytes(200_000))

for write in (large.save, data, lambda path: large.fit([[0] * 300], [[0] * 300], epochs=1, checkpoint=path + ".c")):
    try:
        write(path)
    except jitnet.Error as error:
        print(error)
assert jitnet.load(path).theta.tobytes() == small.theta.tobytes()
"""


@pytest.mark.skipif(os.name != "posix", reason="only POSIX limits the size of files")
def test_full_disk_leaves_only_the_old_file(tmp_path):
    """A process limits its files to 100 000 bytes."""
    path = tmp_path / "m.npz"
    result = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    said = result.stdout.splitlines()
    assert said[:2] == [f"cannot write {path}: File too large"] * 2
    assert [file.name for file in tmp_path.iterdir()] == ["m.npz"]


@pytest.mark.parametrize("length", [250, 300])  # with 250, only the temporary file has too long a name
def test_name_that_is_too_long_is_an_error_before_training(tmp_path, length):
    path = tmp_path / ("n" * length)
    for write in (storage.check_writable, make().save):
        with pytest.raises(jitnet.Error, match=r"cannot write .*nnn.*: File name too long"):
            write(path)


@pytest.mark.parametrize("path", [None, 77, b"net.npz", io.BytesIO(), "net\0.npz", ""])
def test_other_values_than_paths_are_refused(path):
    """`open` would take a number for a file that is open already, and close it."""
    net = make()
    for call in (
        net.save, jitnet.load, jitnet.data.read_table, jitnet.data.read_idx, jitnet.interop.from_safetensors,
        lambda path: net.fit(np.ones((2, 5)), [0, 1], checkpoint=[path]),
    ):  # fmt: skip
        with pytest.raises(jitnet.Error, match="is not a path; give the name of a file"):
            call(path)


def test_a_name_that_is_no_text_cannot_be_written():
    with pytest.raises(jitnet.Error, match=r"^cannot write a\\ud800.npz: .*surrogates"):
        make().save("a\ud800.npz")


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has named pipes")
def test_model_in_a_pipe_is_refused(tmp_path):
    """An archive is read from its end, and opening a pipe again would wait for another writer."""
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)
    with pytest.raises(
        jitnet.Error, match="pipe is a pipe or a device, not a readable jitnet model; save it as a file"
    ):
        jitnet.load(tmp_path / "pipe")
    os.close(writer)


@pytest.mark.skipif(os.name != "posix", reason="only POSIX removes folders that processes use")
def test_working_folder_that_was_removed_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    os.chdir("gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(jitnet.Error, match=r"cannot write net\.npz: No such file or directory"):
        make().save("net.npz")


def test_error_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="stop"), storage.replacing(path) as file:  # noqa: PT012
        file.write(b"new")
        raise RuntimeError("stop")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_unwritable_path_is_an_error_before_training(tmp_path):
    net = make()
    for path, message in (
        (tmp_path / "none" / "m.npz", "there is no folder"),
        (tmp_path, "is a folder"),
        ("/proc/m.npz", "cannot write /proc/m.npz"),
        ("/dev/null", "is not a regular file"),
    ):
        with pytest.raises(ValueError, match=message):
            storage.check_writable(path)
        with pytest.raises(ValueError, match="cannot write"):
            net.save(path)
        with pytest.raises(ValueError, match=message):  # and before the training, not after
            net.fit(np.ones((2, 5)), [0, 1], checkpoint=path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root can write anywhere")
def test_read_only_file_is_not_replaced(tmp_path):
    path = tmp_path / "m.npz"
    path.write_text("precious")
    path.chmod(0o400)
    with pytest.raises(ValueError, match="read-only"):
        storage.check_writable(path)


def test_plot_of_a_file_whose_name_is_no_text(tmp_path):
    """On POSIX, a name can hold any bytes, which Python gives as halves of surrogate pairs."""
    pytest.importorskip("matplotlib", reason="needs an optional library")
    history = jitnet.History(loss=[2.0, 1.0], seconds=[0.1, 0.1])
    plots.draw_history(history, tmp_path / "p.png", os.fsdecode(b"\xff.csv"), "test")
    assert (tmp_path / "p.png").stat().st_size > 0
