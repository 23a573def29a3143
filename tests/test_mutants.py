"""Mutation testing of a few mutants, and tests that fail for kernels broken on purpose."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).with_name("campaign")


@pytest.fixture(scope="module")
def tools():
    sys.path.insert(0, str(CAMPAIGN))
    try:
        import broken_kernels
        import mutants
    finally:
        sys.path.remove(str(CAMPAIGN))
    mutants.broken_kernels = broken_kernels
    return mutants


FEW = """
import json, sys
import mutants
mutants.TESTS = {"jitnet/kernels/gather.py": [["tests/test_interpreted.py", "-k", "gather"]]}
changes = [("load(source, here + k", "load(source, here - k"), ("range(m", "range(m - 1"), ("- 1)] * n", "- 1)] + n")]
found = mutants.mutants(mutants.ROOT, "jitnet/kernels/gather.py")
few = [m for m in found if m.function in ("gather", "copy_row") for a, b in changes if a in m.before and b in m.after]
with mutants.copies(2) as (untouched, copy):
    limits = mutants.Limits(untouched)
    trials = [mutants.Trial(mutant, limits) for mutant in few]
    verdicts = {trial.mutant.after: verdict for trial, verdict in mutants.work(trials, [copy])}
print(json.dumps(verdicts))
"""


@pytest.mark.release  # runs pytest on three mutants
def test_mutants_are_killed_unless_they_only_change_the_speed():
    """The mutants change a sign, leave out a row, and change only the speed."""
    command = [sys.executable, "-c", FEW]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CAMPAIGN), str(CAMPAIGN.parents[1])])}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    by = json.loads(result.stdout.splitlines()[-1])
    assert len(by) == 3
    assert by.pop("next_one = order[min(at + AHEAD, order.size - 1)] + n") == "survived"
    assert all(test.startswith("FAILED tests/test_interpreted.py::test_body[gather") for test in by.values()), by


@pytest.mark.slow  # samples all sources three times
def test_sample_of_mutants_is_reproducible(tools):
    chosen = tools.sample(300, 0)
    assert len(chosen) >= 300
    assert tools.sample(9, 0, "jitnet/step.py") == tools.sample(9, 0, "jitnet/step.py")
    assert len({mutant.key for mutant in chosen}) == len(chosen)
    assert {mutant.file for mutant in chosen} == set(tools.TESTS)
    for file, old, new in tools.ALWAYS:
        assert any(m.file == file and old in m.before and new in m.after for m in chosen), (file, new)


@pytest.mark.slow  # reads all sources
def test_equivalent_mutants_exist_in_the_sources(tools):
    """Each entry of the list is a mutant of the current sources."""
    there = {mutant.key for file in tools.TESTS for mutant in tools.mutants(tools.ROOT, file)}
    assert set(tools.equivalent()) <= there, set(tools.equivalent()) - there


def test_listed_bugs_apply_to_the_sources(tools):
    """Each text occurs once in its file, and every file of loops has a bug."""
    bugs = tools.broken_kernels.bugs()
    for bug in bugs:
        assert tools.broken_kernels.broken(bug).count(b"\n") > 0
    files = {file.name for file in (tools.ROOT / "jitnet/kernels").glob("*.py")} - {"__init__.py"}
    assert files <= {bug.file for bug in bugs}
    assert sum(bug.file.startswith("cuda/") for bug in bugs) >= 10


@pytest.mark.slow  # runs pytest on two bugs
def test_listed_bugs_make_a_test_fail():
    command = [sys.executable, str(CAMPAIGN / "broken_kernels.py"), "--only", "^dropout"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith("\n2 of 2 bugs made a test fail\n")
