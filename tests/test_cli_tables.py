"""Tables on the command line: messages, saved models, and the same predictions in Python. Nothing is compiled."""

import io
import json
import re
import sys
import warnings

import numpy as np
import pytest
from files import csv, idx_bytes

import jitnet
from jitnet import checks
from jitnet.cli import scores, train
from jitnet.data import Recipe
from jitnet.data.files import csv_file

QUICK = ("--backend", "numpy", "--hidden", "8", "--epochs", "3")


def passengers(tmp_path, n=80):
    rng = np.random.default_rng(0)
    rows = [
        f'{i + 1},{rng.integers(0, 2)},"Doe, Ms. {i}",{rng.choice(["male", "female"])},{"" if i % 5 == 0 else i % 60},'
        f'"{rng.integers(1000, 9999):,}",{rng.choice(["S", "C", ""])},A'
        for i in range(n)
    ]
    head = "PassengerId,Survived,Name,Sex,Age,Fare,Embarked,Ship"
    return csv(tmp_path, "\n".join([head, *rows]) + "\n", "titanic.csv")


def test_unprepared_table_trains_and_predicts(run, tmp_path):
    """Each decision is one sentence before training; the model gives the same predictions in Python."""
    path = passengers(tmp_path)
    said = run("train", path, "--target", "Survived", "--save", "m.npz", *QUICK)
    for sentence in (
        "64 training samples, 16 test samples, 4 columns as 8 inputs, 2 classes",
        "how the data are read (the option in parentheses changes it):",
        "Survived has 2 different whole numbers: classes (--task regression)",
        "Sex has 2 categories: female, male (--drop Sex)", "Age is a number; ", "filled with the median ",
        "Fare is a number in text: ", "Embarked has 2 categories: C, S; ",
        "left out: PassengerId: a different whole number in each row", "left out: Name: a different text in each row",
        "left out: Ship: the same in all training rows",
    ):  # fmt: skip
        assert sentence in said.err.partition("epoch 1")[0]
    result = json.loads(run("predict", "m.npz", path, "--json", "--backend", "numpy").out)
    net = jitnet.load("m.npz")
    assert result["predictions"] == [str(label) for label in net.predict(rows_of(path), "numpy")]
    table = np.array([[row[name] for name in row if name != "Survived"] for row in rows_of(path)], object)
    np.testing.assert_array_equal(net.predict(table, "numpy"), net.predict(rows_of(path), "numpy"))
    chosen = run(
        "train", path, "--target", "Survived", "--drop", "Age,Fare", "--categorical", "Ship,Name", *QUICK, "--json"
    )
    decisions = json.loads(chosen.out)["decisions"]
    assert "left out: Age, Fare: because of --drop" in decisions
    assert any(text.startswith("Name has 64 categories") for text in decisions)


def rows_of(path):
    import csv

    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_missing_and_additional_columns_of_new_files_are_reported(run, tmp_path):
    run("train", passengers(tmp_path), "--target", "Survived", "--save", "m.npz", *QUICK)
    new = csv(tmp_path, 'Fare,Age,Sex,Embarked,Deck\n"1,234",,other,S,B\n5,30,male,S,C\n', "new.csv")
    said = run("predict", "m.npz", new, "--backend", "numpy")
    assert len(said.out.split()) == 2
    assert "not used, since training did not have it: Deck" in said.err
    assert (
        "Sex: 'other' (new.csv, line 2) did not occur in training: counted as none of the categories"
        in said.err.replace(f"{tmp_path}/", "")
    )
    lacks = csv(tmp_path, "Fare,Sex\n5,male\n", "lacks.csv")
    assert "lacks the columns Age, Embarked that the model learned from" in run("predict", "m.npz", lacks, status=2).err
    shifted = csv(tmp_path, "Fare,Age,Sex,Embarked\n5,30,male,S\nmale,5,30,S\n", "shifted.csv")
    error = run("predict", "m.npz", shifted, status=2).err
    assert "shifted.csv, line 3, column 'Fare': 'male' is not a number" in error
    with pytest.warns(UserWarning, match="'other' .* did not occur in training"):
        jitnet.load("m.npz").predict([{"Fare": 5, "Age": 3, "Sex": "other", "Embarked": None}], "numpy")


def test_probabilities_are_written_with_class_names(run, tmp_path):
    path = csv(tmp_path, "x,y\n" + "".join(f"{i},{['red', 'blue, dark'][i % 2]}\n".replace("blue, dark", '"blue, dark"')
                                           for i in range(0, 300, 7)))  # fmt: skip
    run("train", path, "--target", "y", "--save", "m.npz", *QUICK)
    lines = run("predict", "m.npz", path, "--proba", "--backend", "numpy").out.splitlines()
    assert lines[0] == '"blue, dark",red'
    probabilities = np.array([[float(p) for p in line.split(",")] for line in lines[1:]])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    result = json.loads(run("predict", "m.npz", path, "--proba", "--json", "--backend", "numpy").out)
    assert result["classes"] == ["blue, dark", "red"]
    np.testing.assert_allclose(result["probabilities"], probabilities, rtol=1e-7)
    assert [result["classes"][np.argmax(row)] for row in result["probabilities"]] == result["predictions"]
    numbers = csv(tmp_path, "x,y\n" + "".join(f"{i},{i * 1.5}\n" for i in range(20)))
    run("train", numbers, "--target", "y", "--save", "m.npz", *QUICK)
    assert "--proba needs a classifier" in run("predict", "m.npz", numbers, "--proba", status=2).err


def test_baseline_and_confusion_matrix_are_printed(run, tmp_path):
    """30 of 40 rows have class a."""
    path = csv(tmp_path, "x,y\n" + "".join(f"{i * i},{'b' if i % 4 == 0 else 'a'}\n" for i in range(40)))
    said = run("train", path, "--target", "y", *QUICK)
    assert "baseline: always predicting a, the most frequent class in training, is right for " in said.out
    assert "true class  answers: a  b" in said.out
    result = json.loads(run("train", path, "--target", "y", "--json", *QUICK).out)
    matrix = np.array(result["confusion"]["matrix"])
    assert result["confusion"]["classes"] == ["a", "b"]
    assert result["baseline_accuracy"] == matrix[0].sum() / 8
    assert result["test_accuracy"] == np.trace(matrix) / matrix.sum()
    many = csv(tmp_path, "x,y\n" + "".join(f"{i * i},{'abcdefghij'[i % 10]}\n" for i in range(100)))
    assert "; most frequent mistakes: " in run("train", many, "--target", "y", *QUICK).out
    numbers = csv(tmp_path, "x,y\n" + "".join(f"{i},{(i % 9) * 1.5}\n" for i in range(40)))
    result = json.loads(run("train", numbers, "--target", "y", "--json", *QUICK).out)
    assert result["baseline_rmse"] > 0
    assert "baseline: always predicting the mean, " in run("train", numbers, "--target", "y", *QUICK).out


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(0.25, ""), (0.500001, ": the network is no better"), (0.75, ": the network is worse")],
)
def test_a_network_is_said_to_be_no_better_than_the_baseline_or_worse(error, verdict):
    """Errors that are printed as one number are equal."""
    said = scores.in_words({"baseline_answer": 3.0, "baseline_rmse": 0.5, "test_rmse": error})
    assert said == f"baseline: always predicting the mean, 3, has RMSE 0.5{verdict}"
    confusion = {"classes": ["a", "b"], "matrix": [[1, 1], [1, 1]]}
    accuracies = {"baseline_accuracy": 0.5, "test_accuracy": 1 - error}
    said = scores.in_words({"baseline_answer": "a", **accuracies, "confusion": confusion}).splitlines()[0]
    assert said == f"baseline: always predicting a, the most frequent class in training, is right for 50.00%{verdict}"


def test_confusions_of_many_classes_are_listed_as_pairs(run, tmp_path, monkeypatch):
    monkeypatch.setattr(scores, "MATRIX_CLASSES", 9)
    many = csv(tmp_path, "x,y\n" + "".join(f"{i * i},{'abcdefghij'[i % 10]}\n" for i in range(100)))
    result = json.loads(run("train", many, "--target", "y", "--json", *QUICK).out)
    pairs = result["confusion"]["pairs"]
    assert sum(number for *_, number in pairs) == 20
    assert sum(number for i, j, number in pairs if i == j) == 20 * result["test_accuracy"]
    i, j, number = max((pair for pair in pairs if pair[0] != pair[1]), key=lambda pair: pair[2])
    assert f"mistakes: {'abcdefghij'[i]} as {'abcdefghij'[j]} ({number})" in scores.in_words(result)


def test_rows_without_a_target_are_left_out(run, tmp_path):
    some = csv(tmp_path, "x,y\n" + "".join(f"{i * i},{'' if i % 10 == 3 else 'ab'[i % 2]}\n" for i in range(40)))
    said = run("train", some, "--target", "y", "--save", "m.npz", *QUICK)
    assert "32 training" not in said.err
    assert "note: 4 of 40 rows have no y and are left out (first: " in said.out
    assert "line 5)" in said.out
    assert "(36 with a target)" in run("predict", "m.npz", some, "--backend", "numpy").err
    half = csv(tmp_path, "x,y\n" + "".join(f"{i * i},{'' if i % 2 else 'a'}\n" for i in range(40)))
    assert "20 of 40 rows have no y" in run("train", half, "--target", "y", status=2).err


def test_an_empty_name_in_an_option_is_that_of_the_unnamed_column(run, tmp_path):
    path = csv(tmp_path, ",x,y\n" + "".join(f"{i},{i * i},{'uv'[i % 2]}\n" for i in range(40)))
    for option, features in (([], ["x"]), (["--numeric", ""], ["", "x"]), (["--numeric", '""'], ["", "x"])):
        run("train", path, "--target", "y", *option, "--save", "m.npz", *QUICK)
        assert Recipe.from_plain(jitnet.load("m.npz").recipe).features == features


@pytest.mark.parametrize("engine", ["python", "pyarrow"])
def test_a_class_that_is_spelled_like_a_missing_cell_is_named(run, tmp_path, monkeypatch, engine):
    monkeypatch.setattr(csv_file, "WORTH", 0 if engine == "pyarrow" else 1 << 20)
    said = "; 'NA' counts as missing: if it is a class, write another name\n"
    for classes, status, expected in (
        (("EU", "NA", "AS"), 0, f"13 of 40 rows have no y and are left out (first: regions.csv, line 3){said}"),
        (("EU", "NA", "EU"), 2, f"the target 'y' has only one class, 'EU'; at least two are needed{said}"),
        (("EU", "NA"), 2, f"name another target, or leave these rows out of the file{said}"),
        (("EU", "", "AS"), 0, "left out (first: regions.csv, line 3)\n"),
        (("1", "NA", "2"), 0, "line 3)\n"),
    ):
        rows = "".join(f'{i % 7},"{classes[i % len(classes)]}"\n' for i in range(40))
        path = csv(tmp_path, f"x,y\n{rows}", "regions.csv")
        printed = run("train", path, "--target", " y", *QUICK, status=status)
        assert expected in (printed.out + printed.err).replace(f"{tmp_path}/", "")


def test_new_targets_that_are_not_numbers_are_reported(run, tmp_path):
    """Answers of a regression cannot be compared with words."""
    train = csv(tmp_path, "x,y\n" + "".join(f"{i * i % 17},{i * 1.5}\n" for i in range(40)))
    run("train", train, "--target", "y", "--save", "m.npz", *QUICK)
    for cells, said in (("1.5 cheap", True), ("1.5 2.5", False), (" ", False)):
        new = csv(tmp_path, "x,y\n" + "".join(f"3,{cell}\n" for cell in cells.split(" ")), "new.csv")
        err = run("predict", "m.npz", new, "--backend", "numpy").err
        assert ("not compared with y, which has cells that are not numbers" in err) == said
        assert ("RMSE" in err) == ("2.5" in cells)


def test_many_whole_numbers_are_classes_only_beside_images(run, tmp_path):
    """With images, labels are classes; otherwise many different whole numbers are quantities, and a note says so."""
    rng = np.random.default_rng(0)
    y = np.arange(260) % 26 + 1
    images = rng.integers(0, 256, (260, 3, 3), np.uint8)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(images))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(y.astype(np.uint8)))
    assert "26 classes" in run("train", "train-images-idx3-ubyte", "--save", "m.npz", *QUICK).err
    answers = run("predict", "m.npz", "train-images-idx3-ubyte", "--backend", "numpy").out.split()
    for pixels in (images, images.reshape(260, 9), images / np.float32(255)):  # as in the file, or scaled
        assert jitnet.load("m.npz").predict(pixels, "numpy").tolist() == [int(answer) for answer in answers]
    with pytest.raises(jitnet.Error, match="learned from images, but X holds numbers that are not images"):
        jitnet.load("m.npz").predict(images.astype(float), "numpy")
    np.savez(tmp_path / "d.npz", X=rng.normal(size=(260, 3)), y=y)
    said = run("train", "d.npz", "--quiet", *QUICK)
    assert "note: y has 26 different whole numbers, learned as quantities; if they are classes, use --task" in said.out
    assert re.search(r", test loss \d\.\d{4} \(of the standardized target\), after 3 epochs", said.out)
    assert (
        json.loads(run("train", "d.npz", "--task", "classification", "--json", *QUICK).out)["task"] == "classification"
    )


def test_equal_class_values_match_in_all_kinds_of_files(run, tmp_path):
    """A model that learned 1 and 2 accepts 1.0 and 2.0 in a CSV file, an NPZ file and in Python."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = np.where(X[:, 0] > 0, 2, 1)
    path = csv(
        tmp_path,
        "a,b,y\n" + "".join(f"{a},{b},{c}\n" for (a, b), c in zip(X, y, strict=True)),
    )
    run("train", path, "--target", "y", "--save", "m.npz", *QUICK, "--lr", "0.1")
    float_labels = csv(
        tmp_path, "a,b,y\n" + "".join(f"{a},{b},{c}.0\n" for (a, b), c in zip(X, y, strict=True)), "f.csv"
    )
    np.savez(tmp_path / "d.npz", X=X, y=y.astype(float))
    results = [json.loads(run("predict", "m.npz", file, "--json", "--backend", "numpy").out)
               for file in (path, float_labels, "d.npz")]  # fmt: skip
    assert results[0]["accuracy"] > 0.8
    assert {result["accuracy"] for result in results} == {results[0]["accuracy"]}
    labels = jitnet.load("m.npz").predict(X, "numpy")
    assert labels.dtype == np.int64
    for targets in (y, y.astype(float), y.astype(str)):
        assert jitnet.load("m.npz").evaluate(X, targets, backend="numpy")["accuracy"] == results[0]["accuracy"]
    with pytest.raises(jitnet.Error, match="class '3' is not one that the model learned: 1, 2"):
        jitnet.load("m.npz").evaluate(X, y + 1, backend="numpy")
    with pytest.raises(jitnet.Error, match="Y is None, but must hold one target for each row of X"):
        jitnet.load("m.npz").evaluate(path, None)
    other = csv(tmp_path, "a,b,y\n1,2,1\n1,2,7\n", "o.csv")
    assert "never right, since training did not have y = 7" in run("predict", "m.npz", other, "--backend", "numpy").err
    assert labels.tolist() == [int(label) for label in results[0]["predictions"]]
    assert json.loads(run("train", "d.npz", "--json", *QUICK).out)["task"] == "classification"


def test_options_of_training_apply_to_files_for_predictions(run, tmp_path):
    """An ambiguous decimal sign is reported once."""
    path = csv(tmp_path, "a b\n" + "".join(f"{i},{i % 7}25 {i % 7}\n" for i in range(60)))
    options = "--target", "b", "--task", "regression", "--save", "m.npz", *QUICK
    run("train", path, "--separator", "space", "--decimal", ",", *options)
    assert jitnet.load("m.npz").recipe["reading"] == {"separator": " ", "decimal": ",", "encoding": "utf-8"}
    short = csv(tmp_path, "a\n3,125\n", "s.csv")
    said = run("predict", "m.npz", short, "--backend", "numpy").out
    assert float(said) == pytest.approx(jitnet.load("m.npz").predict([[3.125]], "numpy")[0], abs=1e-4)
    assert run("predict", "m.npz", short, "--decimal", ".", "--backend", "numpy", status=2).err


def test_predictions_are_written_as_utf8(run, tmp_path, monkeypatch):
    path = csv(tmp_path, "a,y\n1,ä\n2,ö\n3,ä\n4,ö\n5,ä\n")
    run("train", path, "--target", "y", "--save", "m.npz", *QUICK)
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    run("predict", "m.npz", path, "--backend", "numpy", "--quiet")
    run("predict", "m.npz", path, "--backend", "numpy", "--quiet", "--out", "o.txt")
    assert stream.buffer.getvalue() == (tmp_path / "o.txt").read_bytes()
    assert set((tmp_path / "o.txt").read_text(encoding="utf-8").split()) <= {"ä", "ö"}


def test_python_rows_that_do_not_fit_are_an_error(tmp_path, run):
    run("train", passengers(tmp_path), "--target", "Survived", "--save", "m.npz", *QUICK)
    net = jitnet.load("m.npz")
    for X, message in (
        (np.ones((2, 3)), "X has 3 columns without names, but the model learned from 7: PassengerId, Name, Sex"),
        ([{"Age": 3}], "X lacks the columns Sex, Fare, Embarked that the model learned from"), ([], "must be"),
        ({"Age": [1, 2], "Sex": ["m"]}, "different lengths"), (np.ones(3), r"X has shape \(3,\)"),
        ({"Age": [], "Sex": []}, "no rows"), ([[1, 2], [3]], "rectangular"),
        ([{"Age": object()}], "column 'Age' holds <object"),
    ):  # fmt: skip
        with pytest.raises(jitnet.Error, match=message):
            net.predict(X, "numpy")


def test_unnamed_columns_without_the_target_keep_their_positions(run, tmp_path):
    """In a file without header and target, the columns after the target's position are not taken for the target."""
    rows = [f"{1 + i % 17},{i * 7 % 30},{i % 5}" for i in range(40)]
    learned = csv(tmp_path, "".join(f"{i % 2},{row}\n" for i, row in enumerate(rows)), "d.csv")
    run("train", learned, "--target", "1", "--save", "m.npz", *QUICK)
    said = run("predict", "m.npz", csv(tmp_path, "\n".join(rows), "new.csv"), "--json", "--backend", "numpy")
    result = json.loads(said.out)
    assert "accuracy" not in result
    assert result["notes"] == []
    same = json.loads(run("predict", "m.npz", learned, "--json", "--backend", "numpy").out)
    assert result["predictions"] == same["predictions"]
    assert "accuracy" in same
    numbered = csv(tmp_path, "\n".join(["0,1,2", *rows]), "numbered.csv")  # pandas writes such a header
    said = run("predict", "m.npz", numbered, "--backend", "numpy").err
    assert "the first row, 0, 1, 2, is taken for data; if it is a header, remove it" in said


def test_the_samples_whose_loss_is_shown_are_named(run, tmp_path, monkeypatch):
    """They are the test samples, or those that early stopping sets aside: 20 of 100 rows, then 16 of 80."""
    path = csv(tmp_path, "x,y\n" + "".join(f"{i % 17},{'uv'[i % 2]}\n" for i in range(100)))
    drawn = []
    monkeypatch.setattr(train.plots, "write", lambda figure, _: drawn.append(figure))
    for options, sizes, name in (
        ((), "80 training samples, 20 test samples, 1 column, ", "test"),
        (("--early-stopping", "5"), "64 training samples, 20 test samples, 16 for validation, 1 c", "validation"),
    ):
        said = run("train", path, "--target", "y", "--plot", "loss.png", *QUICK, *options).err
        assert f"data.csv: {sizes}" in said
        assert said.count(f"  {name} loss ") == said.count(" loss ") / 2 == 3
        names = ["training (mean over the epoch)", f"{name} (after the epoch)"]
        assert drawn[-1].axes[0].get_legend_handles_labels()[1] == names
        assert drawn[-1].axes[0].get_ylabel() == "cross_entropy"
        assert drawn[-1].axes[1].get_ylabel() == f"fraction of {name} samples"
    run("train", path, "--target", "x", "--task", "regression", "--loss", "huber", "--plot", "loss.png", *QUICK)
    assert drawn[-1].axes[0].get_ylabel() == "huber of the standardized target"


def test_a_guess_about_thousands_is_repeated_below_the_result(run, tmp_path):
    rows = "".join(f"{f'{i}.{100 + i}' if i % 4 else 991 - i};{i % 2}\n" for i in range(1, 80))
    path = csv(tmp_path, "n;y\n" + rows)
    said = run("train", path, "--target", "y", "--quiet", *QUICK)
    assert "note: '1.101' is read as 1101, because '987' in its column has no point; if its point is " in said.out
    assert "'1.101'" not in run("train", path, "--target", "y", "--quiet", "--decimal", ".", *QUICK).out


def test_thousands_are_not_taken_for_decimals(run, tmp_path):
    """A table that was saved again with tabs gives the same numbers, or is refused."""
    rows = [f'{i % 7},"{1 + i},{100 + i * 7}",{i % 2}' for i in range(40)]
    run("train", csv(tmp_path, "\n".join(["a,price,y", *rows]), "d.csv"), "--target", "y", "--save", "m.npz", *QUICK)
    same = "\n".join(["\ta\tprice\ty", *(f"{i}\t{i % 7}\t{1 + i},{100 + i * 7}\t{i % 2}" for i in range(40))])
    tabs = csv(tmp_path, same, "tabs.csv")
    assert "1.1 is read with a decimal comma, but in training" in run("predict", "m.npz", tabs, status=2).err
    said = run("predict", "m.npz", tabs, "--decimal", ".", "--backend", "numpy")
    assert said.out == run("predict", "m.npz", tmp_path / "d.csv", "--backend", "numpy").out
    assert "not used, since training did not have it: the unnamed column" in said.err


def test_encoding_of_the_training_is_that_of_new_files(run, tmp_path):
    """Files in UTF-8 or UTF-16 need none."""
    text = "város,y\n" + "Győr,1\nPécs,2\n" * 20
    (tmp_path / "d.csv").write_bytes(text.encode("cp1250"))
    run("train", "d.csv", "--target", "y", "--encoding", "cp1250", "--save", "m.npz", *QUICK)
    for encoding in ("cp1250", "utf-8", "utf-16"):
        (tmp_path / "new.csv").write_bytes((text + "Győr,1\n").encode(encoding))
        assert json.loads(run("predict", "m.npz", "new.csv", "--backend", "numpy", "--json").out)["notes"] == []


GERMAN = "Größe;Länge;Preis\n" + "".join(f"{i % 9},{i % 4}25;{i % 7};{i % 9 + i % 7},5\n" for i in range(60))
READ_ALIKE = {
    "no decimal comma": ("Größe;Länge\n3;4\n", [[3, 4]], ""),
    "points that separate thousands": ("Größe;Länge\n3;1.100\n", [[3, 1100]],
        "Länge: 1 of 1 cell is outside of the range in training, 0 to 6, the first 1100 (new.csv, line 2)"),
    "one row with other separators": ('Größe;Länge;Notiz\n3,5;4;"a|b,c|d"\n', [[3.5, 4]], "not used"),
    "another encoding": ("Größe;Länge\n3,5;4\n".encode("cp1252"), [[3.5, 4]], "is not UTF-8 (--encoding)"),
    "another separator": ("Größe,Länge\n3.5,4\n1.100,4\n", [[3.5, 4], [1.1, 4]],
        "read as separated by ',', while the model learned from a file separated by ';' (--separator)"),
    "another decimal sign": ("Größe;Länge\n3.5;4\n", None,
        "line 2, column 'Größe': '3.5' is not a number with the decimal sign , (--decimal .)"),
}  # fmt: skip


@pytest.mark.parametrize("name", READ_ALIKE)
def test_file_for_predictions_is_read_like_that_of_training(run, tmp_path, name):
    """If one file is ambiguous, it is read like the other, on the command line and in Python."""
    content, rows, note = READ_ALIKE[name]
    (tmp_path / "d.csv").write_text(GERMAN, "utf-8")
    (tmp_path / "new.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    run("train", "d.csv", "--target", "Preis", "--save", "m.npz", *QUICK)
    said = run("predict", "m.npz", "new.csv", "--backend", "numpy", status=2 if rows is None else 0)
    assert note in said.err
    net = jitnet.load("m.npz")
    if rows is None:
        with pytest.raises(jitnet.Error, match=r"\(--decimal \.\)"):
            net.predict(tmp_path / "new.csv", "numpy")
        return
    assert note or said.err == f"{checks.count(len(rows), 'row')}\n"
    answers = [float(line) for line in said.out.split()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if note else "error")
        np.testing.assert_allclose(answers, net.predict(rows, "numpy"), atol=1e-4)
        np.testing.assert_allclose(answers, net.predict("new.csv", "numpy"), atol=1e-4)


def test_names_of_columns_have_one_spelling(run, tmp_path):
    """Unicode writes ö as one character or as two; spaces around a name are not part of it."""
    one, two = "Gr\u00f6\u00dfe", "Gro\u0308\u00dfe"
    for learned, new in ((one, two), (two, one)):
        csv(tmp_path, f"{learned},b,{learned} y\n" + "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(40)), "d.csv")
        options = ("--target", f"{new} y", "--categorical", new, "--save", "m.npz")
        assert f"{one} has 7 categories" in run("train", "d.csv", *options, *QUICK).err
        said = run("predict", "m.npz", csv(tmp_path, f"b,{new}\n1,2\n", "new.csv"), "--backend", "numpy")
        assert said.err == "1 row\n"
        net = jitnet.load("m.npz")
        for name in (learned, new):
            assert net.predict([{"b": 1, name: 2}], "numpy").tolist() == [int(said.out)]
        assert net.predict({f" {new}": [2], "b ": [1]}, "numpy").tolist() == [int(said.out)]
        with pytest.raises(jitnet.Error, match="X has two columns called 'b'; rename one"):
            net.predict({f" {new}": [2], "b ": [1], "b": [2]}, "numpy")
