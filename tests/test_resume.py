"""Training in parts: fit(2), then fit(2, resume=True), is bit-identical to fit(4); partial_fit."""

import numpy as np
import pytest
from runs import ON_CPU, make, spiral

import jitnet
from jitnet import SGD, Adam, AdamW, Dense, Dropout, Momentum, Network

X, CODES = spiral()
RUNS = {"batch_size": 10, "backend": "numpy"}


def with_dropout(seed=4):
    return Network(Dense(2, 17, "tanh"), Dropout(0.3), Dense(17, 3, "softmax"), seed=seed)


@pytest.mark.parametrize("optimizer", [SGD(0.2), Momentum(0.1), Momentum(0.1, nesterov=True), Adam(0.01), AdamW(0.01)])
def test_two_halves_give_the_same_bits_as_one_run(optimizer):
    """The optimizer's state, the order of samples, dropout and the history continue."""
    whole, halves = with_dropout(), with_dropout()
    history = whole.fit(X, CODES, epochs=4, optimizer=optimizer, validation=(X, CODES), **RUNS)
    first = halves.fit(X, CODES, epochs=2, optimizer=optimizer, validation=(X, CODES), **RUNS)
    both = halves.fit(X, CODES, epochs=2, optimizer=optimizer, validation=(X, CODES), resume=True, **RUNS)
    assert halves.theta.tobytes() == whole.theta.tobytes()
    assert both.loss == history.loss
    assert both.validation_loss == history.validation_loss
    assert first.loss == history.loss[:2]
    assert first.epochs == 2
    assert both.epochs == 4
    assert len(both.seconds) == 4
    one, other = whole.state_dict(), halves.state_dict()
    assert one.keys() == other.keys()
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)


@pytest.mark.parametrize("backend", ["njit", "fast", "parallel"])
def test_two_halves_give_the_same_bits_on_compiled_backends(backend):
    assert backend in ON_CPU
    whole, halves = with_dropout(), with_dropout()
    whole.fit(X, CODES, epochs=3, backend=backend)
    halves.fit(X, CODES, epochs=1, backend=backend)
    halves.fit(X, CODES, epochs=2, backend=backend, resume=True)
    assert halves.theta.tobytes() == whole.theta.tobytes()


def test_resume_continues_with_the_seed_of_the_training_not_of_the_network():
    whole, halves = with_dropout(seed=4), with_dropout(seed=4)
    whole.fit(X, CODES, epochs=2, seed=7, **RUNS)
    halves.fit(X, CODES, epochs=1, seed=7, **RUNS)
    halves.fit(X, CODES, epochs=1, resume=True, **RUNS)
    assert halves.theta.tobytes() == whole.theta.tobytes()


@pytest.mark.parametrize("seed", [None, 7, 2**63 + 5, 2**70])
def test_resume_uses_the_seed_of_the_training(seed):
    """Also a random seed and a seed of more than 64 bits."""
    net = with_dropout(seed=None)
    whole = with_dropout(seed=None)
    whole.theta[...] = net.theta
    net.fit(X, CODES, epochs=1, seed=seed, **RUNS)
    drawn = net._state.seed
    net.fit(X, CODES, epochs=1, resume=True, **RUNS)
    whole.fit(X, CODES, epochs=2, seed=drawn, **RUNS)
    assert net.theta.tobytes() == whole.theta.tobytes()
    net.state_dict()


def test_resume_is_true_or_false():
    with pytest.raises(jitnet.Error, match=r"resume is array\(\[1\., 1\.\]\), but must be True or False"):
        make().fit(X, CODES, resume=np.ones(2), **RUNS)


def test_resume_needs_the_same_kind_of_training():
    net = make()
    with pytest.raises(jitnet.Error, match="resume continues the latest training of this network, and there is none"):
        net.fit(X, CODES, resume=True, **RUNS)
    net.fit(X, CODES, epochs=1, optimizer="adam", **RUNS)
    with pytest.raises(jitnet.Error, match="the training to continue has optimizer adam, not sgd; use the same"):
        net.fit(X, CODES, resume=True, **RUNS)
    with pytest.raises(
        jitnet.Error,
        match="label Y\\[0\\] is 'a', but the network has the classes 0, 1, 2",
    ):
        net.fit(X, ["a"] * 97, resume=True, optimizer="adam", **RUNS)
    before = net.theta.tobytes()
    net.fit(X, CODES, epochs=1, resume=True, optimizer=Adam(0.5), **RUNS)  # a different learning rate is allowed
    assert net.theta.tobytes() != before
    with pytest.raises(jitnet.Error, match="resume is 1, but must be True or False"):
        net.fit(X, CODES, resume=1, **RUNS)


def test_fit_without_resume_starts_a_new_training():
    net, other = make(), make()
    net.fit(X, CODES, epochs=1, optimizer="adam", **RUNS)
    other.theta[...] = net.theta
    histories = [each.fit(X, CODES, epochs=2, optimizer="adam", **RUNS) for each in (net, other)]
    assert net.theta.tobytes() == other.theta.tobytes()
    assert histories[0].epochs == 2


def test_partial_fit_equals_single_steps():
    """partial_fit on parts, in order, gives the same bits as `step` on the same batches."""
    names = np.array(["ant", "bee", "cat"])[CODES]
    net, other = with_dropout(), with_dropout()
    other.classes = ["ant", "bee", "cat"]
    for start in range(0, 90, 30):
        rows = slice(start, start + 30)
        history = net.partial_fit(
            X[rows], names[rows], classes=["cat", "ant", "bee"][::-1], batch_size=15, shuffle=False,
            optimizer=Adam(0.01), backend="numpy",
        )  # fmt: skip
        for half in (0, 15):
            part = slice(start + half, start + half + 15)
            other.classes = net.classes
            other.step(X[part], names[part], Adam(0.01), backend="numpy")
    assert net.theta.tobytes() == other.theta.tobytes()
    assert history.epochs == 3
    assert net.classes.tolist() == ["bee", "ant", "cat"]
    one = net.partial_fit(X[:1], names[:1], optimizer=Adam(0.01), backend="numpy")  # one sample, one class
    assert one.epochs == 4


def test_fit_can_resume_after_partial_fit():
    net = make()
    net.partial_fit(X, CODES, optimizer="adam", backend="numpy")
    net.fit(X, CODES, epochs=2, optimizer="adam", backend="numpy", resume=True)
    whole = make()
    whole.fit(X, CODES, epochs=3, optimizer="adam", backend="numpy")
    assert net.theta.tobytes() == whole.theta.tobytes()


def test_bad_input_of_partial_fit_is_an_error():
    net = make()
    with pytest.raises(jitnet.Error, match=r"label Y\[0\] is 'a', but the network has no classes; set net\.classes"):
        net.partial_fit(X, ["a"] * 97, backend="numpy")
    with pytest.raises(jitnet.Error, match="needs 3 different ones"):
        net.partial_fit(X, ["a"] * 97, classes=["a", "b"], backend="numpy")
    assert net.classes is None
    net.partial_fit(X, ["a"] * 97, classes=["a", "b", "c"], backend="numpy")
    with pytest.raises(jitnet.Error, match=r"classes are \['a', 'b', 'd'\], but the network has \['a', 'b', 'c'\]"):
        net.partial_fit(X, ["a"] * 97, classes=["a", "b", "d"], backend="numpy")
    with pytest.raises(jitnet.Error, match="class_weight is 'balanced', but partial_fit does not see all samples"):
        net.partial_fit(X, ["a"] * 97, class_weight="balanced", backend="numpy")


def test_classes_of_partial_fit_need_labels():
    """For numbers, and for several labels per sample, they would be ignored."""
    numbers, several = Network(Dense(2, 1), seed=0), Network(Dense(2, 2, "sigmoid"), seed=0)
    rows = np.eye(2)[CODES % 2]
    for net, Y in ((numbers, X[:, 0]), (numbers, CODES % 2), (several, rows)):
        before = net.theta.tobytes()
        with pytest.raises(jitnet.Error, match=r"classes are \[1, 2\], but this training is without labels; leave"):
            net.partial_fit(X, Y, classes=[1, 2], backend="numpy")
        assert (net.theta.tobytes(), net.task, net.classes) == (before, None, None)
    net = Network(Dense(2, 2, "softmax"), seed=0)
    net.partial_fit(X, rows, classes=[1, 2], backend="numpy")  # rows of one class each
    assert net.classes.tolist() == [1, 2]
    numbers.partial_fit(X, X[:, 0], backend="numpy")
    with pytest.raises(jitnet.Error, match="this training is without labels"):
        numbers.partial_fit(X, X[:, 0], classes=[1, 2], backend="numpy")


@pytest.mark.parametrize("restores", [True, False])
def test_restore_best_can_change_when_resuming(restores):
    """Weights of the best epoch so far are missing or no longer needed: the search for the best epoch starts again."""
    net = make()
    wrong = X, (CODES + 1) % 3  # the validation loss rises
    options = {"optimizer": SGD(0.5), "validation": wrong, **RUNS}
    net.fit(X, CODES, epochs=3, early_stopping=jitnet.EarlyStopping(9, restore=not restores), **options)
    history = net.fit(
        X, CODES, epochs=2, early_stopping=jitnet.EarlyStopping(9, restore=restores), resume=True, **options
    )
    assert history.best_epoch == 4
    expected = history.validation_loss[3 if restores else 4]
    assert net.evaluate(*wrong, backend="numpy")["loss"] == pytest.approx(expected, rel=1e-6)


def test_part_without_validation_has_nan_in_the_history(capsys):
    """Its numbers are missing, also in the display, and the numbers of other epochs keep their positions."""
    net = make()
    net.fit(X, CODES, epochs=1, **RUNS)
    net.fit(X, CODES, epochs=2, resume=True, validation=(X, CODES), **RUNS)
    capsys.readouterr()
    history = net.fit(X, CODES, epochs=1, resume=True, progress=True, **RUNS)
    for values in (history.validation_loss, history.validation_accuracy):
        assert np.isnan(values).tolist() == [True, False, False, True]
    assert "validation" not in capsys.readouterr().err
    assert history._repr_html_().count(">–<") == 4
    plateau = jitnet.ReduceOnPlateau(0.5, patience=1, min_delta=0)
    assert plateau(4, jitnet.History(loss=[3, 2, 1, 4], validation_loss=[1, 1, 1, float("nan")])) == 0.5
    assert plateau(4, jitnet.History(loss=[3, 3, 3, 3], validation_loss=[float("nan"), 3, 2, 1])) == 1
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    assert len(history.plot().axes) == 2
