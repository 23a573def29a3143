"""Whether a point or a comma is decimal, or separates thousands, follows from the cells of a file."""

import re

import numpy as np
import pytest
from files import csv

from jitnet.data import Recipe, read_table
from jitnet.data.files.content import content_of
from jitnet.data.files.csv_file import read_csv
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
        (["5.505;1.234.567", "4.103;1"], [5505, 4103], ""),  # no more doubt
        (["5.505;1.234,8", "4.103;1"], [5505, 4103], ""),
        (["5.505;1,234,567", "991;1", "1.742;2"], [5.505, 991, 1.742], ""),
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


@pytest.mark.parametrize(
    ("rows", "values", "said"),
    [
        (["5.505,p", "991,q", "1.742,p"], [5505, 991, 1742], "! '5.505' is read as 5505, because '991' in its column"),
        (["€950,p", "€1.200,q"], [950, 1200], "! '1.200' is read as 1200, because '950' in its column has no point"),
        (["5.505,p", "1.742,q"], [5.505, 1.742], ""),
        (["5.505,0.5", "991,1", "1.742,2"], [5.505, 991, 1.742], ""),
        (['"1,000","0,00"', '"2,137","0,11"'], [1, 2.137], "'1,000' and others are read as numbers with a decimal"),
        (['5.505,"0,11"', "1.742,1"], [5505, 1742], "! '5.505' is read as 5505, because '0,11' has a decimal comma"),
        (['"1,000",p', '"2,137",q'], [1000, 2137], "! '1,000' is read as 1000; if its comma is decimal, add"),
        (['"1,000",p', "950,q"], [1000, 950], "'1,000' is read as 1000, because '950' in its column has no comma; if"),
        (['"1,000",p', '"1,000,137",q'], [1000, 1000137], ""),
        (['"1,000",p', '"2,137.5",q'], [1000, 2137.5], ""),
        (['"1,000",0.5', '"2,137",1'], [1000, 2137], ""),
    ],
)  # fmt: skip
def test_evidence_decides_on_quoted_commas_in_a_file_separated_by_commas(tmp_path, rows, values, said):
    """Without evidence, points are decimal. The sentences that begin with ! are warnings."""
    path = csv(tmp_path, "\n".join(["n,b,y", *(f"{row},u" for row in rows), ""]))
    table = read_table(path, "y", header=True)
    assert numbers_of_column(table) == values
    notes = [f"{'! ' * (note in table.guesses)}{note}" for note in table.notes]
    assert len(notes) == bool(said)
    assert all(note.startswith(said) for note in notes)
    for note in table.notes:
        other = read_table(path, "y", header=True, decimal=re.search(r"--decimal ([.,])", note)[1])
        assert not other.notes
        assert numbers_of_column(other) != values


@pytest.mark.parametrize("separator", [";", ","])
@pytest.mark.parametrize("engine", ["python", "pyarrow"])
@pytest.mark.parametrize(
    ("late", "other", "is_said"),
    [
        (["2.135", "3.240", "1.001"], "7", True), (["2.135", "3.24", "1.5"], "7", False), (["2.135"], "0.5", False),
        (["0.135"], "7", False), (["151.333"], "7", False), (["2.135", "1001"], "7", False),
    ],
)  # fmt: skip
def test_thousands_in_late_rows_are_pointed_out(tmp_path, separator, engine, late, other, is_said):
    """The first rows decide on the decimal sign."""
    cells = [*(str(i % 977) for i in range(1500)), *late]
    rows = [separator.join([cell, other if i == 1400 else "7", "ab"[i % 2]]) for i, cell in enumerate(cells)]
    path = csv(tmp_path, "\n".join([separator.join("nby"), *rows, ""]))
    table = read_csv(content_of(path), engine=engine)
    said = "2.135 in n is read with a decimal point, but other cells are up to 976; if it separates thousands, add"
    assert table.guesses == ([f"{said} --decimal ,"] if is_said else [])
    assert set(table.guesses) <= set(table.notes)
    assert not read_csv(content_of(path), engine=engine, decimal=".").guesses
    if is_said:
        assert numbers_of_column(read_csv(content_of(path), engine=engine, decimal=","))[-3:] == [2135, 3240, 1001]


def test_points_separate_thousands_with_decimal_commas(tmp_path):
    path = csv(tmp_path, "a;b;y\n" + "".join(f"{i + 1}.{100 + i};{i},5;{'uv'[i % 2]}\n" for i in range(8)))
    for decimal, mean in ((None, 4603.5), (",", 4603.5), (".", 4.6035)):
        recipe = Recipe.learn(read_table(path, "y", decimal=decimal), np.arange(8))
        means = dict(zip(recipe.standard.names, recipe.standard.mean, strict=True))
        means |= {column.name: column.mean[0] for column in recipe.columns}
        np.testing.assert_allclose([means["a"], means["b"]], [mean, 4.0])


def test_example_of_a_number_in_text_is_a_cell_that_the_decimal_sign_decides(tmp_path):
    """1,234,567.10 is longer, but has only one reading."""
    cells = [*(f"{i + 1},{100 + i}" for i in range(8)), "1,234,567.10"]
    path = csv(tmp_path, "a;y\n" + "".join(f"{cell};{'uv'[i % 2]}\n" for i, cell in enumerate(cells)))
    recipe = Recipe.learn(read_table(path, "y"), np.arange(9))
    assert recipe.decisions[-1].startswith("a is a number in text: '1,100' is 1100 (")


def test_a_comment_at_the_end_changes_no_decimal_sign(tmp_path):
    rows = "".join(f"2,{400 + i};1,5;10,96\n" for i in range(40))
    for end in ("", "# exported 2024\n"):
        assert numbers_of_column(read_table(csv(tmp_path, f"x;y;z\n{rows}{end}"), "z"))[:2] == [2.4, 2.401], end
