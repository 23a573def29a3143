"""`jitnet.sklearn` compared with scikit-learn's networks: accuracy (R² for numbers) and seconds on ten data sets.

    python benchmarks/estimators.py [--mnist FOLDER]

Both have the same parameters, one hidden layer of 64 units and 60 epochs of Adam, and the same standardized float32
samples: three quarters for training, one quarter for testing. They alternate in one process. Seconds are the median
CPU time of `fit` over the repetitions, on which other programs have little effect. Kernels are compiled before.
--mnist adds 10 000 digits: a folder with MNIST's t10k files.
"""

import common

given = common.arguments(__doc__ or "", {"mnist": "a folder with t10k-images-idx3-ubyte.gz and its labels"})

import time  # noqa: E402
import warnings  # noqa: E402

import numpy as np  # noqa: E402
from sklearn import datasets, neural_network  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

import jitnet  # noqa: E402

OPTIONS = {"hidden_layer_sizes": (64,), "max_iter": 60, "tol": 0, "n_iter_no_change": 60, "random_state": 0}
LIBRARIES = {"jitnet": jitnet.sklearn, "scikit-learn": neural_network}


def data_sets():
    """Name -> X and y; y of floats is a regression."""
    sets = {
        "iris": datasets.load_iris(return_X_y=True),
        "wine": datasets.load_wine(return_X_y=True),
        "breast cancer": datasets.load_breast_cancer(return_X_y=True),
        "digits": datasets.load_digits(return_X_y=True),
        "diabetes": datasets.load_diabetes(return_X_y=True),
        "moons": datasets.make_moons(5000, noise=0.25, random_state=0),
        "classification": datasets.make_classification(
            20_000, 40, n_informative=12, n_classes=5, class_sep=1.5, random_state=0
        ),
        "several labels": datasets.make_multilabel_classification(4000, 30, n_classes=6, random_state=0),
        "friedman1": datasets.make_friedman1(10_000, 10, noise=1.0, random_state=0),
        "friedman3": datasets.make_friedman3(10_000, noise=0.1, random_state=0),
    }
    if given.mnist:
        images = jitnet.data.read_idx(given.mnist / "t10k-images-idx3-ubyte.gz").reshape(10_000, 784)
        sets["MNIST, test part"] = images, jitnet.data.read_idx(given.mnist / "t10k-labels-idx1-ubyte.gz")
    return {name: pair for name, pair in sets.items() if given.only in name}


def main():
    warnings.simplefilter("ignore")  # warnings that 60 epochs are not enough
    rows = []
    for name, (X, y) in data_sets().items():
        is_regression = y.dtype.kind == "f"
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
        scaler = StandardScaler().fit(X)
        X, X_test = (scaler.transform(part).astype(np.float32) for part in (X, X_test))
        if is_regression:
            y, y_test = ((part - y.mean()) / y.std() for part in (y, y_test))
        kind = "MLPRegressor" if is_regression else "MLPClassifier"
        models = {who: getattr(library, kind)(**OPTIONS) for who, library in LIBRARIES.items()}
        seconds = {who: [] for who in models}
        for model in models.values():
            model.set_params(max_iter=1).fit(X, y)
            model.set_params(max_iter=OPTIONS["max_iter"])
        for _ in range(min(given.rounds, 5)):
            for who, model in models.items():
                start = time.process_time()
                model.fit(X, y)
                seconds[who].append(time.process_time() - start)
        medians = {who: float(np.median(times)) for who, times in seconds.items()}
        rows.append(
            {"data": name, "samples": len(X), "columns": X.shape[1], "measure": "R²" if is_regression else "accuracy"}
            | {who: f"{model.score(X_test, y_test):.3f}" for who, model in models.items()}
            | {f"{who}, s": f"{medians[who]:.3g}" for who in models}
            | {"ratio": f"{medians['scikit-learn'] / medians['jitnet']:.1f}"}
        )
        common.say(str(rows[-1]))
    common.publish("estimators", given, rows)


if __name__ == "__main__":
    main()
