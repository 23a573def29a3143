"""Converted networks compute the same output in each library, and converting back gives the same bits."""

import importlib
import json
import re
import warnings
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from test_formulas import OF_Z

import jitnet
from jitnet import Dense, Dropout, LayerNorm, Network, interop, storage
from jitnet.kernels.activations import ActivationName

F = OF_Z | {"softmax": lambda Z: np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)}

LACKING = set()  # activations of ours that PyTorch or ONNX lacks


def network(*layers, dtype="float32", seed=0):
    """A network whose weights and biases all differ from each other and from 0 and 1."""
    net, rng = Network(*layers, seed=seed, dtype=dtype), np.random.default_rng(seed)
    net.theta[...] = rng.uniform(-1.5, 1.5, net.theta.size)
    return net


def square(f, dtype="float32"):
    """All layers are square, so a transposed matrix would have a valid shape and only give wrong numbers."""
    middle = LayerNorm(5, 1e-3), Dense(5, 5, "tanh", bias=False), Dropout(0.25)
    return network(Dense(5, 5, f), *middle, Dense(5, 5, f), dtype=dtype)


def odd(dtype="float32"):
    return network(Dense(7, 1, "relu"), Dense(1, 11, "softplus"), Dense(11, 3, "softmax"), dtype=dtype)


def expected(net, X):
    """The output in float64 NumPy."""
    A = X.astype(np.float64)
    for layer in net.layers:
        if isinstance(layer, Dense):
            Z = A @ layer.W.astype(np.float64) + (0 if layer.b is None else layer.b.astype(np.float64))
            A = F[layer.activation](Z)
        elif isinstance(layer, LayerNorm):
            centered = A - A.mean(axis=1, keepdims=True)
            A = centered / np.sqrt((centered**2).mean(axis=1, keepdims=True) + layer.epsilon) * layer.gamma + layer.beta
    return A


def same_bits(net, other):
    assert [repr(layer) for layer in other.layers] == [repr(layer) for layer in net.layers]
    assert other.dtype == net.dtype
    mine, theirs = net.state_dict(), other.state_dict()
    assert list(mine) == list(theirs)
    for name, array in mine.items():
        assert array.tobytes() == theirs[name].tobytes(), name


def inputs(net, m=13):
    return np.random.default_rng(1).uniform(-2, 2, (m, net.layers[0].n_in)).astype(net.dtype)


def close(A, net, X, in_float64=1e-13):
    wanted = expected(net, X)
    assert A.shape == wanted.shape
    assert A.dtype == net.dtype
    assert np.abs(A - wanted).max() <= (1e-6 if net.dtype == np.float32 else in_float64) * max(1, np.abs(wanted).max())


EACH = [lambda f=f: square(f) for f in F if f not in LACKING]
EACH += [odd, lambda: square("gelu", "float64"), lambda: odd("float64")]


def test_every_activation_is_tested():
    names = [importlib.import_module(f"jitnet.interop.{library}").ACTIVATIONS for library in ("torch", "onnx")]
    assert set(names[0]) == set(names[1]) == set(get_args(ActivationName)) - LACKING == set(F) - LACKING


@pytest.mark.parametrize("make", EACH)
def test_pytorch_modules_round_trip(make):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    net = make()
    before = torch.get_rng_state()
    module, X = interop.to_torch(net), inputs(net)
    assert torch.equal(before, torch.get_rng_state())
    with torch.no_grad():
        close(module(torch.from_numpy(X)).numpy(), net, X)
    linear = [part for part in module if isinstance(part, torch.nn.Linear)]
    sizes = [(layer.n_in, layer.n_out) for layer in net.layers if isinstance(layer, Dense)]
    assert [(part.in_features, part.out_features) for part in linear] == sizes
    same_bits(net, interop.from_torch(module))
    same_bits(net, interop.from_torch(torch.nn.Sequential(torch.nn.Flatten(), module)))
    assert all(parameter.requires_grad for parameter in module.parameters())
    with torch.no_grad():
        module[0].weight += 1
    assert (expected(net, X) == expected(interop.from_torch(interop.to_torch(net)), X)).all()  # copies, not views


def test_pytorch_module_can_occur_twice():
    """The same nn.ReLU() is often used after each Linear."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    linear, relu = torch.nn.Linear(3, 3), torch.nn.ReLU()
    net = interop.from_torch(torch.nn.Sequential(linear, relu, torch.nn.Linear(3, 3), relu, linear))
    assert [layer.activation for layer in net.layers] == ["relu", "relu", "identity"]
    assert (net.layers[0].W == net.layers[2].W).all()


@pytest.mark.parametrize("make", [lambda: network(Dense(5, 5, "relu"), LayerNorm(5, 1e-3), Dense(5, 5)), odd])
def test_state_dict_of_pytorch_round_trips(make):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    net = make()
    names = [layer.activation for layer in net.layers if isinstance(layer, Dense)]
    state = interop.to_torch(net).state_dict()
    same_bits(net, interop.from_torch(state, names, epsilon=1e-3))
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    same_bits(net, interop.from_torch(arrays, names, epsilon=1e-3))
    # safetensors sorts names as strings, 10.weight before 2.weight
    scattered = {f"{10 ** int(name[0])}{name[1:]}": tensor for name, tensor in state.items()}
    same_bits(net, interop.from_torch(dict(sorted(scattered.items(), reverse=True)), names, epsilon=1e-3))
    inner = {f"module.net.{name}": tensor for name, tensor in sorted(scattered.items())}
    same_bits(net, interop.from_torch(inner, names, epsilon=1e-3))
    named = {f"layer_{'cab'[int(name[0]) % 3]}{name[1:]}": tensor for name, tensor in state.items()}
    if len({name.partition(".")[0] for name in named}) == len({name[0] for name in state}):
        same_bits(net, interop.from_torch(named, names, epsilon=1e-3))
    assert torch.equal(state["0.weight"], torch.from_numpy(net.layers[0].W.T.copy()))


def test_pytorch_softmax_accepts_both_numbers_of_the_last_axis():
    nn = pytest.importorskip("torch", reason="PyTorch is not installed").nn
    for dim in (1, -1):
        net = interop.from_torch(nn.Sequential(nn.Linear(2, 3), nn.Softmax(dim=dim)))
        assert net.layers[0].activation == "softmax"


def test_unsupported_pytorch_modules_are_an_error():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    nn = torch.nn
    hooked = nn.Sequential(nn.Linear(2, 2))
    hooked[0].register_forward_hook(lambda *_: None)
    with torch.no_grad():
        not_finite = nn.Linear(2, 2)
        not_finite.weight[1, 0] = float("nan")
    for module, message in (
        (nn.Sequential(nn.Linear(2, 2), nn.GELU()), r"approximate='none', but gelu is nn.GELU\(approximate='tanh'\)"),
        (nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(0.2)), "negative_slope=0.2"),
        (nn.Sequential(nn.Linear(2, 2), nn.Softmax(dim=0)), "dim=0"),
        (nn.Sequential(nn.Linear(2, 2), nn.ELU()), r"1 \(ELU\) has no counterpart in jitnet; known"),
        (nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.ReLU(), nn.Linear(2, 2)), r"2 \(ReLU\).*follow a Linear"),
        (nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.ReLU(), nn.Linear(2, 2)), r"2 \(ReLU\).*follow a Linear"),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Tanh()), r"2 \(Tanh\).*follow a Linear"),
        (nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), r"0 \(ReLU\).*follow a Linear"),
        (nn.Sequential(nn.Linear(2, 2), nn.Dropout()), "the last layer is Dropout"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 2)), "layers do not chain"),
        (nn.Sequential(), "weights are missing"),
        (nn.Sequential(nn.LayerNorm((2, 2)), nn.Linear(2, 2)), r"normalizes \(2, 2\)"),
        (nn.Sequential(nn.LayerNorm(2, bias=False), nn.Linear(2, 2)), "no weight or no bias"),
        (nn.Linear(2, 2).half(), "weights are float16, but must be all float32 or all float64"),
        (nn.Linear(2, 2).bfloat16(), "bfloat16"), (nn.Linear(2, 2, device="meta"), "on meta"),
        (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()), "float32 and float64"),
        (hooked, "0 has hooks"), (not_finite, r"layer 0: W\[0, 1\] is nan"), (3, "3 is not a torch.nn.Module"),
    ):  # fmt: skip
        with pytest.raises(jitnet.Error, match=message):
            interop.from_torch(module)
    with pytest.raises(jitnet.Error, match=r"for a state_dict: from_torch\(module.state_dict\(\), activations\)"):
        interop.from_torch(nn.Linear(2, 2), ["relu"])


def test_error_about_a_users_module_says_what_to_write():
    """Its forward is code, which from_torch does not read; a chain of Linears can be given as a state_dict."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    class M(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = torch.nn.Linear(2, 3), torch.nn.Linear(3, 1)

        def forward(self, x):
            return self.b(torch.sigmoid(self.a(x)))

    module = M()
    for given, message in (
        (module, r"^the module \(M\) has no counterpart.*, write from_torch\(module.state_dict\(\), \['relu', 'iden"),
        (torch.nn.Sequential(module, torch.nn.Linear(1, 1)), r"^0 \(M\) .*\['relu', 'relu', 'identity'\]\) with its"),
    ):
        with pytest.raises(jitnet.Error, match=message):
            interop.from_torch(given)
    net = interop.from_torch(module.state_dict(), ["sigmoid", "identity"])
    with torch.no_grad():
        np.testing.assert_allclose(net.forward([[1.0, -2]]), module(torch.tensor([[1.0, -2]])), rtol=1e-5)


@pytest.mark.parametrize(
    ("state", "activations", "message"),
    [
        ({"a.weight": np.ones((2, 2))}, None, "activations is None, but must be a list of 1"),
        ({"a.weight": np.ones((2, 2))}, "relu", "must be a list of 1"),
        ({"a.weight": np.ones((2, 2))}, ["rely"], "did you mean 'relu'"),
        ({"a.weight": np.ones((2, 2)), "b.weight": np.ones((2, 2))}, ["relu"], "must be a list of 2"),
        ({"a.bias": np.ones(2)}, [], "a.weight is missing"),
        ({"a.weight": np.ones(2)}, [], "a.bias is missing"),
        ({"a.weight": np.ones((2, 2)), "a.bias": np.ones(3)}, ["relu"], r"layer 0: b has shape \(2,\), but was given"),
        ({"a.running_mean": np.ones(2)}, [], "'a.running_mean'.*neither the weight nor the bias"),
        ({"a.weight": np.ones((2, 2, 3, 3))}, [], r"\(2, 2, 3, 3\) is neither"),
        ({"a.weight": np.ones((2, 2), np.int64)}, ["relu"], "weights are int64"),
        ({}, [], "weights are missing"),
    ],
)
def test_wrong_state_dict_is_an_error(state, activations, message):
    with pytest.raises(jitnet.Error, match=message):
        interop.from_torch(state, activations)


@pytest.mark.parametrize("make", EACH)
def test_onnx_runtime_computes_the_same_output(make, tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    net, path = make(), tmp_path / "net.onnx"
    interop.to_onnx(net, path)
    first = path.read_bytes()
    onnx.checker.check_model(str(path), full_check=True)
    interop.to_onnx(net, path)
    assert path.read_bytes() == first
    session = runtime.InferenceSession(first)
    for m in (1, 13):
        X = inputs(net, m)
        close(session.run(["A"], {"X": X})[0], net, X, in_float64=1e-7)  # ONNX has a float32 epsilon
    found = {stored.name: onnx.numpy_helper.to_array(stored) for stored in onnx.load(path).graph.initializer}
    for name, array in net.state_dict().items():
        assert (found[name] == array).all()


@pytest.mark.parametrize("make", EACH)
def test_keras_weights_round_trip(make):
    net = make()
    names = [layer.activation for layer in net.layers if isinstance(layer, Dense)]
    arrays = interop.to_keras(net)
    back = interop.from_keras(arrays, names, epsilon=1e-3)
    X = inputs(net)
    assert (expected(back, X) == expected(net, X)).all()  # without dropout, which has no weights in the list
    for array, again in zip(arrays, interop.to_keras(back), strict=True):
        assert array.tobytes() == again.tobytes()
    arrays[0][...] = 0
    assert net.layers[0].W.any()


@pytest.mark.parametrize(
    ("arrays", "activations", "message"),
    [
        ([np.ones((2, 2))], ["relu", "relu"], "must be a list of 1"),
        ([np.ones((2, 2)), np.ones(2), np.ones((3, 2))], ["relu", "relu"], "layers do not chain"),
        ([np.ones(2), np.ones((2, 2))], ["relu"], "not a kernel, a bias"),
        ([np.ones((2, 2)), *[np.ones(2)] * 5], ["relu"], "not a kernel, a bias"),
        ([np.ones((3, 3, 1, 2))], [], "not a kernel"),
        ([np.ones((2, 2)), np.ones(3)], ["relu"], "b has shape"),
        ([np.full((2, 2), np.inf)], ["relu"], "W.0, 0. is inf"),
        ([], [], "weights are missing"),
    ],
)
def test_wrong_keras_weights_are_an_error(arrays, activations, message):
    with pytest.raises(jitnet.Error, match=message):
        interop.from_keras(arrays, activations)


@pytest.mark.parametrize(
    ("dtype", "activation", "targets"),
    [
        ("float32", "identity", lambda X: X[:, 0]), ("float64", "logistic", lambda X: X[:, :2]),
        ("float64", "tanh", lambda X: X[:, 0] > 0), ("float32", "relu", lambda X: (X[:, :2] > 0).astype(int)),
        ("float32", "tanh", lambda X: np.digitize(X[:, 0], [-0.5, 0.5])),
        ("float32", "relu", lambda X: np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)]),
    ],
)  # fmt: skip
def test_scikit_learn_networks_are_converted(dtype, activation, targets):
    neural = pytest.importorskip("sklearn.neural_network", reason="scikit-learn is not installed")
    X = np.random.default_rng(0).standard_normal((40, 4)).astype(dtype)
    Y = targets(X)
    kind = neural.MLPRegressor if Y.dtype.kind == "f" else neural.MLPClassifier
    model = kind(hidden_layer_sizes=(4, 4), activation=activation, max_iter=2, random_state=0)
    with pytest.warns(UserWarning, match="hasn't converged"):
        model.fit(X, Y)
    net = interop.from_sklearn(model)
    wanted = model.predict(X).reshape(40, -1) if kind is neural.MLPRegressor else model.predict_proba(X)
    A = expected(net, X)  # not net.forward, whose float64 kernels would have to be compiled
    assert np.allclose(A, wanted[:, -A.shape[1] :], rtol=0, atol=1e-6)
    assert all((layer.W == W).all() for layer, W in zip(net.layers, model.coefs_, strict=True))
    assert all((layer.b == b).all() for layer, b in zip(net.layers, model.intercepts_, strict=True))
    assert net.dtype == dtype
    if Y.ndim == 1 and kind is neural.MLPClassifier and dtype == "float32":
        assert (net.predict(X) == model.predict(X)).all()


def test_other_scikit_learn_models_are_an_error():
    neural = pytest.importorskip("sklearn.neural_network", reason="scikit-learn is not installed")
    with pytest.raises(jitnet.Error, match="MLPClassifier has no coefs_, but a fitted"):
        interop.from_sklearn(neural.MLPClassifier())
    with pytest.raises(jitnet.Error, match="str has no coefs_"):
        interop.from_sklearn("model.pkl")


@pytest.mark.parametrize("make", EACH)
def test_safetensors_files_round_trip(make, tmp_path):
    numpy = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    net, path = make(), tmp_path / "net.safetensors"
    net.recipe, net.loss = {"kind": "csv"}, "mse"
    interop.to_safetensors(net, path)
    back = interop.from_safetensors(path)
    same_bits(net, back)
    assert (back.seed, back.loss, back.recipe) == (net.seed, net.loss, net.recipe)
    other = Network(*net.layers, seed=9, dtype=net.dtype)
    other.load_state_dict(numpy.load_file(path))
    same_bits(net, other)


def test_training_can_continue_from_safetensors(tmp_path):
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    net, path = network(Dense(3, 4, "relu"), Dropout(0.5), Dense(4, 2)), tmp_path / "net.safetensors"
    X, Y = inputs(net), np.ones((13, 2))
    for _ in range(3):
        net.step(X, Y, jitnet.Adam())
    interop.to_safetensors(net, path)
    back = interop.from_safetensors(path)
    for each in (net, back):
        each.step(X, Y, jitnet.Adam())
    same_bits(net, back)


def test_damaged_safetensors_files_are_an_error(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    path = tmp_path / "net.safetensors"
    net = network(Dense(3, 2))
    interop.to_safetensors(net, path)
    content = path.read_bytes()
    about = {"layers": [{"kind": "Dense"}], "dtype": "float32", "seed": 0, "loss": None, "recipe": None}
    arrays = net.state_dict()
    for damaged, message in (
        (content[:-1], "not a readable safetensors file"), (content[:50], "not a readable"), (b"", "not a readable"),
        (b"\xff" * 100, "not a readable"), (numpy.save(arrays), "was not written by jitnet"),
        (numpy.save(arrays, {"jitnet": "{"}), "not a valid network of jitnet"),
        (numpy.save(arrays, {"jitnet": "3"}), "not a valid network of jitnet"),
        (numpy.save(arrays, {"jitnet": json.dumps(about)}), "not a valid network of jitnet: layer 0"),
        (content.replace(b'"W0"', b'"V0"'), "not a valid network of jitnet: the state has an array 'V0'"),
        (content[:-24] + b"\xff" * 24, "not a valid network of jitnet: W0"),
    ):  # fmt: skip
        path.write_bytes(damaged)
        with pytest.raises(jitnet.Error, match=message):
            interop.from_safetensors(path)
    path.write_bytes(numpy.save(arrays, {"jitnet": json.dumps(storage.described(net) | {"loss": "msee"})}))
    with pytest.raises(storage.NotDefinedError, match=r"net.safetensors needs the loss 'msee', which is not one"):
        interop.from_safetensors(path)
    with pytest.raises(FileNotFoundError):
        interop.from_safetensors(tmp_path / "none.safetensors")
    with pytest.raises(jitnet.Error, match="cannot write"):
        interop.to_safetensors(net, tmp_path)


def test_code_of_the_guide_runs(tmp_path, monkeypatch):
    for package in ("torch", "sklearn", "onnx", "safetensors"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[1] / "docs" / "guide" / "other_libraries.md"
    blocks = re.findall(r"```py\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    names = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "training ended after max_iter")
        exec("\n".join(blocks), names)
    assert (names["again"].predict(names["X"]) == names["net"].predict(names["X"])).all()
    assert names["search"].best_score_ > 0.8


def test_custom_activation_cannot_be_exported(tmp_path, monkeypatch):
    net = network(Dense(2, 2, "tanh"))
    vars(net.layers[0])["activation"] = "wave"  # simulates a registered activation
    for to, name, package in (
        (interop.to_torch, "PyTorch", "torch"), (lambda net: interop.to_onnx(net, tmp_path / "x"), "ONNX", "onnx"),
    ):  # fmt: skip
        if importlib.util.find_spec(package):
            with pytest.raises(jitnet.Error, match=f"'wave' has no counterpart in {name}; known: identity, sigmoid"):
                to(net)


def test_missing_package_is_named(tmp_path, monkeypatch):
    net = network(Dense(2, 2))
    for name in ("torch", "onnx", "safetensors", "safetensors.numpy"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    path = tmp_path / "x"
    path.write_bytes(b"")
    for call, package in (
        (lambda: interop.to_torch(net), "torch is missing: pip install torch"),
        (lambda: interop.from_torch(net), "torch is missing"),
        (lambda: interop.to_onnx(net, path), r"onnx is missing: pip install 'jitnet\[onnx\]'"),
        (lambda: interop.to_safetensors(net, path), r"missing: pip install 'jitnet\[safetensors\]'"),
        (lambda: interop.from_safetensors(path), r"missing: pip install 'jitnet\[safetensors\]'"),
    ):
        with pytest.raises(jitnet.Error, match=package):
            call()
