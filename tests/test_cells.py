"""The value of one cell of a table, and the format that the cells of a column share."""

import numpy as np
import pytest
from files import csv

import jitnet
from jitnet.canonical import canonical
from jitnet.data import Recipe, read_table
from jitnet.data.cells import has_code
from jitnet.data.dates import DATES
from jitnet.data.values import NUMBERS, PLAIN, distinct, form_of, labels_of, lookalikes, numbers_in


def test_leading_zeros_make_a_column_a_code():
    assert has_code(["7", "07"])
    assert not has_code(["70", "0", "-0", "-7", ""])


def test_column_with_a_tenth_of_words_is_text():
    numbers, words = [str(k) for k in range(90)], list("abcdefghij")
    assert form_of(numbers + words[:3], np.ones(93)) == (PLAIN, words[:3])
    assert form_of(numbers + words, np.ones(100)) == (None, numbers + words)


@pytest.mark.parametrize("name", ["a", "y"])
def test_a_number_that_is_infinite_as_a_float64_is_named(tmp_path, name):
    rows = "".join(f"{i},{i * 1.5}\n" for i in range(40))
    table = read_table(csv(tmp_path, f"x,{name}\n{rows}7,1e999\n"), "x" if name == "a" else "y")
    with pytest.raises(jitnet.Error, match=f"line 42, column '{name}': '1e999' is too large; replace it"):
        Recipe.learn(table, range(40))


def test_names_of_one_number_are_lookalikes():
    assert lookalikes(["1" + 14 * "0", "1e14", "2"]) == ["'100000000000000' and '1e14'"]
    assert lookalikes(["1" + 15 * "0", "1e15"]) == []  # it may be a code


def test_equal_values_have_one_spelling():
    for values, spelling in (
        ((1, 1.0, "1", " 1.0 ", "1e0", np.float32(1), np.int8(1)), "1"),
        ((True, "true", "TRUE", np.True_), "True"),
        (("007",), "007"),
        (("1.5", 1.5), "1.5"),
        ((-2.0, "-2", "−2"), "-2"),
        (("a b ", "a b"), "a b"),
        (("a\r\nb", "a\nb"), "a\nb"),
        ((1e300, "1e300"), "1e+300"),
        (("12345678901234567890", 12345678901234567890), "12345678901234567890"),
        ((np.int64(2**53 + 1), "9007199254740993"), "9007199254740993"),
        (("1e999",), "1e999"),
    ):
        assert {canonical(value) for value in values} == {spelling}
    names, codes = distinct(np.array(["1", "b", None, "1.0", "TRUE", "true"], object))
    assert (names, codes.tolist()) == (["1", "b", "True"], [0, 1, -1, 0, 2, 2])
    names, codes = distinct(np.array([2.0, np.nan, 1, 2]))
    assert (names, codes.tolist()) == (["1", "2"], [1, -1, 0, 1])
    assert labels_of(["1", "2"]).tolist() == [1, 2]
    assert labels_of(["1", "2"]).dtype == np.int64
    assert labels_of(["0.5", "2"]).dtype == np.float64
    assert labels_of(["False", "True"]).dtype == bool
    assert labels_of(["007", "1"]).tolist() == ["007", "1"]
    assert form_of(["٠٥٠١", "١٢"], np.ones(2, int)) == (None, [])  # an Arabic 0501 is a code too
    assert labels_of(["1e999", "2e999"]).tolist() == ["1e999", "2e999"]  # identifiers, which are not both infinite


@pytest.mark.parametrize(
    ("form", "cells", "numbers"),
    [
        ("1,234.5", ["１，２３４", "￥５", "100円", "1,000.50-", "6％"], [1234, 5, 100, -1000.5, 6]),
        ("1,234.5", ["١٬٢٣٤٫٥", "۱۲۳", "१२,३४,५६७", "१०%", "১২", "๗"], [1234.5, 123, 1234567, 10, 12, 7]),
        ("1,234.5", ["Rs. 12,34,567/-", "450.-", "12.50"], [1234567, 450, 12.5]),
        ("1'234.5", ["CHF 1'200.–", "Fr. 80.--", "0.5"], [1200, 80, 0.5]),
        ("1.234,5", ["12,- €", "1.250,-- €", "3,50 €"], [12, 1250, 3.5]),
        ("1.234,5", ["1.234,50-", "3,00-", "7,0"], [-1234.5, -3, 7]),
        ("1,234.5", ["1,234.5", "$12", "-1,000,000", "15 %", "€ -3", "−4"], [1234.5, 12, -1e6, 15, -3, -4]),
        ("1.234,5", ["1.234,5", "3,14 €", "1.000.000", "-7"], [1234.5, 3.14, 1e6, -7]),
        ("1 234,5", ["1 234,5", "12\u202f345", "6,5"], [1234.5, 12345, 6.5]),
        ("1'234.5", ["1'234.5", "9’999", "1"], [1234.5, 9999, 1]),
        ("1,234.5", ["107,500", "100,500"], [107500, 100500]),  # not 107.5
        ("1.234,5", ["0,125", "0,5"], [0.125, 0.5]),
        ("yes/no", ["Yes", "no", "YES"], [1, 0, 1]),
        ("yes/no", ["f", "T"], [0, 1]),
        ("yes/no", ["True", "0", "False", "1"], [1, 0, 0, 1]),
        ("1,234.5", ["(1,234.50)", "(5)", "7"], [-1234.5, -5, 7]),
        ("1,234.5", ["$ (1,234.50)", "$(5)", "$ 7", "$ -", "(3) %"], [-1234.5, -5, 7, 0, -3]),
        ("1.234,5", ["€ (1.234,50)", "(5,25) €", "7 €"], [-1234.5, -5.25, 7]),
        ("1,234.5", ["12,34,567", "1,00,000.5", "99,999"], [1234567, 100000.5, 99999]),
        ("1,234.5", ["US$1,200", "R$ 3", "₩1,500", "15 ₽"], [1200, 3, 1500, 15]),
        ("1,234.5", ["Rs. 7", "kr 8", "9 zł", "AUD 10"], [7, 8, 9, 10]),
        ("1.234,5", ["R$ 1.234,50", "-3,1"], [1234.5, -3.1]),
        ("1 234,5", ["1\u2009234", "12\u2007345", "6,5"], [1234, 12345, 6.5]),
        ("1,234.5", ["–5", "‒7.5", "3"], [-5, -7.5, 3]),
        ("hour:minute", ["12:30 AM", "1:15pm", "12:00 PM", "11:59 am"], [0.5, 13.25, 12, 11 + 59 / 60]),
        ("hour:minute", ["0:30", "23:45:36"], [0.5, 23.76]),
        ("hour:minute", ["5:30 a.m.", "1:15 P.M."], [5.5, 13.25]),
    ],
)  # fmt: skip
def test_number_formats_are_recognized(form, cells, numbers):
    assert form_of(cells, np.ones(len(cells), int)) == (form, [])
    found, odd, _ = numbers_in(np.array([*cells, None], object), form)
    np.testing.assert_array_equal(found[:, 0], [*numbers, np.nan])
    assert odd is None


def test_long_cell_is_read_in_linear_time():
    for read in {**NUMBERS, **DATES}.values():
        for text in ("1" * 100_000 + "x", "1,234" * 20_000 + "x", "." + "1" * 100_000 + ".", " " * 100_000):
            assert read(text) is None


def test_a_point_before_an_exponent_separates_no_thousands():
    assert NUMBERS["1.234,5"]("6.453e+02") is None
    assert NUMBERS["1,234.5"]("6,453e2") is None
    assert NUMBERS["1.234,5"]("6,453e+02") == NUMBERS["1,234.5"]("6.453e+02") == (645.3,)


def test_numbers_have_one_sign():
    for text in ("-1.5-", "(-1.5)", "(1.5-)", "+1,234.50-"):
        assert not any(read(text) for read in NUMBERS.values()), text
