/* Products with matrices of small rank, in float32. The order of additions is fixed: over columns by index modulo 16
 * and then the tree, over ranks ascending. */
#ifndef LEAF_FLOAT_LOW_RANK_H
#define LEAF_FLOAT_LOW_RANK_H

#include "vector.h"

static void low_rank_down(const float *x, const float *a, size_t a_stride, size_t rank, size_t columns, float scale,
                          float *t) {
    size_t whole = columns / LEAF_LANES * LEAF_LANES, rest = columns - whole;
    for (size_t k = 0; k < rank; k++) {
        const float *row = a + k * a_stride;
        f32x16 sums = {0};
        for (size_t c = 0; c < whole; c += LEAF_LANES) sums = fma16(load16(x + c), load16(row + c), sums);
        sums = fma16(load_part(x + whole, rest), load_part(row + whole, rest), sums);
        t[k] = tree_sum(sums) * scale;
    }
}

static void low_rank_up(const float *t, const float *b, size_t b_stride, size_t rank, size_t n, float *y) {
    for (size_t o = 0; o < n; o += LEAF_LANES) {
        size_t part = n - o < LEAF_LANES ? n - o : LEAF_LANES;
        f32x16 sum = {0};
        for (size_t k = 0; k < rank; k++) sum = fma16(spread(t[k]), load_part(b + k * b_stride + o, part), sum);
        store_part(y + o, load_part(y + o, part) + sum, part);
    }
}

#endif
