"""Cases of a parametrized test that a usual run leaves out: `slow` for CI, `release` before a release."""

import pytest


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def release(*values):
    return pytest.param(*values, marks=pytest.mark.release)
