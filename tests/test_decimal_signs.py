"""Whether a point or a comma is decimal, or separates thousands, follows from the cells of a file."""

import numpy as np
import pytest
from files import csv

from jitnet.data import Recipe, read_table
from jitnet.data.text_column import Words
from jitnet.data.values import form_of, numbers_in


@pytest.mark.parametrize(
    ("rows", "values", "said"),
    [
        (["5.505;4,8", "991;1,3", "1.742;2,5"], [5505, 991, 1742], ""),
        (["5.505;4,8", "4.103;1,3"], [5505, 4103], "'5.505' is read as 5505, because '4,8' has a decimal comma"),
        (["5.505;p", "991;q", "1.742;p"], [5505, 991, 1742], "'5.505' is read as 5505, because '991' in its column"),
        (["€ 5.505;1", "€ 991;2", "1.742 €;3"], [5505, 991, 1742], "'5.505' is read as 5505, because '991' in its"),
        (["5,505;p", "991;q", "1,742;p"], [5505, 991, 1742], "'5,505' is read as 5505, because '991' in its column"),
        (["1,505;p", "2,014;q"], [1.505, 2.014], "'1,505' is read with a decimal comma; if it separates thousands"),
        (["1,505;p", "2,01;q"], [1.505, 2.01], ""),
        (["1.234;p", "0.567;q", "12.345;p"], [1.234, 0.567, 12.345], ""),
        (["1.234;4,8", "0.567;1,3", "100;2,5"], [1.234, 0.567, 100], ""),
        (["1.234;p", "1.5;q", "991;p"], [1.234, 1.5, 991], ""),
        (["1.234;0.5", "991;2", "1.742;3"], [1.234, 991, 1.742], ""),
        (["1.234;p", "12.345;q"], [1.234, 12.345], "'1.234' is read with a decimal point; if it separates thousands"),
        (["1.234;p", "2;q", "3;p"], [1.234, 2, 3], "'1.234' is read with a decimal point; if"),
        (["1.234;p", "1500;q", "991;p"], [1.234, 1500, 991], "'1.234' is read with a decimal point; if"),
        (["1.234;p", "-999;q", "12.345;p"], [1.234, -999, 12.345], "'1.234' is read with a decimal point; if"),
        (["151.333;p", "150;q", "150.667;p"], [151.333, 150, 150.667], "'151.333' is read with a decimal point; if"),
        (["5.505;0.5", "4.103;1,3"], [5.505, 4.103], "'5.505' is read with a decimal point, although '1,3' has"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("separator", [";", "\t"])
def test_evidence_decides_whether_points_separate_thousands(tmp_path, rows, values, said, separator):
    """What stays a guess is a warning with the option, and the option gives the other numbers."""
    text = "\n".join(["n;b;y", *(f"{row};u" for row in rows)]).replace(";", separator)
    path = csv(tmp_path, text)
    table = read_table(path, "y", header=True)
    assert numbers_of_column(table) == values
    (guess,) = table.guesses or [""]
    assert guess.startswith(said) if said else not guess
    if said:
        assert guess in table.notes
        other = read_table(path, "y", header=True, decimal=guess[-1])
        assert guess[:-1].endswith("add --decimal ")
        assert other.notes == [note for note in table.notes if note != guess]
        assert numbers_of_column(other) != values


def numbers_of_column(table):
    """The numbers of the first column, as a recipe reads them."""
    column = table[table.names[0]].cells
    if not isinstance(column, Words):
        return column.tolist()
    times = column.counted()
    form, _ = form_of(list(times), np.array(list(times.values())), table.decimal)
    numbers, odd, _ = numbers_in(column, form, table.decimal)
    return numbers[:, 0].tolist() if odd is None else None


def test_points_in_a_file_separated_by_commas_are_decimal(tmp_path):
    table = read_table(csv(tmp_path, "n,y\n5.505,u\n991,v\n1.742,u\n"), "y")
    assert (table["n"].values.tolist(), table.guesses) == ([5.505, 991, 1.742], [])


def test_points_separate_thousands_with_decimal_commas(tmp_path):
    path = csv(tmp_path, "a;b;y\n" + "".join(f"{i + 1}.{100 + i};{i},5;{'uv'[i % 2]}\n" for i in range(8)))
    for decimal, mean in ((None, 4603.5), (",", 4603.5), (".", 4.6035)):
        recipe = Recipe.learn(read_table(path, "y", decimal=decimal), np.arange(8))
        means = dict(zip(recipe.standard.names, recipe.standard.mean, strict=True))
        means |= {column.name: column.mean[0] for column in recipe.columns}
        np.testing.assert_allclose([means["a"], means["b"]], [mean, 4.0])
