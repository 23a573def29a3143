"""Parameters of a test that a normal run skips: `slow` for CI, `release` before a release."""

import pytest


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def release(*values):
    return pytest.param(*values, marks=pytest.mark.release)
