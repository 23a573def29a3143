"""Dates in tables: their notations, and the numbers they become."""

import datetime
import re

import numpy as np
import pytest
from files import csv

import jitnet
from jitnet.data import Choices, Recipe, from_frame, read_table
from jitnet.data.dates import COMPACT, DATES, first_year_of
from jitnet.data.frames import table_of
from jitnet.data.values import form_of, numbers_in


@pytest.mark.parametrize("form", [form for form in DATES if form != COMPACT])
def test_numbers_are_not_dates(form):
    numbers, where, text = numbers_in(np.array([np.nan, 20240131.0]), form)
    assert np.isnan(numbers).all()
    assert (where, text) == (1, "20240131")


@pytest.mark.parametrize(
    ("form", "cells"),
    [
        ("year-month-day", ["2020-02-29", "1999-12-31"]),
        ("year-month-day", ["2020-02-29 12:00", "1999-12-31T12:00:00Z"]),
        ("year-month-day", ["2020-02-29T12:00+0200", "1999-12-31 12:00:00 UTC"]),
        ("year-month-day", ["2020-2-29", "1999-12-31"]),
        ("year-month-day", ["2020.02.29", "1999.12.31"]),
        ("day.month.year", ["29.02.2020", "31.12.1999"]),
        ("day.month.year", ["29.2.2020 9:5", "31.12.1999 23:59:9"]),
        ("month/day/year", ["2/29/2020", "12/31/1999"]),
        ("month/day/year", ["2/29/20 9:05 AM", "12/31/99 12:00:00 am"]),
        ("day/month/year", ["29/02/2020", "31/12/1999"]),
        ("day month year", ["29 Feb 2020", "31 Dec 1999"]),
        ("month day, year", ["February 29, 2020", "Dec 31, 1999"]),
        ("month day, year", ["Saturday, February 29, 2020", "Fri, Dec 31, 1999 11:59 PM"]),
        ("day month year", ["Saturday, 29 February 2020", "Fri 31 Dec 1999 23:59"]),
        ("month day, year", ["Feb-29-2020", "Dec-31-1999"]),
        ("month/day/year", ["2/29/2020, 9:05:07 AM", "12/31/1999, 11:59:59\u202fPM"]),  # as browsers write it
        ("month/day/year", ["2/29/2020 9:05am", "12/31/1999 11:59 p.m."]),
        ("month day, year", ["Feb 29 2020  9:05AM", "Dec 31 1999 11:59PM"]),  # as SQL Server writes it
        ("month day, year", ["Feb. 29th, 2020", "December 31st 1999"]),
        ("day.month.year", ["29.02.20, 14:30", "31.12.99 23:59:59,5"]),
        ("day/month/year", ["29/02/2020 14:30:15.123456789", "31/12/1999 23:59 UTC"]),
        ("year/month/day", ["2020/02/29", "1999/12/31"]),
        ("year-month-day", ["2020-02-29 12:00:00 +0100", "1999-12-31 12:00+01"]),
        ("year-month-day", ["2020-02-29 12:00:00,123", "1999-12-31T12:00:00.5-05:00[America/New_York]"]),
        ("year-month-day", ["2020年2月29日", "1999년 12월 31일"]),
        ("day month year", ["29/Feb/2020:12:00:00 +0100", "31/Dec/1999"]),
        ("weekday, day month year", ["Sat, 29 Feb 2020 12:00:00 GMT", "Fri Dec 31 12:00:00 1999"]),
        (COMPACT, ["20200229T143000", "19991231T2359Z"]),
    ],
)
def test_date_formats_are_recognized(form, cells):
    assert form_of(cells, np.ones(2, int)) == (form, [])
    found = numbers_in(np.array(cells, object), form)[0]
    for row, date in zip(found, (datetime.date(2020, 2, 29), datetime.date(1999, 12, 31)), strict=True):
        days = (date - datetime.date(1970, 1, 1)).days
        assert (row[0] // 1, row[1], row[2]) == (days, date.month, date.weekday())


@pytest.mark.parametrize(
    ("form", "cells", "first"),
    [("year-month-day", ["2020-02", "1999-12"], ["2020-02-01", "1999-12-01"]),
        ("month year", ["Feb 2020", "December 1999"], ["2020-02-01", "1999-12-01"]),
        ("month year", ["Feb-20", "Dec-99"], ["2020-02-01", "1999-12-01"]),
        ("month year", ["02/2020", "12/1999"], ["2020-02-01", "1999-12-01"]),
        ("month year", ["2-2020", "12-1999"], ["2020-02-01", "1999-12-01"]),
        ("year-month-day", ["Q2 2020", "Q4/1999"], ["2020-04-01", "1999-10-01"]),
        ("year-month-day", ["2020Q2", "1999-Q4"], ["2020-04-01", "1999-10-01"]),
        ("month year", ["2020 Feb", "1999-December"], ["2020-02-01", "1999-12-01"]),
        ("year-month-day", ["2020-W01", "1999 W52"], ["2019-12-30", "1999-12-27"])],
)  # fmt: skip
def test_a_month_a_quarter_and_a_week_are_their_first_day(form, cells, first):
    assert form_of(cells, np.ones(2, int)) == (form, [])
    days, first = (numbers_in(np.array(c, object), f)[0] for c, f in ((cells, form), (first, "year-month-day")))
    np.testing.assert_array_equal(days, first)


@pytest.mark.parametrize(
    "cell",
    ["2020-13", "1234-05", "2020-02-30", "2020-02-01 25:00", "2020年13月1日", "Mon", "Sun, 5", "19990230", "21001231",
        "Fri, 31 Feb 2020 12:00:00 GMT", "Fri " + "1" * 50, "1999123", "31/Dec/9999:23:59:59 -0500",
        "Fri, 31 Dec 9999 23:00:00 -1200", "13/2020", "0-2020", "Abc-20", "Q5 2020", "3.1999999", "2021-W53",
        "2020 Abc", "3.2", "1.2-2020", "Sunnyday, January 1, 2024", "Mon Jan 1 10:30 PM 2024"],
)  # fmt: skip
def test_texts_that_are_no_dates_are_not_read(cell):
    assert not any(read(cell) for read in DATES.values())


def test_month_and_weekday_are_those_of_the_time_zone_of_a_date():
    found, odd, _ = numbers_in(np.array(["2024-01-01T00:30:00+01:00", "2023-12-31T23:30Z"], object), "year-month-day")
    assert odd is None
    assert found[0, 0] == found[1, 0] == 19722 + 23.5 / 24  # the same instant, on different days
    assert found[:, 1:].tolist() == [[1, 0, 0.5], [12, 6, 23.5]]


DAYS = [f"2024-{1 + i % 12:02}-{1 + i * 5 % 28:02}" for i in range(40)]
NUMBERS = [int(day.replace("-", "")) for day in DAYS]


@pytest.mark.parametrize(
    ("cells", "days"),
    [
        (NUMBERS, DAYS), ([f"{n}" for n in NUMBERS], DAYS), ([*NUMBERS[1:], None], [*DAYS[1:], None]),
        (["unknown", *map(str, NUMBERS[1:])], ["unknown", *DAYS[1:]]),
        ([n // 100 for n in NUMBERS], [f"{day[:7]}-01" for day in DAYS]),
        ([n * 10000 + 1430 for n in NUMBERS], [f"{day} 14:30" for day in DAYS]),
        ([n * 1000000 + 143015 for n in NUMBERS], [f"{day} 14:30:15" for day in DAYS]),
    ],
)  # fmt: skip
def test_dates_without_separators_are_prepared_like_others(cells, days):
    """In columns of numbers and of text, and one by one for predictions."""
    recipes = [Recipe.learn(from_frame({"d": d, "y": ["a", "b"] * 20}, "y"), range(40)) for d in (cells, days)]
    assert recipes[0].decisions[-1].startswith("d holds dates, yearmonthday: days, month, weekday")
    assert recipes[0].decisions[-1].endswith("(--numeric d)")
    X, other = (recipe.prepare(from_frame({"d": d}))[0] for recipe, d in zip(recipes, (cells, days), strict=True))
    np.testing.assert_array_equal(X, other)
    np.testing.assert_array_equal(recipes[0].prepare(from_frame({"d": [cells[5]]}))[0], X[5:6])


MONTHS = [f"{1 + i % 12:02}.{1997 + i // 12}" for i in range(40)]
FIRST_DAYS = [f"{month[3:]}-{month[:2]}-01" for month in MONTHS]


@pytest.mark.parametrize(
    "cells",
    [
        list(map(float, MONTHS)), ["-", *MONTHS[1:]], [*map(float, MONTHS[1:]), None],
        ["-", *(f"{float(month)}" for month in MONTHS[1:])],
    ],
    ids=["n", "text", "gap", "without zeros"],
)  # fmt: skip
def test_months_with_a_point_are_no_decimal_numbers(cells):
    """10.2000 is 10.2 as a number."""
    there = [cell for cell in cells if cell not in ("-", None)]
    days = [FIRST_DAYS[MONTHS.index(f"{float(cell):07.4f}")] if cell in there else None for cell in cells]
    recipes = [Recipe.learn(from_frame({"d": d, "y": ["a", "b"] * 20}, "y"), range(40)) for d in (cells, days)]
    assert recipes[0].decisions[-2].startswith("d holds dates, month.year: days, month, weekday")
    assert recipes[0].warnings == ["d is read as months, month.year; if these are numbers, add --numeric d"]
    with pytest.raises(jitnet.Error, match=r"'?3.20241'? is not a date like month.year; empty"):
        recipes[0].X(from_frame({"d": [3.2024, 3.20241]}))
    X, other = (recipe.X(from_frame({"d": d})) for recipe, d in zip(recipes, (cells, days), strict=True))
    np.testing.assert_array_equal(X, other)
    numbers = Recipe.learn(from_frame({"d": cells, "y": ["a", "b"] * 20}, "y"), range(40), None, Choices(numeric=["d"]))
    assert [column.form for column in numbers.columns] == ["1234.5"] * (len(there) < 40)


@pytest.mark.parametrize(
    "cells",
    ["1.1987 1.2031 1.2011 2.1999 1.1989", "1.2 2.2 3.2 4.2 5.2", "1.299 2.249 3.219 5.279 2.289",
        "1.25 2.25 3.25 4.25 5.25", "1.202 2.203 3.204 4.201 5.206"],
)  # fmt: skip
def test_prices_and_sections_are_no_months(cells):
    recipe = Recipe.learn(from_frame({"d": cells.split() * 8, "y": ["a", "b"] * 20}, "y"), range(40))
    assert (recipe.standard.names, recipe.warnings) == (["d"], [])
    recipe = Recipe.learn(from_frame({"d": ["-", *(cells.split() * 8)[1:]], "y": ["a", "b"] * 20}, "y"), range(40))
    assert recipe.columns[0].form == "1234.5"


@pytest.mark.parametrize(("cost", "a"), [("3,5", 1250), ("3", 1.25)])
def test_thousands_are_no_months(tmp_path, cost, a):
    """They are evidence for the decimal sign, and a note names one."""
    rows = [f"{cell};{cost};{i % 2}" for i, cell in enumerate(["1.250", "2.230", "3.210", "4.250", "5.280"])]
    table = read_table(csv(tmp_path, "\n".join(["a;cost;y", *rows])), "y")
    assert numbers_in(table["a"].cells, "1234.5", table.decimal)[0][0, 0] == a
    assert [note for note in table.notes if "'1.250' is read" in note and "--decimal" in note]


@pytest.mark.parametrize(
    ("cells", "form"),
    [("Jan-02 Feb-13 Mar-31 Apr-30", None), ("Jan-02 Feb-13 Mar-12 Apr-10", None), ("Dec-24 Jan-19", "month year"),
        ("Jan-02 Feb-95 Mar-31", "month year"), ("Jan-00 Feb-05 Mar-31", "month year")],
)  # fmt: skip
def test_days_behind_a_month_are_no_years(cells, form):
    """Recent years and those that are no day are years."""
    assert form_of(cells.split(), np.full(len(cells.split()), 10))[0] == form


def test_months_with_a_point_do_not_decide_on_the_decimal_sign(tmp_path):
    rows = [f"{month};1.{100 + i};{i},5;{'ab'[i % 2]}" for i, month in enumerate(MONTHS)]
    table = read_table(csv(tmp_path, "\n".join(["month;sales;cost;y", *rows])), "y")
    assert table.decimal == ","
    recipe = Recipe.learn(table, range(40))
    assert (
        recipe.columns[0].extent[1] - recipe.columns[0].extent[0]
        == (datetime.date(2000, 4, 1) - datetime.date(1997, 1, 1)).days
    )
    assert [column.mean for column in recipe.columns if column.name == "sales"] == [[1119.5]]
    assert any("holds dates, month.year" in said and "(--categorical month)" in said for said in recipe.decisions)


@pytest.mark.parametrize("written", ["%d.%m.%Y", "%m/%d/%y", "%Y%m%d", "%d %b %Y", "%a %b %d %H:%M:%S %Y"])
def test_dates_that_python_has_read_are_those_of_the_file(written):
    """A DataFrame with dates, or ISO dates, for a model that learned from another notation."""
    dates = [datetime.datetime.fromisoformat(day) for day in DAYS]
    table = from_frame({"d": [date.strftime(written) for date in dates], "y": ["a", "b"] * 20}, "y")
    recipe = Recipe.learn(table, range(40))
    for other in (dates, DAYS, np.array(DAYS, "M8[s]")):
        np.testing.assert_array_equal(recipe.X(from_frame({"d": other})), recipe.X(table))


def test_dates_become_days_month_and_weekday_by_hand():
    days = ["2024-01-01", "2024-01-03", None, "2024-01-03", "2024-01-01", "2024-01-02"]
    table = from_frame({"d": days, "y": ["a", "b"] * 3}, "y")
    X = Recipe.learn(table, range(6)).X(table)
    assert X.shape == (6, 4)
    np.testing.assert_allclose(X[:2, 0], [-1 / np.sqrt(0.8), 1 / np.sqrt(0.8)])
    np.testing.assert_array_equal(X[:, 1], 0)  # always January
    np.testing.assert_array_equal(X[:, 3], [0, 0, 1, 0, 0, 0])


def test_the_hour_is_an_input_if_the_times_differ():
    times = [f"{day} {i % 24:02}:{i:02}" for i, day in enumerate(DAYS)]
    for cells, parts in ((DAYS, 3), ([f"{day} 12:00" for day in DAYS], 3), (times, 4), ([*times[1:], None], 4)):
        table = from_frame({"d": cells, "y": ["a", "b"] * 20}, "y")
        recipe = Recipe.learn(table, range(40))
        said = "d holds dates, year-month-day: days, month, weekday" + ", hour" * (parts == 4)
        assert re.match(f"{said}[; ]", recipe.decisions[-1])
        assert len(recipe.columns[0].mean) == parts
    recipe = Recipe.learn(from_frame({"d": times, "y": ["a", "b"] * 20}, "y"), range(40))
    hours = np.array([i % 24 + i / 60 for i in range(40)])  # 7.5 for 07:30
    np.testing.assert_allclose(recipe.X(table_of({"d": times}))[:, 3], (hours - hours.mean()) / hours.std(), rtol=1e-5)
    assert recipe.X(table_of({"d": [datetime.datetime(2024, 1, 5, 19, 22)]}))[0, 3] == pytest.approx(
        (19 + 22 / 60 - hours.mean()) / hours.std(), rel=1e-5
    )


def test_models_of_earlier_versions_have_no_hour():
    """Their dates have three numbers, which stay as they were."""
    times = [f"{day} {i % 24:02}:00" for i, day in enumerate(DAYS)]
    table = from_frame({"d": times, "y": ["a", "b"] * 20}, "y")
    recipe = Recipe.learn(table, range(40))
    content = recipe.plain()
    for name in ("mean", "scale", "median"):
        del content["columns"][0][name][3]
    earlier = Recipe.from_plain(content)
    assert earlier.inputs == 3
    np.testing.assert_array_equal(earlier.X(table), recipe.X(table)[:, :3])
    assert Recipe.from_plain(recipe.plain()).inputs == 4
    for wrong in (content["columns"][0]["mean"][:2], [0.0] * 5):
        content["columns"][0]["mean"] = wrong
        with pytest.raises(jitnet.Error, match="the model's recipe is damaged"):
            Recipe.from_plain(content)


@pytest.mark.parametrize("sign", "/-")
def test_an_order_of_day_and_month_that_fits_too_is_named(tmp_path, sign):
    """The day comes first in files with semicolons or decimal commas."""
    both, clear = [[f"{1 + i % 11:02}{sign}{1 + i * 5 % last:02}{sign}2024" for i in range(40)] for last in (12, 28)]
    month_first, day_first = (sign.join(parts) for parts in (("month", "day", "year"), ("day", "month", "year")))
    for separator, form, other, cells in (
        (",", month_first, day_first, both), (";", day_first, month_first, both), ("\t", month_first, day_first, both),
        (",", month_first, None, clear), (";", month_first, None, clear),
    ):  # fmt: skip
        rows = "\n".join(["d y", *(f"{d} {'uv'[i % 2]}" for i, d in enumerate(cells))])
        path = csv(tmp_path, rows.replace(" ", separator))
        recipe = Recipe.learn(read_table(path, "y"), range(40))
        assert f"d holds dates, {form}: days, month, weekday (--categorical d)" in recipe.decisions
        said = f"d is read as {form}, and {other} fits too; if that is meant, write year-month-day"
        assert recipe.warnings == [said] * bool(other)
    commas = csv(tmp_path, "\n".join(["d\tn\ty", *(f"{d}\t{i},5\t{'uv'[i % 2]}" for i, d in enumerate(both))]))
    assert Recipe.learn(read_table(commas, "y"), range(40)).columns[0].form == day_first


@pytest.mark.parametrize("written", ["{d:02}.{m:02}.{y:02}", "{m}/{d}/{y:02}", "{d:02}-{name}-{y:02} 12:30"])
@pytest.mark.parametrize(
    ("first", "last"),
    [(1940, 1999), (1931, 2024), (2020, 2026), (1968, 1970), (1954, 1954), (1995, 2035), (1942, 2039)],
)
def test_years_of_two_digits_keep_the_order_of_the_dates(written, first, last):
    """They span as few years as possible; the model reads new rows, also those before and after, in the same way."""
    names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    years = np.linspace(first, last, 40).astype(int).tolist()
    dates = sorted((y, 1 + i % 12, 1 + i * 7 % 28) for i, y in enumerate(years))
    short, long = (
        [written.replace("{y:02}", year).format(d=d, m=m, name=names[m - 1], y=y % 100, Y=y) for y, m, d in dates]
        for year in ("{y:02}", "{Y}")
    )
    tables = [from_frame({"d": d[::-1], "y": ["a", "b"] * 20}, "y") for d in (short, long)]
    recipes = [Recipe.learn(table, range(40)) for table in tables]
    np.testing.assert_array_equal(recipes[0].X(tables[0]), recipes[1].X(tables[1]))
    (said,) = [sentence for sentence in recipes[0].warnings if "two digits" in sentence]
    ends = [f"'{short[i]}' is read as {long[i]}" for i in (0, -1)]
    assert said == (f"d has years of two digits: {' and '.join(ends)}; if that is wrong, write years with four digits")
    assert not any("two digits" in sentence for sentence in recipes[1].decisions)
    saved = Recipe.from_plain(recipes[0].plain())
    for new in (0, -1):
        np.testing.assert_array_equal(saved.X(from_frame({"d": [short[new]]})), saved.X(from_frame({"d": [long[new]]})))


def test_years_of_two_digits_in_models_of_earlier_versions_are_those_from_1969_to_2068():
    table = from_frame({"d": [f"01.{1 + i % 12:02}.{40 + i % 30}" for i in range(40)], "y": ["a", "b"] * 20}, "y")
    content = Recipe.learn(table, range(40)).plain()
    del content["columns"][0]["first_year"]
    earlier, new = (from_frame({"d": [f"01.01.{year}" for year in years]}) for years in ((68, 69), (2068, 1969)))
    np.testing.assert_array_equal(Recipe.from_plain(content).X(earlier), Recipe.from_plain(content).X(new))


@pytest.mark.parametrize(
    ("years", "first"),
    [([], 1969), (["00"], 1950), (["1999"], 1969), (range(100), 1940), ([*range(50), *range(51, 100)], 1940),
        ([5, 40], 1901), ([95, 4], 1950), ([85, 99, 10, 15, 41, 45], 1928), ([1, 30, 60, 95], 1945)],
)  # fmt: skip
def test_the_hundred_years_of_two_digits(years, first):
    assert first_year_of([f"29.02.{year:0>2}" for year in years]) == first


def with_code(code, cells):
    return [code if i % 9 == 1 else cell for i, cell in enumerate(cells)]


@pytest.mark.parametrize(
    ("code", "cells"),
    [("9999-12-31", DAYS), ("1900-01-01", DAYS), (19000101, NUMBERS),
        ("01/01/1900", [f"{d[5:].replace('-', '/')}/2024" for d in DAYS]),
        ("$99,999", [f"${1 + i % 30},500" for i in range(40)]), ("-999", ["unknown", *map(str, range(39))])],
)  # fmt: skip
def test_dates_and_numbers_in_text_that_stand_for_a_missing_cell_are_pointed_out(code, cells):
    """The option that is offered empties these cells."""
    table = from_frame({"d": with_code(code, cells), "y": ["a", "b"] * 20}, "y")
    (said,) = [sentence for sentence in Recipe.learn(table, range(40)).warnings if "if it means" in sentence]
    assert said.startswith(f"d has {code} in 5 cells of training rows, far from its other numbers")
    recipe = Recipe.learn(table, range(40), choices=Choices(missing=[f"d={code}"]))
    other = Recipe.learn(from_frame({"d": with_code(None, cells), "y": ["a", "b"] * 20}, "y"), range(40))
    assert recipe.warnings == other.warnings == []
    np.testing.assert_array_equal(recipe.X(table), other.X(from_frame({"d": with_code(None, cells)})))


def test_zero_dates_of_mysql_are_missing_and_other_odd_dates_are_named():
    table = from_frame(
        {"d": with_code("0000-00-00", DAYS), "e": with_code("2024-02-30", DAYS), "y": ["a", "b"] * 20}, "y"
    )
    recipe = Recipe.learn(table, range(40))
    assert any("5 of 40 cells missing, among them '0000-00-00'" in sentence for sentence in recipe.decisions)
    said = "e has 35 dates, but is taken for words because of '2024-02-30' in row 2, so it is left out; "
    said += "--numeric e takes it as missing"
    assert recipe.warnings == [said]
    recipe = Recipe.learn(table, range(40), choices=Choices(numeric=["e"]))
    assert "holds dates, year-month-day" in recipe.decisions[-1]
    assert "5 of 40 cells missing, among them '2024-02-30'" in recipe.decisions[-1]


@pytest.mark.parametrize("odd", ["1900-01-00", "soon", "05.02.2024"])
def test_a_text_among_dates_is_named_also_in_the_first_row(odd):
    cells = [odd if i % 5 == 0 else day for i, day in enumerate(DAYS)]
    said = f"d has 32 dates, but is taken for words because of '{odd}' in row 1, so it is left out; "
    said += "--numeric d takes it as missing"
    table = from_frame({"d": cells, "x": [i % 7 for i in range(40)], "y": ["a", "b"] * 20}, "y")
    assert Recipe.learn(table, range(40)).warnings == [said]
    assert Recipe.learn(table, range(40), None, Choices(numeric=["d"])).columns[0].form == "year-month-day"


@pytest.mark.parametrize(
    "cells", [[*NUMBERS[1:], 20240230], [*NUMBERS[1:], 0], [n + 5e7 for n in NUMBERS], (NUMBERS[:4] * 10)],
)  # fmt: skip
def test_numbers_that_are_not_all_dates_are_quantities(cells):
    table = from_frame({"d": cells, "y": ["a", "b"] * 20}, "y")
    assert Recipe.learn(table, range(40)).standard.names == ["d"]


def test_a_target_of_dates_without_separators_is_pointed_out():
    for y, said in (
        (NUMBERS, ["y has dates, such as 20240101, learned as numbers; write the days since a fixed date"]),
        ([n + 5e7 for n in NUMBERS], []),
    ):
        assert Recipe.learn(from_frame({"x": [i % 7 for i in range(40)]}, y), range(40)).warnings == said


def test_dates_without_separators_can_be_learned_as_numbers():
    table = from_frame({"d": NUMBERS, "t": ["none", *map(str, NUMBERS[1:])], "y": ["a", "b"] * 20}, "y")
    recipe = Recipe.learn(table, range(40), choices=Choices(numeric=["d", "t"]))
    assert (recipe.standard.names, recipe.columns[0].form) == (["d"], "1234.5")


@pytest.mark.parametrize("cell", ["Monday, January 1, 2024 10:30 PM", "Mon, 1 Jan 2024 10:30:00 PM"])
def test_pm_behind_a_day_of_the_week_is_not_ignored(cell):
    hours = {read(cell)[3] for read in DATES.values() if read(cell)}
    assert hours == {22.5}


def test_new_dates_that_lack_the_time_of_those_in_training_are_pointed_out():
    dates = [f"2024-01-{i:02} {i % 24:02}:30" for i in range(1, 31)]
    recipe = Recipe.learn(from_frame({"w": dates, "y": ["u", "v"] * 15}, "y"), range(30))

    def noted(cells):
        return recipe.prepare(from_frame({"w": cells}))[1]

    said = ["w: no cell has a time of day, unlike in training: all count as 00:00"]
    assert noted([date[:10] for date in dates]) == said
    assert noted(dates) == noted([date[:10] for date in dates[:4]]) == noted([*(d[:10] for d in dates), dates[0]]) == []
    recipe = Recipe.learn(from_frame({"w": [date[:10] for date in dates], "y": ["u", "v"] * 15}, "y"), range(30))
    assert noted([date[:10] for date in dates]) == noted(dates) == []
