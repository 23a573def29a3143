"""A folder of images: one folder per class, PNG or JPEG, all of one size."""

import importlib.util
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import checks
from ...checks import count, some
from ..cells import has_code, numbers_of
from ..missing import is_missing
from ..table import Column, Table

ENDINGS = (".png", ".jpg", ".jpeg")
ORIENTATION, LYING = 0x0112, 5
"""The number in which cameras note how an image is turned; from 5 on, width and height are exchanged."""


def read_folder(path: str | Path, wanted: int | None = None) -> Table:
    """The images of a folder, sorted by their names; the class of each is the name of its folder.

    If one image is in color, all become red, green and blue; otherwise they are gray. Transparency is left out.
    Pixels become float32 from 0 to 1, in the order height, width, color.

    path    for predictions, the images can be directly in the folder, without classes; or a single image
    wanted  for predictions: the number of inputs of the model, which decides between gray and color
    Errors  ValueError that names the odd image if not all have one size, or one that cannot be read; if there is
            none, or one outside the folders of the classes, or Pillow is missing
    """
    folder = Path(path)
    inner = sorted(one for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []
    classes = {one.name: _pictures(one) for one in inner if not one.name.startswith(".")}
    alone = _pictures(folder) if folder.is_dir() else [folder]
    if alone and (wanted is None or any(classes.values())):
        raise checks.Error(
            f"{alone[0].name} is directly in {folder}; put each image into a folder with the name of its class"
        )
    names = [name for name, files in classes.items() for _ in files]
    files = alone or [file for found in classes.values() for file in found]
    if not files:
        raise checks.Error(
            f"{folder} has no images: it needs one folder for each class, with PNG or JPEG files{_hint(folder)}"
        )
    empty = [name for name, found in classes.items() if not found]
    if empty and wanted is None:
        raise checks.Error(f"{folder / empty[0]} has no PNG or JPEG files{_hint(folder / empty[0])}")
    if importlib.util.find_spec("PIL") is None:
        raise checks.Error("PNG and JPEG images need Pillow: pip install 'jitnet[data]'")
    X, note = _pixels(files, wanted)
    columns = [Column("label", _labels(names))] if names else []
    others = [file for one in (inner if names else [folder] if folder.is_dir() else []) for file in _others(one)]
    notes = [note, *([f"{count(len(others), 'other file')} not read, such as {others[0]}"] if others else [])]
    return Table(columns, str(path), "pictures", notes=notes, target="label", matrix=X)


def _pictures(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in ENDINGS and not file.name.startswith("."))


def _others(folder: Path) -> list[Path]:
    if folder.name.startswith("."):
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() not in ENDINGS and file.name[0] != ".")


def _hint(folder: Path) -> str:
    names = sorted(file.name for file in folder.iterdir())
    for place in (folder, *(one for one in sorted(folder.iterdir()) if one.is_dir())):
        if any(one.is_dir() and _pictures(one) for one in place.iterdir()):
            return f"; the folders in {place} have some: name {place} instead"
    if any("idx3" in name for name in names):
        return f"; for the files of MNIST write: jitnet train mnist --path {folder}"
    return f"; it holds {some(names, 5)}" if names else "; remove it"


def _labels(names: list[str]) -> NDArray[Any]:
    numbers = None if has_code(names) or any(map(is_missing, names)) else numbers_of(names)
    return np.array(names, object) if numbers is None else numbers


def _pixels(files: list[Path], wanted: int | None) -> tuple[NDArray[np.float32], str]:
    """All images as rows, and a sentence on their size and colors."""
    forms = [_form(file) for file in files]
    size, most = Counter(size for size, _ in forms).most_common(1)[0]
    odd = next((i for i, (its, _) in enumerate(forms) if its != size), None)
    if odd is not None:
        raise checks.Error(
            f"{files[odd]} is {_shown(forms[odd][0])}, but {most} of {count(len(files), 'image')} are "
            f"{_shown(size)}; scale all to one size"
        )
    pixels, colored = size[0] * size[1], sum(has_colors for _, has_colors in forms)
    if wanted is not None and wanted not in (pixels, 3 * pixels):
        raise checks.Error(
            f"{files[0]} is {_shown(size)}, {pixels} gray pixels or 3 times as many colors, but the model learned from "
            f"{wanted} numbers; scale the images to the size of those for training"
        )
    in_color = colored > 0 if wanted is None else wanted == 3 * pixels
    X = np.empty((len(files), pixels * (3 if in_color else 1)), np.float32)

    def read(row: int) -> None:
        X[row] = _opened(files[row], in_color).ravel()

    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding Python's lock
        for _ in pool.map(read, range(len(files))):
            pass
    X /= np.float32(255)
    note = f"{count(len(files), 'image')} of {_shown(size)}, in {'color' if in_color else 'gray'}"
    if in_color and colored < len(files):
        note += f", as {colored} of them have colors"
    if not in_color and colored:
        note += ", as the model learned"
    return X, note


def _shown(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]} pixels"


def _form(file: Path) -> tuple[tuple[int, int], bool]:
    """Width and height, and whether the image has colors; from the start of the file."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            size = image.size[::-1] if image.getexif().get(ORIENTATION, 1) >= LYING else image.size
            if image.mode == "P":
                entries = np.array(image.getpalette("RGB"), int).reshape(-1, 3)
                return size, bool((entries != entries[:, :1]).any())
            return size, image.mode not in ("1", "L", "LA", "I", "I;16")
    except Exception as error:  # a damaged image can cause any exception in its reader
        raise _unreadable(file, error) from None


def _opened(file: Path, in_color: bool) -> NDArray[np.uint8]:
    """(height, width) or (height, width, 3) bytes, turned as programs show the image."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as opened:
            is_turned = opened.getexif().get(ORIENTATION, 1) > 1
            image = ImageOps.exif_transpose(opened) if is_turned else opened
            if image.mode in ("I", "I;16"):  # 16 bits of gray, which Pillow would clip at 255
                gray = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
                return np.repeat(gray[:, :, None], 3, axis=2) if in_color else gray
            return np.asarray(image.convert("RGB" if in_color else "L"))
    except Exception as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: Exception) -> checks.Error:
    return checks.Error(f"{file} is not a readable image: {checks.reason(error)}; remove it, or save it again")
