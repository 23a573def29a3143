"""The cache folder: its location, its permissions, and the files in it, which are written atomically.

jitnet runs machine code from this folder. A file is therefore trusted only if no other user can have written it: the
cache folder, the folder of these kernels in it, and the file belong to the user, and neither the group nor others have
write permission. This applies to root too. Otherwise a warning says how to fix it, and every process compiles its
kernels, as if there were no cache. Parent folders need no check: a user who can rename them can put another folder in
place of ours, but not a file that belongs to this user.

Not covered: other programs of the same user, root, and access control lists that the mode does not show, as on some
network file systems. Windows has no such mode; there the folder is in the user's profile, which is private.
"""

import contextlib
import functools
import hashlib
import json
import os
import re
import stat
import sys
import tempfile
import time
import uuid
import warnings
from pathlib import Path
from typing import Any, BinaryIO

HOUR, DAY = 3600, 86400


def cache_folder() -> Path:
    """The folder for files that jitnet can recreate: $JITNET_CACHE_DIR, else the default folder."""
    chosen = os.environ.get("JITNET_CACHE_DIR")
    return _at_home(chosen) if chosen else usual_cache_folder()


def usual_cache_folder() -> Path:
    """The default: a folder in the user's cache folder."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _at_home(f"{base}/jitnet")


def temporary_cache_folder() -> Path:
    """A name per user: one name for all would belong to the first user who creates it."""
    user = "" if sys.platform == "win32" else f"-{os.geteuid()}"
    return Path(tempfile.gettempdir()) / f"jitnet{user}"


def _at_home(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # the user has no home folder, as in some containers
        return temporary_cache_folder()


def make_cache_folder() -> Path:
    """Create the cache folder, if it does not exist, with permissions for this user alone.

    Errors    OSError if it cannot be created
    """
    return _make(cache_folder())


def _make(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def objection_to(folder: Path) -> tuple[str, str] | None:
    """Why a folder in the cache folder is not trusted, and the fix.

    None if it is trusted, or if neither of the two folders exists yet.
    """
    for place in (folder.parent, folder):
        try:
            entries = [place.lstat()]  # of a link too: its owner decides where it points
            if stat.S_ISLNK(entries[0].st_mode):
                entries.append(place.stat())
        except OSError:  # it does not exist, or cannot be read; the next access reports that
            return None
        if not stat.S_ISDIR(entries[-1].st_mode):  # /dev/null, for example, which must keep its mode
            return None
        for entry in entries:
            if _belongs_to_another(entry):
                own = "set JITNET_CACHE_DIR to a folder of your own"
                return f"{place} belongs to another user (uid {entry.st_uid})", own
            if _is_open_to_others(entry):
                shared = entry.st_mode & stat.S_ISVTX  # the temporary folder, for example, which others need
                fix = "set JITNET_CACHE_DIR to a folder of your own" if shared else f"chmod 700 {place.absolute()}"
                return f"other users can write to {place} (mode {stat.S_IMODE(entry.st_mode):o})", fix
    return None


def _belongs_to_another(entry: os.stat_result) -> bool:
    return sys.platform != "win32" and entry.st_uid != os.geteuid()


def _is_open_to_others(entry: os.stat_result) -> bool:
    writable = stat.S_IWGRP | stat.S_IWOTH
    return sys.platform != "win32" and not stat.S_ISLNK(entry.st_mode) and bool(entry.st_mode & writable)


def _is_refused(folder: Path) -> bool:
    objection = objection_to(folder)
    if objection:
        found, fix = objection
        _warn_once(f"{found}, so compiled kernels are neither loaded from there nor saved there; {fix}")
    return objection is not None


def is_cached(path: Path) -> bool:
    """True if the file exists and is trusted."""
    file = _opened(path)
    if file:
        file.close()
    return file is not None


def read_cached(path: Path) -> bytes | None:
    """What `write_cached` wrote; None if the file does not exist, is damaged or is not trusted."""
    file = _opened(path)
    if not file:
        return None
    with file:
        try:
            content = file.read()
        except OSError:
            return None
    _sweep_out_temporaries(path.parent)
    checksum, payload = content[:32], content[32:]
    return payload if hashlib.blake2b(payload, digest_size=32).digest() == checksum else None


def _opened(path: Path) -> BinaryIO | None:
    if _is_refused(path.parent):
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    except OSError:
        return None
    entry = os.fstat(descriptor)  # of the open file: another file can have its name by now
    if _belongs_to_another(entry) or _is_open_to_others(entry) or not stat.S_ISREG(entry.st_mode):
        os.close(descriptor)
        return None
    return open(descriptor, "rb")


def write_cached(path: Path, payload: bytes) -> None:
    """Write a file atomically; the first failure is a warning."""
    folder = path.parent
    temporary = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
    try:
        _make(folder.parent)
        if _is_refused(folder):
            return
        if not folder.exists():
            _make(folder)
            _sweep_out_old_folders(folder)
        with open(temporary, "xb", opener=functools.partial(os.open, mode=0o600)) as file:
            file.write(hashlib.blake2b(payload, digest_size=32).digest() + payload)
        os.replace(temporary, path)
    except OSError as error:
        _warn_once(
            f"cannot save compiled kernels in {folder} ({error.strerror}), so every "
            "process compiles them again; set JITNET_CACHE_DIR to a folder that can be written"
        )
    finally:
        with contextlib.suppress(OSError):  # a partial file, if the disk is full
            temporary.unlink(missing_ok=True)


def packed(about: dict[str, Any], *code: bytes) -> bytes:
    """Machine code and its metadata: one line of JSON, then bytes.

    Not a pickle: loading one runs code before its content can be checked.
    """
    return json.dumps([about, [len(part) for part in code]]).encode() + b"\n" + b"".join(code)


def unpacked(payload: bytes | None) -> tuple[dict[str, Any], list[bytes]] | None:
    """The arguments of `packed`; None if the data do not have this form."""
    header, _, code = (payload or b"").partition(b"\n")
    try:
        about, sizes = json.loads(header)
    except ValueError:
        return None
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return about, [code[end - size : end] for size, end in zip(sizes, ends, strict=True)]


@functools.cache
def _sweep_out_temporaries(folder: Path) -> None:
    """Remove the partial files that killed processes left in one of our folders, once per process."""
    for file in folder.glob("*.tmp"):
        with contextlib.suppress(OSError):  # another process sweeps too
            ours = re.fullmatch(r".+-[0-9a-f]{32}\.[0-9a-f]{32}\.tmp", file.name)
            if ours and time.time() - file.lstat().st_mtime > HOUR:
                file.unlink()


def kernel_folders(folder: Path) -> list[Path]:
    """The folders of kernels in the cache folder, of all versions of the sources; nothing else in it is a kernel's."""
    found: list[Path] = []
    with contextlib.suppress(OSError):  # there is none yet, or a folder that can be written may not be listed
        for entry in folder.iterdir():
            if re.fullmatch(r"kernels-[0-9a-f]{32}", entry.name) and stat.S_ISDIR(entry.lstat().st_mode):
                found.append(entry)
    return sorted(found)


def kernel_files(folder: Path) -> list[Path]:
    """The kernels in such a folder, and what killed processes left of them."""
    return [*folder.glob("*.kernel"), *folder.glob("*.tmp")]


def remove_kernels(folder: Path) -> None:
    """Remove the kernels, and then the folder, if it is empty. A process that runs them has them in memory.

    Errors    OSError, for a folder that is not ours to change
    """
    for file in kernel_files(folder):
        file.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _sweep_out_old_folders(current: Path) -> None:
    """Remove the folders of other versions of the kernels that have been unchanged for a month."""
    for folder in kernel_folders(current.parent):
        with contextlib.suppress(OSError):  # another process sweeps too, or it is not ours to remove
            if folder != current and time.time() - folder.lstat().st_mtime > 30 * DAY:
                remove_kernels(folder)


@functools.cache
def _warn_once(message: str) -> None:
    warnings.warn(message, stacklevel=2)
