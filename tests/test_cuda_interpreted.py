"""Every GPU kernel, compiled and run by the PTX interpreter: full tiles, alignment, warps.

The interpreter stops at every error of a kernel (accesses outside of its arrays, misaligned accesses, shared memory
without a barrier), so each test also checks for these.
"""

import importlib.util

import numpy as np
import pytest
from cases import release, slow

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("numba-cuda is not installed (pip install 'jitnet[cuda]')", allow_module_level=True)

import jitnet
from jitnet.compiler.cuda import registry
from jitnet.compiler.cuda.registry import recording
from jitnet.kernels.cuda import LADDERS, clock
from jitnet.kernels.cuda.optimizers import FROM_MEMORY
from jitnet.kernels.cuda.pipelined import ThreeSizes
from jitnet.lab import oracle
from jitnet.lab.gpu.ptx_interpreter import execute
from jitnet.lab.gpu.running import program_of, run

SHAPES = [(0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (5, 7, 3), (33, 64, 130), (127, 17, 129)]
PRODUCTS = ("matmul", "matmul_tn", "matmul_nt")
ALL_IN_CI, ALL_IN_A_RELEASE = (("matmul", *map(left_out, PRODUCTS[1:])) for left_out in (slow, release))
OF_THE_TILE = ("matmul", "layer", slow("descend"), *map(release, (*PRODUCTS[1:], "delta", "gradients")))
pytestmark = pytest.mark.usefixtures("ptx_once")

RUNGS = [(operation, rung) for operation, ladder in LADDERS.items() for rung in ladder]


def test_a_known_rung_is_registered_again_only_by_the_same_function():
    known = LADDERS["sgd"]["elements"]
    with pytest.raises(ValueError, match=r"^rung 'elements' of sgd on the GPU exists already: jitnet\..*; give"):
        registry.rung("sgd", "elements")(check)
    assert LADDERS["sgd"]["elements"] is known


def check(operation, name, shape, **how):
    rung, case = LADDERS[operation][name], oracle.case(operation, shape, "float32")
    run(rung, *case.arguments, **how)
    case.allow(rung.eps)
    case.check()
    return case


@pytest.mark.parametrize(
    ("operation", "name"),
    [slow(*rung) if rung[0] in PRODUCTS[1:] and rung[1] != "pipelined" else rung for rung in RUNGS],
)  # the same tiles as those of matmul
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy warns if n_out is 0 and if e^x overflows
def test_rung_equals_the_formula(operation, name):
    for shape in SHAPES:
        if shape[2] or (3, 2, 0) in oracle.ugly_shapes(operation):  # the mean of no outputs is undefined
            check(operation, name, shape)


SIZES = {"large": 0, "medium": 1, "small": 2}
"""Size of the tile of `pipelined` -> index of its launch."""


def force(monkeypatch, size):
    """Use tiles of this size for outputs of any size."""
    monkeypatch.setattr(ThreeSizes, "__call__", lambda self, *arguments: self.launches[SIZES[size]](*arguments))


@pytest.mark.parametrize("operation", OF_THE_TILE)
@pytest.mark.parametrize("size", [release("large"), "medium"])
def test_larger_tiles_match_the_oracle(operation, size, monkeypatch):
    force(monkeypatch, size)
    for shape in [(3, 2, 9), (128, 16, 128), (129, 33, 132)]:
        check(operation, "pipelined", shape)


def test_output_size_selects_the_tile():
    launches = LADDERS["matmul"]["pipelined"].launches
    for shape, chosen in (((64, 9), 2), ((640, 639), 1), ((639, 576), 2), ((1280, 1279), 0), ((1152, 1280), 1)):
        taken = [launch.blocks(None, None, np.empty(shape, np.float32)) for launch in launches]
        with recording() as calls:
            LADDERS["matmul"]["pipelined"].body(
                *(np.empty((n, n), np.float32) for n in (1, 1)), np.empty(shape, np.float32)
            )
        assert [(launch, blocks) for launch, blocks, _ in calls] == [(launches[chosen], taken[chosen])]


@pytest.mark.parametrize("operation", ALL_IN_A_RELEASE)
@pytest.mark.parametrize(
    ("name", "size"),
    [("vectorized", None), ("warptile", None), ("tensorcore", None), ("pipelined", "small"), ("pipelined", "medium"),
     release("pipelined", "large")],
)  # fmt: skip
def test_incomplete_tiles_match_the_oracle(operation, name, size, monkeypatch):
    """Aligned matrices whose last tiles lack one row, or four columns."""
    if size:
        force(monkeypatch, size)
    for shape in [(124, 31, 124), (31, 124, 124)]:
        check(operation, name, shape)


@pytest.mark.release
def test_older_gpus_match_the_oracle():
    """For older GPUs the compiler generates other instructions and branches."""
    for operation in PRODUCTS:
        for name in ("vectorized", "warptile", "pipelined", "tensorcore"):
            check(operation, name, (33, 20, 36), capability=(8, 0))


@pytest.mark.parametrize("operation", [*OF_THE_TILE, "softmax", release("cross_entropy")])
def test_blocks_may_run_in_any_order(operation):
    """Blocks run in any order on a GPU; if one needed the output of another, the order would matter."""
    for name in LADDERS[operation]:
        results = []
        for order in (None, lambda blocks: reversed(range(blocks))):
            case = oracle.case(operation, (40, 9, 70), "float32")
            run(LADDERS[operation][name], *case.arguments, order=order)
            results.append([output.tobytes() for output in case.outputs])
        assert results[0] == results[1], name


@pytest.mark.parametrize("operation", ALL_IN_A_RELEASE)
def test_float32_rungs_give_the_same_bits(operation, monkeypatch):
    """All tiles use fused multiply-adds in the order of k, except the small tile, which splits the sum."""
    results = set()
    for size in ("large", "medium"):
        force(monkeypatch, size)
        for name in (name for name in LADDERS[operation] if name != "tensorcore"):
            results.add(check(operation, name, (37, 41, 43)).outputs[0].tobytes())
    assert len(results) == 1
    force(monkeypatch, "small")
    assert check(operation, "pipelined", (37, 41, 43)).outputs[0].tobytes() not in results


@pytest.mark.parametrize("k", [1, 7, 8, 9, 127, 128, 129, 300])
def test_split_sums_of_any_length_match_the_oracle(k):
    """Some groups of threads have all of their terms, some a part of them, and some none."""
    check("matmul", "pipelined", (17, k, 16))


@pytest.mark.parametrize("operation", ALL_IN_CI)
def test_tensor_cores_compute_in_tf32(operation):
    case = check(operation, "tensorcore", (66, 40, 70))
    error = np.abs(case.outputs[0] - case.expected[0]).max()
    assert 1e-4 < error < 2e-2


@pytest.mark.parametrize("operation", ALL_IN_CI)
@pytest.mark.parametrize("start", [1, 4], ids=["unaligned", "aligned"])
def test_matrices_at_any_address_match_the_oracle(operation, start):
    """The kernels use float4 loads where the matrices are aligned, and single loads elsewhere."""
    for rung in LADDERS[operation].values():
        case = oracle.case(operation, (5, 8, 12), "float32")
        memories = [np.full(matrix.size + 8, 42, np.float32) for matrix in case.arguments]
        placed = []
        for memory, matrix in zip(memories, case.arguments, strict=True):
            memory[start : start + matrix.size] = matrix.ravel()
            placed.append(memory[start : start + matrix.size].reshape(matrix.shape))
        run(rung, *placed)
        case.arguments[-1][...] = placed[-1]
        case.allow(rung.eps)
        case.check()
        assert (memories[-1][:start] == 42).all()
        assert (memories[-1][start + placed[-1].size :] == 42).all()


@pytest.mark.slow  # training in the interpreter overwrites them, too
def test_derivative_can_overwrite_its_input():
    for operation in (name for name in LADDERS if name.endswith("_derivative")):
        for rung in LADDERS[operation].values():
            apart, over = (oracle.case(operation, (5, 3, 7), "float32").arguments for _ in range(2))
            run(rung, *apart)
            A, dA, _ = over
            run(rung, A, dA, dA)
            np.testing.assert_array_equal(dA, apart[2])


def launched(launch, *arguments, **how):
    execute(program_of(launch), launch.blocks(*arguments), launch.threads, arguments, **how)


def test_recorded_step_gathers_its_batch_and_advances_the_clock():
    """An epoch of two batches, with 3 and 2 samples: the gathered data, the losses, and the clock after each batch."""
    rng = np.random.default_rng(0)
    X, Y, numbers = rng.random((5, 200), np.float32), rng.random((5, 3), np.float32), rng.random((2, 150), np.float32)
    w = rng.random(5, np.float32)
    seed, kept = 2**62 + 5, np.full(5, np.nan, np.float32)
    order, ticks = np.array([4, 2, 0, 3, 1]), np.array([seed, 7, 0, 0, 0])
    for at, m, clock_then in ((0, 3, [seed, 8, 1, 3, 3]), (3, 2, [seed, 9, 2, 5, 0])):
        chosen = order[at : at + m]
        X_batch, Y_batch, row = (np.full(shape, np.nan, np.float32) for shape in ((m, 200), (m, 3), 150))
        of_step = np.zeros(2, np.int64)
        w_batch = np.full(m, np.nan, np.float32)
        launched(clock.BEGIN, X, Y, w, order, numbers, ticks, row, of_step, w_batch, X_batch, Y_batch)
        np.testing.assert_array_equal(w_batch, w[chosen])
        launched(clock.BEGIN, X, Y, w[:0], order, numbers, ticks, row, of_step, w_batch, X_batch, Y_batch)
        np.testing.assert_array_equal(w_batch, w[chosen])  # without weights, nothing is written
        np.testing.assert_array_equal(X_batch, X[chosen])
        np.testing.assert_array_equal(Y_batch, Y[chosen])
        np.testing.assert_array_equal(row, numbers[at // 3])
        assert of_step.tolist() == ticks[:2].tolist()
        launched(clock.TICK, chosen.astype(np.float32), 5, ticks, kept)
        assert ticks.tolist() == clock_then
    np.testing.assert_array_equal(kept, order)


def test_all_threads_read_the_clock_before_it_advances():
    """There are more losses than threads, and each warp finishes before the next one starts."""
    losses, ticks, kept = np.arange(300, dtype=np.float32), np.array([3, 1, 0, 7, 0]), np.full(310, np.nan, np.float32)
    launched(clock.TICK, losses, 300, ticks, kept, apart=True)
    np.testing.assert_array_equal(kept[7:307], losses)
    assert np.isnan(kept[[*range(7), 307, 308, 309]]).all()
    assert ticks.tolist() == [3, 2, 1, 307, 0]


def test_adam_of_a_recorded_step_equals_the_formula():
    case, other = (oracle.case("adam", (5, 3, 7), "float32") for _ in range(2))
    grad, *numbers, mean, square, theta = case.arguments
    launched(FROM_MEMORY["adam"], grad, np.array(numbers), mean, square, theta)
    case.check()
    run(LADDERS["adam"]["elements"], *other.arguments)
    np.testing.assert_array_equal(case.outputs, other.outputs)


def test_dropout_drops_the_same_numbers_as_on_the_cpu():
    """Both hash 63 bits of the seed, the step, the layer and the index."""
    for m, n, clock_of_step in ((33, 65, [2**63 - 1, 2**40]), (1, 4097, [7, 1]), (5, 3, [2**32, 0])):
        X = np.random.default_rng(m).standard_normal((m, n)).astype(np.float32)
        given = 3 * 2**30, np.float32(4 / 3), 2, np.array(clock_of_step)
        ends = [np.empty_like(X) for _ in range(3)]
        run(LADDERS["dropout"]["elements"], X, *given, ends[0])
        jitnet.kernels.LADDERS["dropout"]["njit"](X, *given, ends[1])
        ends[2][...] = X
        run(LADDERS["dropout"]["elements"], ends[2], *given, ends[2])  # in place, as in the backward pass
        for other in ends[1:]:
            np.testing.assert_array_equal(ends[0], other)
