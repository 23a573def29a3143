"""Users' kernels, correct and incorrect, which `test_custom_kernel.py` writes to a file."""

KERNELS = '''
import ctypes, os, sys, time
import numpy as np
from numba import njit, prange
from numba.extending import overload

@njit
def right(X, W, Z):
    """Row by row. In the order of memory."""
    for i in range(X.shape[0]):
        Z[i] = 0
        for k in range(X.shape[1]):
            for j in range(W.shape[1]):
                Z[i, j] += X[i, k] * W[k, j]

@njit(parallel=True)
def right_parallel(X, W, Z):
    for i in prange(X.shape[0]):
        for j in range(W.shape[1]):
            total = X.dtype.type(0)
            for k in range(X.shape[1]):
                total += X[i, k] * W[k, j]
            Z[i, j] = total

@njit(parallel=True)
def racy(X, W, Z):
    Z[:] = 0
    for k in prange(X.shape[1]):
        for i in range(X.shape[0]):
            for j in range(W.shape[1]):
                Z[i, j] += X[i, k] * W[k, j]

def right_python(A, B, C):
    print("this is not for standard output")
    os.write(1, b"nor is what comes from below")
    for i in range(len(A)):
        for j in range(B.shape[1]):
            C[i, j] = sum(A[i, k] * B[k, j] for k in range(len(B)))

class Product:
    def __call__(self, A, B, C):
        np.matmul(A, B, out=C)
        return C

right_object = Product()

def raises(X, W, Z):
    return 1 / 0

@njit
def raises_compiled(X, W, Z):
    if len(X) == 7:
        raise ValueError("not seven")
    right(X, W, Z)

def exits(X, W, Z):
    sys.exit("enough")

def ends(X, W, Z):
    os._exit(3)

def crashes(X, W, Z):
    ctypes.string_at(0)

@njit
def far_away(X, W, Z):
    for i in range(len(Z)):
        Z[i + 10**12, 0] = 1

@njit
def past_the_end(X, W, Z):
    right(X, W, Z)
    for j in range(Z.shape[1]):
        Z[len(Z), j] = 1

@njit
def adds_past_the_end(X, W, Z):
    right(X, W, Z)
    for j in range(Z.shape[1]):
        Z[len(Z), j] += 1

@njit
def before_the_start(X, W, Z):
    right(X, W, Z)
    if len(Z):
        Z[-len(Z) - 1, 0] = 1

def into_the_input(X, W, Z):
    np.matmul(X, W, out=Z)
    W *= 2

def returns(X, W, Z):
    return X @ W

def renames(X, W, Z):
    Z = X @ W

def no_last_row(X, W, Z):
    np.matmul(X[:-1], W, out=Z[:-1])

@njit
def adds(X, W, Z):
    for i in range(len(X)):
        for k in range(len(W)):
            for j in range(W.shape[1]):
                Z[i, j] += X[i, k] * W[k, j]

def two(X, Z):
    pass

@njit
def not_compiled(X, W, Z):
    Z[0, 0] = X + "x"

@njit
def no_such_name(X, W, Z):
    Z[0, 0] = foo(X)

@njit
def no_such_function(X, W, Z):
    Z[:] = np.nothing(X)

def wrong_at_an_edge(X, W, Z):
    np.matmul(X, W, out=Z)
    if Z.shape[1] == 65:
        Z[-1, 64] += 1

def wrong_if_large(X, W, Z):
    np.matmul(X, W, out=Z)
    if X.shape == W.shape == (24, 24):
        Z[9, 9] = 0

def not_a_number(X, W, Z):
    np.matmul(X, W, out=Z)
    Z *= np.inf - np.inf

@njit
def reads_beyond(X, W, Z):
    for i in range(len(Z)):
        for j in range(Z.shape[1]):
            Z[i, j] = X[len(X), 0]

calls = 0

def late(X, W, Z):
    global calls
    calls += 1
    if calls > 3000:
        raise RuntimeError("too late")
    np.matmul(X, W, out=Z)

def late_crash(X, W, Z):
    global calls
    calls += 1
    if calls > 3000:
        ctypes.string_at(0)
    np.matmul(X, W, out=Z)

def greedy(X, W, Z):
    np.ones(10**12)

@njit
def greedy_compiled(X, W, Z):
    Z[0, 0] = np.ones(10**12)[3]

def writes_much(X, W, Z):
    with open("much", "wb") as file:
        for _ in range(1000):
            file.write(bytes(2**20))

def hangs(X, W, Z):
    while True:
        pass

@njit
def hangs_compiled(X, W, Z):
    i = 0
    while len(X) >= 0:
        i += 1
    Z[:] = i

def hard_to_compile(X):
    pass

@overload(hard_to_compile)
def _hard_to_compile(X):
    time.sleep(4)
    return lambda X: None

@njit
def slow_to_compile(X, W, Z):
    hard_to_compile(X)
    right(X, W, Z)

no_function = [1]
'''
