"""If ranks differ, fail or stop, all ranks raise the same error. test_mpi.py kills real processes."""

import math
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ranks import AbortedError, on_ranks
from trained_ranks import X, Y, agree, errors, make, trained

import jitnet
from jitnet import SGD, Dense, Diverged, Network, arrays
from jitnet.distributed import Alone, read_once
from jitnet.training import ranks


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
        ({"checkpoint_every": 2}, "rank 2: checkpoint_every is 2, but there is no checkpoint"),
        ({"data": (X, np.array(["a", "b", "d"])[Y])}, "rank 2: classes is ['a', 'b', 'd'], but [0, 1, 2] on rank 0"),
        ({"data": (X, np.eye(3)[Y])}, "rank 2: classes is None, but [0, 1, 2] on rank 0"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_ranks_with_different_options_or_data_are_an_error(of_rank_2, expected):
    for message in errors(3, lambda comm: trained(comm, **(of_rank_2 if comm.rank == 2 else {}))):
        assert message.startswith(expected)


def test_ranks_write_their_checkpoint_equally_often(tmp_path):
    file = tmp_path / "run.npz"
    for message in errors(3, lambda comm: trained(comm, checkpoint=file, checkpoint_every=1 + (comm.rank == 2))):
        assert message.startswith("rank 2: checkpoint_every is 2, but 1 on rank 0")


def test_ranks_with_different_versions_are_an_error(monkeypatch):
    class Changing:
        """A version that differs for the second rank that reads it."""

        asked = 0

        def __get__(self, *_):
            Changing.asked += 1
            return "0.0.1" if Changing.asked == 2 else "0.0.2"

    module = type("Module", (), {"__version__": Changing()})()
    monkeypatch.setitem(jitnet.training.ranks.sys.modules, "jitnet", module)
    for message in errors(3, trained):
        assert "the version of jitnet is '0.0." in message
        assert message.endswith("install the same version for all ranks")


def test_one_rank_of_a_machine_reads_the_data_for_all():
    readers = []

    def work(comm):
        def read():
            readers.append(comm.rank)
            odd, names = X[:5, 0].copy(), np.array(["a", None], object)
            return {"odd": odd, "X": X, "Y": Y, "empty": X[:0], "names": names, "text": "b"}

        data = read_once(comm, read)
        shared = [data[name] for name in ("X", "Y") if comm.size > 1]
        assert all(arrays._is_mapped(array) and array.ctypes.data % 64 == 0 for array in shared)
        return [np.asarray(value).tolist() for value in data.values()]

    assert agree(3, work) == work(Alone())
    assert readers == [0, 0]
    assert agree(2, lambda comm: read_once(comm, lambda: "no array")) == "no array"


def test_data_that_cannot_be_read_or_shared_are_an_error_on_all_ranks(monkeypatch):
    def read():
        raise jitnet.Error("there is no file x.csv")

    assert errors(2, lambda comm: read_once(comm, read)) == ["rank 0: there is no file x.csv"] * 2
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    for message in errors(2, lambda comm: read_once(comm, lambda: X)):
        assert message.startswith("rank 0: cannot write the data for all ranks of this machine to /nowhere: ")


def test_first_rank_of_a_machine_compiles_before_the_others():
    order = []

    def work(comm):
        run = SimpleNamespace(prepare=lambda *_: order.append(comm.rank))
        ranks.prepare(SimpleNamespace(comm=comm, backend=run, net=SimpleNamespace(dtype=None)), [], None)

    agree(3, work)
    assert order[0] == 0
    assert sorted(order) == [0, 1, 2]


def test_error_of_all_ranks_names_no_rank():
    assert (
        errors(2, lambda comm: trained(comm, epochs=0)) == ["epochs is 0, but must be a whole number, at least 1"] * 2
    )


def test_all_ranks_diverge_with_the_same_error():
    results, said = on_ranks(2, lambda comm: trained(comm, make(dropout=0), optimizer=SGD(1e30)))
    assert not said
    assert [type(result) for result in results] == [Diverged] * 2
    assert str(results[0]) == str(results[1])


def test_infinite_validation_loss_on_one_rank_equals_one_process():
    far = np.zeros((2100, 2))
    far[1500] = 3e38  # in the second of three parts

    def work(comm=None):
        net = Network(Dense(2, 3, "relu"), Dense(3, 1), seed=0)
        with pytest.raises(Diverged, match=r"on the validation samples the loss for X\[1500\] is inf") as caught:
            trained(comm, net, (X, Y[:, None] * 1.0), validation=(far, np.zeros(2100)), optimizer=SGD(1e-4))
        return str(caught.value), net.theta.tobytes()

    assert agree(2, work) == work()


def test_resume_in_memory_continues_the_training_of_rank_0():
    def work(comm):
        net = make()
        best = {"validation": (X, Y), "early_stopping": 50} if comm.rank == 1 else {}
        trained(net=net, **best)
        return trained(comm, net, resume=True)

    agree(2, work)


def test_error_in_a_callback_on_one_rank_ends_all_ranks():
    def work(comm):
        return trained(comm, callbacks=lambda net, history: 1 / (comm.rank - 1) == 2)

    for message in errors(3, work):
        assert message.startswith("rank 1: ZeroDivisionError: division by zero (")
        assert f"{Path(__file__).name}, line" in message


def test_parameters_that_differ_between_ranks_are_an_error():
    def drift(comm):
        def callback(net, history):
            if comm.rank == 1:
                net.layers[0].b[0] += 1

        return trained(comm, callbacks=callback)

    for message in errors(2, drift):
        assert message.startswith("rank 1: its parameters are not those of rank 0 after epoch 2")


def test_error_within_an_epoch_on_one_rank_ends_all_ranks():
    def work(comm):
        def factor(epoch, history):
            return 1.0 if epoch < 1 or comm.rank != 2 else math.sqrt(-1)

        return trained(comm, schedule=factor)

    results, said = on_ranks(3, work)
    ((rank, message, status),) = said
    assert (rank, status) == (2, 2)
    assert message.startswith(("ValueError: math domain error", "ValueError: expected a nonnegative input"))
    assert [type(result) for result in results] == [AbortedError, AbortedError, ValueError]


def test_failing_checkpoint_ends_all_ranks(tmp_path):
    path = tmp_path / "run.ckpt"

    def work(comm):
        def fill(net, history):
            if history.epochs == 2 and comm.rank == 0:
                path.unlink()
                path.mkdir()  # a folder cannot be overwritten; simulates a full disk

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
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),  # without the address of a function
)
def test_bad_options_of_ranks_are_a_clear_error(options, message):
    with pytest.raises(jitnet.Error, match=message):
        trained(**options)


def test_more_ranks_than_blocks_are_an_error():
    for message in errors(3, lambda comm: trained(comm, reduction=2)):
        assert message.startswith("there are 3 ranks, but a batch has 2 blocks; write reduction=4")


def test_one_rank_needs_no_communicator():
    comm, vector = Alone(), np.ones(3)
    received = [np.zeros(3)]
    comm.exchange(vector, [0, 3], received)
    comm.allgather_parts(received[0], [0, 3], vector)
    assert vector.tolist() == [1, 1, 1]
