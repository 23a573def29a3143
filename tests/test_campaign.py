"""Short runs of the long tests in tests/campaign: they find no error, and they report one that is put in."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parent / "campaign"
needs_fork = pytest.mark.skipif(not hasattr(os, "waitid"), reason="needs fork and waitid")


def campaign(script, *arguments, status=0, count=None):
    """Run a script and return its summary."""
    words = [*arguments, *(["--count", str(count)] if count else [])]
    result = subprocess.run(
        [sys.executable, CAMPAIGN / f"{script}.py", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow  # it kills processes, as test_storage.py does
@needs_fork
def test_kills_leave_no_damaged_file():
    assert re.match(r"10 kills in .*: 0 failed\n", campaign("kills", count=10))


@pytest.mark.slow  # 800 files; test_damaged_fields.py and test_limits.py damage the same kinds
@needs_fork
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits memory with /proc")
def test_damaged_files_are_refused():
    assert re.match(r"800 files in .* \(\d+ accepted, \d+ refused\): 0 failed\n", campaign("fuzz", count=800))


@pytest.mark.release
def test_configurations_agree():
    """Two processes, of one thread and of two, with three configurations each."""
    assert re.match(r"6 configurations in .*: 0 failed\n", campaign("configurations", count=6))


@pytest.mark.release
def test_gradients_equal_finite_differences():
    summary = campaign("gradients", count=1000)
    assert re.match(r"1\d\d\d parameters in .*: 0 failed\n", summary)
    assert float(re.search(r"worst relative error (\S+),", summary)[1]) < 1e-9


def test_failure_is_reported_with_the_case_number_that_repeats_it(tmp_path):
    script = tmp_path / "fails.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(CAMPAIGN)!r})\n"
        "import trials\n"
        "def trial(number, rng):\n"
        "    if rng.random() < 0.2 or number == 7:\n"
        "        raise trials.TrialError(f'{number} is wrong')\n"
        "    return 1, 'numbers'\n"
        "sys.exit(trials.run(trials.arguments('', 20, 'numbers'), 'numbers', 1e-3, trial))\n"
    )

    def run(*arguments):
        command = [sys.executable, str(script), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    result = run()
    assert result.returncode == 1
    assert "case 7 failed: 7 is wrong\n" in result.stderr
    assert re.search(
        r"20 numbers in 0 s \(\d+ numbers\): \d+ failed; repeat one with --seed 0 --case \d+", result.stdout
    )
    again = run("--case", "7")
    assert again.returncode == 1
    assert "1 numbers in 0 s (): 1 failed" in again.stdout
    assert run().stderr == result.stderr


@pytest.mark.release
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="finds processes in /proc")
def test_mpi_kills_end_all_ranks():
    pytest.importorskip("mpi4py", reason="needs the extra mpi")
    assert re.match(r"3 kills in .*: 0 failed\n", campaign("mpi_kills", count=3))
