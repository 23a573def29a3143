"""Call a function in a fresh Python process: it has compiled nothing, has its own environment, and may abort."""

import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from .. import checks

MARK = "jitnet-answer:"
"""The prefix of the answer's line, because some settings make Numba print to standard output too."""

# with -m or a plain -c the working folder would come first, and a file json.py in it would hide Python's
CODE = (
    "import sys; sys.path[:] = eval(sys.argv.pop(1)); from jitnet.lab.worker import end_with; end_with({parent}); "
    "from {module} import main; main()"
)

LONGEST = 200
"""Characters of a line that the process printed last, in the message about its end."""

PR_SET_PDEATHSIG = 1
"""Linux: the signal that a process gets when its parent ends."""


class NoAnswerError(Exception):
    """The process did not answer; the message is the reason, in one line."""


def command(module: str, *arguments: str) -> list[str]:
    """The command of a fresh process that calls main() of a module, with this sys.path, and ends with this process."""
    code = CODE.format(module=module, parent=os.getpid())
    return [sys.executable, "-c", code, repr([str(place) for place in sys.path]), *arguments]


def end_with(parent: int) -> None:
    """From now on this process ends when its parent ends, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:  # it has ended already
            os._exit(1)
    elif os.name == "posix":
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def ask(
    function: Callable[..., Any], *arguments: Any, environment: dict[str, str] | None = None, seconds: float = 600
) -> Any:
    """Call a function of a module in a fresh process; arguments and result are passed as JSON.

    environment     environment variables to set there
    seconds         time limit; generous, because a machine may be busy

    Errors    NoAnswerError if it raises, aborts or does not end
    """
    question = json.dumps([function.__module__, function.__qualname__, *arguments])
    try:
        result = subprocess.run(
            command(__name__, question), capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})}, timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NoAnswerError(f"no answer in {seconds:g} seconds") from None
    lines = [line for line in result.stdout.splitlines() if line.startswith(MARK)]
    if not lines:
        raise NoAnswerError(_why(result.returncode, result.stderr))
    reply = json.loads(lines[-1][len(MARK) :])
    if "error" in reply:
        raise NoAnswerError(reply["error"])
    return reply["answer"]


def tried(name: str, load: Callable[[str], Any], text: str, seconds: float = 600) -> None:
    """Call `load`, which executes a user's file, in a fresh process, which the file may end, crash, or never leave.

    Errors    checks.Error if that happens; `name` is that of the file. `load` reports other mistakes later, here
    """
    try:
        ask(loads, load.__module__, load.__qualname__, text, seconds=seconds)
    except NoAnswerError as error:
        raise checks.Error(f"{name} cannot be loaded in a process of its own: {error}") from None


def loads(module: str, function: str, text: str) -> bool:
    """Whether a function of a module, such as `load`, accepts the text."""
    try:
        getattr(importlib.import_module(module), function)(text)
    except checks.Error:
        return False
    return True


def main() -> None:
    """The process that `ask` starts: call the function on the command line and print its result."""
    module, name, *arguments = json.loads(sys.argv[1])
    try:
        reply = {"answer": getattr(importlib.import_module(module), name)(*arguments)}
    except Exception as error:  # `ask` raises it again
        reply = {"error": str(error) if isinstance(error, checks.Error) else checks.described(error)}
    print("\n" + MARK + json.dumps(reply), flush=True)


def _why(status: int, errors: str) -> str:
    if status < 0:
        return f"the process was ended by {signal.Signals(-status).name}"
    last = errors.strip().splitlines()[-1:]
    if status == 1 and last:  # of an exception
        return last[0].strip()
    return f"it ends with status {status}" + (f" ({last[0].strip()[:LONGEST]})" if last else "")
