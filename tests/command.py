"""Run the command line, in this process or in a new one."""

import contextlib
import io
import os
import subprocess
import sys
from unittest import mock

from jitnet import cli

JITNET = [sys.executable, "-m", "jitnet"]


def jitnet_command(*arguments, status=0, **environment):
    """Run the command line: in this process, or with an environment in a new one."""
    result = (in_a_process if environment else in_this_process)(*arguments, **environment)
    assert result.returncode == status, (result.stdout, result.stderr)
    assert "\x1b" not in result.stdout + result.stderr  # no control characters without a terminal
    assert "Traceback" not in result.stderr
    return result


def in_a_process(*arguments, **environment):
    # without COLUMNS, the output has its default width
    inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return subprocess.run(
        [*JITNET, *map(str, arguments)], capture_output=True, text=True, env={**inherited, **environment}, check=False
    )


def in_this_process(*arguments):
    with (
        contextlib.redirect_stdout(io.StringIO()) as output,
        contextlib.redirect_stderr(io.StringIO()) as errors,
        mock.patch.dict(os.environ),
    ):
        os.environ.pop("COLUMNS", None)
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = end.code or 0
    return subprocess.CompletedProcess(arguments, status, output.getvalue(), errors.getvalue())


def run(code, *arguments, **environment):
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, result.stderr
    return result
