"""The doctor finds problems in damaged environments, and the commands that it suggests fix them."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from command import jitnet_command

from jitnet import cli
from jitnet.backend import thread_choice
from jitnet.lab import doctor, worker
from jitnet.lab.checkup import Item, export, hardware, pip_install, settings, unset

PIP = pip_install()


def by_name(items):
    return {item["name"]: item for item in items}


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """Removes the settings of the test run from the environment."""
    for name in [*settings.SETTINGS, *settings.OF_THREADS, *settings.NARROWING]:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.slow
def test_healthy_machine_has_no_findings(tmp_path):
    result = jitnet_command("doctor", "--json", "--quiet", JITNET_CACHE_DIR=str(tmp_path / "cache"))
    found = json.loads(result.stdout)
    items = by_name(found["items"])
    assert (found["healthy"], found["wrong"], result.stderr) == (True, 0, "")
    assert {"python", "jitnet", "numba", "llvmlite", "numpy", "settings", "compiler", "vector width", "threads",
            "threading layer", "cache folder", "disk space for the cache", "CUDA driver",
            "CUDA device"} <= set(items)  # fmt: skip
    assert found["notes"] == sum(item["state"] == "note" for item in found["items"])
    assert items["settings"]["state"] == items["compiler"]["state"] == "ok"
    assert items["cache folder"]["finding"].endswith("cache, with 0 kernels, 0 bytes, by JITNET_CACHE_DIR")
    assert list(tmp_path.iterdir()) == []  # the doctor leaves no files


@pytest.mark.release
@pytest.mark.skipif(os.name == "nt" or hardware.vector_unit()[0] < 256, reason="needs a POSIX shell and AVX2")
def test_suggested_commands_fix_the_problems(tmp_path):
    """Three independent problems at the same time; a shell runs the suggested commands."""
    file = tmp_path / "file"
    file.write_text("where a folder should be")
    damage = {
        "NUMBA_THREADING_LAYER": "nonsense", "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma",
        "JITNET_CACHE_DIR": str(file), "XDG_CACHE_HOME": str(tmp_path / "usual"),
    }  # fmt: skip
    result = jitnet_command("doctor", "--json", status=1, **damage)
    assert "measuring 1/" in result.stderr
    found = json.loads(result.stdout)
    items = by_name(found["items"])
    assert items["threads"]["state"] == "wrong"
    assert "'nonsense' is unknown to Numba" in items["threads"]["finding"]
    assert items["threads"]["fix"] == unset("NUMBA_THREADING_LAYER")
    narrow = hardware.vector_unit()[0] > 256
    assert items["vector width"]["state"] == ("wrong" if narrow else "ok")
    assert "kernels use vectors of 256 bits" in items["vector width"]["finding"]
    assert items["vector width"]["fix"] == (unset("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES") if narrow else None)
    assert items["NUMBA_CPU_NAME"]["state"] == "note"
    assert items["cache folder"]["state"] == "wrong"
    assert "cannot be written (Not a directory)" in items["cache folder"]["finding"]
    assert items["cache folder"]["fix"] == unset("JITNET_CACHE_DIR")
    assert not found["healthy"]
    assert found["wrong"] == 2 + narrow

    fixes = [item["fix"] for item in found["items"] if item["fix"] and "pip" not in item["fix"]]
    script = "; ".join([*fixes, f"exec {sys.executable} -m jitnet doctor --json --quiet"])
    fixed = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=False, env={**os.environ, **damage}
    )
    assert fixed.returncode == 0, fixed.stderr
    items = by_name(json.loads(fixed.stdout)["items"])
    assert {items[name]["state"] for name in ("settings", "threads", "vector width", "cache folder")} == {"ok"}
    assert items["cache folder"]["finding"] == f"{tmp_path / 'usual' / 'jitnet'}, with 0 kernels, 0 bytes"


@pytest.mark.slow  # a process that starts other processes
def test_disabled_jit_is_found(tmp_path):
    result = jitnet_command("doctor", status=1, NUMBA_DISABLE_JIT="1", JITNET_CACHE_DIR=str(tmp_path))
    lines = result.stdout.splitlines()
    (at,) = (i for i, line in enumerate(lines) if line.startswith("WRONG  NUMBA_DISABLE_JIT "))
    assert "interpreted" in lines[at]
    fixes = (line.strip() for line in lines[at + 1 :] if line.strip().startswith("→"))  # a finding can have two lines
    assert next(fixes) == f"→ {unset('NUMBA_DISABLE_JIT')}"
    assert any(line.startswith("WRONG  compiler ") for line in lines)
    assert any(line.startswith("note   threads ") and "not tried" in line for line in lines)
    assert lines[-1].startswith("2 things are wrong; ")


@pytest.mark.slow  # three processes that compile a loop
@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit of OpenMP")
def test_too_few_running_threads_are_found(monkeypatch):
    (item, layer) = hardware.examine_threads()
    assert item.state in ("ok", "note")
    if layer.finding != "omp" or not item.finding.startswith("2 "):
        pytest.skip("needs two threads of OpenMP")
    monkeypatch.setenv("OMP_THREAD_LIMIT", "1")
    item, _ = hardware.examine_threads()
    assert item == Item("threads", "wrong", "only 1 of 2 threads run in a parallel loop",
                        unset("OMP_THREAD_LIMIT"))  # fmt: skip


@pytest.mark.slow  # a process that compiles a loop
def test_more_threads_than_cores_are_found(monkeypatch):
    cores = thread_choice.cpus()
    monkeypatch.setenv("NUMBA_NUM_THREADS", str(cores + 1))
    monkeypatch.setenv("NUMBA_THREADING_LAYER", "workqueue")
    item, layer = hardware.examine_threads()
    assert (item.state, item.fix) == ("note", unset("NUMBA_NUM_THREADS"))
    assert f"{cores + 1} run in a parallel loop, by NUMBA_NUM_THREADS; for {cores} cores" in item.finding
    assert (layer.state, layer.fix) == ("note", unset("NUMBA_THREADING_LAYER"))


@pytest.mark.parametrize(
    ("variable", "value", "state", "words"),
    [
        ("NUMBA_DISABLE_JIT", "1", "wrong", "interpreted"), ("NUMBA_OPT", "0", "wrong", "optimizes less"),
        ("NUMBA_LOOP_VECTORIZE", "0", "wrong", "vector unit"), ("NUMBA_ENABLE_CUDASIM", "1", "wrong", "simulated"),
        ("NUMBA_DISABLE_CUDA", "1", "note", "GPU"), ("NUMBA_BOUNDSCHECK", "1", "note", "every index"),
        ("NUMBA_DUMP_ASSEMBLY", "1", "note", "prints"), ("OMP_WAIT_POLICY", "ACTIVE", "note", "busy"),
        ("OMP_NUM_THREADS", "1", "note", "BLAS"), ("OMP_PROC_BIND", "true", "note", "binds"),
    ],
)  # fmt: skip
def test_harmful_settings_are_found(variable, value, state, words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (before,) = settings.examine_settings()
    assert before.state == "ok"
    monkeypatch.setenv(variable, value)
    (item,) = settings.examine_settings()
    assert (item.name, item.state, item.fix) == (variable, state, unset(variable))
    assert words in item.finding


@pytest.mark.parametrize(
    ("variable", "value"),
    [("NUMBA_DISABLE_JIT", "0"), ("NUMBA_OPT", "3"), ("NUMBA_OPT", "max"), ("OMP_PROC_BIND", "FALSE"),
     ("NUMBA_LOOP_VECTORIZE", "1"), ("NUMBA_BOUNDSCHECK", "yes"), ("NUMBA_NUM_THREADS", "2"),
     ("NUMBA_DEBUG_CACHE", "0")],
)  # fmt: skip
def test_harmless_settings_are_not_reported(variable, value, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, value)
    assert [item.state for item in settings.examine_settings()] == ["ok"]
    (tmp_path / ".numba_config.yaml").write_text("opt: 0\n")
    (item,) = settings.examine_settings()
    assert (item.name, item.state) == (".numba_config.yaml", "note")


def test_cache_folder_is_examined(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("JITNET_CACHE_DIR", str(folder))
    ours, stale = settings.kernels_folder(), folder / f"kernels-{'a' * 32}"
    for kernels, count in ((ours, 2), (stale, 3)):
        kernels.mkdir(parents=True)
        for i in range(count):
            (kernels / f"{i}.kernel").write_bytes(bytes(1024))
    (ours / "cut.tmp").write_bytes(b"")
    items = {item.name: item for item in settings.examine_cache()}
    assert [item.state for item in items.values()] == ["ok", "ok"]
    assert items["cache folder"].finding == f"{folder}, with 2 kernels, 2.0 KiB, by JITNET_CACHE_DIR"

    shutil.rmtree(ours)
    ours.write_text("a file in its place")
    (item,) = settings.examine_cache()
    assert item.state == "wrong"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JITNET_CACHE_DIR", "here")
    item, *_ = settings.examine_cache()
    assert (item.state, item.fix) == ("note", export("JITNET_CACHE_DIR", tmp_path / "here"))


def test_unusable_default_folder_is_found(tmp_path, monkeypatch):
    """The fix is then a temporary folder, if it is writable."""
    (tmp_path / "file").write_text("")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(settings, "usual_cache_folder", lambda: tmp_path / "file" / "jitnet")
    monkeypatch.setattr(settings.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path / "file"))
    (item,) = settings.examine_cache()
    assert item.fix == export("JITNET_CACHE_DIR", tmp_path / "temporary" / f"jitnet-{os.geteuid()}")
    monkeypatch.setattr(settings.tempfile, "gettempdir", lambda: str(tmp_path / "file"))
    (item,) = settings.examine_cache()
    assert item.fix is None


def test_cache_folder_that_others_can_write_to_is_found(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("JITNET_CACHE_DIR", str(folder))
    monkeypatch.setattr(settings, "usual_cache_folder", lambda: tmp_path / "usual")
    settings.kernels_folder().mkdir(parents=True, mode=0o700)
    folder.chmod(0o770)
    (item,) = settings.examine_cache()
    assert (item.name, item.state, item.fix) == ("cache folder", "wrong", f"chmod 700 {folder}")
    assert item.finding == f"other users can write to {folder} (mode 770), so every process compiles again"
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    (item,) = settings.examine_cache()
    assert f"{folder} belongs to another user" in item.finding
    assert item.fix == unset("JITNET_CACHE_DIR")
    (tmp_path / "usual").mkdir()  # belongs to another user as well
    (item,) = settings.examine_cache()
    assert item.fix != unset("JITNET_CACHE_DIR")


def test_full_disk_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path))
    free = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(settings.shutil, "disk_usage", lambda path: free._replace(free=5 << 20))
    items = {item.name: item for item in settings.examine_cache()}
    assert items["disk space for the cache"].state == "wrong"
    assert items["disk space for the cache"].finding == "5.0 MiB free, but kernels need up to 100.0 MiB"


def test_failing_examination_is_reported_as_an_item(monkeypatch, capsys):
    def half_way():
        yield Item("first", "ok", "seen")
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(
        doctor, "EXAMINATIONS", {"half": half_way, "after": lambda: iter([Item("last", "ok", "x" * 300)])}
    )
    assert cli.main(["doctor", "--json", "--quiet"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(item["name"], item["state"]) for item in found["items"]] == [
        ("first", "ok"),
        ("half", "wrong"),
        ("last", "ok"),
    ]
    assert found["items"][1]["finding"] == "could not be examined: OSError: [Errno 5] Input/output error"
    monkeypatch.setenv("COLUMNS", "80")
    lines = doctor.as_text(found).splitlines()
    assert lines[-1] == "1 thing is wrong."


@pytest.mark.slow
def test_failing_worker_process_is_reported(tmp_path, monkeypatch):
    (tmp_path / "patient.py").write_text(
        "import os, time\n"
        "def abort(): os.abort()\n"
        "def hang(): time.sleep(60)\n"
        "def fail(): raise ValueError('two\\nlines')\n"
        "def leave(): os._exit(3)\n"
        "def chat(x): print('jitnet: chat'); return [x, os.environ['MOOD']]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import patient

    for function, seconds, message in (
        (patient.abort, 60, "the process was ended by SIGABRT"), (patient.hang, 2, "no answer in 2 seconds"),
        (patient.fail, 60, "ValueError: two lines"), (patient.leave, 60, "it ends with status 3"),
    ):  # fmt: skip
        with pytest.raises(worker.NoAnswerError, match=message):
            worker.ask(function, seconds=seconds)
    assert worker.ask(patient.chat, 1.5, environment={"MOOD": "fine"}) == [1.5, "fine"]
