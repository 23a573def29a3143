"""Layers other than Dense: gradients, random numbers in training, and storage in files."""

import copy
import dataclasses
import itertools
import json
import pickle
import zipfile

import numpy as np
import pytest
from runs import IN_FLOAT64
from test_gradients import relative_error

import jitnet
from jitnet import Dense, Dropout, LayerNorm, Network, backend, calculus, cli, layers, losses
from jitnet.step import passes


def make(*between, hidden="tanh", dtype="float64", seed=0):
    return Network(
        Dense(5, 7, hidden), *between, Dense(7, 6, "sigmoid"), Dense(6, 3, "softmax"), seed=seed, dtype=dtype
    )


def batch(m=9):
    rng = np.random.default_rng(1)
    return rng.standard_normal((m, 5)), np.eye(3)[rng.integers(0, 3, m)]


class Training:
    """Forward and backward pass of a training step, and its loss at the current parameters."""

    def __init__(self, net, name="fast", step=4):
        self.net, self.run = net, backend.get(name)
        X, Y = batch()
        self.work = net.workspace(len(X))
        self.work.X[...], self.work.Y[...], self.work.clock[...] = X, Y, (7, step)
        self.calls = passes(net, self.work, losses.get("cross_entropy", "softmax"), None)

    def loss(self, _=None):
        self.run.run(self.calls)
        return float(self.work.losses.mean())


NETWORKS = {
    "dropout": lambda: make(Dropout(0.3)),
    "dropout behind relu, twice": lambda: make(Dropout(0.3), Dropout(0.1), hidden="relu", seed=3),
    "dropout behind softmax": lambda: make(Dropout(0.3), hidden="softmax"),
    "dropout behind an f' of Z": lambda: make(Dropout(0.3), hidden="gelu"),
    "layer norm": lambda: make(LayerNorm(7)),
    "layer norm behind relu": lambda: make(LayerNorm(7, 1e-3), hidden="relu", seed=3),
    "layer norm behind an f' of Z, and dropout": lambda: make(LayerNorm(7), Dropout(0.3), hidden="gelu"),
    "layer norm first": lambda: Network(LayerNorm(5), Dense(5, 3, "softmax"), seed=0, dtype="float64"),
    "dropout first": lambda: Network(Dropout(0.2), Dense(5, 3, "softmax"), seed=0, dtype="float64"),
}


def test_every_kind_of_layer_is_in_a_network():
    assert {type(layer).__name__ for make in NETWORKS.values() for layer in make().layers} == {*layers.__all__}


@pytest.mark.parametrize("name", NETWORKS)
def test_training_gradients_equal_finite_differences(name):
    """Every parameter, with the dropped numbers of one step."""
    net = NETWORKS[name]()
    training = Training(net)
    training.loss()
    found = net.grad.copy()
    checked = 0
    for layer in net.layers:
        for value, grad in zip(layer._values, layer._grads, strict=True):
            wanted = calculus.numerical_gradient(training.loss, value)
            training.loss()
            assert relative_error(wanted, grad) <= 1e-7
            checked += value.size
    assert checked == net.parameters
    assert np.array_equal(found, net.grad)


@pytest.mark.parametrize("name", IN_FLOAT64)
@pytest.mark.parametrize("which", ["dropout", "layer norm"])
def test_descent_step_equals_the_gradient_step(name, which):
    """Whether the step is fused with the product or not."""
    ends = []
    for descends in (None, (0.5, 0.01)):
        net = NETWORKS[which]()
        training = Training(net, name)
        training.calls = passes(net, training.work, losses.get("cross_entropy", "softmax"), descends)
        training.loss()
        ends.append(net.theta.copy() if descends else net.theta - 0.5 * (net.grad + 0.01 * net.theta))
    np.testing.assert_allclose(*ends, rtol=1e-12, atol=1e-14)


def _kept(count, clock, layer, threshold):
    """The numbers that dropout keeps, computed with Python integers, which do not overflow."""

    def mixed(x):
        for _ in range(2):
            x = (x ^ x >> 16) * 73244475 % 2**32
        return x ^ x >> 16

    seed, step = map(int, clock)
    key = mixed(mixed(mixed(mixed(seed % 2**32) ^ seed // 2**32) ^ step) ^ layer)
    return np.array([mixed(key ^ mixed(place)) < threshold for place in range(count)], bool)


def test_dropout_drops_different_numbers_at_its_rate():
    """The dropped numbers differ between steps, layers and runs; the others are scaled, so that the mean stays."""
    ones = np.ones((200, 300), np.float32)
    masks = []
    for seed, step, layer in [(7, 1, 0), (7, 2, 0), (7, 1, 1), (8, 1, 0), (7 + 2**32, 1, 0)]:
        A, clock = np.empty_like(ones), np.array([seed, step])
        backend.get("fast").run(Dropout(0.2, n_in=300).forward(ones, A, A, jitnet.layers.Context(layer, clock, None)))
        assert set(np.unique(A)) == {0, np.float32(1.25)}
        assert abs((A == 0).mean() - 0.2) < 5 * 0.4 / ones.size**0.5
        assert np.array_equal(A.ravel() != 0, _kept(A.size, clock, layer, round(0.8 * 2**32)))
        for axis in (0, 1):  # no row and no column is dropped more often than others
            share = (A == 0).mean(axis=axis)
            assert np.abs(share - 0.2).max() < 6 * 0.4 / A.shape[axis] ** 0.5
        masks.append((A == 0).ravel())
    for one, other in itertools.combinations(masks, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / ones.size**0.5


@pytest.mark.parametrize("name", IN_FLOAT64)
def test_only_training_drops_and_prediction_leaves_all(name):
    X, Y = batch()
    with_it, without = make(Dropout(0.5)), make()
    np.testing.assert_array_equal(with_it.forward(X, name), without.forward(X, name))
    assert with_it.evaluate(X, Y, backend=name) == without.evaluate(X, Y, backend=name)
    (loss, grads), (expected, wanted) = with_it.gradients(X, Y, backend=name), without.gradients(X, Y, backend=name)
    assert loss == expected
    assert grads.pop(1) == (None, None, None)
    for grad, other in zip(grads, wanted, strict=True):
        np.testing.assert_array_equal(grad.dW, other.dW)
    assert with_it.fit(X, Y, epochs=1, backend=name).loss != without.fit(X, Y, epochs=1, backend=name).loss


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_same_bits_for_any_threads_and_after_a_resume(tmp_path, optimizer):
    X, y = jitnet.data.digits()

    def trained(epochs=4, **options):
        net = Network(Dense(64, 256, "relu"), Dropout(0.2), Dense(256, 10, "softmax"), seed=0)
        net.fit(X, y, epochs=epochs, batch_size=256, optimizer=optimizer, **options)
        return net.theta

    whole = trained()
    for threads in (1, 2):
        np.testing.assert_array_equal(trained(threads=threads), whole)
    file = tmp_path / "run.npz"
    trained(epochs=2, checkpoint=file)
    np.testing.assert_array_equal(trained(checkpoint=file, resume=True), whole)
    assert not np.array_equal(trained(seed=1), whole)


def test_checkpoint_with_another_dropout_rate_is_refused(tmp_path):
    X, Y = batch()
    make(Dropout(0.2)).fit(X, Y, epochs=1, checkpoint=tmp_path / "run.npz")
    with pytest.raises(
        jitnet.Error, match=r"another run: layer 1 was \['Dropout', 0\.2\], is \['Dropout', 0\.3\]; use"
    ):
        make(Dropout(0.3)).fit(X, Y, epochs=2, checkpoint=tmp_path / "run.npz", resume=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_survive_files_copies_and_pickles(tmp_path, name):
    net = NETWORKS[name]()
    net.fit(*batch(), epochs=1)
    net.save(tmp_path / "net.npz")
    X, _ = batch()
    for other in (jitnet.load(tmp_path / "net.npz"), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert repr(other) == repr(net)
        assert other.layers == net.layers
        np.testing.assert_array_equal(other.forward(X), net.forward(X))


def test_dense_layers_keep_their_stored_form(tmp_path):
    """Older versions can read models with only Dense layers, and older models have no "kind"."""
    make().save(tmp_path / "net.npz")
    about = json.loads(zipfile.ZipFile(tmp_path / "net.npz").read("about.json"))
    assert about["layers"][0] == {"n_in": 5, "n_out": 7, "activation": "tanh", "bias": True, "init": "glorot"}


def test_repr_names_every_layer():
    net = make(Dropout(0.25))
    assert repr(net) == "<Network 5-7-6-3 (tanh, dropout 0.25, sigmoid, softmax), 111 parameters, float64>"
    assert net.widths == "5-7-6-3"
    assert repr(net.layers[1]) == "Dropout(rate=0.25)"
    assert (net.layers[1].n_in, net.layers[1].n_out) == (7, 7)


def test_summary_shows_outputs_parameters_and_shapes():
    net = Network(Dense(5, 1000, "relu"), Dropout(0.25), LayerNorm(1000), Dense(1000, 3, bias=False), seed=0)
    assert net.summary().splitlines() == [
        "layer                       output      parameters  shapes",
        "dense relu                   1,000           6,000  W 5×1000, b 1000",
        "dropout 0.25                 1,000               0",
        "layer norm                   1,000           2,000  gamma 1000, beta 1000",
        "dense identity                   3           3,000  W 1000×3",
        "total, float32                              11,000",
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Dropout(1), "rate of Dropout is 1"),
        (lambda: LayerNorm(0), "n of LayerNorm is 0"),
        (lambda: LayerNorm(3, 0), "epsilon of LayerNorm is 0"),
        (lambda: Network(LayerNorm(4, 1e-50), Dense(4, 2)), "epsilon of LayerNorm: 1e-50 is 0 in float32; take a less"),
        (lambda: Network(LayerNorm(4, 1e50), Dense(4, 2)), r"epsilon of LayerNorm: 1e\+50 is inf in float32"),
        (lambda: setattr(Dropout(0.5), "W", 1), "Dropout has no W to set"),
        (lambda: setattr(make(Dropout(0.5)).layers[1], "W", 1), "Dropout has no W to set"),
        (lambda: Network(Dense(5, 3), LayerNorm(4), Dense(4, 2)), "layers do not chain: layer 0 has 3 outputs"),
        (lambda: Network(Dense(5, 3), LayerNorm(3)), "the last layer is LayerNorm.*must be a Dense"),
        (lambda: LayerNorm(3).gamma, "this LayerNorm has no parameters yet"),
        (lambda: Dropout(-0.1), r"rate of Dropout is -0\.1"),
        (lambda: Dropout("often"), "rate of Dropout"),
        (lambda: Network(Dense(5, 3), Dropout(0.2)), "the last layer is Dropout.*must be a Dense"),
        (lambda: Network(Dropout(0.2)), "the last layer is Dropout.*must be a Dense"),
    ],
)
def test_bad_layers_are_a_clear_error(call, message):
    with pytest.raises(jitnet.Error, match=message):
        call()


@pytest.mark.parametrize(
    ("l", "name", "value"),
    [(0, "activation", "identity"), (0, "n_out", 7), (0, "bias", False), (1, "rate", 0.0), (1, "rate", 2),
     (1, "n_in", 7), (2, "epsilon", 1.0), (2, "n", 7)],
)  # fmt: skip
def test_settings_cannot_change_in_a_network(l, name, value):
    """The network's work spaces have copies of the settings and would keep the old ones."""
    net = make(Dropout(0.5), LayerNorm(7))
    shown = repr(net), str(net.layers)
    for again in (net, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        with pytest.raises(
            jitnet.Error, match=f"^{name} of .* cannot change once the layer is in a network; make a new"
        ):
            setattr(again.layers[l], name, value)
        assert (repr(again), str(again.layers)) == shown
    with pytest.raises(TypeError, match="item assignment"):
        net.layers[1] = Dropout(0.0)


def test_settings_can_change_before_a_network_is_made():
    """A network checks the settings of its layers; a layer of one network can be used to make another."""
    layer = Dropout(0.5)
    layer.rate = 0.25
    net = make(layer)
    assert net.layers[1].rate == 0.25
    assert make(dataclasses.replace(net.layers[1], rate=0.125)).layers[1].rate == 0.125
    layer.rate = 2
    with pytest.raises(jitnet.Error, match="rate of Dropout is 2"):
        make(layer)


def test_command_line_option_adds_dropout(tmp_path, capsys):
    model = tmp_path / "net.npz"
    asked = ["train", "digits", "--epochs", "1", "--hidden", "16,8", "--quiet", "--json", "--save", str(model)]
    losses_of = []
    for rate in ([], ["--dropout", "0"], ["--dropout", "0.5"]):
        assert cli.main([*asked, *rate]) == 0
        losses_of.append(json.loads(capsys.readouterr().out)["train_loss"])
    assert losses_of[0] == losses_of[1] != losses_of[2]
    assert [layer.label for layer in jitnet.load(model).layers] == ["relu", "dropout 0.5"] * 2 + ["softmax"]
    assert cli.main([*asked, "--dropout", "1"]) == 2
    assert "--dropout is 1" in capsys.readouterr().err


@pytest.mark.parametrize("name", IN_FLOAT64)
def test_layer_norm_equals_pytorch(name):
    torch = pytest.importorskip("torch")
    net = make(LayerNorm(7, 1e-3))
    rng = np.random.default_rng(2)
    net.layers[1].gamma, net.layers[1].beta = rng.standard_normal((2, 7))
    X, Y = batch()
    first, norm, second, last = (
        torch.nn.Linear(5, 7),
        torch.nn.LayerNorm(7, 1e-3),
        torch.nn.Linear(7, 6),
        torch.nn.Linear(6, 3),
    )
    model = torch.nn.Sequential(first, torch.nn.Tanh(), norm, second, torch.nn.Sigmoid(), last).double()
    with torch.no_grad():
        for layer, module in zip(net.layers, (first, norm, second, last), strict=True):
            for value, parameter in zip(layer._values, module.parameters(), strict=True):
                parameter.copy_(torch.tensor(value.T.copy()))
    loss = torch.nn.functional.cross_entropy(model(torch.tensor(X)), torch.tensor(Y))
    loss.backward()
    found, grads = net.gradients(X, Y, backend=name)
    assert found == pytest.approx(loss.item(), rel=1e-12)
    for grad, module in zip(grads, (first, norm, second, last), strict=True):
        for mine, parameter in zip(grad[:2], module.parameters(), strict=True):
            np.testing.assert_allclose(mine, parameter.grad.numpy().T, rtol=1e-9, atol=1e-12)


def test_scale_and_shift_of_layer_norm_can_be_set():
    layer = make(LayerNorm(7)).layers[1]
    layer.gamma, layer.beta = np.arange(7), np.full(7, 3)
    assert (layer.gamma.tolist(), layer.beta.tolist()) == ([*range(7)], [3] * 7)


def test_layer_norm_gives_the_same_bits_for_any_threads():
    """Each loop is large enough for several threads."""
    X, y = np.random.default_rng(0).random((600, 400)), np.arange(600) % 10
    ends = []
    for threads in (1, 2):
        layers = Dense(400, 500, "relu"), LayerNorm(500), Dense(500, 10, "softmax")
        net = Network(*layers, seed=0)
        net.fit(X, y, epochs=1, batch_size=600, optimizer="adam", threads=threads)
        ends.append(net.theta)
        assert (net.layers[1].gamma != 1).any()
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1, np.nan], [0, 0]], r"W\[0, 1\] is nan"),
        ([[1, 2], [-np.inf, 0]], r"W\[1, 0\] is -inf"),
        ([[1, 2], [1e39, 0]], r"W\[1, 0\] is .*, too large for float32"),
        ([[1, 2], [10**400, 0]], "W holds Python objects"),
        ([[1, 2], [1j, 0]], "W holds complex128 values, but must hold real numbers"),
        ([["1", "2"], ["3", "4"]], "W holds text, but must hold real numbers"),
        ([[1, 2], [None, 0]], r"W\[1, 0\] is None, a NoneType"),
        ([[1, 2], [3]], "W is not a rectangular array"),
        (np.array([["2026-11-27"] * 2] * 2, "M8[D]"), "W holds datetime64"),
        (3, r"W has shape \(2, 2\), but was given \(\)"),
        (np.ones(4), r"W has shape \(2, 2\), but was given \(4,\)"),
        (np.ones((2, 2, 1)), r"was given \(2, 2, 1\)"),
    ],
)
def test_parameters_must_be_numbers_of_the_right_shape(values, message):
    net = Network(Dense(2, 2), LayerNorm(2), Dense(2, 2), seed=0)
    before = net.theta.copy()
    with pytest.raises(jitnet.Error, match=message):
        net.layers[0].W = values
    for layer, name in ((net.layers[0], "b"), (net.layers[1], "gamma"), (net.layers[1], "beta")):
        for wrong, reason in (
            ([np.nan, 0], "is nan"),
            ([1j, 0], "complex"),
            ([1e39, 0], "too large for float32"),
            ([0], "shape"),
        ):
            with pytest.raises(jitnet.Error, match=reason):
                setattr(layer, name, wrong)
    assert (net.theta == before).all()
    net.layers[0].W, net.layers[0].b = np.asfortranarray([[1, 2], [3, 4]]), [True, False]
    assert net.layers[0].W.tolist() == [[1, 2], [3, 4]]
    assert net.layers[0].b.tolist() == [1, 0]
