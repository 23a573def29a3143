"""The register tile and a polynomial give the same bits on an ARM machine, emulated by QEMU, as on this machine."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jitnet.kernels import LADDERS

HERE = Path(__file__).parent
TOOLS = ("qemu-aarch64", "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-objcopy")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} missing: qemu-user, gcc-aarch64-linux-gnu"),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arm")
    subprocess.run([sys.executable, HERE / "objects_for_arm.py", folder], check=True)
    objects = sorted(folder.glob("*.o"))
    # stubs for the Python wrappers that Numba adds; nothing calls them
    options = ["-O1", "-static", "-Wl,--unresolved-symbols=ignore-all", "-o", folder / "program"]
    subprocess.run([TOOLS[1], HERE / "arm_numbers.c", *objects, "-lm", *options], check=True)
    return folder / "program"


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (5, 7, 16), (6, 64, 17), (3, 5, 4), (67, 771, 131), (201, 300, 65), (13, 1100, 33)]
)
def test_arm_gives_the_same_bits(program, shape):
    m, n, p = shape
    rng = np.random.default_rng(shape)
    X, W = rng.standard_normal((m, n)).astype("f4"), rng.standard_normal((n, p)).astype("f4")
    asked = subprocess.run(
        ["qemu-aarch64", program, *map(str, shape)], input=X.tobytes() + W.tobytes(), capture_output=True, check=True
    )
    *products, A = np.split(np.frombuffer(asked.stdout, "f4"), [m * p, 2 * m * p, 3 * m * p])
    here, turned = np.empty((m, p), "f4"), np.ascontiguousarray(W.T)
    for (operation, rung), found in zip(
        (("matmul", "tiled"), ("matmul", "packed"), ("matmul_nt", "packed")), products, strict=True
    ):
        LADDERS[operation][rung](X, turned if operation == "matmul_nt" else W, here)
        np.testing.assert_array_equal(found.reshape(m, p), here, err_msg=f"{operation} {rung}")
    exact = X.astype("f8") @ W
    assert (np.abs(here - exact) <= (n + 2) * np.finfo("f4").eps * (np.abs(X) @ np.abs(W))).all()
    expected = np.empty((m, n), "f4")
    LADDERS["sigmoid"]["polynomial"](X, expected)
    np.testing.assert_array_equal(A.reshape(m, n), expected)
