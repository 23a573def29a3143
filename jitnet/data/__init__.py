"""Data sets: the bundled digits, MNIST by download, and your own CSV, NPZ and IDX files.

digits()                     1797 handwritten digits, 8×8 pixels, bundled with jitnet
mnist(), fashion_mnist()     70 000 images of 28×28 pixels, downloaded once
split(X, y, test=0.2)        training samples and test samples
read_table(path, target)     a CSV, NPZ or IDX file
"""

from .digits import load_digits as digits
from .download import fashion_mnist, mnist
from .idx import read_idx
from .reading import read_table
from .recipe import Recipe
from .split import split
from .table import Column, Table

__all__ = ["Column", "Recipe", "Table", "digits", "fashion_mnist", "mnist", "read_idx", "read_table", "split"]
