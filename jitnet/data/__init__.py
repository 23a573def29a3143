"""Data to learn from: digits on board, MNIST by download, and your own CSV, NPZ and IDX files.

digits()                     1797 handwritten digits, 8×8 pixels, always at hand
mnist(), fashion_mnist()     70 000 pictures of 28×28 pixels, downloaded once
split(X, y, test=0.2)        a part to learn from and a part to be judged by
read_table(path, target)     a CSV, NPZ or IDX file
"""

from .digits import load_digits as digits
from .download import fashion_mnist, mnist
from .idx import read_idx
from .recipe import Recipe
from .split import split
from .table import Table, read_table

__all__ = ["Recipe", "Table", "digits", "fashion_mnist", "mnist", "read_idx", "read_table", "split"]
