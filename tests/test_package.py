"""The modules that `import jitnet` loads, its public names, and the length of its files."""

import subprocess
import sys
from pathlib import Path

import jitnet


def test_import_needs_numba_and_numpy_only():
    """Numba imports SciPy if it is installed; jitnet adds only the standard library."""

    def modules(name):
        code = f"import sys, {name}; print(*{{name.partition('.')[0] for name in sys.modules}})"
        return set(
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        )

    added = modules("jitnet") - modules("numba")
    assert added - set(sys.stdlib_module_names) == {"jitnet"}
    assert not added & {"ssl", "http", "asyncio", "multiprocessing"}


def test_public_names_are_exported():
    for name in jitnet.__all__:
        assert getattr(jitnet, name) is not None
    assert callable(jitnet.backends)
    assert jitnet.kernels.LADDERS["matmul"]["reordered"].__doc__


def test_every_public_name_has_a_docstring():
    for name in jitnet.__all__:
        if name != "__version__":
            assert (getattr(jitnet, name).__doc__ or "").strip(), name
    for operation, ladder in jitnet.kernels.LADDERS.items():
        assert ladder["python"].__doc__, operation


def test_files_have_at_most_400_lines():
    for file in Path(jitnet.__file__).parent.rglob("*.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 400, file.name
