/* The algorithm of jitnet's rung `packed` in C, for in_c.py: tiles of 6 rows and VECTORS vectors, or 10 rows in a panel
   of at most half as many vectors, and lower ones for the last rows, whose sums stay in registers; panels of B, read in
   place or from a copy of `depth` rows. VECTORS and BYTES come from the compiler's command line. Every sum adds its
   terms in the order of k, so the results equal jitnet's bit for bit. */
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 10, LANES = BYTES / 4, WIDTH = VECTORS * LANES };
typedef float vector __attribute__((vector_size(BYTES), aligned(4), may_alias));

static inline long min(long a, long b) { return a < b ? a : b; }

/* The first `count` numbers; at most LANES. */
static inline vector read(const float *from, long count) {
    if (count >= LANES) return *(const vector *)from;
    float numbers[LANES] = {0};
    if (count > 0) memcpy(numbers, from, 4 * min(count, LANES));
    return *(vector *)numbers;
}

static inline void write(vector numbers, float *to, long count) {
    if (count >= LANES) *(vector *)to = numbers;
    else if (count > 0) memcpy(to, &numbers, 4 * min(count, LANES));
}

/* Rows i to i + rows of C[:, :count] = A·B, or added to what C holds; row k of B begins at B + k * step, with zeros
   after `count`. */
static inline __attribute__((always_inline)) void tile(
    const int rows, const int vectors, const float *A, long a_step, const float *B, long step, float *C, long c_step,
    long i, long m, long terms, long count, int adds) {
    const float *a[MOST_ROWS];
    float *c[MOST_ROWS];
    vector sums[MOST_ROWS][VECTORS];
    for (int r = 0; r < rows; r++) {
        long row = min(i + r, m - 1); /* at the bottom edge, the last row again */
        a[r] = A + row * a_step, c[r] = C + row * c_step;
        for (int v = 0; v < vectors; v++) sums[r][v] = read(c[r] + v * LANES, adds ? count - v * LANES : 0);
    }
    for (long k = 0; k < terms; k++) {
        vector y[VECTORS];
        for (int v = 0; v < vectors; v++) y[v] = *(const vector *)(B + k * step + v * LANES);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++) sums[r][v] += a[r][k] * y[v];
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) write(sums[r][v], c[r] + v * LANES, count - v * LANES);
}

static inline __attribute__((always_inline)) void tiles(
    const int vectors, const float *A, long a_step, const float *B, long step, float *C, long c_step, long m, long terms,
    long count, int adds) {
    const int rows = 2 * vectors <= VECTORS ? 10 : 6, few = 2 * vectors <= VECTORS ? 5 : 4;
    for (long i = 0; i < m;)
        if (m - i <= few || (rows < m - i && m - i <= 2 * few)) {
            tile(few, vectors, A, a_step, B, step, C, c_step, i, m, terms, count, adds);
            i += few;
        } else {
            tile(rows, vectors, A, a_step, B, step, C, c_step, i, m, terms, count, adds);
            i += rows;
        }
}

/* C = A·B, shapes (m, depth)·(depth, n), all contiguous. Whole panels of B are read in place unless it is `packed`. */
void product(const float *A, const float *B, float *C, long m, long terms, long n, long depth, int packed) {
    float *panel = aligned_alloc(64, 4 * depth * WIDTH);
    for (long k0 = 0; k0 < terms; k0 += depth)
        for (long j = 0; j < n; j += WIDTH) {
            long count = min(n - j, WIDTH), vectors = (count + LANES - 1) / LANES, rows = min(depth, terms - k0);
            const float *a = A + k0, *source = B + k0 * n + j;
            long step = n;
            if (packed || count < WIDTH) {
                step = vectors * LANES;
                for (long k = 0; k < rows; k++)
                    for (long v = 0; v < vectors; v++)
                        write(read(source + k * n + v * LANES, count - v * LANES), panel + k * step + v * LANES, LANES);
                source = panel;
            }
            if (vectors == 1) tiles(1, a, terms, source, step, C + j, n, m, rows, count, k0 > 0);
            else if (vectors == 2) tiles(2, a, terms, source, step, C + j, n, m, rows, count, k0 > 0);
#if VECTORS == 4
            else if (vectors == 3) tiles(3, a, terms, source, step, C + j, n, m, rows, count, k0 > 0);
            else tiles(4, a, terms, source, step, C + j, n, m, rows, count, k0 > 0);
#endif
        }
    free(panel);
}
