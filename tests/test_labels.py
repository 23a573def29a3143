"""Labels of any kind in fit, predict, evaluate and files; several labels per sample; bad labels are errors."""

import copy
import decimal

import numpy as np
import pytest
from runs import spiral

import jitnet
from jitnet import SGD, Adam, Dense, Network, cli
from jitnet.canonical import canonical

X, CODES = spiral()
X = X.astype(np.float32)


def net(n_out=3, last="softmax", seed=0):
    return Network(Dense(2, 9, "tanh"), Dense(9, n_out, last), seed=seed)


def fit(network, Y, **options):
    return network.fit(X, Y, **{"epochs": 3, "optimizer": Adam(0.02), "backend": "numpy", **options})


NAMES = np.array(["ant", "bee", "cat"])
KINDS = {
    "text": (NAMES[CODES], ["ant", "bee", "cat"]),
    "objects": (NAMES[CODES].astype(object), ["ant", "bee", "cat"]),
    "list": (NAMES[CODES].tolist(), ["ant", "bee", "cat"]),
    "unicode": (np.array(["ä", "日本", ""])[CODES], ["", "ä", "日本"]),
    "negative": (CODES - 1, [-1, 0, 1]),
    "from one": (CODES + 1, [1, 2, 3]),
    "far apart": (np.array([7, -1000, 2**62])[CODES], [-1000, 7, 2**62]),
    "floats": (np.array([1.0, 2.0, 30.0])[CODES], [1, 2, 30]),
    "unsigned": (np.array([5, 6, 250], np.uint8)[CODES], [5, 6, 250]),
    "objects of integers": (np.array([4, 5, 6])[CODES].astype(object), [4, 5, 6]),
}


if hasattr(np, "dtypes") and hasattr(np.dtypes, "StringDType"):  # from NumPy 2 on
    KINDS["variable length"] = NAMES[CODES].astype(np.dtypes.StringDType()), ["ant", "bee", "cat"]


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_any_kind_train_like_class_numbers(kind, tmp_path):
    """The bits are the same as with 0, 1, 2 for the sorted labels; predict returns the labels, also from a file."""
    labels, classes = KINDS[kind]
    positions = np.array([classes.index(label) for label in np.asarray(labels).tolist()])
    one, other = net(), net()
    histories = [fit(one, labels, validation=(X, labels)), fit(other, positions, validation=(X, positions))]
    assert one.theta.tobytes() == other.theta.tobytes()
    assert histories[0].validation_accuracy == histories[1].validation_accuracy
    assert one.classes.tolist() == classes
    assert other.classes.tolist() == [0, 1, 2]
    answers = one.predict(X, "numpy")
    assert answers.tolist() == [classes[c] for c in other.predict(X, "numpy")]
    measured = one.evaluate(X, labels, backend="numpy")
    assert measured == other.evaluate(X, positions, backend="numpy")
    assert measured["accuracy"] == np.mean([a == b for a, b in zip(answers, np.asarray(labels).tolist(), strict=True)])
    assert one.gradients(X, labels, backend="numpy")[0] == other.gradients(X, positions, backend="numpy")[0]
    one.save(tmp_path / "model.npz")
    loaded = jitnet.load(tmp_path / "model.npz")
    assert loaded.classes.tolist() == classes
    assert loaded.predict(X, "numpy").tolist() == answers.tolist()


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["no", "yes"], ["no", "yes"]),
        ([False, True], [False, True]),
        ([-1, 1], [-1, 1]),
        ([1, 2], [1, 2]),
        ([0, 1], [0, 1]),
    ],
)
@pytest.mark.parametrize("last", ["sigmoid", "softmax"])
def test_two_classes_work_with_one_unit_or_two(labels, classes, last):
    network = net(1 if last == "sigmoid" else 2, last)
    Y = np.array(labels)[CODES % 2]
    fit(network, Y, epochs=40)
    answers = network.predict(X, "numpy")
    assert answers.dtype == np.array(classes).dtype
    assert set(answers.tolist()) <= set(classes)
    assert network.evaluate(X, Y, backend="numpy")["accuracy"] == np.mean(answers == Y) > 0.6


def test_preset_classes_keep_their_order_and_can_have_no_samples():
    network = net()
    network.classes = ["cat", "ant", "bee"]
    few = np.where(CODES == 2, "ant", NAMES[CODES])  # no cat
    fit(network, few)
    assert network.classes.tolist() == ["cat", "ant", "bee"]
    np.testing.assert_allclose(
        network.evaluate(X, few, backend="numpy")["loss"],
        -np.log(network.forward(X, "numpy")[np.arange(97), np.array([1, 2, 1])[CODES]]).mean(), rtol=1e-5,
    )  # fmt: skip
    fit(network, NAMES[CODES])  # the same classes: outputs keep their order
    assert network.classes.tolist() == ["cat", "ant", "bee"]
    with pytest.raises(jitnet.Error, match=r"is \d, but the network has the classes 'cat', 'ant', 'bee'; for"):
        fit(network, CODES)  # its outputs would mean other classes than they were trained for
    assert network.classes.tolist() == ["cat", "ant", "bee"]
    network.classes = None
    fit(network, CODES)
    assert network.classes.tolist() == [0, 1, 2]
    fit(network, np.eye(3)[CODES])
    assert network.predict(X, "numpy").dtype == np.int64


def test_step_uses_the_classes_of_the_network():
    network, other = net(), net()
    with pytest.raises(jitnet.Error, match=r"label Y\[0\] is 'ant', but the network has no classes; set net\.classes"):
        network.step(X, NAMES[CODES], SGD(0.1), backend="numpy")
    network.classes = NAMES
    network.step(X[:4], NAMES[CODES[:4]], SGD(0.1), backend="numpy")
    other.step(X[:4], CODES[:4], SGD(0.1), backend="numpy")
    assert network.theta.tobytes() == other.theta.tobytes()
    assert network.predict(X, "numpy").tolist() == NAMES[other.predict(X, "numpy")].tolist()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (NAMES[CODES % 2], r"^Y has 2 classes \(ant, bee\), but the last layer has 3 units; use as many units"),
        (CODES + 1 + (np.arange(97) == 5), r"label Y\[2\] is 3, but the last layer has 3 units: .* Y has 4 classes"),
        (["ant"] * 97, r"Y has one class only, 'ant', so there is nothing to learn"),
        ([2] * 97, "Y has one class only, 2,"),
        ([True] * 97, "Y has one class only, True"),
        (["ant", None] + ["bee"] * 95, r"Y\[1\] is None: a label is missing; leave this sample out"),
        (np.array([1.0, np.nan] + [2.0] * 95, object), r"Y\[1\] is nan: a label is missing"),
        (np.array(["ant", 5] + ["bee"] * 95, object), r"Y\[1\] is 5, and Y\[0\] is 'ant'; labels must be all text"),
        (["ant", 5] + ["bee"] * 95, r"Y\[1\] is 5, and Y\[0\] is 'ant'"),
        (np.array([1, True] + [0] * 95, object), r"Y\[1\] is True, and Y\[0\] is 1"),
        ([decimal.Decimal(1)] * 97, r"Y\[0\] is Decimal\('1'\), a Decimal; labels must be all text, all numbers"),
        (CODES + 0.5, r"label Y\[0\] is 0\.5, but must be a whole number\. .* shape \(97, 3\); .* use 1 output"),
        (np.where(CODES == 0, 1e300, 0.5), r"label Y\[\d+\] is 0\.5, but must be a whole number"),
        (NAMES[CODES].astype("S"), "Y holds bytes"),
        (NAMES[CODES][:96], r"Y has shape \(96,\), but X has 97 rows"),
        (NAMES[CODES][:, None], r"Y has shape \(97, 1\), but labels are one per sample; write np\.ravel\(Y\)"),
        (np.where(CODES == 1, 1e300, CODES + 1.0), "more than 63 bits"),
        (np.ma.masked_equal(CODES, 2), "Y has masked values"),
        (list(np.ma.masked_equal(np.eye(3)[CODES], 1)), r"Y\[0\] has masked values"),
        (np.array([2**64, 5, 6])[CODES], "more than 63 bits"),
        (np.array([2**63, 5, 6], object)[CODES], "more than 63 bits"),
        (np.array([2**64 - 1, 5, 6], np.uint64)[CODES], "more than 63 bits"),
        (zip([1], [2], strict=True), r"Y is a zip; write np\.array\(list\(Y\)\)"),
        (np.array(["2026-01-01"] * 97, "datetime64[D]"), "must hold real numbers"),
    ],
)  # fmt: skip
def test_bad_labels_are_a_clear_error(labels, message):
    network = net()
    before = network.theta.tobytes()
    with pytest.raises(jitnet.Error, match=message):
        fit(network, labels)
    assert network.theta.tobytes() == before
    assert network.classes is None
    assert network.loss is None


@pytest.mark.parametrize("Y", [CODES % 2 + 1, X[:, 0] + 100])
def test_one_unit_of_hinge_refuses_targets_without_a_sign(Y):
    """Every number above 0 would count as 1, and the loss fall to 0."""
    network, two = net(1, "identity"), CODES % 2
    for call in (
        lambda: fit(network, Y, loss="hinge"), lambda: network.partial_fit(X, Y, loss="hinge", backend="numpy"),
        lambda: network.step(X, Y, loss="hinge", backend="numpy"), lambda: network.evaluate(X, Y, "hinge", "numpy"),
        lambda: network.gradients(X, Y, "hinge", "numpy"), lambda: fit(network, two, loss="hinge", validation=(X, Y)),
        lambda: network.fit([(X, two), (X, Y)], loss="hinge", backend="numpy"),
    ):  # fmt: skip
        with pytest.raises(jitnet.Error, match="but hinge needs 1, 0 and -1 only; write 1 for one class"):
            call()
    with np.errstate(all="raise"):
        one, other = (fit(net(1, "identity"), Y, loss="hinge").loss for Y in (two, 2 * two - 1))
    assert one == other


@pytest.mark.parametrize(
    ("Y", "loss", "message"),
    [
        (["no", "yes", "no"], "mse", r"Y holds text, but .* one unit for numbers; labels .*: Dense\(9, 2\)"),
        (NAMES, "hinge", r"labels need one unit per class: Dense\(9, 3\)"),
        ([True, False, True], "hinge", r"write np\.where\(Y, 1, -1\); labels need one unit per class: Dense\(9, 2\)"),
        (["1.5", "-2", "0"], "mse", r"Y holds text, but must hold real numbers; write np\.array\(Y, float\)"),
    ],
)  # fmt: skip
def test_labels_for_one_unit_without_sigmoid_are_an_error(Y, loss, message):
    for call in (net(1, "identity").fit, net(1, "tanh").evaluate, net(1, "relu").step):
        with pytest.raises(jitnet.Error, match=message):
            call(X[:3], Y, loss=loss, backend="numpy")
    fit(net(2, "identity"), np.array(["no", "yes"])[CODES % 2], loss="hinge")  # the fix


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [([True, None], "boolean", r"Y\[1\] is <NA>: a label is missing"), ([1, None], "Int64", r"Y\[1\] is nan; replace")],
)
def test_missing_labels_in_an_array_of_pandas_are_an_error_without_a_mask(values, dtype, message):
    pandas = pytest.importorskip("pandas", reason="needs an optional library")
    with pytest.raises(jitnet.Error, match=message):
        net(2).fit(X[:2], pandas.array(values, dtype=dtype), backend="numpy")


def test_labels_unknown_to_a_trained_network_are_an_error():
    network = net()
    fit(network, NAMES[CODES])
    for labels, message in [
        (["dog"] * 97, r"label Y\[0\] is 'dog', but the network has the classes 'ant', 'bee', 'cat'"),
        (CODES, r"label Y\[0\] is 0, but the network has the classes 'ant', 'bee', 'cat'"),
    ]:
        with pytest.raises(jitnet.Error, match=message):
            network.evaluate(X, labels, backend="numpy")
        with pytest.raises(jitnet.Error, match=message):
            fit(net(), NAMES[CODES], validation=(X, labels))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["a", "b"], "the last layer has 3 units and needs 3 different ones"),
        (["a", "b", "b"], "needs 3 different ones"), ([0.5, 1, 2], "must be a list of text, of whole numbers"),
        (["a", 1, 2], r"labels must be all text"), ([["a", "b", "c"]], "must be a list"), ("abc", "must be a list"),
    ],
)  # fmt: skip
def test_bad_classes_are_a_clear_error(classes, message):
    network = net()
    with pytest.raises(jitnet.Error, match=message):
        network.classes = classes
    assert network.classes is None


def test_softmax_of_one_unit_is_refused():
    for call in (Network.fit, Network.step, Network.partial_fit):
        with pytest.raises(jitnet.Error, match=r"with 'softmax', whose output is always 1; use Dense\(n_in, 2"):
            call(net(1), X, np.ones((97, 1)))


def test_several_labels_per_sample_can_be_learned(tmp_path):
    """Sigmoid and binary cross-entropy on rows of 0 and 1: predict returns such rows; accuracy counts whole rows."""
    Y = np.c_[X[:, 0] > 0, X[:, 1] > 0, X[:, 0] > X[:, 1]].astype(int)
    network = net(3, "sigmoid")
    history = fit(network, Y, epochs=30, loss="binary_cross_entropy", validation=(X, Y))
    answers = network.predict(X, "numpy")
    np.testing.assert_array_equal(answers, network.forward(X, "numpy") > 0.5)
    assert answers.dtype == np.int64
    assert answers.shape == (97, 3)
    right = (answers == Y).all(axis=1).mean()
    measured = network.evaluate(X, Y, backend="numpy")
    assert measured["accuracy"] == history.validation_accuracy[-1] == right > 0.5
    assert right < (answers == Y).mean()
    A = network.forward(X, "numpy").astype(np.float64)
    np.testing.assert_allclose(measured["loss"], -(np.log(np.where(Y, A, 1 - A))).sum(axis=1).mean(), rtol=1e-5)
    network.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(jitnet.load(tmp_path / "model.npz").predict(X, "numpy"), answers)


def test_regression_has_no_accuracy():
    """One sigmoid can learn numbers between 0 and 1; a Y of only 0 and 1 has two classes."""
    network, y = net(1, "sigmoid"), 1 / (1 + np.exp(-X[:, 0]))
    history = fit(network, y, loss="mse", validation=(X, y))
    assert history.validation_accuracy == []
    assert "accuracy" not in network.evaluate(X, y, backend="numpy")
    np.testing.assert_array_equal(network.predict(X, "numpy"), network.forward(X, "numpy"))
    fit(network, y > 0.5)
    assert network.predict(X, "numpy").dtype == bool


def test_first_part_of_the_data_decides_the_task():
    """Later parts can contain only 0 and 1."""
    network = net(1, "sigmoid")
    for part in ([0.2, 0.9, 1.0], [0.0, 1.0, 1.0]):
        network.partial_fit(X[:3], part, loss="mse", backend="numpy")
    assert network.predict(X, "numpy").dtype == np.float32


def test_network_of_a_table_has_the_class_names(tmp_path):
    """They are the names that predict returns, in the order of the outputs."""
    rows = [f"{x:.3f},{y:.3f},{NAMES[c]}" for (x, y), c in zip(X, CODES, strict=True)]
    (tmp_path / "spiral.csv").write_text("\n".join(["x,y,animal", *rows]))
    options = ["--target", "animal", "--backend", "numpy", "--epochs", "2", "--hidden", "4", "--quiet"]
    assert cli.main(["train", str(tmp_path / "spiral.csv"), *options, "--save", str(tmp_path / "model.npz")]) == 0
    network = jitnet.load(tmp_path / "model.npz")
    assert network.classes.tolist() == NAMES.tolist()
    inputs, _ = network.prepared(X, NAMES[CODES])
    best = network.classes[network.forward(inputs, "numpy").argmax(axis=1)]
    assert network.predict(X, "numpy").tolist() == best.tolist()
    assert network.evaluate(X, NAMES[CODES], backend="numpy")["accuracy"] == np.mean(best == NAMES[CODES])
    with pytest.raises(jitnet.Error, match="the classes of a model of jitnet train are those of its table"):
        network.classes = ["a", "b", "c"]


def test_copy_keeps_the_classes():
    network = net()
    fit(network, NAMES[CODES])
    assert copy.deepcopy(network).predict(X, "numpy").tolist() == network.predict(X, "numpy").tolist()


@pytest.mark.parametrize("learn", ["partial_fit", "step"])
def test_training_on_probabilities_keeps_the_classes(learn):
    network = net(1, "sigmoid")
    network.partial_fit(X[:4], ["no", "yes"] * 2, classes=["no", "yes"], backend="numpy")
    getattr(network, learn)(X[:2], [[0.3], [0.7]], backend="numpy")
    assert network.classes.tolist() == ["no", "yes"]
    assert set(network.predict(X, "numpy")) <= {"no", "yes"}


def test_classes_are_a_copy():
    names, network = NAMES.copy(), net()
    network.classes = names
    names[0] = "emu"
    assert network.classes.tolist() == NAMES.tolist()


def test_error_in_the_validation_samples_names_them():
    for wrong in ((X, ["emu"] * 97), (X[:, :1], CODES)):
        with pytest.raises(jitnet.Error, match=r"^in validation, "):
            net().fit(X, NAMES[CODES], validation=wrong, backend="numpy")


SPELLINGS = {
    "whole numbers in text": (["1", "2"], [["1.0", " 2"], [1, 2], [1.0, 2.0], ["+1", "2e0"]]),
    "decimal points": (["1.0", "2.0"], [["1", "2"], [1, 2], [1.0, 2.0]]),
    "numbers": ([1, 2], [["1", "2"], ["1.0", "2.00"], [1.0, 2.0]]),
    "fractions in text": (["0.5", ".25"], [["0.50", "0.25"], ["5e-1", " .25 "]]),
    "words and spaces": (["a", "b c"], [[" a", "b c "]]),
    "true and false": (["true", "false"], [["TRUE", "False"], [True, False]]),
    "booleans": ([False, True], [["false", "TRUE"], [0, 1], [0.0, 1.0]]),
    "two ways to write é": (["\u00e9", "x"], [["e\u0301", "x"]]),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spelling_of_a_label_does_not_matter(name):
    """What was learned keeps its own spelling; what is compared with it can have another."""
    learned, others = SPELLINGS[name]
    network = net(2)
    fit(network, np.array(learned)[CODES % 2], epochs=20)
    assert network.classes.tolist() == sorted(learned)
    right = network.evaluate(X, np.array(learned)[CODES % 2], backend="numpy")
    for other in others:
        again, labels = net(2), np.array(other)[CODES % 2]
        assert network.evaluate(X, labels, backend="numpy") == right
        assert network.evaluate(X, labels.tolist(), backend="numpy") == right
        weights = {label: 1.0 + i for i, label in enumerate(other)}
        fit(again, np.array(learned)[CODES % 2], epochs=20, validation=(X, labels), class_weight=weights)
        copy.deepcopy(network).step(X[:4], labels[:4], SGD(0.1), backend="numpy")
        fit(again, labels)  # the same classes, in the same order
        assert again.classes.tolist() == sorted(learned)


def test_a_label_that_two_classes_spell_is_neither():
    network = net(3)
    network.classes = ["1", "1.0", "2"]
    network.evaluate(X, np.array(["1", "1.0", "2.0"])[CODES], backend="numpy")
    with pytest.raises(jitnet.Error, match=r"label Y\[\d+\] is 1, but the network has the classes '1', '1.0', '2'"):
        network.evaluate(X, np.array([1, 2])[CODES % 2], backend="numpy")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["1", "1.0", "2"], ["1", "2"]), ([" 1.0", "1.0", "2.0"], ["1", "2.0"]), ([" a", "a", "b"], ["a", "b"]),
        (["true", "TRUE", "no"], ["True", "no"]), (["\u00e9", "e\u0301", "x"], ["x", "\u00e9"]),
    ],
)  # fmt: skip
def test_labels_in_two_spellings_are_one_class_and_a_warning_says_so(labels, classes, tmp_path):
    """As in a table, where they are one class too."""
    network, Y = net(2), np.array(labels)[CODES]
    with pytest.warns(
        UserWarning, match=r"become one class: .* \(net\.classes = \[\.\.\.\] keeps them apart\)"
    ) as said:
        fit(network, Y)
    first = fit.__code__.co_firstlineno
    assert (said[0].filename, said[0].lineno) == (__file__, first + 1)  # the line that calls the method
    assert network.classes.tolist() == classes
    same = net(2)
    fit(same, np.array(classes)[[classes.index(canonical(c)) if canonical(c) in classes else 1 for c in Y.tolist()]])
    assert network.theta.tobytes() == same.theta.tobytes()
    (tmp_path / "t.csv").write_text("\n".join(["x,y,c", *(f'{x},{y},"{c}"' for (x, y), c in zip(X, Y, strict=True))]))
    recipe = jitnet.data.Recipe.learn(jitnet.data.read_table(tmp_path / "t.csv", "c"), np.arange(97))
    assert recipe.classes == sorted(map(canonical, classes))
    apart = net(3)
    apart.classes = labels
    fit(apart, Y)
    assert apart.classes.tolist() == labels
    right = apart.evaluate(X, Y, backend="numpy")
    assert right["accuracy"] == np.mean(apart.predict(X, "numpy") == Y)
    assert apart.evaluate(X, [f"{c} " if c == labels[2] else c for c in Y.tolist()], backend="numpy") == right


def test_codes_and_numbers_and_truth_and_one_are_different_labels():
    network = net()
    fit(network, np.array(["1", "01", "001"])[CODES])
    assert network.classes.tolist() == ["001", "01", "1"]
    for learned, other in (([0, 1], ["False", "True"]), (["01", "2"], [1, 2]), (["A", "b"], ["a", "b"])):
        network = net(2)
        fit(network, np.array(learned)[CODES % 2])
        with pytest.raises(jitnet.Error, match="but the network has the classes"):
            network.evaluate(X, np.array(other)[CODES % 2], backend="numpy")
