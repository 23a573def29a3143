// Runs kernels that LLVM compiled for AArch64: X (m, n) and W (n, p) come in, the results go out.
#include <stdio.h>
#include <stdlib.h>

// as Numba passes an array: two owners, the number of elements, their size, memory, shape and strides
typedef long L;
#define ARRAY L, L, L, L, float *, L, L, L, L
#define GIVE(x, m, n) 0, 0, (m) * (n), 4, x, m, n, (n) * 4, 4

int kernel_matmul_tiled(void *, void *, ARRAY, ARRAY, ARRAY);
int kernel_matmul_packed(void *, void *, ARRAY, ARRAY, ARRAY);
int kernel_matmul_nt_packed(void *, void *, ARRAY, ARRAY, ARRAY);
int kernel_sigmoid_polynomial(void *, void *, ARRAY, ARRAY);

void *NRT_Allocate(size_t size) { return malloc(size); }
void NRT_Free(void *memory) { free(memory); }

int main(int count, char **arguments) {
    L m = atol(arguments[1]), n = atol(arguments[2]), p = atol(arguments[3]);
    float *X = malloc(m * n * 4), *A = malloc(m * n * 4), *W = malloc(n * p * 4), *turned = malloc(n * p * 4);
    float *Z = malloc(m * p * 4);
    void *result = 0, *error = 0;
    if (fread(X, 4, m * n, stdin) + fread(W, 4, n * p, stdin) != m * n + n * p) return 2;
    for (L i = 0; i < n; i++)
        for (L j = 0; j < p; j++) turned[j * n + i] = W[i * p + j];
    if (kernel_matmul_tiled(&result, &error, GIVE(X, m, n), GIVE(W, n, p), GIVE(Z, m, p))) return 3;
    fwrite(Z, 4, m * p, stdout);
    if (kernel_matmul_packed(&result, &error, GIVE(X, m, n), GIVE(W, n, p), GIVE(Z, m, p))) return 4;
    fwrite(Z, 4, m * p, stdout);
    if (kernel_matmul_nt_packed(&result, &error, GIVE(X, m, n), GIVE(turned, p, n), GIVE(Z, m, p))) return 5;
    fwrite(Z, 4, m * p, stdout);
    if (kernel_sigmoid_polynomial(&result, &error, GIVE(X, m, n), GIVE(A, m, n))) return 6;
    fwrite(A, 4, m * n, stdout);
    return 0;
}
