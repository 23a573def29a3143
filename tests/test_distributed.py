"""Training on several ranks, which are threads here; test_mpi.py has real processes."""

import math
import tempfile
import warnings
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from ranks import AbortedError, on_ranks
from runs import OPTIMIZERS, overfit, spiral

import jitnet
from jitnet import SGD, Adam, CosineDecay, Dense, Diverged, Dropout, EarlyStopping, LayerNorm, Network, checks
from jitnet.distributed import Alone, read_once, tree
from jitnet.process import interruption
from jitnet.step import Epoch, Step
from jitnet.training import loop, ranks
from jitnet.training.blocks import BlockEpoch

X, Y = spiral()


def make(dtype="float32", dropout=0.2, seed=3):
    dropped = [Dropout(dropout)] if dropout else []
    return Network(Dense(2, 17, "tanh"), LayerNorm(17), *dropped, Dense(17, 3, "softmax"), seed=seed, dtype=dtype)


def trained(comm=None, net=None, data=(X, Y), **options):
    """All that a training leaves behind, as bytes and numbers."""
    net = net or make()
    settings = {"epochs": 3, "optimizer": Adam(0.01), "backend": "numpy", "reduction": "tree", "comm": comm, **options}
    history = net.fit(*data, **settings)
    lists = history.loss, history.validation_loss, history.validation_accuracy
    vectors = [array.tobytes() for array in net.state_dict().values()]
    return net.theta.tobytes(), lists, history.stopped, history.best_epoch, vectors


def agree(size, work):
    """The result that all ranks have."""
    results, said = on_ranks(size, work)
    assert not said
    for result in results:
        if isinstance(result, BaseException):
            raise result
        assert result == results[0]
    return results[0]


@pytest.mark.parametrize("blocks", [1, 2, 8, 64])
def test_subtrees_cover_the_blocks_of_each_rank(blocks):
    for size in range(1, blocks + 1):
        cuts = tree.cuts(blocks, size)
        found = [node for rank in range(size) for node in tree.subtrees(*cuts[rank : rank + 2])]
        assert [start for start, _ in found] + [blocks] == [0] + [stop for _, stop in found]
        assert all((stop - start) & (stop - start - 1) == 0 and start % (stop - start) == 0 for start, stop in found)


def pairwise_sum(vectors):
    half = len(vectors) // 2
    return vectors[0] if half == 0 else pairwise_sum(vectors[:half]) + pairwise_sum(vectors[half:])


@pytest.mark.parametrize("blocks", [1, 4, 16])
def test_the_tree_adds_up_in_pairs(blocks):
    vectors = np.random.default_rng(0).standard_normal((blocks, 5)).astype(np.float32)
    grown = tree.Tree()
    for block, vector in enumerate(vectors):
        grown.add(tree.Node(block, block + 1, vector.copy()))
    (root,) = grown.nodes
    assert root.sum.tobytes() == pairwise_sum(vectors).tobytes()
    assert len(grown.spare) == blocks - 1


@pytest.mark.parametrize("batch_size", [3, 16, 41])
@pytest.mark.parametrize("optimizer", OPTIMIZERS[::2], ids=repr)
def test_same_bits_with_any_number_of_ranks(batch_size, optimizer):
    options = {
        "optimizer": optimizer, "batch_size": batch_size, "clip_norm": 0.5, "sample_weight": np.arange(41) % 5,
        "schedule": CosineDecay(2), "validation": spiral(2100, seed=1), "data": (X[:41], Y[:41]), "epochs": 2,
    }  # fmt: skip
    alone = trained(**options)
    for size in (1, 2, 3, 4, 7):
        assert agree(size, lambda comm: trained(comm, **options)) == alone, size


def test_same_bits_of_compiled_loops():
    options = {"backend": "fast", "batch_size": 32, "optimizer": SGD(0.1)}
    assert agree(3, lambda comm: trained(comm, **options)) == trained(**options)


@pytest.mark.parametrize("weights", [None, np.arange(97) % 3])
@pytest.mark.parametrize("reduction", ["tree", 1, 16, "fast"])
def test_it_is_the_gradient_of_the_whole_batch(reduction, weights):
    def theta(comm, reduction):
        net = make("float64", dropout=0)
        options = {"batch_size": 20, "clip_norm": 0.1, "sample_weight": weights, "epochs": 2, "optimizer": SGD(0.3)}
        net.fit(X, Y, backend="numpy", comm=comm, reduction=reduction, **options)
        return net.theta

    results, said = on_ranks(3 if reduction != 1 else 1, lambda comm: theta(comm, reduction))
    assert not said
    np.testing.assert_allclose(results[0], theta(None, None), rtol=1e-10, atol=1e-12)


def test_dropout_differs_from_block_to_block():
    net = Network(Dense(1, 64), Dropout(0.5), Dense(64, 1), seed=0)
    seen = []
    with mock.patch.object(Step, "backpropagate", lambda step, t: seen.append(int(step.work.clock[0]))):
        net.fit(np.ones((8, 1)), np.ones((8, 1)), epochs=1, batch_size=8, backend="numpy", reduction="tree")
    assert len(seen) == len(set(seen)) == 8


def test_ranks_begin_with_the_parameters_of_rank_0():
    agree(2, lambda comm: trained(comm, make(seed=comm.rank)))
    agree(2, lambda comm: trained(comm, make(seed=None)))


def test_early_stopping():
    train, test = overfit()

    def work(comm=None):
        net = Network(Dense(8, 40, "tanh"), Dense(40, 2, "softmax"), seed=0)
        return trained(comm, net, train, epochs=60, validation=test, early_stopping=EarlyStopping(4), batch_size=7)

    assert agree(3, work) == work()
    assert work()[2] == "early"


def test_a_callback_on_any_rank_stops_all():
    def work(comm):
        return trained(comm, epochs=9, callbacks=lambda net, history: comm.rank == 1 and history.epochs == 2)

    _, (loss, *_), stopped, *_ = agree(3, work)
    assert (len(loss), stopped) == (2, "callback")


@pytest.mark.parametrize("when", [6, 9])  # five batches an epoch, and once after it
def test_ctrl_c_on_one_rank_stops_all_after_the_same_batch(monkeypatch, when):
    class Pressed(interruption.Interrupt):
        """Pressed on the second rank that begins, when it looks for that time."""

        begun = 0

        def __init__(self):
            self._before = None
            self.looks, self.number = 0, Pressed.begun
            Pressed.begun += 1

        @property
        def asked(self):
            self.looks += 1
            return self.number == 1 and self.looks == when

    monkeypatch.setattr(loop, "Interrupt", Pressed)
    _, (loss, *_), stopped, *_ = agree(3, lambda comm: trained(comm, batch_size=20, epochs=9))
    assert stopped == "interrupted"
    assert len(loss) == 1


@pytest.mark.parametrize("sizes", [(4, 1, 3), (1, 4, 1)])
def test_resume_on_another_number_of_ranks(tmp_path, sizes):
    path = tmp_path / "run.ckpt"
    options = {"validation": (X, Y), "early_stopping": 50, "batch_size": 20}
    for k, size in enumerate(sizes):
        last = agree(
            size, lambda comm, k=k: trained(comm, epochs=2 * k + 2, checkpoint=path, resume=k > 0, **options)
        )  # fmt: skip
    assert last == trained(epochs=6, **options)


def test_another_reduction_is_another_run(tmp_path):
    path = tmp_path / "run.ckpt"
    trained(checkpoint=path)
    with pytest.raises(jitnet.Error, match="belongs to another run: reduction was 8, is 16"):
        trained(checkpoint=path, resume=True, reduction=16)
    with pytest.raises(jitnet.Error, match="reduction was 8, is None"):
        trained(checkpoint=path, resume=True, reduction=None)


def test_each_rank_reads_its_part_of_a_memory_map(tmp_path):
    X32, path = X.astype(np.float32), tmp_path / "X.npy"
    np.save(path, X32)
    options = {"checkpoint": tmp_path / "run.ckpt", "batch_size": 20}
    read = {0: [], 1: [], 2: []}

    def loaded(self, order, start, stop, threads):
        read[self._plan.comm.rank] += order[start:stop].tolist()
        return Epoch._loaded(self, order, start, stop, threads)

    with mock.patch.object(BlockEpoch, "_loaded", loaded):
        mapped = agree(3, lambda comm: trained(comm, data=(np.load(path, mmap_mode="r"), Y), epochs=1, **options))
    assert mapped == trained(data=(X32, Y), epochs=1, batch_size=20)
    assert sorted(row for rows in read.values() for row in rows) == list(range(97))
    assert min(map(len, read.values())) > 20
    trained(data=(X32, Y), resume=True, **options)  # with the checksums of three ranks
    X32[50, 1] = np.nan  # which is in the part of the second
    np.save(path, X32)
    for message in errors(3, lambda comm: trained(comm, data=(np.load(path, mmap_mode="r"), Y))):
        assert message.startswith("rank 1: X[50, 1] is nan")


def parts_of(data, size, rank, m=16):
    """The part of each batch of so many samples that a rank has; the last one is short."""
    n = len(data[0])
    batches = [[array[start : start + m] for array in data] for start in range(0, n, m)]
    cuts = [tree.cuts(len(batch[0]), size)[rank : rank + 2] for batch in batches]
    return [tuple(array[slice(*cut)] for array in batch) for batch, cut in zip(batches, cuts, strict=True)]


def test_iterators_of_batches_have_the_bits_of_the_whole_batches():
    data = X[:56], Y[:56]  # 16, 16, 16 and 8 samples, which eight blocks divide
    options = {"schedule": CosineDecay(2), "clip_norm": 0.5, "validation": (X, Y)}
    whole = trained(data=data, batch_size=16, shuffle=False, **options)
    for size in (1, 2, 4):
        own = agree(
            size, lambda comm, size=size: trained(comm, data=(parts_of(data, size, comm.rank), None), **options)
        )
        assert own == whole, size


@pytest.mark.parametrize("reduction", ["tree", "fast"])
def test_iterators_of_batches_with_weights(reduction):
    data = X[:95], np.eye(3)[Y[:95]], np.arange(95) % 5

    def theta(comm, source, **options):
        net = make("float64", dropout=0)
        net.fit(source, epochs=2, backend="numpy", optimizer=SGD(0.3), comm=comm, **options)
        return net.theta

    results, said = on_ranks(
        3, lambda comm: theta(comm, lambda: iter(parts_of(data, 3, comm.rank)), reduction=reduction)
    )
    assert not said
    assert all(np.array_equal(result, results[0]) for result in results)
    np.testing.assert_allclose(results[0], theta(None, parts_of(data, 1, 0)), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("of_rank_1", "expected"),
    [
        ([(X, Y)] * 2, "rank 1: its iterator has no batch 3 in epoch 1, but that of rank 0 has; give all ranks"),
        ([(X, Y), (X * np.nan, Y)], "rank 1: batch 2 of epoch 1: X[0, 0] is nan"),
        ([(X, Y), (X, Y, Y - 1)], "rank 1: batch 2 of epoch 1: sample_weight["),
        ([], "rank 1: there are no batches"),
        (((X[k:], Y[k:]) for k in range(3)), "rank 1: the iterator ended after 0 batches of epoch 2"),
        (((X, Y) if k < 2 else 1 / 0 for k in range(3)), "rank 1: ZeroDivisionError: division by zero ("),
    ],
    ids=range(6),
)
def test_iterators_that_differ(of_rank_1, expected):
    own = {} if isinstance(of_rank_1, list) else {"batches_per_epoch": 3}

    def work(comm):
        return trained(comm, data=([(X, Y)] * 3 if comm.rank != 1 else of_rank_1, None), epochs=2, **own)

    for message in errors(3, work):
        assert message.startswith(expected)


def test_an_iterator_on_some_ranks_only():
    for first in (0, 1):
        for message in errors(
            2, lambda comm, first=first: trained(comm, data=(X, Y) if comm.rank == first else ([(X, Y)], None))
        ):
            assert message.startswith(f"rank 1: an iterator of batches is {first == 0}, but {first == 1} on rank 0")


def test_iterators_whose_samples_have_no_weight():
    for message in errors(2, lambda comm: trained(comm, data=([(X, Y, 0.0 * Y)], None))):
        assert message.startswith("the weight is 0 for all samples of epoch 1")


def errors(size, work):
    """The messages of all ranks, which must be of one kind."""
    results, said = on_ranks(size, work)
    assert not said
    assert all(isinstance(result, jitnet.Error) for result in results), results
    return [str(result) for result in results]


@pytest.mark.parametrize(
    ("of_rank_2", "expected"),
    [
        ({"epochs": 4}, "rank 2: epochs is 4, but 3 on rank 0; start all ranks with the same options and data"),
        ({"optimizer": "sgd"}, "rank 2: optimizer is {'name': 'sgd'"),
        ({"data": (X + 1, Y)}, "rank 2: checksum of X is "),
        ({"data": (np.vstack([X[:-1], X[-1:] + 1]), Y)}, "rank 2: checksum of X is "),
        ({"data": (X, Y[::-1])}, "rank 2: checksum of Y is "),
        ({"data": (X[:-1], Y[:-1])}, "rank 2: shape of X is (96, 2), but (97, 2) on rank 0"),
        ({"validation": (X, Y)}, "rank 2: checksum of validation X is "),
        ({"batch_size": 0}, "rank 2: batch_size is 0"),
        ({"data": (np.where(X > 0, X, np.nan), Y)}, "rank 2: X["),
        ({"backend": "njit"}, "rank 2: backend is 'njit', but 'numpy' on rank 0"),
        ({"reduction": 16}, "rank 2: reduction is 16, but 8 on rank 0"),
        ({"callbacks": print}, "rank 2: callbacks is 1, but 0 on rank 0"),
        ({"checkpoint_every": 2}, "rank 2: checkpoint_every is 2, but 1 on rank 0"),
        ({"data": (X, np.array(["a", "b", "d"])[Y])}, "rank 2: classes is ['a', 'b', 'd'], but [0, 1, 2] on rank 0"),
        ({"data": (X, np.eye(3)[Y])}, "rank 2: classes is None, but [0, 1, 2] on rank 0"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_rank_that_differs(of_rank_2, expected):
    for message in errors(3, lambda comm: trained(comm, **(of_rank_2 if comm.rank == 2 else {}))):
        assert message.startswith(expected)


def test_a_rank_with_another_version(monkeypatch):
    class Changing:
        """A version that is another one for the second rank that asks."""

        asked = 0

        def __get__(self, *_):
            Changing.asked += 1
            return "0.0.1" if Changing.asked == 2 else "0.0.2"

    module = type("Module", (), {"__version__": Changing()})()
    monkeypatch.setitem(jitnet.training.ranks.sys.modules, "jitnet", module)
    for message in errors(3, trained):
        assert "the version of jitnet is '0.0." in message
        assert message.endswith("install the same version for all ranks")


def test_one_rank_of_a_machine_reads_the_data_of_all():
    readers = []

    def work(comm):
        def read():
            readers.append(comm.rank)
            odd, names = X[:5, 0].copy(), np.array(["a", None], object)
            return {"odd": odd, "X": X, "Y": Y, "empty": X[:0], "names": names, "text": "b"}

        data = read_once(comm, read)
        shared = [data[name] for name in ("X", "Y") if comm.size > 1]
        assert all(checks._is_mapped(array) and array.ctypes.data % 64 == 0 for array in shared)
        return [np.asarray(value).tolist() for value in data.values()]

    assert agree(3, work) == work(Alone())
    assert readers == [0, 0]
    assert agree(2, lambda comm: read_once(comm, lambda: "no array")) == "no array"


def test_data_that_cannot_be_read_or_shared(monkeypatch):
    def read():
        raise jitnet.Error("there is no file x.csv")

    assert errors(2, lambda comm: read_once(comm, read)) == ["rank 0: there is no file x.csv"] * 2
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    for message in errors(2, lambda comm: read_once(comm, lambda: X)):
        assert message.startswith("rank 0: cannot write the data for all ranks of this machine to /nowhere: ")


def test_the_first_rank_of_a_machine_compiles_before_the_others():
    order = []

    def work(comm):
        run = SimpleNamespace(prepare=lambda *_: order.append(comm.rank))
        ranks.prepare(SimpleNamespace(comm=comm, run=run, net=SimpleNamespace(dtype=None)), [], None)

    agree(3, work)
    assert order[0] == 0
    assert sorted(order) == [0, 1, 2]


def test_an_error_of_all_ranks_names_none():
    assert (
        errors(2, lambda comm: trained(comm, epochs=0)) == ["epochs is 0, but must be a whole number, at least 1"] * 2
    )


def test_all_ranks_diverge_alike():
    results, said = on_ranks(2, lambda comm: trained(comm, make(dropout=0), optimizer=SGD(1e30)))
    assert not said
    assert [type(result) for result in results] == [Diverged] * 2
    assert str(results[0]) == str(results[1])


def test_validation_that_diverges_on_one_rank_is_that_of_one_process():
    far = np.zeros((2100, 2))
    far[1500] = 3e38  # in the second of three portions

    def work(comm=None):
        net = Network(Dense(2, 3, "relu"), Dense(3, 1), seed=0)
        with pytest.raises(Diverged, match=r"on the validation samples the loss for X\[1500\] is inf") as caught:
            trained(comm, net, (X, Y[:, None] * 1.0), validation=(far, np.zeros(2100)), optimizer=SGD(1e-4))
        return str(caught.value), net.theta.tobytes()

    assert agree(2, work) == work()


def test_resume_in_memory_continues_what_rank_0_has():
    def work(comm):
        net = make()
        best = {"validation": (X, Y), "early_stopping": 50} if comm.rank == 1 else {}
        trained(net=net, **best)
        return trained(comm, net, resume=True)

    agree(2, work)


def test_a_callback_that_raises_on_one_rank():
    def work(comm):
        return trained(comm, callbacks=lambda net, history: 1 / (comm.rank - 1) == 2)

    for message in errors(3, work):
        assert message.startswith("rank 1: ZeroDivisionError: division by zero (")
        assert "test_distributed.py, line" in message


def test_parameters_that_drift_apart():
    def drift(comm):
        def callback(net, history):
            if comm.rank == 1:
                net.layers[0].b[0] += 1

        return trained(comm, callbacks=callback)

    for message in errors(2, drift):
        assert message.startswith("rank 1: its parameters are not those of rank 0 after epoch 2")


def test_what_one_rank_raises_within_an_epoch_ends_all():
    def work(comm):
        def factor(epoch, history):
            return 1.0 if epoch < 1 or comm.rank != 2 else math.sqrt(-1)

        return trained(comm, schedule=factor)

    results, said = on_ranks(3, work)
    ((rank, message, status),) = said
    assert (rank, status) == (2, 2)
    assert message.startswith(("ValueError: math domain error", "ValueError: expected a nonnegative input"))
    assert [type(result) for result in results] == [AbortedError, AbortedError, ValueError]


def test_a_full_disk_ends_all_ranks(tmp_path):
    path = tmp_path / "run.ckpt"

    def work(comm):
        def fill(net, history):
            if history.epochs == 2 and comm.rank == 0:
                path.unlink()
                path.mkdir()  # nothing can be written there, as on a full disk

        return trained(comm, epochs=5, checkpoint=path, callbacks=fill)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for message in errors(2, work):
            assert message.startswith(f"rank 0: cannot write {path}: it is a folder")
            assert message.endswith("the checkpoint of epoch 1 is still there")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": "tre"}, "reduction .*tre.*tree"),
        ({"reduction": 12}, "must be a power of two up to 4096"),
        ({"reduction": 2**13}, "must be a power of two up to 4096"),
        ({"reduction": 0}, "reduction is 0, but must be a whole number, at least 1"),
        ({"reduction": 2.5}, "reduction is 2.5"),
        ({"comm": 3}, "comm is 3, but must be a communicator of mpi4py"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),  # no address of a function
)
def test_errors(options, message):
    with pytest.raises(jitnet.Error, match=message):
        trained(**options)


def test_more_ranks_than_blocks():
    for message in errors(3, lambda comm: trained(comm, reduction=2)):
        assert message.startswith("there are 3 ranks, but a batch has 2 blocks; write reduction=4")


def test_one_rank_needs_no_communicator():
    comm, vector = Alone(), np.ones(3)
    received = [np.zeros(3)]
    comm.exchange(vector, [0, 3], received)
    comm.collect(received[0], [0, 3], vector)
    assert vector.tolist() == [1, 1, 1]
