"""Compiler output for jitnet's own kernels, kept in pytest's cache (.pytest_cache) for other tests and later runs.

PTX and explanations take minutes to generate and seconds to check. The key of an entry is a hash of its inputs: every
source file of jitnet, every installed package, the processor, Numba's settings. If one of these changes, the entry is
generated again. `pytest --cache-clear` deletes all entries.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import sys
from pathlib import Path
from unittest import mock

import llvmlite.binding

import jitnet
from jitnet.compiler.fingerprint import described


@functools.cache
def made_from():
    """A hash of everything that affects the compiler's output for a kernel."""
    folder = Path(jitnet.__file__).parent
    parts = [
        sys.version, str(folder), llvmlite.binding.get_host_cpu_name(), str(llvmlite.binding.get_host_cpu_features()),
        sorted(f"{package.name} {package.version}" for package in importlib.metadata.distributions()),
        sorted(setting for setting in os.environ.items() if setting[0].startswith("NUMBA_")),
        *((str(file.relative_to(folder)), file.read_bytes()) for file in sorted(folder.rglob("*.py"))),
    ]  # fmt: skip
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def known(config, name):
    """The result that was cached under this name, or None."""
    cache = getattr(config, "cache", None)  # missing under -p no:cacheprovider
    entry = cache and cache.get(f"jitnet/{name}", None)
    return entry["result"] if entry and entry["made_from"] == made_from() else None


def remember(config, name, result):
    if cache := getattr(config, "cache", None):
        cache.set(f"jitnet/{name}", {"made_from": made_from(), "result": result})
    return result


@contextlib.contextmanager
def ptx(config):
    """A context in which the PTX of each of jitnet's launches is generated once."""
    from jitnet.lab.gpu import compiling

    generate = compiling.cuda.compile

    def compile_once(body, signature, **options):
        if not body.__module__.startswith("jitnet."):
            return generate(body, signature, **options)
        # `described` includes the values that a closure captured
        key = body.__module__, described(body), signature, sorted(options.items())
        name = f"ptx/{body.__name__}-{hashlib.blake2b(repr(key).encode(), digest_size=8).hexdigest()}"
        text = known(config, name)
        return text or remember(config, name, generate(body, signature, **options)[0]), None

    with mock.patch.object(compiling.cuda, "compile", compile_once):
        yield


@contextlib.contextmanager
def explanations(config):
    """A context in which each rung's machine code is generated once, when it is requested without options."""
    from jitnet.lab import explain
    from jitnet.process.progress import ignore

    generate = explain.answers

    def answers_once(requests, report=ignore):
        names = [
            "explain/" + ("" if ":" in request["target"] else f"{request['target']}-{request['dtype']}")
            for request in requests
        ]
        answers = [known(config, name) if not name.endswith("/") else None for name in names]
        missing = [n for n, answer in enumerate(answers) if answer is None]
        for n, answer in zip(missing, generate([requests[n] for n in missing], report) if missing else (), strict=True):
            answers[n] = answer if names[n].endswith("/") or "error" in answer else remember(config, names[n], answer)
        return answers

    with mock.patch.object(explain, "answers", answers_once):
        yield
