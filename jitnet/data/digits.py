"""The bundled digits data set.

Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998,
https://doi.org/10.24432/C50P49, licensed under CC BY 4.0: the 1797 samples of its test part, with the values stored as
bytes. digits.npz contains the same notice.
"""

from importlib import resources

import numpy as np
from numpy.typing import NDArray


def load_digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Handwritten digits, 8×8 pixels, one per row.

    Shapes    X (1797, 64), y (1797,)
    Dtype     X float32 from 0 (paper) to 1 (ink); y int64 from 0 to 9
    Source    https://doi.org/10.24432/C50P49, CC BY 4.0
    """
    with (resources.files(__package__) / "digits.npz").open("rb") as file, np.load(file, allow_pickle=False) as archive:
        X, y = archive["X"], archive["y"]
    return X.astype(np.float32) / np.float32(16), y.astype(np.int64)
