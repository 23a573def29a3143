"""Show the folder of compiled kernels and its size; --clear removes the kernels of all versions of jitnet."""

import argparse
import contextlib
import os
from pathlib import Path
from typing import Any

from .. import checks
from ..compiler.cache import kernels_folder
from ..compiler.cache_folder import cache_folder, kernel_files, kernel_folders, remove_kernels
from .shared import as_json


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clear", action="store_true", help="remove all compiled kernels; data sets stay")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(options: argparse.Namespace) -> int:
    folder, current = cache_folder(), kernels_folder()
    folders = kernel_folders(folder)
    result: dict[str, Any] = {
        "folder": str(folder), "chosen_by": "JITNET_CACHE_DIR" if os.environ.get("JITNET_CACHE_DIR") else None,
        "kernels": _sizes([file for each in folders if each == current for file in kernel_files(each)]),
        "other_versions": _sizes([file for each in folders if each != current for file in kernel_files(each)]),
        "data": _sizes([file for file in (folder / "data").rglob("*") if file.is_file()]),
        "cleared": options.clear,
    }  # fmt: skip
    if options.clear:
        for each in folders:
            try:
                remove_kernels(each)
            except OSError as error:
                raise checks.Error(f"cannot remove the kernels in {each}: {checks.reason(error)}") from None
    print(as_json(result) if options.json else _in_words(result))
    return 0


def _sizes(files: list[Path]) -> dict[str, int]:
    """The number of files and their bytes."""
    sizes = []
    for file in files:
        with contextlib.suppress(OSError):  # another process removes files too
            sizes.append(file.lstat().st_size)
    return {"files": len(sizes), "bytes": sum(sizes)}


def _in_words(result: dict[str, Any]) -> str:
    kernels, others, data = (result[name] for name in ("kernels", "other_versions", "data"))
    chosen = " (JITNET_CACHE_DIR)" if result["chosen_by"] else ""
    parts = [("compiled kernels", kernels), ("of other versions", others), ("data sets", data)]
    lines = [f"{'cache':<20}{result['folder']}{chosen}"]
    lines += [
        f"{name:<20}{checks.count(part['files'], 'file')}, {checks.byte_count(part['bytes'])}" for name, part in parts
    ]
    if not kernels["files"] + others["files"]:
        return "\n".join([*lines, "jitnet warmup compiles all kernels"])
    if not result["cleared"]:
        return "\n".join([*lines, "jitnet cache --clear removes the kernels"])
    total = {name: kernels[name] + others[name] for name in ("files", "bytes")}
    removed = f"removed {checks.count(total['files'], 'kernel')}, {checks.byte_count(total['bytes'])}"
    return "\n".join([lines[0], f"{removed}; they are compiled again when they are needed"])
