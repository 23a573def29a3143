"""Notations of text columns; warnings: numbers in unknown notations, numbers among words, nearly equal names."""

import re

import numpy as np
import pytest

import jitnet
from jitnet.data import Choices, Recipe, from_frame

UNIT = "has numbers with a unit, such as "
NOTATION = "has numbers in a notation that is not read, such as "
DATES = "has dates"
DURATIONS = "has durations, such as "


def warned(name, cells):
    """The warnings about a column or target in which these cells occur twenty times."""
    other = [i % 3 for i in range(20 * len(cells))]
    table = from_frame({"n": other, name: cells * 20}, name if name == "y" else other)
    choices = Choices() if name == "y" else Choices(numeric=["n"])
    return Recipe.learn(table, np.arange(len(other)), None, choices).warnings


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        (["1 kg", "2 kg", "15 kg", "2 kg"], UNIT + "'1 kg'"), (["0.5cm", "unknown", "1.5cm", "2cm"], UNIT + "'0.5cm'"),
        (["1,200 km", "3 m", "-4 km", "5 km"], UNIT), (["20°C", "3°C", "-4°C", "3°C"], UNIT),
        (["5.4 mmol/l", "6 mmol/l", "4.9 mmol/l"], UNIT), (["9 €/m²", "12.5 €/m²", "8 €/m²"], UNIT),
        (["1.5 Mio. €", "2 Mio. €", "3,1 Mio. €"], UNIT), (["5 Stk.", "7 Stk.", "9 Stk."], UNIT),
        (["1 Mrd.", "2 Mio", "30 Tsd. €"], UNIT), (["120 kWh/m²", "1 mg/dL", "5 W/m2"], UNIT),
        (["1 m/s", "2 m/s", "4 m/s"], UNIT),
        (["1st.", "2nd.", "3rd."], ""), (["1 St.", "2 St.", "3 St."], ""), (["3 B/C", "4 A/B", "5 B/C"], ""),
        (["10 w/o", "12 n/a", "9 w/o"], ""), (["1 Nord.", "2 Nord.", "3 Nord."], ""),
        (["1-2000", "2001-4000", "4001-6000"], NOTATION + "'1-2000'"), (["1/2000", "1/1000", "1/500"], NOTATION),
        (["5-2000", "2-100", "6-150"], NOTATION), (["6-1990", "13-1990", "14-1990"], NOTATION),
        (["1/a", "2/b", "3/c"], ""), (["9 m2", "8 m2", "7 m2"], UNIT),
        ([f"2024-01-0{i} customer {i} wrote" for i in range(1, 9)], ""), (["P5S", "P6S", "P7S"], ""),
        (["1st", "2nd", "3rd", "3rd"], ""), (["1 kg", "2 kg", "heavy", "2 kg"], ""),
        (["1 Main", "2 Oak", "3 Elm", "4 Ash"], ""), (["10A", "11B", "12C", "10A"], ""), (["5 kg", "7 kg"], ""),
        (["<5", ">= 7", "9+"], NOTATION), (["1/2", "3/4", "1/4"], NOTATION + "'1/2'"), (["1 1/2", "2", "3"], NOTATION),
        (["18-24", "25–34", "65+"], NOTATION + "'18-24'"), (["1 to 5", "6 to 10", "11 to 20"], NOTATION),
        (["$10k-$20k", "$20k-$30k", "<$10k"], NOTATION), (["~5", "~70", "~1,000"], NOTATION),
        (["3h 5m", "1h", "2h"], NOTATION), (["'1'", "'2'", "'5'"], NOTATION), (['="1"', '="2"', '="7"'], NOTATION),
        (["5±1", "7±2", "9±1"], NOTATION), (["2x10^5", "3x10^6", "4x10^5"], NOTATION),
        (["31:10", "40:59", "50:01"], DURATIONS), (["30:00:00", "0:12:15", "1:00:30"], DURATIONS),
        (["16:9", "4:3", "21:9"], NOTATION), (["PT1H5M", "PT30M", "PT2H"], DURATIONS),
        (["1h 20m", "2h 5m", "3h 40m"], DURATIONS), (["48°12'N", "47°5'N", "12°30'S"], NOTATION),
        (["3. Juli 2023", "16. Mai 2023", "5. März 2024"], DATES),
        (["Mo, 3.7.2023", "Di, 4.7.2023", "Mi, 5.7.2023"], DATES),
        (["2024-01-05 9:00 CET", "2024-01-06 9:00 CEST", "2024-01-07 10:00 CET"], DATES),
        (["1.2.2024 9:00 Uhr", "2.2.2024 10:30 Uhr", "unknown", "3.2.2024 8:15 Uhr"], DATES),
        (["A-2024-01-05", "A-2024-01-06", "B-2024-01-07"], ""), (["10 Route 2023", "11 Oak", "12 Elm"], ""),
        (["03-Jul-23 01.00.00.5 PM", "04-Jul-23 02.00.00 PM", "05-Jul-23 11.00.00 AM"], DATES),
        (["2023-W27-1", "2023-W28-2", "2023-W30-5"], DATES),
        (["4 years 6 months", "1 year, 3 months", "2 years 1 month"], DURATIONS),
        (["[1, 2]", "[3, 4]", "[5, 6]"], NOTATION), (["2024-01-05", "2024/01/05", "05.02.2024"], DATES),
        (["a1", "b2", "c3"], ""), (["1.0.1", "1.0.2", "1.1.0"], ""), (["0x1f", "0xa0", "0x33"], ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["k", "y"])
def test_numbers_in_unknown_notations_are_a_warning(name, cells, sentence):
    found = [text for text in warned(name, cells) if "taken for words" in text]
    assert len(found) == bool(sentence)
    assert not found or found[0].startswith(f"{name} {sentence}")


@pytest.mark.parametrize(
    ("cells", "how"),
    [
        (["24.8 h", "1 h", "3 h"], "numbers with a unit; to learn them as numbers, remove the unit from the cells"),
        (["18-24", "25-34", "65+"], "numbers in a notation that is not read; .*, write one plain number in each cell"),
        (["tall", "wide", "deep"], ""),
    ],
)
def test_numeric_for_texts_that_are_not_read_says_what_to_write(cells, how):
    table = from_frame({"k": cells * 9, "y": ["a", "b", "b"] * 9}, "y")
    with pytest.raises(jitnet.Error, match=r"^--numeric k: '.*' and all other cells are not numbers") as error:
        Recipe.learn(table, range(27), None, Choices(numeric=["k"]))
    assert re.search(f"not numbers, but {how}$" if how else "not numbers$", str(error.value))


@pytest.mark.parametrize(
    ("cells", "is_mixed"),
    [
        (["1,5", "2.5", "3"], True), (["3", "2.25", "1,75"], True), (["1,5", "2.5", "3.1.2"], False),
        (["1.234,50", "1,234.50", "7"], True), (["1.5", "low", "2,5"], False), (["1,5", "2,5", "3"], False),
        (["007", "12", "5"], False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["k", "y"])
def test_two_decimal_signs_are_a_warning(name, cells, is_mixed):
    found = [text for text in warned(name, cells) if "decimal sign" in text]
    assert len(found) == is_mixed
    comma, point = (next((cell for cell in cells if cell.strip("0123456789")[-1:] == sign), "") for sign in ",.")
    start = (
        f"{name} has decimal commas and decimal points, such as '{comma}' and '{point}', which are taken for words; "
    )
    assert all(text.startswith(start) for text in found)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2024-{month:02}-{day:02}", "dates; to learn them as numbers, write the days since a fixed date"),
        ("{day} {name} 2024", "dates; to learn them as numbers, write the days since a fixed date"),
        ("{day}.{month}.2024", "dates; "), ("{day}/{month}/2024 14:30", "dates; "),
        ("{day}.{month} kg", "numbers with a unit; "),
        ("{day}:{month:02}", "durations; to learn them as numbers, write them in one unit, such as minutes"),
    ],
)  # fmt: skip
def test_a_target_that_is_not_read_as_numbers_is_an_error_that_says_what_to_write(written, said):
    """The task does not change the advice."""
    names = "Jan", "Feb", "March", "Apr", "May", "June"
    y = [written.format(day=1 + i % 28, month=1 + i % 6, name=names[i % 6]) for i in range(84)]
    table = from_frame({"x": range(84)}, y)
    for task in (None, "classification", "regression"):
        with pytest.raises(jitnet.Error, match=f"; the values are {said}.*, or name another target$"):
            Recipe.learn(table, range(84), task)


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("2024-{:02}-{:02}", "dates; .* days since a fixed date"), ("{1}.{0}.2024", "dates; .* days since"),
        ("2024-{:02}-{:02}T06:00:00Z", "dates; .* days since"), ("{1}.{0}.2024 8:00 Uhr", "dates; .* days since"),
        ("{1} kg", "numbers with a unit; .* remove the unit"), ("{1}h {0}m", "durations; .* in one unit"),
    ],
)  # fmt: skip
def test_a_target_of_repeated_quantities_is_classes_only_if_they_are_few(written, what):
    """With 21 different dates or more, each several times, the user decides."""
    for different, is_error in ((20, False), (21, True)):
        dates = [written.format(1 + i % different // 20, 1 + i % different) for i in range(6 * different)]
        table = from_frame({"x": range(len(dates))}, dates)
        if is_error:
            how = f"; the values are {what}.*, or name another .* class with --task class"
            with pytest.raises(jitnet.Error, match=f"has 21 values in 126 rows, .*: too many for classes{how}"):
                Recipe.learn(table, range(100))
        task = "classification" if is_error else None
        assert len(Recipe.learn(table, range(100), task).classes) == different
    months = [f"Jan {i % 30}" for i in range(300)]  # not dates: they have no year
    assert len(Recipe.learn(from_frame({"x": range(300)}, months), range(300)).classes) == 30


@pytest.mark.parametrize(
    "written", ["{} Oak", "{} Main", "{} building", "P{}M", "P{}S", "2024-01-{:02} Building 3", "2024-01-{:02} shift B"]
)
def test_names_that_begin_like_quantities_are_classes_however_many(written):
    y = [written.format(1 + i % 25) for i in range(100)]
    assert len(Recipe.learn(from_frame({"x": range(100)}, y), range(100)).classes) == 25


@pytest.mark.parametrize(
    "written", ["{} cm", "{} MHz", "{} hours", "{} Jahre", "{} Mio.", "PT{}M", "P{}DT2H", "2024-01-{:02} um 8 Uhr"]
)
def test_quantities_are_no_classes_if_they_are_many(written):
    y = [written.format(1 + i % 25) for i in range(100)]
    with pytest.raises(jitnet.Error, match="too many for classes; the values are"):
        Recipe.learn(from_frame({"x": range(100)}, y), range(100))


def test_columns_with_the_same_notation_share_a_warning():
    """If they need the same; the option names all."""
    genes = {f"g{j}": ["1/2", "1/1", "2/2", "2/1"] * 5 for j in range(13)}
    traces = {name: ["1", "2", "<5", "4"] * 5 for name in ("Zn", "Cu, total")}
    table = from_frame({**traces, **genes, "kg": ["1 kg", "2 kg", "3 kg", "4 kg"] * 5}, ["a", "b"] * 10)
    found = [text for text in Recipe.learn(table, range(20)).warnings if "taken for words" in text]
    how = "which are taken for words; to learn them as numbers, "
    cells = f"{how}write one plain number in each cell"
    assert found == [
        f"Zn, Cu, total have numbers in a notation that is not read, such as '<5', {cells}, or take these as missing "
        "with --numeric 'Zn,\"Cu, total\"'",
        f"g0, g1, g2, g3, g4 and 8 more have numbers in a notation that is not read, such as '1/2', {cells}",
        f"kg has numbers with a unit, such as '1 kg', {how}remove the unit from the cells",
    ]


@pytest.mark.parametrize("written", ["~{}", "{}k", "10.{}万", "0x{}", "'{}"])
def test_numbers_that_are_not_read_are_no_classes_in_a_short_table(written):
    """Otherwise each would be a class, as up to 20 words can be."""
    table = from_frame({"x": range(18)}, [written.format(10 + i) for i in range(18)])
    with pytest.raises(jitnet.Error, match=r"too many for classes; .*, or learn each as a class with --task class"):
        Recipe.learn(table, range(18))
    assert len(Recipe.learn(table, range(18), "classification").classes) == 18
    for y in ([f"T{i % 9}" for i in range(18)], ["T1", "T2", "T3", "T4"], [*map(chr, range(65, 83))]):
        assert Recipe.learn(from_frame({"x": range(len(y))}, y), range(len(y))).classes == sorted(set(y))


def test_too_many_classes_that_are_numbers_are_offered_the_regression():
    table = from_frame({"x": range(60)}, [i * 1.5 for i in range(60)])
    with pytest.raises(jitnet.Error, match=r"too many for classes; learn them as quantities with --task regression$"):
        Recipe.learn(table, range(60), "classification")
    assert Recipe.learn(table, range(60), "regression").task == "regression"


def test_warning_suggests_the_numeric_option():
    (said,) = warned("k", ["1", "2", "3", "<5", "4"])
    assert said.endswith("write one plain number in each cell, or take these as missing with --numeric k")
    (said,) = warned("k", ["1", "2", "3", "no idea", "4"])
    assert said == (
        "k has 80 cells with numbers, but is taken for words because of 'no idea' in row 4, so each of its "
        "values is a category; --numeric k takes it as missing"
    )
    (said,) = warned("k", ["1", "2", "3", "no idea", "unknown", "4", "low"])
    assert said.endswith("row 4 and 1 other, so each of its values is a category; --numeric k takes them as missing")
    assert warned("k", ["1", "2", "A", "B", "C"]) == []
    assert warned("k", ["007", "1", "2", "no idea"]) == []


@pytest.mark.parametrize(
    ("number", "what"),
    [
        ("{}", "cells with numbers"), (".{}", "cells with numbers"), ("{}e-3", "cells with numbers"),
        ("-{}", "cells with numbers"), ("{} %", "cells with numbers"), ("${}", "cells with numbers"),
        ("10:{}", "times of day"), ("2024-01-{}", "dates"),
    ],
)  # fmt: skip
def test_a_word_among_numbers_in_any_notation_is_a_warning(number, what):
    """It is in 7 % of the cells, too many for a typing error."""
    cells = ["refused" if i % 14 == 3 else number.format(10 + i % 20) for i in range(140)]
    table = from_frame({"k": cells}, list("uv") * 70)
    assert Recipe.learn(table, range(140)).warnings == [
        f"k has 130 {what}, but is taken for words because of 'refused' in row 4, so each of its values is a category; "
        "--numeric k takes it as missing"
    ]
    assert Recipe.learn(table, range(140), None, Choices(numeric=["k"])).columns[0].kind == "number"


@pytest.mark.parametrize(
    ("form", "cells", "numbers"),
    [("1,234.5", [0, 10, 20, "1,234", 40, 50], [0, 10, 20, 1234, 40, 50]),
        ("1,234.5", [0, 10, "$20", 30, 40, 50], [0, 10, 20, 30, 40, 50]),
        ("1 234,5", [0, 10, "2 000", "3,5", 40, 50], [0, 10, 2000, 3.5, 40, 50]),
        ("yes/no", [*"010", "no", "1", "yes"], [0, 1, 0, 0, 1, 1])],
)  # fmt: skip
@pytest.mark.parametrize("rows", [[0, 1, 2, 4], [0, 1, 3, 5], [2, 3, 4, 5], [0, 1, 4]])
def test_the_notation_follows_from_all_rows_and_the_numbers_from_the_training_rows(form, cells, numbers, rows):
    """So whether a file is refused does not depend on the split."""
    table = from_frame({"a": cells}, list("uvuvuv"))
    recipe = Recipe.learn(table, rows)
    (column,) = recipe.columns
    values = np.array(numbers, float)
    assert (column.form, column.mean) == (form, [values[rows].mean()])
    np.testing.assert_allclose(recipe.X(table, "float64")[:, 0], (values - values[rows].mean()) / values[rows].std())


def test_the_order_of_day_and_month_follows_from_all_rows():
    cells = [f"{1 + i % 12:02}/{1 + i % 11:02}/2024" for i in range(24)] + ["31/01/2024"]
    recipe = Recipe.learn(from_frame({"d": cells}, [*"uv" * 12, "u"]), range(24))
    assert "d holds dates, day/month/year: days, month, weekday (--categorical d)" in recipe.decisions


@pytest.mark.parametrize(
    ("cells", "said"),
    [([f"{i:,}" for i in range(990, 1050)], True), (["٠١٢٣٤٥٦٧٨٩"[i] for i in range(1, 9)], True),
        ([f"{i * i:,}" for i in range(20, 60)], False)],
)  # fmt: skip
def test_row_numbers_in_another_notation_are_reported_or_left_out(cells, said):
    table = from_frame(
        {"k": cells, "id": cells, "x": [i % 5 for i in range(len(cells))]}, ["u", "v"] * (len(cells) // 2)
    )
    recipe = Recipe.learn(table, range(len(cells)))
    assert ("k seems to number the rows; if it means nothing else, leave it out: --drop k" in recipe.warnings) is said
    assert [column.name for column in recipe.columns if column.name != "x"] == ["k"]


NUMBERS = [str(100 + i) for i in range(60)]


def with_code(code, cells, times=1):
    return [code if i % 7 == 1 and i < 7 * times else cell for i, cell in enumerate(cells)]


@pytest.mark.parametrize("code", ["0150", "12345678901234567"])
@pytest.mark.parametrize("numbers", [NUMBERS, NUMBERS[:10] * 6])
def test_a_few_codes_among_numbers_are_named(code, numbers):
    """Many codes are none of numbers; --numeric reads all as numbers."""
    for times, named in ((1, f"'{code}' in row 2"), (3, f"'{code}' in row 2"), (5, "")):
        cells = with_code(code, numbers, times)
        table = from_frame({"x": [i % 5 for i in range(60)], "a": cells}, list("uv") * 30)
        how = "each of its values is a category" if numbers[:10] * 6 == numbers else "it is left out"
        said = f"a is taken for codes because of {named}, so {how}; --numeric a reads all as numbers"
        assert Recipe.learn(table, range(60)).warnings == [said] * bool(named)
        column = Recipe.learn(table, range(60), None, Choices(numeric=["a"])).columns[0]
        assert column.mean == [pytest.approx(np.mean(list(map(float, cells))))]
    cells[8] = "0007"
    assert Recipe.learn(from_frame({"a": cells}, list("uv") * 30), range(60), None, Choices(numeric=["a"]))


def test_a_code_in_a_target_of_numbers_is_named():
    x = {"x": [i % 5 for i in range(60)]}
    said = "is taken for codes because of '0150' in row 2; if it is a number, write 150"
    few = from_frame(x, with_code("0150", NUMBERS[:10] * 6))
    assert Recipe.learn(few, range(60)).warnings == [f"y {said}"]
    assert Recipe.learn(few, range(60), "classification").warnings == []
    many = from_frame(x, with_code("0150", NUMBERS))
    with pytest.raises(jitnet.Error, match=f"too many for classes; y {said}$"):
        Recipe.learn(many, range(60))
    for table in (few, many):
        how = "it is taken for a code; if it is a number, write 150"
        with pytest.raises(jitnet.Error, match=f"row 2, column 'y': regression cannot learn '0150'; {how}$"):
            Recipe.learn(table, range(60), "regression")
    for text, said in (
        ("0\N{SUPERSCRIPT TWO}", "'0²' is not a number, but 59 of 60 targets are"),
        ("1" * 400, "regression cannot learn .*; it needs numbers$"),
    ):
        with pytest.raises(jitnet.Error, match=f"row 2, column 'y': {said}"):
            Recipe.learn(from_frame(x, with_code(text, with_code("0150", NUMBERS))), range(60), "regression")


@pytest.mark.parametrize(
    ("cells", "examples"),
    [
        (["$5", "€6", "$7"], "'$5' and '€6'"), (["15%", "0.2", "30%"], "'15%' and '0.2'"), (["$5", "6", "7 $"], ""),
        (["15%", "0", "30 %"], ""), (["$5", "6%", "€7"], "'$5' and '6%' and '€7'"), (["1,200", "3", "4"], ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["k", "y"])
def test_different_units_are_a_warning(name, cells, examples):
    found = [text for text in warned(name, cells) if "different units" in text]
    assert found == [
        f"{name} has different units, such as {examples}, which are not converted; write all numbers in one unit"
    ] * bool(examples)


@pytest.mark.parametrize(
    ("cells", "alike"),
    [
        (["Male", "male", "w"], "'Male' and 'male'"), (["New York", "NewYork", "w"], "'New York' and 'NewYork'"),
        (["e-mail", "e\u2010mail", "w"], "'e-mail' and 'e\u2010mail'"), (["a\u200b", "a", "w"], "'a\\u200b' and 'a'"),
        (["1", "01", "w"], "'1' and '01'"), (["10%", "10 %", "w"], "'10%' and '10 %'"),
        (["Zürich", "Zu\u0308rich", "w", "w"], ""), (["a\u00a0", "a", "w"], ""), (["true", "TRUE", "w"], ""),
        (["x", "\u22121", "-1", "w"], ""), (["1", "True", "w"], "'1' and 'True'"),
        (["no", "False", "w"], "'no' and 'False'"),
        (["AA", "Aa", "aa"], ""), (["AABb", "AaBB", "w"], ""), (["mm", "MM", "w"], "'mm' and 'MM'"),
        (["MIT Press", "MIT press", "w"], "'MIT Press' and 'MIT press'"),
        ([str(2**60), str(2**60 + 1), "w"], ""), (["Please choose a country", "please choose a country", "w"],
         "'Please choose a country' and 'please choose a country'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["k", "y"])
def test_nearly_equal_names_are_a_warning(name, cells, alike):
    """Two Unicode spellings of a word are one word; a warning lists other words that look alike."""
    found = [text.partition(" that are nearly the same: ")[2] for text in warned(name, cells)]
    first, _, second = alike.partition(" and ")
    fix = "; if they mean the same, write them alike"
    assert found in ([f"{alike}{fix}"], [f"{second} and {first}{fix}"]) if alike else not any(found)
