"""Training on several ranks, here threads; test_mpi.py uses real processes."""

from unittest import mock

import numpy as np
import pytest
from ranks import on_ranks
from runs import OPTIMIZERS, overfit, spiral
from trained_ranks import X, Y, agree, errors, make, trained

import jitnet
from jitnet import SGD, CosineDecay, Dense, Dropout, EarlyStopping, Network
from jitnet.distributed import tree
from jitnet.process import interruption
from jitnet.step import Epoch, Step
from jitnet.training import loop
from jitnet.training.blocks import BlockEpoch


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
def test_tree_sum_equals_pairwise_sum(blocks):
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


def test_compiled_loops_give_the_same_bits_on_any_number_of_ranks():
    options = {"backend": "fast", "batch_size": 32, "optimizer": SGD(0.1)}
    assert agree(3, lambda comm: trained(comm, **options)) == trained(**options)


@pytest.mark.parametrize("weights", [None, np.arange(97) % 3])
@pytest.mark.parametrize("reduction", ["tree", 1, 16, "fast"])
def test_ranks_compute_the_gradient_of_the_whole_batch(reduction, weights):
    def theta(comm, reduction):
        net = make("float64", dropout=0)
        options = {"batch_size": 20, "clip_norm": 0.1, "sample_weight": weights, "epochs": 2, "optimizer": SGD(0.3)}
        net.fit(X, Y, backend="numpy", comm=comm, reduction=reduction, **options)
        return net.theta

    results, said = on_ranks(3 if reduction != 1 else 1, lambda comm: theta(comm, reduction))
    assert not said
    np.testing.assert_allclose(results[0], theta(None, None), rtol=1e-10, atol=1e-12)


def test_dropout_differs_between_blocks():
    net = Network(Dense(1, 64), Dropout(0.5), Dense(64, 1), seed=0)
    seen = []
    with mock.patch.object(Step, "backpropagate", lambda step, t: seen.append(int(step.work.clock[0]))):
        net.fit(np.ones((8, 1)), np.ones((8, 1)), epochs=1, batch_size=8, backend="numpy", reduction="tree")
    assert len(seen) == len(set(seen)) == 8


def test_ranks_start_with_the_parameters_of_rank_0():
    agree(2, lambda comm: trained(comm, make(seed=comm.rank)))
    agree(2, lambda comm: trained(comm, make(seed=None)))


def test_early_stopping_ends_all_ranks_in_the_same_epoch():
    train, test = overfit()

    def work(comm=None):
        net = Network(Dense(8, 40, "tanh"), Dense(40, 2, "softmax"), seed=0)
        return trained(comm, net, train, epochs=60, validation=test, early_stopping=EarlyStopping(4), batch_size=7)

    assert agree(3, work) == work()
    assert work()[2] == "early"


def test_callback_on_any_rank_stops_all_ranks():
    def work(comm):
        return trained(comm, epochs=9, callbacks=lambda net, history: comm.rank == 1 and history.epochs == 2)

    _, (loss, *_), stopped, *_ = agree(3, work)
    assert (len(loss), stopped) == (2, "callback")


@pytest.mark.parametrize("when", [6, 9])  # five batches per epoch, and one check after it
def test_ctrl_c_on_one_rank_stops_all_ranks_after_the_same_batch(monkeypatch, when):
    class Pressed(interruption.Interrupt):
        """The second rank that starts is interrupted when it checks for the given time."""

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
def test_training_can_resume_on_another_number_of_ranks(tmp_path, sizes):
    path = tmp_path / "run.ckpt"
    options = {"validation": (X, Y), "early_stopping": 50, "batch_size": 20}
    for k, size in enumerate(sizes):
        last = agree(
            size, lambda comm, k=k: trained(comm, epochs=2 * k + 2, checkpoint=path, resume=k > 0, **options)
        )  # fmt: skip
    assert last == trained(epochs=6, **options)


def test_resume_with_another_reduction_is_refused(tmp_path):
    path = tmp_path / "run.ckpt"
    trained(checkpoint=path)
    with pytest.raises(jitnet.Error, match="belongs to another run: reduction was 8, is 16"):
        trained(checkpoint=path, resume=True, reduction=16)
    with pytest.raises(jitnet.Error, match="reduction was 8, is None"):
        trained(checkpoint=path, resume=True, reduction=None)


def test_each_rank_reads_only_its_part_of_a_memory_map(tmp_path):
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
    X32[50, 1] = np.nan  # in the part of rank 1
    np.save(path, X32)
    for message in errors(3, lambda comm: trained(comm, data=(np.load(path, mmap_mode="r"), Y))):
        assert message.startswith("rank 1: X[50, 1] is nan")


def parts_of(data, size, rank, m=16):
    """The part that one rank has of each batch of m samples; the last batch is shorter."""
    n = len(data[0])
    batches = [[array[start : start + m] for array in data] for start in range(0, n, m)]
    cuts = [tree.cuts(len(batch[0]), size)[rank : rank + 2] for batch in batches]
    return [tuple(array[slice(*cut)] for array in batch) for batch, cut in zip(batches, cuts, strict=True)]


def test_iterators_of_partial_batches_give_the_same_bits_as_whole_batches():
    data = X[:56], Y[:56]  # 16, 16, 16 and 8 samples, each a multiple of eight blocks
    options = {"schedule": CosineDecay(2), "clip_norm": 0.5, "validation": (X, Y)}
    whole = trained(data=data, batch_size=16, shuffle=False, **options)
    for size in (1, 2, 4):
        own = agree(
            size, lambda comm, size=size: trained(comm, data=(parts_of(data, size, comm.rank), None), **options)
        )
        assert own == whole, size


@pytest.mark.parametrize("reduction", ["tree", "fast"])
def test_iterators_with_weights_equal_arrays_with_weights(reduction):
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
def test_iterators_that_differ_between_ranks_are_an_error(of_rank_1, expected):
    own = {} if isinstance(of_rank_1, list) else {"batches_per_epoch": 3}

    def work(comm):
        return trained(comm, data=([(X, Y)] * 3 if comm.rank != 1 else of_rank_1, None), epochs=2, **own)

    for message in errors(3, work):
        assert message.startswith(expected)


def test_iterator_on_only_some_ranks_is_an_error():
    for first in (0, 1):
        for message in errors(
            2, lambda comm, first=first: trained(comm, data=(X, Y) if comm.rank == first else ([(X, Y)], None))
        ):
            assert message.startswith(f"rank 1: an iterator of batches is {first == 0}, but {first == 1} on rank 0")


def test_epoch_without_weight_is_an_error():
    for message in errors(2, lambda comm: trained(comm, data=([(X, Y, 0.0 * Y)], None))):
        assert message.startswith("the weight is 0 for all samples of epoch 1")
