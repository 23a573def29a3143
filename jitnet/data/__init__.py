"""Data sets: the bundled digits, MNIST by download, and your own tables and images.

digits()                     1797 handwritten digits, 8×8 pixels, bundled with jitnet
mnist(), fashion_mnist()     70 000 images of 28×28 pixels, downloaded once
split(X, y, test=0.2)        training samples and test samples
read_table(path, target)     a CSV, workbook, Parquet, NPZ or IDX file, or a folder of images
from_frame(X, y)             DataFrames and arrays in Python
Recipe, Choices              how the columns of a table are prepared, and the user's decisions about them
"""

from .digits import load_digits as digits
from .download import fashion_mnist, mnist
from .files.idx import read_idx
from .files.reading import read_table
from .frames import from_frame
from .preprocessing.decisions import Choices
from .preprocessing.recipe import Recipe
from .split import split
from .table import Column, Table

__all__ = [
    "Choices",
    "Column",
    "Recipe",
    "Table",
    "digits",
    "fashion_mnist",
    "from_frame",
    "mnist",
    "read_idx",
    "read_table",
    "split",
]
