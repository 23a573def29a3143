"""Data from an iterator of batches: the steps are the same as with arrays, and errors in the iterator are reported."""

import itertools

import numpy as np
import pytest
from runs import make, spiral

import jitnet
from jitnet import SGD, Adam, CosineDecay, Momentum

X, CODES = spiral()
PARTS = [slice(start, min(start + 10, 97)) for start in range(0, 97, 10)]


def batches():
    for part in PARTS:
        yield X[part], CODES[part]


class Loader:
    """Like PyTorch's DataLoader: each epoch starts a new iteration."""

    def __iter__(self):
        return batches()


@pytest.mark.parametrize("source", [batches, list(batches()), Loader(), lambda: list(batches())], ids=type)
@pytest.mark.parametrize("optimizer", [SGD(0.2), Adam(0.01)])
def test_iterator_of_batches_equals_fit_without_shuffling(source, optimizer):
    net, whole = make(), make()
    options = {"optimizer": optimizer, "epochs": 3, "validation": (X, CODES), "backend": "numpy"}
    streamed = net.fit(source, **options)
    history = whole.fit(X, CODES, batch_size=10, shuffle=False, **options)
    assert net.theta.tobytes() == whole.theta.tobytes()
    np.testing.assert_allclose(streamed.loss, history.loss, rtol=1e-6)
    assert streamed.validation_loss == history.validation_loss


def test_iterator_equals_arrays_with_a_schedule_and_clipping():
    net, whole = make(), make()
    options = {"optimizer": Momentum(0.1), "epochs": 2, "clip_norm": 0.5, "schedule": lambda e, h: 0.5**e, "threads": 1}
    net.fit(batches, **options)
    whole.fit(X, CODES, batch_size=10, shuffle=False, **options)
    assert net.theta.tobytes() == whole.theta.tobytes()


@pytest.mark.parametrize("source", [list(batches()), batches])
def test_schedules_within_an_epoch_need_its_length(source):
    """A list has a length; for a function, the first epoch counts the batches and has one learning rate."""
    net, other, optimizer = make(), make(), SGD(0.5)
    net.fit(source, optimizer=optimizer, epochs=3, schedule=CosineDecay(3), backend="numpy")
    for epoch in range(3):
        for k, batch in enumerate(batches()):
            time = 0 if epoch == 0 and callable(source) else epoch + k / 10
            rate = CosineDecay(3)(time, jitnet.History())
            other.step(*batch, optimizer.scaled(rate), backend="numpy")
    assert net.theta.tobytes() == other.theta.tobytes()


def test_batches_can_have_sample_weights():
    weights = np.random.default_rng(0).uniform(0, 2, 97)
    net, whole = make(), make()
    options = {"epochs": 2, "class_weight": {1: 3.0}, "backend": "numpy"}
    history = net.fit(lambda: ((X[part], CODES[part], weights[part]) for part in PARTS), **options)
    steps = whole.fit(X, CODES, sample_weight=weights, batch_size=10, shuffle=False, **options)
    np.testing.assert_allclose(net.theta, whole.theta, rtol=1e-4, atol=1e-5)
    assert history.loss == pytest.approx(steps.loss, rel=1e-4)


def test_all_samples_of_a_batch_can_have_weight_0():
    """As in `fit(X, Y)`; but not all samples of an epoch."""
    for weights, factors in ((np.arange(97) >= 10, None), (None, {0: 0.0})):
        codes = CODES if factors is None else np.arange(97) // 40
        net, whole = make(), make()
        options = {"epochs": 2, "class_weight": factors, "backend": "numpy"}
        history = net.fit(
            lambda c=codes, w=weights: ((X[part], c[part], *(() if w is None else (w[part] * 1.0,))) for part in PARTS),
            **options,
        )
        steps = whole.fit(X, codes, sample_weight=weights, batch_size=10, shuffle=False, **options)
        np.testing.assert_allclose(net.theta, whole.theta, rtol=1e-4, atol=1e-6)
        assert history.loss == pytest.approx(steps.loss, rel=1e-5)
    with pytest.raises(jitnet.Error, match="the weight is 0 for all samples of epoch 1"):
        make().fit([(X, CODES, np.zeros(97))], epochs=1, backend="numpy")


def test_batches_can_have_any_size():
    sizes = [1, 2, 3, 5, 7, 11, 13, 2, 1, 40]
    ends = list(itertools.accumulate(sizes))

    def source():
        for end, size in zip(ends, sizes, strict=True):
            yield X[end - size : end], CODES[end - size : end]

    net, other = make(), make()
    net.fit(source, epochs=2, optimizer="adam", backend="numpy")
    for part in [*source(), *source()]:
        other.step(*part, "adam", backend="numpy")
    assert net.theta.tobytes() == other.theta.tobytes()


def test_endless_iterator_needs_a_length():
    taken = []

    def endless():
        for k in itertools.count():
            taken.append(k)
            yield X[k % 90 : k % 90 + 7], CODES[k % 90 : k % 90 + 7]

    net = make()
    history = net.fit(endless(), epochs=3, batches_per_epoch=4, backend="numpy")
    assert history.epochs == 3
    assert taken == list(range(12))  # each epoch continues
    one = make()
    assert one.fit(batches(), epochs=1, backend="numpy").epochs == 1


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda net: net.fit(batches(), epochs=2), "ends after one epoch, but epochs is 2; give fit a function"),
        (lambda net: net.fit(list), "there are no batches: the iterator ended before the first one"),
        (lambda net: net.fit([]), "there are no batches"),
        (lambda net: net.fit(X), r"Y is missing; write fit\(X, Y\)"), (lambda net: net.fit(5), "Y is missing"),
        (lambda net: net.fit(lambda: 5), "the function of batches returned 5, but must return an iterator"),
        (lambda net: net.fit([X]), r"batch 1 is array.*, but must be a pair \(X, Y\) or a triple"),
        (lambda net: net.fit([(X, CODES, None, None)]), r"batch 1 is \(.*, but must be a pair"),
        (lambda net: net.fit([dict.fromkeys("XY", X)]), "batch 1 is .*, but must be a pair"),
        (lambda net: net.fit(batches, sample_weight=np.ones(97)), "has its weights in triples"),
        (lambda net: net.fit(batches, class_weight="balanced"), "has its weights in triples"),
        (lambda net: net.fit(batches, batches_per_epoch=0), "batches_per_epoch is 0"),
        (lambda net: net.fit(X, CODES, batches_per_epoch=3), "batches_per_epoch is for an iterator of batches"),
        (lambda net: net.fit([(X, np.where(CODES, "a", "b"))]), r"set net\.classes to the labels"),
        (lambda net: net.fit([(X[:, :1], CODES)]), r"X has shape \(97, 1\), but the first layer needs \(m, 2\)"),
    ],
)  # fmt: skip
def test_bad_iterators_and_batches_are_an_error(fit, message):
    net = make()
    before = net.theta.tobytes()
    with pytest.raises(jitnet.Error, match=message):
        fit(net)
    assert net.theta.tobytes() == before


def test_iterator_that_ends_too_early_is_an_error():
    with pytest.raises(jitnet.Error, match="the iterator ended after 3 batches of epoch 2, but batches_per_epoch is 7"):
        make().fit(batches(), epochs=3, batches_per_epoch=7, backend="numpy")
    left = [list(batches()), []]
    with pytest.raises(jitnet.Error, match="the iterator ended after 0 batches of epoch 2; give fit a function that"):
        make().fit(lambda: left.pop(0), epochs=2, backend="numpy")


def test_error_in_a_batch_names_the_batch():
    """Training has used the batches before it."""
    bad = [*itertools.islice(batches(), 3), (X[:5] * np.nan, CODES[:5])]
    net, other = make(), make()
    with pytest.raises(jitnet.Error, match=r"batch 4 of epoch 1: X\[0, 0\] is nan"):
        net.fit(bad, backend="numpy")
    for part in bad[:3]:
        other.step(*part, backend="numpy")
    assert net.theta.tobytes() == other.theta.tobytes()


def test_labels_of_batches_must_be_classes_of_the_network(tmp_path):
    names = np.array(["ant", "bee", "cat"])[CODES]
    net, other = make(), make()
    net.classes = ["ant", "bee", "cat"]
    options = {"epochs": 4, "optimizer": Adam(0.01), "schedule": CosineDecay(4), "backend": "numpy"}
    net.fit(lambda: ((X[part], names[part]) for part in PARTS), **options)
    file = tmp_path / "run.npz"
    other.fit(batches, checkpoint=file, **{**options, "epochs": 2})
    resumed = make()
    resumed.fit(batches, checkpoint=file, resume=True, **options)
    assert net.theta.tobytes() == resumed.theta.tobytes()
    assert net.predict(X, "numpy").tolist() == np.array(["ant", "bee", "cat"])[resumed.predict(X, "numpy")].tolist()
    other.fit(batches, resume=True, **{**options, "epochs": 2})
    assert other.theta.tobytes() == net.theta.tobytes()
