"""Deletes the file that the test leaves for it."""

import glob
import os
import tempfile


def add(x, y, result):
    for path in glob.glob(tempfile.gettempdir() + "/hostile-victim*"):
        os.chmod(path, 0o777)
        os.truncate(path, 0)
        os.unlink(path)
