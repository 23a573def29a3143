"""Schedules, gradient clipping, early stopping by other metrics, callbacks."""

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from runs import make, overfit, spiral

import jitnet
from jitnet import (
    SGD,
    Adam,
    AdamW,
    CosineDecay,
    Dense,
    EarlyStopping,
    History,
    Momentum,
    Network,
    ReduceOnPlateau,
    RMSprop,
    StepDecay,
    Warmup,
    checks,
)  # fmt: skip
from jitnet.kernels import LADDERS
from jitnet.training import schedules
from jitnet.training.history import ENDINGS, Ending

X, CODES = spiral()
RUNS = {"batch_size": 10, "backend": "numpy"}
BATCHES = 10


def test_factors_of_schedules_by_hand():
    empty = History()
    assert [StepDecay(3, 0.5)(epoch, empty) for epoch in (0, 2, 3, 5.9, 6)] == [1, 1, 0.5, 0.5, 0.25]
    assert [round(CosineDecay(4, least=0.2)(epoch, empty), 12) for epoch in (0, 2, 4, 9)] == [1, 0.6, 0.2, 0.2]
    assert CosineDecay(4)(1, empty) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert [Warmup(2, start=0.5)(epoch, empty) for epoch in (0, 1, 2, 7)] == [0.5, 0.75, 1, 1]
    assert Warmup(2, CosineDecay(4))(4, empty) == 0.5
    losses = [5, 4, 4, 4, 4, 3, 3.00001, 3, 3]
    factors = [ReduceOnPlateau(0.1, patience=2)(k, History(loss=losses[:k])) for k in range(10)]
    np.testing.assert_allclose(factors, [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01])
    assert ReduceOnPlateau(0.1, 2, least=0.5)(9, History(loss=losses)) == 0.5
    by_default = [ReduceOnPlateau()(k, History(loss=[1.0] * k)) for k in (10, 11, 20, 21)]  # no loss is lower
    np.testing.assert_allclose(by_default, [1, 0.1, 0.1, 0.01])
    judged = History(loss=losses, validation_loss=[9.0 - k for k in range(9)])
    assert ReduceOnPlateau(0.1, patience=1)(9, judged) == 1


@pytest.mark.parametrize("optimizer", [SGD(0.2), Momentum(0.1), Adam(0.01), AdamW(0.01), RMSprop(0.01)])
@pytest.mark.parametrize(
    ("schedule", "within_epochs"),
    [
        (StepDecay(1, 0.5), False), (CosineDecay(3), True), (Warmup(1.5, CosineDecay(1.5)), True),
        (lambda e, h: 1 / (1 + e), False),
    ],
)  # fmt: skip
def test_each_step_has_the_rate_of_its_time(optimizer, schedule, within_epochs):
    """Bit-identical to single steps with rates set by hand, and close to PyTorch with LambdaLR."""
    net, other = make(), make()
    history = net.fit(X, CODES, epochs=3, optimizer=optimizer, schedule=schedule, shuffle=False, **RUNS)
    for epoch in range(3):
        for k in range(BATCHES):
            time = epoch + k / BATCHES if within_epochs else epoch
            rate = optimizer.lr * schedule(time, history)
            rows = slice(10 * k, 10 * k + 10)
            other.step(X[rows], CODES[rows], optimizer.scaled(rate / optimizer.lr), backend="numpy")
    np.testing.assert_allclose(net.theta, other.theta, rtol=1e-4, atol=1e-5)
    constant = make()
    constant.fit(X, CODES, epochs=3, optimizer=optimizer, shuffle=False, **RUNS)
    assert np.abs(constant.theta - net.theta).max() > 1e-3


def half(epoch, history):
    return 0.5


def test_settings_in_files():
    assert schedules.settings(None) is None
    assert schedules.settings(half) == {"name": "half"}
    assert StepDecay().settings() == {"name": "StepDecay", "every": 10, "factor": 0.1}
    assert EarlyStopping(7).settings() == 7
    stored = {"patience": 7, "monitor": "loss", "min_delta": 0.0, "restore": True}
    assert EarlyStopping(7, "loss").settings() == stored


@pytest.mark.parametrize("backend", ["numpy", "fast"])
def test_factor_of_1_changes_no_bit_of_separate_updates(backend):
    """With a schedule, backends that fuse SGD with the product do not fuse it; everything else is the same."""
    nets = [make() for _ in range(2)]
    for net, schedule in zip(nets, (None, StepDecay(100)), strict=True):
        net.fit(X, CODES, epochs=2, optimizer=Momentum(0.1), backend=backend, schedule=schedule, threads=1)
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()


SCHEDULES = [
    StepDecay(1, 0.5),
    CosineDecay(4),
    Warmup(2, ReduceOnPlateau(patience=1, min_delta=5)),
    ReduceOnPlateau(0.5, 1, 9),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_schedules_resume_with_the_same_bits(schedule, tmp_path):
    options = {"optimizer": Adam(0.02), "schedule": schedule, "validation": (X, CODES), "clip_norm": 0.5, **RUNS}
    whole, halves, saved = make(), make(), make()
    whole.fit(X, CODES, epochs=4, **options)
    halves.fit(X, CODES, epochs=2, **options)
    halves.fit(X, CODES, epochs=2, resume=True, **options)
    file = tmp_path / "run.npz"
    saved.fit(X, CODES, epochs=2, checkpoint=file, **options)
    again = make()
    again.fit(X, CODES, epochs=4, checkpoint=file, resume=True, **options)
    assert whole.theta.tobytes() == halves.theta.tobytes() == again.theta.tobytes()
    with pytest.raises(jitnet.Error, match=r"belongs to another run: schedule was {'name'.*is None"):
        make().fit(X, CODES, epochs=4, checkpoint=file, resume=True, **{**options, "schedule": None})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: StepDecay(0), "every is 0, but must be a whole number, at least 1"),
        (lambda: StepDecay(2, 0), "factor is 0, but must be a number above 0"),
        (lambda: CosineDecay(0), "epochs is 0"), (lambda: CosineDecay(3, least=2), "least is 2"),
        (lambda: Warmup(1, start=0), "start is 0"), (lambda: Warmup(1, then=5), "then is 5, but must be a schedule"),
        (lambda: Warmup(1, then=StepDecay), r"then is a class; write StepDecay\(\.\.\.\)"),
        (lambda: ReduceOnPlateau(1), "factor is 1"), (lambda: ReduceOnPlateau(patience=0), "patience is 0"),
        (lambda: make().fit(X, CODES, schedule=0.5), "schedule is 0.5, but must be a schedule, such as"),
        (lambda: make().fit(X, CODES, schedule=StepDecay), r"schedule is a class; write StepDecay\(\.\.\.\)"),
        (lambda: make().fit(X, CODES, schedule=lambda e, h: -1, **RUNS), "factor of the schedule is -1"),
        (lambda: make().fit(X, CODES, schedule=lambda e, h: math.nan, **RUNS), "factor of the schedule is nan"),
        (lambda: make().fit(X, CODES, clip_norm=0), "clip_norm is 0, but must be a number above 0"),
        (lambda: make().fit(X, CODES, clip_norm=math.inf), "clip_norm is inf, but must be a finite number above 0"),
        (lambda: EarlyStopping(0), "patience is 0"),
        (lambda: EarlyStopping(monitor="accuracy"), "unknown monitor"),
        (lambda: make().fit(X, CODES, early_stopping=EarlyStopping), r"a class; write EarlyStopping\(\.\.\.\)"),
        (lambda: EarlyStopping(min_delta=-1), "min_delta is -1"),
        (lambda: make().fit(X, CODES, early_stopping=EarlyStopping(2)), r"early_stopping needs validation=\(X, Y\)"),
        (lambda: make().fit(X, CODES, callbacks=5), "a callback is 5"),
        (lambda: make().fit(X, CODES, callbacks=[5]), r"a callback is 5, but must be a function of \(net, history\)"),
        (lambda: make().fit(X, CODES, callbacks=lambda net, history: 5, **RUNS), "a callback returned 5, but must"),
        (lambda: Warmup(1, then=lambda e: 1), "then is <function .*, but must be a schedule"),
    ],
)  # fmt: skip
def test_bad_schedules_clipping_and_callbacks_are_an_error(wrong, message):
    with pytest.raises(jitnet.Error, match=message):
        wrong()


def test_functions_with_other_parameters_are_an_error_before_anything_is_changed():
    net = make()
    net.fit(X, CODES, epochs=1, **RUNS)
    before = net.state_dict()
    for option, wrong, message in (
        ("callbacks", lambda net: None, r"a callback is <function .*, but must be a function of \(net, history\)"),
        ("callbacks", [print, lambda *, net, history: None], "a callback is <function"),
        ("schedule", lambda e: 0.5, r"schedule is <function .* or a function \(epoch, history\) -> factor"),
        ("schedule", float, "schedule is <class 'float'>"),
        ("progress", "yes", "progress is 'yes', but must be True, False or a jitnet.Progress object"),
        ("progress", None, "progress is None"),
    ):
        with pytest.raises(jitnet.Error, match=message):
            net.fit(X, CODES, epochs=2, **RUNS, **{option: wrong})
        assert net.state_dict().keys() == before.keys()
        assert all(array.tobytes() == before[name].tobytes() for name, array in net.state_dict().items())
        assert net._state.history.epochs == 1
    net.fit(X, CODES, epochs=1, callbacks=[lambda *all: None, lambda net, history, more=3: None], **RUNS)


def test_functions_that_accept_two_arguments():
    for function in (lambda a, b: 1, lambda *all: 1, lambda a, b=1, c=2: 1, max, dict.update, CosineDecay(3)):
        assert checks.accepts(function, 2)


def test_monitoring_the_accuracy_needs_labels():
    net = Network(Dense(2, 1), seed=0)
    stopping = EarlyStopping(2, "validation_accuracy")
    with pytest.raises(jitnet.Error, match="monitors the accuracy, which these targets do not have"):
        net.fit(X, X[:, 0], validation=(X, X[:, 0]), early_stopping=stopping, **RUNS)


# Clipping.


@pytest.mark.parametrize("limit", [1e-3, 0.05, 1e9])
def test_clipped_step_by_hand(limit):
    """theta moves by lr times the gradient, scaled down to the limit: the norm is that of all parameters together."""
    net = make("float64")
    before = net.theta.copy()
    net.gradients(X, CODES, backend="numpy")
    gradient = net.grad.copy()
    length = np.linalg.norm(gradient)
    net.step(X, CODES, SGD(0.5), backend="numpy", clip_norm=limit)
    np.testing.assert_allclose(net.theta, before - 0.5 * gradient * min(1, limit / length), rtol=1e-12, atol=1e-15)
    assert (limit < length) == (limit < 1)


@pytest.mark.parametrize("rung", ["python", "numpy", "njit"])
@pytest.mark.parametrize("n", [0, 1, 7, 63, 64, 65, 1000])
def test_squares_and_shrink_equal_numpy(rung, n):
    grad, sums = np.random.default_rng(n).standard_normal(n).astype(np.float32), np.full(64, np.nan, np.float32)
    LADDERS["squares"][rung](grad, sums)
    np.testing.assert_allclose(sums.sum(dtype=float), (grad.astype(float) ** 2).sum(), rtol=1e-6, atol=1e-12)
    clipped = np.full(n, np.nan, np.float32)
    LADDERS["shrink"][rung](sums, np.float32(0.5), grad, clipped)
    length = np.linalg.norm(grad.astype(float))
    np.testing.assert_allclose(clipped, grad * (0.5 / length if length > 0.5 else 1), rtol=1e-6, atol=1e-9)


def test_clipping_keeps_a_run_that_would_diverge():
    net = make()
    with pytest.raises(jitnet.Diverged):
        Network(Dense(2, 2, "identity"), seed=0).fit(1e3 * X, 1e3 * X, optimizer=SGD(1), **RUNS)
    tame = Network(Dense(2, 2, "identity"), seed=0)
    assert np.isfinite(tame.fit(1e3 * X, 1e3 * X, optimizer=SGD(1), clip_norm=1.0, epochs=3, **RUNS).loss).all()
    net.fit(X, CODES, clip_norm=1e6, epochs=1, **RUNS)
    other = make()
    other.fit(X, CODES, epochs=1, **RUNS)
    assert net.theta.tobytes() == other.theta.tobytes()  # no gradient was longer


# Early stopping and callbacks.


def test_early_stopping_by_accuracy_restores_the_best_weights():
    (train, train_y), held_out = overfit()
    net = make(widths=(8, 30, 2))
    weights = []
    history = net.fit(
        train, train_y, epochs=60, optimizer=Adam(0.02), validation=held_out, backend="numpy",
        early_stopping=EarlyStopping(5, "validation_accuracy"),
        callbacks=lambda net, history: weights.append(net.theta.copy()),
    )  # fmt: skip
    best = int(np.argmax(history.validation_accuracy)) + 1  # the first of equal maxima
    assert history.stopped == "early"
    assert history.best_epoch == best == history.epochs - 5
    assert net.theta.tobytes() == weights[best - 1].tobytes()
    assert net.evaluate(*held_out, backend="numpy")["accuracy"] == max(history.validation_accuracy)


def test_early_stopping_by_the_training_loss_with_min_delta():
    net = make()
    stopping = EarlyStopping(3, "loss", min_delta=0.02, restore=False)
    history = net.fit(X, CODES, epochs=300, optimizer=SGD(0.1), early_stopping=stopping, **RUNS)
    best, waited, reference = math.inf, 0, 0
    for epoch, loss in enumerate(history.loss, 1):
        best, reference, waited = (loss, epoch, 0) if loss < best - 0.02 else (best, reference, waited + 1)
        assert (waited == 3) == (epoch == history.epochs)
    assert history.best_epoch == reference
    whole = make()
    whole.fit(X, CODES, epochs=history.epochs, optimizer=SGD(0.1), **RUNS)
    assert net.theta.tobytes() == whole.theta.tobytes()  # the last weights


def test_early_stopping_can_resume_from_memory_and_from_files(tmp_path):
    """The best weights are restored at the end, but training continues with the last weights."""
    (train, y), held_out = overfit()
    for stopping in (4, EarlyStopping(4, "validation_accuracy"), EarlyStopping(4, "loss", 0.05)):
        options = {"validation": held_out, "optimizer": Adam(0.05), "early_stopping": stopping, "backend": "numpy"}
        whole, halves, again = (make(widths=(8, 30, 2)) for _ in range(3))
        history = whole.fit(train, y, epochs=40, **options)
        first = halves.fit(train, y, epochs=2, **options)
        assert first.stopped == ""
        both = halves.fit(train, y, epochs=38, resume=True, **options)
        file = tmp_path / f"{stopping}.npz"
        again.fit(train, y, epochs=2, checkpoint=file, **options)
        once_more = again.fit(train, y, epochs=40, checkpoint=file, resume=True, **options)
        for net, other in ((halves, both), (again, once_more)):
            assert net.theta.tobytes() == whole.theta.tobytes()
            assert (other.loss, other.best_epoch, other.stopped) == (history.loss, history.best_epoch, history.stopped)


def test_best_weights_follow_the_current_stopping_rule():
    """Without early stopping, or with another metric, the earlier best epoch does not count."""
    (train, y), held_out = overfit()
    options = {"validation": held_out, "optimizer": Adam(0.05), "backend": "numpy"}
    for stopping in (None, EarlyStopping(50, "loss")):
        net, whole = make(widths=(8, 30, 2)), make(widths=(8, 30, 2))
        first = net.fit(train, y, epochs=12, early_stopping=50, **options)
        assert first.best_epoch < 12
        history = net.fit(train, y, epochs=2, early_stopping=stopping, resume=True, **options)
        whole.fit(train, y, epochs=14, **options)
        assert net.theta.tobytes() == whole.theta.tobytes()
        assert history.best_epoch == (None if stopping is None else 14)


@pytest.mark.parametrize("why", [*sorted(ENDINGS.keys() - {"early"}), "out of time", "paused"])
def test_a_training_that_ended_for_any_reason_is_shown_and_resumed(why, tmp_path, monkeypatch):
    """Also for a reason that is new; "early" has tests of its own."""
    monkeypatch.setitem(ENDINGS, "out of time", Ending("out of time", True))
    monkeypatch.setitem(ENDINGS, "paused", Ending("paused", False))

    def at_the_third(net, history):
        history.stopped = why if history.epochs == 3 else ""

    options = {"epochs": 6, "checkpoint": tmp_path / "run.npz", "checkpoint_every": 1, **RUNS}
    history = make().fit(X, CODES, callbacks=at_the_third, **options)
    assert history.stopped == why
    assert ENDINGS[why].words in history._repr_html_()
    resumed = make().fit(X, CODES, resume=True, **options)
    is_final = ENDINGS[why].is_final
    assert (resumed.epochs, resumed.stopped) == ((3, why) if is_final else (6, ""))


def test_the_guide_names_every_reason_for_which_training_ends():
    guide = (Path(__file__).parents[1] / "docs" / "guide" / "fitting.md").read_text(encoding="utf-8")
    for why in filter(None, ENDINGS):
        assert f'"{why}"' in guide


@pytest.mark.parametrize("answer", [True, "stop", np.True_])
def test_callback_can_stop_training(answer, tmp_path):
    calls, file = [], tmp_path / "run.npz"
    net = make()

    def at_the_third(network, history):
        assert network is net
        assert network.predict(X, "numpy").shape == (97,)
        calls.append((history.epochs, network.theta.copy()))
        return answer if history.epochs == 3 else None

    history = net.fit(X, CODES, epochs=9, callbacks=[at_the_third, lambda n, h: False], checkpoint=file, **RUNS)
    assert history.epochs == 3
    assert history.stopped == "callback"
    assert [epoch for epoch, _ in calls] == [1, 2, 3]
    assert net.theta.tobytes() == calls[-1][1].tobytes()
    resumed = make()
    again = resumed.fit(X, CODES, epochs=9, checkpoint=file, resume=True, **RUNS)
    assert (again.epochs, again.stopped) == (3, "callback")
    assert resumed.theta.tobytes() == net.theta.tobytes()
    net.fit(X, CODES, epochs=1, resume=True, **RUNS)


def test_error_in_a_callback_is_raised():
    def fail(net, history):
        raise KeyError("mine")

    net = make()
    with pytest.raises(KeyError, match="mine"):
        net.fit(X, CODES, callbacks=fail, **RUNS)
    net.fit(X, CODES, epochs=1, **RUNS)  # training works again


def test_diverged_can_be_pickled():
    with pytest.raises(jitnet.Diverged) as caught:
        Network(Dense(2, 2, "identity"), seed=0).fit(1e3 * X, 1e3 * X, optimizer=SGD(1), **RUNS)
    other = pickle.loads(pickle.dumps(caught.value))
    assert type(other) is jitnet.Diverged
    assert str(other) == str(caught.value)
    assert other.history == caught.value.history
