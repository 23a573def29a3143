"""A network that several ranks, as threads, train, and the results of the training."""

from ranks import on_ranks
from runs import spiral

from jitnet import Adam, Dense, Dropout, Error, LayerNorm, Network

X, Y = spiral()


def make(dtype="float32", dropout=0.2, seed=3):
    dropped = [Dropout(dropout)] if dropout else []
    return Network(Dense(2, 17, "tanh"), LayerNorm(17), *dropped, Dense(17, 3, "softmax"), seed=seed, dtype=dtype)


def trained(comm=None, net=None, data=(X, Y), **options):
    """All results of a training run, as bytes and numbers."""
    net = net or make()
    settings = {"epochs": 3, "optimizer": Adam(0.01), "backend": "numpy", "reduction": "tree", "comm": comm, **options}
    history = net.fit(*data, **settings)
    lists = history.loss, history.validation_loss, history.validation_accuracy
    vectors = [array.tobytes() for array in net.state_dict().values()]
    return net.theta.tobytes(), lists, history.stopped, history.best_epoch, vectors


def agree(size, work):
    """The result, which must be the same on all ranks."""
    results, said = on_ranks(size, work)
    assert not said
    for result in results:
        if isinstance(result, BaseException):
            raise result
        assert result == results[0]
    return results[0]


def errors(size, work):
    """The error messages of all ranks; the errors must have the same type."""
    results, said = on_ranks(size, work)
    assert not said
    assert all(isinstance(result, Error) for result in results), results
    return [str(result) for result in results]
