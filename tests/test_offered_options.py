"""Each sentence about a table that offers an option: the option works, and the sentence changes with it."""

import argparse
import re
import shlex

import numpy as np
import pytest

import jitnet
from jitnet.cli import samples, train
from jitnet.data import Recipe, from_frame, read_table
from jitnet.data.table import as_named, as_option, listed_in

OFFERED = re.compile(r"--(?!separator)(?:no-header|[a-z]+[ =](?:'.+?'(?=[) ]|$)|[^ )]+)|header)")


def rows(header, *columns, n=60):
    """A CSV; each column is a list of cells that repeat, or a function of the row."""
    cells = [[str(c(i)) if callable(c) else c[i % len(c)] for c in columns] for i in range(n)]
    return "\n".join([header, *map(";".join, cells), ""])


AB, DIGITS = ["a", "b"], list("1234567")
TABLES = {
    "decimal commas": rows("x;z;y", lambda i: f"0,{13 + i}", DIGITS, AB),
    "commas that can separate thousands": rows("x;z;y", lambda i: f"{1 + i % 9},{100 + i}", ["0,5", "2"], AB),
    "points that can separate thousands": rows("x;z;y", lambda i: f"{1 + i % 9}.{100 + i}", ["0,5", "2"], AB),
    "points beside whole numbers": rows("x;z;y", lambda i: f"{1 + i % 9}.{100 + i}" if i % 3 else 991 - i, AB, AB),
    "no header": rows("5;p;b", DIGITS, ["p", "q"], AB),
    "only words": rows("u;v;y", ["p", "q"], ["r", "s", "t"], AB),
    "few whole numbers": rows("x;y", DIGITS, list("12345")),
    "many whole numbers": rows("x;y", DIGITS, lambda i: i % 25, n=200),
    "few fractions": rows("x;y", DIGITS, lambda i: f"{i % 7}.5"),
    "a price per row": rows("x;y", DIGITS, lambda i: f"{i}.5"),
    "constant number": rows("x;k;y", DIGITS, ["5"], AB),
    "constant word": rows("x;c;y", DIGITS, ["abc"], AB),
    "whole numbers that name rows": rows("x;id;y", DIGITS, lambda i: 1000 + 3 * i, AB),
    "texts that name rows": rows("x;t;m;y", DIGITS, lambda i: f"t{i}", ["s", "t"], AB),
    "nearly as many texts as rows": rows("x;m;y", DIGITS, lambda i: f"w{i % 40}", AB),
    "more texts than a model stores": rows("x;m;y", DIGITS, lambda i: f"w{i}", AB, n=13_000),
    "row numbers": rows("x;n;y", DIGITS, lambda i: i, AB),
    "serial numbers": rows("x;n;y", DIGITS, lambda i: 1000 + i, AB),
    "other forms": rows("x;p;b;d;c;g;y", DIGITS, lambda i: f"1,{100 + i % 9}.5", ["yes", "no"],
        lambda i: f"2024-01-{10 + i % 9}", lambda i: f"{i % 24}:30", [*DIGITS, ""], AB),
    "numbers that are not read": rows("x;u;w;y", DIGITS, [*DIGITS, "<5"], [*DIGITS, "low"], AB),
    "far values that repeat": rows("x;w;y", [*DIGITS, "-999", *map(str, range(9, 20))], DIGITS, AB, n=100),
    "far values in two columns": rows("v;w, 2;y", *[[*DIGITS, "-999", *map(str, range(9, 20))]] * 2, AB, n=100),
    "far values in a target of text": rows("x;y", DIGITS, lambda i: "99,999" if i % 12 == 5 else f"1,{100 + 7 * i}.5"),
    "names with a hyphen": rows("x;-m;-n;y", DIGITS, ["p", "q"], lambda i: i, AB),
    "far values below a hyphen": rows("x;-w;y", DIGITS, [*DIGITS, "-999", *map(str, range(9, 20))], AB, n=100),
    "a column without a name": rows("x;;y", DIGITS, ["p", "q"], AB),
    "a name with a comma": rows("x;a, b;y", DIGITS, ["p", "q"], AB),
    "a name with quotes": rows('x;"a ""b""";y', DIGITS, [*DIGITS, ""], AB),
}  # fmt: skip


def decided(path, header, *options):
    """The recipe for a table whose last column is the target."""
    has_names = "--header" in options or (header != "5;p;b" and "--no-header" not in options)
    names = header.split(";")
    parser = argparse.ArgumentParser()
    train.add_options(parser)
    given = parser.parse_args([str(path), "--target", names[-1] if has_names else str(len(names)), *options])
    return samples.read(given).recipe


def means(recipe):
    return sorted([*recipe.standard.mean, *(mean for column in recipe.columns for mean in getattr(column, "mean", []))])


@pytest.mark.parametrize("name", TABLES)
def test_an_offered_option_changes_the_sentence(tmp_path, name):
    path, header = tmp_path / "data.csv", TABLES[name].split("\n")[0]
    path.write_text(TABLES[name])
    recipe = decided(path, header)
    assert any(map(OFFERED.search, recipe.decisions))
    for sentence in recipe.decisions:
        first = re.search("(?:numbers|out): ([^,:(]+)", sentence)
        for offer in OFFERED.findall(sentence):
            option, *values = shlex.split(offer)
            values = [first[1].strip() if value == "NAME" else value for value in values]
            with_option = decided(path, header, option, *values)
            assert sentence not in with_option.decisions, (sentence, option, values)
            if option == "--decimal":  # the numbers change too
                assert means(with_option) != pytest.approx(means(recipe))


@pytest.mark.parametrize(
    "entries", ["a", "-a", "a b", "ü", "a,b", "a, b", '"a"', "it's", "two\nlines", "a\rb", "=5", "~x", "$x", "",
        ["", "a"], ["a=1", "-999"], ["#", "a;b", "!"]],
)  # fmt: skip
def test_an_option_is_read_as_it_was_offered(entries):
    entries = [entries] if isinstance(entries, str) else entries
    _, value = re.split("[ =]", as_option("drop", *entries), maxsplit=1)
    assert [as_named(name) for name in listed_in(*shlex.split(value))] == entries


def test_a_line_break_outside_of_quotes_is_an_error():
    with pytest.raises(jitnet.Error, match=r"'a\\nb' has a line break; quote an entry with one"):
        listed_in("a\nb")


def test_numbers_with_another_decimal_sign_than_the_given_one_are_an_error_that_names_the_option(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(rows("x;y", lambda i: f"{i}.25", AB))
    with pytest.raises(jitnet.Error, match=r"'0.25' is not a number with the decimal sign , \(--decimal \.\)"):
        decided(path, "x;y", "--decimal", ",")


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize(
    ("cell", "said", "number"),
    [
        ("1,5", " (--decimal ,)", 1.5),
        ("1,137", "; write 1137 or, if its comma is decimal, add --decimal ,", 1.137),
    ],
)
def test_the_other_decimal_sign_is_offered_with_any_separator(tmp_path, separator, cell, said, number):
    path, new = tmp_path / "data.csv", tmp_path / "new.csv"
    path.write_text(rows("x;z;y", lambda i: f"{i}.25", DIGITS, AB).replace(";", separator))
    recipe = Recipe.learn(read_table(path, "y"), range(60))
    new.write_text(f'x{separator}z\n"{cell}"{separator}2\n')
    with pytest.raises(jitnet.Error, match=re.escape(f"'{cell}' is not a number with the decimal sign .{said}"[:-1])):
        recipe.X(recipe.read(new))
    X = recipe.X(recipe.read(new, decimal=","))
    np.testing.assert_array_equal(X, recipe.X(from_frame({"x": [number], "z": [2]})))


GERMAN, ENGLISH = "1.234,5", "1,234.5"


@pytest.mark.parametrize(
    ("learned", "new", "said"),
    [
        (GERMAN, "a,b\n1234.5,1\n", "1234.5 is read with a decimal point, but in training points separated thousands"),
        (GERMAN, "a\tb\n1234.5\t1\n", "if they are decimal here, add --decimal .; otherwise add --decimal ,"),
        (GERMAN, 'a,b\n"1,234.5",1\n', "'1,234.5' is not a number with the decimal sign , (--decimal .)"),
        (GERMAN, "a,b\n€1234.5,1\n", "'€1234.5' is not a number with the decimal sign , (--decimal .)"),
        (ENGLISH, "a\tb\n1234,5\t1\n", "if they are decimal here, add --decimal ,; otherwise add --decimal ."),
        (ENGLISH, "a;b\n1.234,5;1\n", "'1.234,5' is not a number with the decimal sign . (--decimal ,)"),
    ],
)
def test_numbers_with_thousands_are_read_with_the_given_decimal_sign(tmp_path, learned, new, said):
    """The error offers the sign of the new file, which is not that of the training."""
    signs = str.maketrans(".,", ",.") if learned == ENGLISH else {}
    (tmp_path / "data.csv").write_text(rows("a;y", lambda i: f"{1 + i}.100,5".translate(signs), AB))
    recipe = Recipe.learn(read_table(tmp_path / "data.csv", "y"), range(60))
    assert recipe.columns[0].form == learned
    (tmp_path / "new.csv").write_text(new, "utf-8")
    with pytest.raises(jitnet.Error, match=re.escape(said)):
        recipe.X(recipe.read(tmp_path / "new.csv"))
    X = recipe.X(recipe.read(tmp_path / "new.csv", decimal="," if learned == ENGLISH else "."))
    np.testing.assert_array_equal(X, recipe.X(from_frame({"a": [learned]})))


@pytest.mark.parametrize(
    ("learned", "new", "said", "number"),
    [
        (["400", "737", "1.074"], 'a,b\n"4,585",6.93\n', "'4,585' is 4.585 with the decimal sign , of the training, "
            "and 4585 with the decimal sign . of this file; if it is 4585, add --decimal .; otherwise write 4.585",
            4585),
        (["400", "737", "1,074.5"], "a\tb\n4.585\t6,93\n", "add --decimal ,; otherwise write 4,585", 4585),
        (["1 100,5", "2 200,5"], 'a,b\n"4,585",6.93\n', "of this file; write 4585 or 4.585", None),
        (["400", "737", "1.074"], 'a,b\n4585,6.93\n', "", 4585), (["1 100,5"], 'a,b\n"4 585,5",6.93\n', "", 4585.5),
        (["400", "737", "1.074"], "a;b\n4.585;6,93\n", "", 4585),  # as in training
    ],
)  # fmt: skip
def test_a_cell_that_is_two_numbers_is_an_error_in_a_file_with_another_decimal_sign(
    tmp_path, learned, new, said, number
):
    sign = "." if "1,074.5" in learned else ","
    path = tmp_path / "data.csv"
    path.write_text(rows("a;b;y", lambda i: learned[i % len(learned)], lambda i: f"{i % 7}{sign}5", AB))
    recipe = Recipe.learn(read_table(path, "y"), range(60))
    (tmp_path / "new.csv").write_text(new)
    if said:
        with pytest.raises(jitnet.Error, match=f"line 2, column 'a': .*{re.escape(said)}$"):
            recipe.X(recipe.read(tmp_path / "new.csv"))
    if number is not None:
        given = recipe.read(tmp_path / "new.csv", **({"decimal": "." if sign == "," else ","} if said else {}))
        np.testing.assert_array_equal(recipe.X(given), recipe.X(from_frame({"a": [number], "b": [6.93]})), strict=True)


def test_targets_that_are_two_numbers_are_not_compared(tmp_path):
    """The error of the answers would be that of other numbers."""
    path, new = tmp_path / "data.csv", tmp_path / "new.csv"
    path.write_text(rows("x;y", DIGITS, lambda i: f"{1 + i}.{100 + i},5"))
    recipe = Recipe.learn(read_table(path, "y"), range(60))
    new.write_text('x,y\n1,"4,585"\n')
    assert recipe.score(recipe.read(new), [4585.0]) == {}
    said = recipe.target.why_not_compared(recipe.read(new))
    assert said.startswith(f": {new}, line 2: '4,585' is 4.585 with the decimal sign , of the training, and 4585 with")
    assert recipe.score(recipe.read(new, decimal="."), [4585.0]) == {"rmse": 0}


@pytest.mark.parametrize("word", ["unknown", "-", "#DIV/0!"])
def test_a_word_for_a_missing_target_is_offered_to_missing(tmp_path, word):
    path = tmp_path / "data.csv"
    path.write_text(rows("x;y", DIGITS, lambda i: word if i % 9 == 7 else f"{i}.5"))
    with pytest.raises(jitnet.Error, match=r"replace it or leave the row out \(--missing .*\)$") as error:
        decided(path, "x;y")
    option, value = shlex.split(re.search(r"\((--missing .*)\)", str(error.value))[1])
    assert any(text.startswith("6 of 60 rows have no y") for text in decided(path, "x;y", option, value).decisions)


def test_classes_are_offered_only_if_the_rows_suffice(tmp_path):
    path = tmp_path / "data.csv"
    for different, offered in ((60, False), (25, True)):
        path.write_text(rows("x;y", DIGITS, lambda i, k=different: "unknown" if i == 7 else i % k * 1.5))
        with pytest.raises(jitnet.Error, match="line 9, column 'y': 'unknown' is not a number, but 59 of 60") as error:
            decided(path, "x;y")
        assert ("--task classification" in str(error.value)) == offered
