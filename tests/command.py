"""Running the command line as a real process."""

import os
import subprocess
import sys

JITNET = [sys.executable, "-m", "jitnet"]


def jitnet_command(*arguments, status=0, **environment):
    inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}  # as wide as it is by itself
    result = subprocess.run(
        [*JITNET, *map(str, arguments)], capture_output=True, text=True, env={**inherited, **environment}, check=False
    )
    assert result.returncode == status, (result.stdout, result.stderr)
    assert "\x1b" not in result.stdout + result.stderr  # no control characters without a terminal
    assert "Traceback" not in result.stderr
    return result


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
