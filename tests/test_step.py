"""net.step and state_dict: bits equal to fit, numbers equal to PyTorch and finite differences, states can be saved."""

import copy
import io
import pickle

import numpy as np
import pytest
from runs import OPTIMIZERS, make, overfit, press_ctrl_c, spiral

import jitnet
from jitnet import SGD, Adam, Dense, Diverged, Dropout, LayerNorm, Momentum, Network, RMSprop
from jitnet.calculus import numerical_gradient
from jitnet.step import order_of
from jitnet.training import single_step

X, Y = spiral()


def mixed(seed=5, dtype="float32"):
    """A network with a layer of each kind."""
    layers = Dense(2, 13, "tanh"), Dropout(0.3), LayerNorm(13), Dense(13, 7, bias=False), Dense(7, 3, "softmax")
    return Network(*layers, seed=seed, dtype=dtype)


def walk(net, optimizer, epochs, *, first=0, batch=10, seed=5, **options):
    """Train with one step for each batch of fit; returns the mean loss of each epoch."""
    means = []
    for epoch in range(first, first + epochs):
        order = order_of(len(X), epoch, seed, True)
        batches = [order[start : start + batch] for start in range(0, len(X), batch)]
        losses = [len(rows) * net.step(X[rows], Y[rows], optimizer, **options) for rows in batches]
        means.append(sum(losses) / len(X))
    return means


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("backend", ["python", "numpy", "fast"])
def test_steps_give_the_same_bits_as_fit(backend, optimizer):
    whole, parts = mixed(), mixed()
    history = whole.fit(X, Y, epochs=2, batch_size=10, optimizer=optimizer, backend=backend)
    means = walk(parts, optimizer, 2, backend=backend)
    assert parts.theta.tobytes() == whole.theta.tobytes()
    np.testing.assert_allclose(means, history.loss, rtol=1e-6)
    assert parts.loss == "cross_entropy"
    one, other = mixed(), mixed()
    loss = one.step(X, Y, optimizer, backend=backend)
    assert other.fit(X, Y, epochs=1, batch_size=97, shuffle=False, optimizer=optimizer, backend=backend).loss == [loss]
    assert one.theta.tobytes() == other.theta.tobytes()


@pytest.mark.parametrize("backend", ["numpy", "fast"])
def test_other_calls_between_two_steps_change_no_bit(backend):
    """Other calls with the same number of samples use the same work space."""
    alone, busy = mixed(), mixed()
    for _ in range(4):
        alone.step(X[:9], Y[:9], Momentum(0.1), backend=backend)
        busy.step(X[:9], Y[:9], Momentum(0.1), backend=backend)
        busy.gradients(X[9:18], Y[9:18], backend=backend)
        busy.evaluate(X[9:18], Y[9:18], backend=backend)
        other = copy.deepcopy(busy)
        other.fit(X[9:18], Y[9:18], epochs=1, batch_size=9, seed=1, backend=backend)
    assert alone.theta.tobytes() == busy.theta.tobytes()


def test_sgd_step_equals_lr_times_finite_differences():
    layers = Dense(2, 5, "tanh"), LayerNorm(5), Dense(5, 3, "softmax")
    net = Network(*layers, seed=5, dtype="float64")
    before = net.theta.copy()
    slope = numerical_gradient(lambda _: net.evaluate(X[:7], Y[:7])["loss"], net.theta)
    loss = net.evaluate(X[:7], Y[:7])["loss"]
    assert net.step(X[:7], Y[:7], SGD(0.25)) == pytest.approx(loss)
    np.testing.assert_allclose(net.theta - before, -0.25 * slope, rtol=0, atol=1e-10)
    assert abs(slope).max() > 0.01


@pytest.mark.parametrize("kind", [SGD, Momentum, Adam, jitnet.AdamW, RMSprop])
@pytest.mark.parametrize("backend", ["fast", "numpy"])
def test_changing_learning_rates_equal_pytorch(kind, backend):
    """lr and the batch size change between steps; the optimizer keeps its vectors."""
    torch = pytest.importorskip("torch")
    net = Network(Dense(2, 11, "tanh"), Dense(11, 3, "softmax"), seed=3, dtype="float64")
    theirs = [torch.tensor(array, requires_grad=True) for array in net.state_dict().values()]
    options = {"momentum": 0.9} if kind is Momentum else {}
    optimizer = getattr(torch.optim, "SGD" if kind is Momentum else kind.__name__)(theirs, lr=1.0, **options)
    for t in range(40):
        rows = slice(t, t + 20 + t // 4 % 2)  # four steps with one size, then four with another
        lr = 0.01 / (1 + t)
        optimizer.param_groups[0]["lr"] = lr
        W0, b0, W1, b1 = theirs
        Z = torch.tanh(torch.tensor(X[rows]) @ W0 + b0) @ W1 + b1
        loss = torch.nn.functional.cross_entropy(Z, torch.tensor(Y[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert net.step(X[rows], Y[rows], kind(lr=lr), backend=backend) == pytest.approx(loss.item(), rel=1e-10)
    for mine, tensor in zip(net.state_dict().values(), theirs, strict=False):
        np.testing.assert_allclose(mine, tensor.detach().numpy(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("trained_by", ["step", "fit"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_state_travels_through_a_file(optimizer, trained_by, dtype):
    net = mixed(dtype=dtype)
    if trained_by == "step":
        walk(net, optimizer, 2, backend="numpy")
    else:
        net.fit(X, Y, epochs=2, batch_size=10, optimizer=optimizer, backend="numpy")
    file = io.BytesIO()
    np.savez(file, **net.state_dict())
    file.seek(0)
    other = mixed(seed=77, dtype=dtype)
    other.step(X, Y, Adam(0.1), backend="numpy")  # the loaded state replaces this one
    with np.load(file) as arrays:
        other.load_state_dict(dict(arrays))
    for both in (net, other):
        walk(both, optimizer, 1, first=2, backend="numpy")
    whole = mixed(dtype=dtype)
    whole.fit(X, Y, epochs=3, batch_size=10, optimizer=optimizer, backend="numpy")
    assert net.theta.tobytes() == other.theta.tobytes() == whole.theta.tobytes()
    assert int(net.state_dict()[f"{optimizer.name}.step"]) == 30


def test_state_has_the_documented_names_and_shapes():
    net = mixed()
    names = ["W0", "b0", "gamma2", "beta2", "W3", "W4", "b4"]
    assert list(net.state_dict()) == names
    net.step(X, Y, Adam(0.01), backend="numpy")
    state = net.state_dict()
    assert list(state) == [
        *names, *(f"adam.mean.{name}" for name in names), *(f"adam.square.{name}" for name in names),
        "adam.step", "adam.seed",
    ]  # fmt: skip
    assert state["adam.mean.W0"].shape == (2, 13)
    assert (state["adam.step"], state["adam.seed"]) == (1, 5)
    _, grads = mixed().gradients(X, Y, backend="numpy")
    assert state["adam.mean.W0"].any()
    assert grads[0].dW.shape == (2, 13)


def test_state_has_63_bits_of_a_larger_seed():
    net = mixed(seed=2**63 + 5)
    net.step(X[:9], Y[:9], jitnet.Adam(0.01))
    assert net.state_dict()["adam.seed"] == 5


def test_state_arrays_are_copies_in_both_directions():
    net = mixed()
    net.step(X, Y, Momentum(0.01), backend="numpy")
    state = net.state_dict()
    kept = {name: array.copy() for name, array in state.items()}
    net.step(X, Y, Momentum(0.01), backend="numpy")
    assert all(np.array_equal(kept[name], state[name]) for name in state)
    net.load_state_dict(state)
    for array in state.values():
        array[...] = 9
    assert all(np.array_equal(kept[name], array) for name, array in net.state_dict().items())
    assert net.layers[0].W.base is not None  # still a view of theta
    net.theta[...] = 0
    assert not net.layers[0].W.any()


def test_fit_or_another_optimizer_starts_with_a_new_state():
    net, fresh = mixed(), mixed()
    net.step(X, Y, Adam(0.01), backend="numpy")
    fresh.load_state_dict({name: array for name, array in net.state_dict().items() if "." not in name})
    assert "adam.step" not in fresh.state_dict()
    for both in (net, fresh):
        both.step(X, Y, RMSprop(0.01), backend="numpy")
    assert net.theta.tobytes() == fresh.theta.tobytes()
    assert int(net.state_dict()["rmsprop.step"]) == 1
    for both in (net, fresh):
        both.step(X, Y, RMSprop(0.01), backend="numpy")
    fresh.load_state_dict({name: array for name, array in fresh.state_dict().items() if "." not in name})
    for both in (net, fresh):
        both.fit(X, Y, epochs=1, optimizer=RMSprop(0.01), backend="numpy")
    assert net.theta.tobytes() == fresh.theta.tobytes()


def test_copies_and_early_stopping_reset_the_optimizer_state():
    net = mixed()
    net.step(X, Y, Adam(0.01), backend="numpy")
    for other in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert "adam.step" not in other.state_dict()
        other.step(X, Y, Adam(0.01), backend="numpy")
    assert int(net.state_dict()["adam.step"]) == 1
    train, held_out = overfit()
    early = make(widths=(8, 30, 2))
    history = early.fit(*train, epochs=500, optimizer=Adam(0.01), validation=held_out, early_stopping=5)
    assert history.stopped == "early"
    assert "adam.step" not in early.state_dict()  # its vectors were for other weights


def test_random_seed_travels_in_the_state():
    net, other = mixed(seed=None), mixed()
    net.step(X, Y, backend="numpy")
    other.load_state_dict(net.state_dict())
    for both in (net, other):
        both.step(X, Y, backend="numpy")
    assert net.theta.tobytes() == other.theta.tobytes()


CHANGED = {
    "no W3, which must be an array (13, 7) float32": lambda state: state.pop("W3"),
    "no adam.square.b0": lambda state: state.pop("adam.square.b0"),
    "no adam.step, which must be an array () int64": lambda state: state.pop("adam.step"),
    "W0 is (13, 2) float32, but must be (2, 13) float32": lambda state: state.update(W0=state["W0"].T),
    "W0 is (2, 13) float64, but": lambda state: state.update(W0=state["W0"].astype(float)),
    "b0[3] is nan": lambda state: state.update(b0=np.where(np.arange(13) == 3, np.nan, 0).astype("f4")),
    "adam.mean.b4[0] is inf": lambda state: state.update({"adam.mean.b4": np.full(3, np.inf, "f4")}),
    "adam.step is -1": lambda state: state.update({"adam.step": np.array(-1)}),
    "has an array 'W9', but must have only W0, b0": lambda state: state.update(W9=np.zeros(3, "f4")),
    "adam.square.b4, adam.step, adam.seed": lambda state: state.update(W9=np.zeros(3, "f4")),
    "arrays of adam and sgd": lambda state: state.update({"sgd.step": np.array(3)}),
    "unknown optimizer 'adamm'": lambda state: [state.update({f"adamm{name[4:]}": state.pop(name)})
                                               for name in list(state) if name.startswith("adam.")],
    "W0 holds": lambda state: state.update(W0="text"),
}  # fmt: skip


@pytest.mark.parametrize("message", CHANGED)
def test_state_that_does_not_fit_changes_nothing(message):
    net, other = mixed(), mixed(seed=8)
    for both in (net, other):
        both.step(X, Y, Adam(0.01), backend="numpy")
    state = other.state_dict()
    CHANGED[message](state)
    before = net.state_dict()
    with pytest.raises(jitnet.Error) as error:
        net.load_state_dict(state)
    assert message.replace("W0 holds", "W0 is () <U4, but must be") in str(error.value)
    assert "\n" not in str(error.value)
    for name, array in net.state_dict().items():
        assert array.tobytes() == before[name].tobytes(), name


def test_state_must_be_a_dict():
    with pytest.raises(jitnet.Error, match="the state is 3, but must be a dict of names and arrays"):
        mixed().load_state_dict(3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X[:, :1], Y), "X has shape"), ((X, Y[:5]), "Y has shape"), ((X * np.nan, Y), "is nan"),
        ((X, Y, "adm"), "unknown optimizer"), ((X, Y, Adam), "the optimizer is a class"),
        ((X[:0], Y[:0]), "X is empty"), ((X, Y, SGD(1e-60)), "1e-60 is 0 in float32"),
        ((X, Y, Adam(1e-60)), "1e-60 is 0 in float32"),
    ],
)  # fmt: skip
def test_bad_input_of_a_step_is_an_error(arguments, message):
    net = mixed()
    net.step(X, Y, Adam(0.1), backend="numpy")
    before = net.state_dict()
    with pytest.raises(jitnet.Error, match=message):
        net.step(*arguments, backend="numpy")
    for name, array in net.state_dict().items():
        assert array.tobytes() == before[name].tobytes(), name


@pytest.mark.parametrize("optimizer", [SGD(1e30), Momentum(1e30), Adam(1e38)], ids=repr)
@pytest.mark.parametrize("backend", ["fast", "numpy"])
def test_diverging_step_is_undone(optimizer, backend):
    net = Network(Dense(2, 3, "relu"), Dense(3, 3), seed=0)
    net.step(X, Y, type(optimizer)(1e-3), backend=backend)
    for t in range(2, 12):
        good = net.state_dict()
        try:
            net.step(1e30 * X, Y, optimizer, backend=backend)
        except Diverged as error:
            assert f"diverged in step {t}: the loss is" in str(error)  # noqa: PT017
            assert "the weights before it were restored; lower the learning rate" in str(error)  # noqa: PT017
            break
    else:
        pytest.fail("it did not diverge")
    for name, array in net.state_dict().items():
        assert array.tobytes() == good[name].tobytes(), name


def test_ctrl_c_is_raised_after_the_step(monkeypatch):
    class Pressing(single_step.Interrupt):
        def __enter__(self):
            super().__enter__()
            press_ctrl_c()
            return self

    net, other = mixed(), mixed()
    other.step(X, Y, Adam(0.01), backend="numpy")
    monkeypatch.setattr(single_step, "Interrupt", Pressing)
    with pytest.raises(KeyboardInterrupt):
        net.step(X, Y, Adam(0.01), backend="numpy")
    assert net.theta.tobytes() == other.theta.tobytes()
    assert int(net.state_dict()["adam.step"]) == 1


def test_steps_in_two_threads_at_once_are_an_error():
    net = mixed()
    state = net.state_dict()
    with net.in_training():
        for call in (lambda: net.step(X, Y, backend="numpy"), lambda: net.load_state_dict(state)):
            with pytest.raises(jitnet.Error, match="another call of fit"):
                call()


def test_training_step_allocates_no_memory():
    """After a hundred steps neither Numba's runtime nor Python holds more memory than before."""
    import itertools
    import tracemalloc

    from numba.core.runtime import _nrt_python, rtsys

    import jitnet
    from jitnet import backend, losses
    from jitnet.step import Step, needed

    layers = jitnet.Dense(70, 33, "relu"), jitnet.Dense(33, 20, "tanh", bias=False), jitnet.Dense(20, 10, "softmax")
    net = jitnet.Network(*layers, seed=0)
    run, loss, optimizer = backend.get("fast"), losses.get(None, "softmax"), jitnet.Adam()
    run.prepare(needed(net, run, 37, loss, optimizer), net.dtype)
    step = Step(net, run, 37, loss, optimizer)
    step.work.X[...], step.work.Y[...] = 0.5, 0.1
    memory = optimizer.start(net.theta)
    step(1, memory)
    held, most = [], []
    for _ in range(3):  # other threads of this process may allocate, but not in all three runs
        _nrt_python.memsys_enable_stats()
        numba_before = rtsys.get_allocation_stats()
        tracemalloc.start()
        step(2, memory)
        before = tracemalloc.get_traced_memory()[0]
        for t in itertools.islice(itertools.count(3), 100):
            step(t, memory)
        after, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        numba_after = rtsys.get_allocation_stats()
        _nrt_python.memsys_disable_stats()
        assert numba_after.alloc == numba_before.alloc
        held.append(after - before)
        most.append(peak - before)
    assert min(held) < 200  # small objects of the interpreter, such as the last float
    assert min(most) < 4096
