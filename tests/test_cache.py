"""Compiled code is cached between processes, and no kernel loads the code of another kernel."""

import importlib.util
import json
import shutil
import sys
import warnings
from pathlib import Path
from types import FunctionType, SimpleNamespace

import numba
import numpy as np
import pytest
from cases import release
from command import run

import jitnet
from jitnet.compiler import cache, cache_folder, cpu_caches, fingerprint, intrinsics, jit, linking
from jitnet.kernels import LADDERS
from jitnet.kernels.activations import ACTIVATIONS


@pytest.mark.slow
def test_serial_and_parallel_kernels_never_load_each_others_code(tmp_path):
    """New processes compile the same body in both modes, in either order, in one folder; then one loads both.

    The machine code of a parallel kernel refers to Numba's thread pool and that of a serial kernel does not, so the
    loaded code shows which of them it is.
    """
    code = """
import sys, numpy as np
from jitnet.compiler import jit
from jitnet.kernels import LADDERS, SIGNATURES
rng = np.random.default_rng(0)
X, W, Z = rng.random((7, 5), np.float32), rng.random((5, 6), np.float32), np.empty((7, 6), np.float32)
for rung in sys.argv[1:]:
    kernel = LADDERS["matmul"][rung]
    kernel(X, W, Z)
    assert np.allclose(Z, X @ W, rtol=1e-5)
    code = next(iter(kernel.overloads.values()))._asdict()["library"]
    module = str(code._shared_module or code._final_module)
    print(rung, sum(kernel.stats.cache_hits.values()), "numba_parallel_for" in module)
"""
    folder = {"JITNET_CACHE_DIR": str(tmp_path)}
    order = ["njit", "parallel", "reordered", "reordered_parallel"]
    expected = {"njit": "False", "parallel": "True", "reordered": "False", "reordered_parallel": "True"}
    for rungs, hits in (([order[0]], 0), ([order[1]], 0), (order[2:][::-1], 0), (order, 1), (order[::-1], 1)):
        lines = run(code, *rungs, **folder).stdout.splitlines()
        assert lines == [f"{rung} {hits} {expected[rung]}" for rung in rungs]
    assert len(list(tmp_path.rglob("*.kernel"))) == 4


@pytest.mark.slow
def test_changed_options_change_the_cache_file(tmp_path):
    """fastmath is not part of Numba's cache key; jitnet's key includes it and Numba's settings."""
    (tmp_path / "mine.py").write_text(
        "import sys\nimport numpy as np\nfrom jitnet.compiler import jit\n"
        "if 'strict' in sys.argv:\n    jit.OPTIONS['fastmath'] = False\n"
        "def kernel(x):\n    x[0] = x[1] * x[2] + x[3]\n"
        "kernel = jit.compiled(kernel)\nkernel(np.ones(4))\nprint(sum(kernel.stats.cache_hits.values()))\n"
    )
    environment = {"JITNET_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}

    def hits(*arguments, **settings):
        return run("import mine", *arguments, **environment, **settings).stdout.strip()

    assert [hits(), hits("strict"), hits(), hits("strict")] == ["0", "0", "1", "1"]
    assert [hits(NUMBA_LOOP_VECTORIZE="0"), hits(NUMBA_NUM_THREADS="1")] == ["0", "1"]


def first(x):
    x[0] = 1


def test_everything_that_decides_the_machine_code_changes_the_file_name(tmp_path, monkeypatch):
    """Everything that can change the machine code changes the name, and nothing else does."""
    codegen = SimpleNamespace(magic_tuple=lambda: ("x86_64", "skylake"))
    signature = "(float32[::1],)"

    def file(changed=None, options=(("fastmath", {"b", "a"}),), signature=signature, codegen=codegen, **code):
        body = FunctionType(first.__code__.replace(**code), {})
        for name, value in {"__module__": "m", "__qualname__": "q", **(changed or {})}.items():
            setattr(body, name, value)
        return cache.KernelCache(body, dict(options))._path(signature, codegen).name

    edited = tmp_path / "edited.py"
    edited.write_text("# another helper")
    name = file()
    assert name.startswith("first-")
    assert name == file(signature=(numba.float32[::1],))
    flags = {"fastmath": {"nsz", "contract", "arcp"}}  # the order of a set differs between processes
    assert cache.KernelCache(first, flags).options == {"fastmath": ["arcp", "contract", "nsz"]}
    others = [
        file({"__module__": "n"}), file({"__qualname__": "r"}), file(options=[("fastmath", {"a"})]), file(options=()),
        file(signature="(float64[::1],)"), file(signature="(float32[:],)"), file(co_firstlineno=1),
        file(co_code=first.__code__.co_code + b"\t\0"), file(co_filename=str(edited)),
        file(codegen=SimpleNamespace(magic_tuple=lambda: ("x86_64", "znver4"))),
    ]  # fmt: skip
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    assert file() == name
    monkeypatch.setenv("NUMBA_OPT", "1")
    others.append(file())
    assert len({name, *others}) == len(others) + 1


def test_hash_of_sources_depends_on_names_contents_and_versions(tmp_path):
    def write(**files):
        for file in tmp_path.iterdir():
            file.unlink()
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        return tmp_path

    before = cache.hash_of_sources([write(a="x", b="y")], [1])
    (tmp_path / "notes.txt").write_text("no source")
    assert cache.hash_of_sources([tmp_path], [1]) == before
    sources = {"a": "x"}, {"a": "xy", "b": ""}, {"a": "x", "c": "y"}, {"a": "xb.pyy"}
    others = [cache.hash_of_sources([write(**files)], [1]) for files in sources]
    others += [cache.hash_of_sources([write(a="x", b="y")], [2]), cache.hash_of_sources([write(a="x", b="z")], [1])]
    assert len({before, *others}) == 7
    assert cache.kernels_folder() == cache_folder.cache_folder() / f"kernels-{cache.SOURCES}"


SMALLER = {**cpu_caches.TYPICAL, 2: cpu_caches.Cache(2, 1 << 18, 8, 64)}


@pytest.mark.parametrize(
    "change", [(cpu_caches, "data_caches", lambda: SMALLER), (intrinsics, "IS_AMD", not intrinsics.IS_AMD)]
)
def test_hash_of_sources_depends_on_the_caches_and_the_vendor_of_the_cpu(change, monkeypatch):
    """Two machines can share a home folder with the same name of a CPU, but other caches, or another vendor."""
    monkeypatch.setattr(*change)
    there = importlib.util.module_from_spec(cache.__spec__)
    cache.__spec__.loader.exec_module(there)
    assert there.SOURCES != cache.SOURCES


def test_editing_an_optimizer_rule_changes_its_fingerprint():
    """The hash of sources does not cover the folder of `optimizers.py`, so each function has a fingerprint."""
    rule = jitnet.AdamW.rule
    edited = (lambda *numbers: numbers).__code__.replace(co_filename=rule.__code__.co_filename)
    other = FunctionType(edited, rule.__globals__, rule.__name__)
    other.__module__, other.__qualname__ = rule.__module__, rule.__qualname__
    assert fingerprint.fingerprint(other) != fingerprint.fingerprint(rule)
    derivatives = [entry.f_prime for entry in ACTIVATIONS.values() if hasattr(entry, "f_prime")]
    assert len({fingerprint.fingerprint(f) for f in derivatives}) == len(derivatives) > 6  # though all are named _


@pytest.mark.parametrize("spelled", ["{0.parent}//{0.name}", "{}/."])
def test_kernels_are_cached_however_the_folder_on_the_path_is_spelled(spelled):
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from jitnet.kernels import LADDERS
print(*[kernel._cache.enabled for kernel in LADDERS["tanh"].values() if hasattr(kernel, "_cache")])
"""
    folder = spelled.format(Path(jitnet.__file__).parents[1])
    assert set(run(code, folder).stdout.split()) == {"True"}


def test_types_of_linked_helpers_travel_as_json():
    arrays = [
        numba.types.Array(dtype, ndim, layout, readonly=readonly)
        for dtype in (numba.float32, numba.float64, numba.int64)
        for ndim in (1, 2) for layout in "CFA" for readonly in (False, True)
    ]  # fmt: skip
    for argument in [*arrays, numba.float32, numba.float64, numba.intp, numba.uint8, numba.types.boolean]:
        text = json.dumps(linking._described(argument))
        assert linking._type_of(json.loads(text)) == argument
    with pytest.raises(numba.core.errors.NumbaNotImplementedError):
        linking._described(numba.types.UniTuple(numba.int64, 2))


@pytest.mark.slow
def test_ambiguous_functions_are_not_cached(tmp_path):
    """A function without source, typed at a prompt, is not cached. A closure is cached with its captured values."""
    code = """
import sys, numpy as np
from jitnet.compiler import jit
source = f"def scale(x): x[0] = x[0] * {sys.argv[1]}"
exec(source)
kernel = jit.compiled(scale)
x = np.ones(1); kernel(x); print(x[0])
"""
    environment = {"JITNET_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
    assert [run(code, factor, **environment).stdout.strip() for factor in ("2.0", "3.0")] == ["2.0", "3.0"]
    assert list(tmp_path.rglob("*.kernel")) == []
    (tmp_path / "factory.py").write_text(
        "from jitnet.compiler import jit\n"
        "def make(factor):\n    def times(x):\n        x[0] = x[0] * factor\n    return jit.compiled(times)\n"
    )
    code = "import factory, numpy as np\nfor f in (2., 3.):\n    x = np.ones(1); factory.make(f)(x); print(x[0])"
    for _ in range(2):
        assert run(code, **environment).stdout.split() == ["2.0", "3.0"]
    assert len(list(tmp_path.rglob("*.kernel"))) == 2


@pytest.mark.slow  # three processes; the hash alone is tested above
@pytest.mark.parametrize("folder", [release("compiler"), "kernels"])
def test_edited_sources_are_recompiled(folder, tmp_path):
    """In a copy of the compiler and a kernel, the test edits a helper that is not in the kernel's file."""
    package = tmp_path / "package"
    shutil.copytree(Path(jit.__file__).parent, package / "compiler")
    for name in ("__init__.py", "kernels/__init__.py"):
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).touch()
    helper = package / folder / "helper.py"
    helper.write_text(
        "from package.compiler.jit import part_of_kernels\n@part_of_kernels\ndef factor():\n    return 2\n"
    )
    (package / "kernels" / "user.py").write_text(
        f"from ..compiler.jit import compiled\nfrom ..{folder}.helper import factor\n"
        "def double(x):\n    for i in range(x.size):\n        x[i] = factor() * x[i]\n"
        "double = compiled(double)\n"
    )
    code = (
        "import numpy as np\nfrom package.kernels.user import double\nx = np.ones(3)\ndouble(x)\n"
        "print(x[0], sum(double.stats.cache_hits.values()))"
    )
    environment = {"JITNET_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
    assert run(code, **environment).stdout.split() == ["2.0", "0"]
    assert run(code, **environment).stdout.split() == ["2.0", "1"]
    helper.write_text(helper.read_text().replace("2", "3"))
    assert run(code, **environment).stdout.split() == ["3.0", "0"]


@pytest.mark.slow
def test_cached_kernels_find_their_linked_helpers_in_a_later_process(tmp_path):
    """The register tile is compiled once, into its own file; cached kernels find it by its symbol."""
    code = """
import numpy as np
from jitnet.kernels import LADDERS
X = np.ones((7, 5), np.float32)
Z = np.empty((7, 7), np.float32)
kernel = LADDERS["matmul"]["packed"]
kernel(X, X.T.copy(), Z)
assert (Z == 5).all()
print(sum(kernel.stats.cache_hits.values()))
"""
    folder = {"JITNET_CACHE_DIR": str(tmp_path)}
    assert run(code, **folder).stdout == "0\n"
    assert run(code, **folder).stdout == "1\n"
    kernels = sorted(tmp_path.rglob("*.kernel"))
    assert [file.name.split("-")[0] for file in kernels] == ["matmul_packed", "narrow_tiles", "product"]
    for tile in kernels[1:]:
        tile.unlink()
        assert run(code, **folder).stdout == "1\n"
        assert sorted(tmp_path.rglob("*.kernel")) == kernels


@pytest.mark.slow  # two processes; test_interpreted.py runs every loop as Python
def test_numba_disable_jit_runs_the_python_code_and_caches_nothing(tmp_path):
    code = """
import jitnet, numpy as np
from jitnet.compiler import cache, cache_folder, jit, linking
from jitnet.kernels import LADDERS
assert not any(jit.is_compiled(kernel) for ladder in LADDERS.values() for kernel in ladder.values())
net = jitnet.Network(jitnet.Dense(3, 4, "tanh"), jitnet.Dense(4, 2, "softmax"), seed=0)
print(net.fit(np.ones((5, 3)), [0, 1, 0, 1, 1], epochs=2).epochs)
"""
    result = run(code, JITNET_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="1")
    assert result.stdout.strip() == "2"
    large = "import jitnet, numpy as np; A = np.ones((100, 100)); print(jitnet.matmul(A, A)[0, 0])"
    assert run(large, JITNET_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="1").stdout.strip() == "100.0"
    assert list(tmp_path.iterdir()) == []


def test_cache_folder_follows_the_platform(monkeypatch):
    monkeypatch.delenv("JITNET_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    for platform, expected in (
        ("linux", "/x/jitnet"),
        ("darwin", "~/Library/Caches/jitnet"),
        ("win32", "/local/jitnet"),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        assert cache_folder.cache_folder() == Path(expected).expanduser()


def test_cache_object_by_hand(tmp_path, monkeypatch):
    """The methods that Numba calls: load, save, enable, disable and flush."""
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path))

    def twice(x):
        for i in range(x.size):
            x[i] *= 2

    kernel = jit.compiled(twice)
    signature = jit.signature_for("T[::1]", np.dtype("float64"))
    assert jit.needs_compiling(kernel, signature)
    jit.compile_for(kernel, signature)
    assert not jit.needs_compiling(kernel, signature)
    again = jit.compiled(twice)
    assert not jit.needs_compiling(again, signature)
    again(x := np.ones(3))
    assert (x == 2).all()
    assert sum(again.stats.cache_hits.values()) == 1
    assert again._cache.cache_path.startswith(str(tmp_path))
    other = Path(again._cache.cache_path) / f"twice_as_much-{'a' * 32}.kernel"
    other.write_bytes(b"")
    again._cache.flush()
    assert other.exists()
    other.unlink()
    third = jit.compiled(twice)
    assert jit.needs_compiling(third, signature)
    third._cache.disable()
    jit.compile_for(again, jit.signature_for("T[::1]", np.dtype("float32")))
    assert jit.needs_compiling(third, jit.signature_for("T[::1]", np.dtype("float32")))
    again._cache.flush()
    third(np.ones(3))
    assert list(tmp_path.rglob("*.kernel")) == []
    third._cache.enable()
    assert third._cache.enabled
    assert not jit.needs_compiling(LADDERS["matmul"]["python"], "")


def test_warning_names_the_environment_variable_to_set(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JITNET_CACHE_DIR", str(tmp_path / "file"))

    def once(x):
        x[0] = 1

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        jit.compiled(once)(np.zeros(1))
    assert any("JITNET_CACHE_DIR" in str(warning.message) for warning in caught)
