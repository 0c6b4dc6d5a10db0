/* Quantization of activation rows, and rows of tiles as floats. The including file has a layout (product/section.h),
 * and gives put_values(type, values, padded_columns, column, q), which lays 16 quantized values down in its own order,
 * and group_term(q), of which a quantized row keeps the sum over each group, modulo 2^32. */
#ifndef LEAF_PRODUCT_QUANTIZE_H
#define LEAF_PRODUCT_QUANTIZE_H

#include <float.h>

#include "../float/vector.h"
#include "quantized_row.h"
#include "tile.h"

static void quantize_row(leaf_activation type, const float *x, size_t columns, size_t padded_columns, void *row) {
    uint8_t *values = row;
    float *scales = (float *)(values + scales_offset(padded_columns));
    int32_t *sums = (int32_t *)(values + sums_offset(type, padded_columns));

    for (size_t group = 0; group < group_count(type, padded_columns); group++) {
        size_t begin = group * group_columns(type), end = begin + group_columns(type);
        if (end > padded_columns) end = padded_columns;

        i32x16 largest = {0};
        for (size_t c = begin; c < end; c += LEAF_LANES)
            largest = larger_int(largest, magnitude_bits(load_columns(x, c, columns)));
        float magnitude = float_of_bits((uint32_t)tree_max_int(largest));

        float scale = magnitude / largest_value(type);
        int empty = scale < FLT_MIN, damaged = !(magnitude <= FLT_MAX);
        u32x16 sum = {0};
        for (size_t c = begin; c < end; c += LEAF_LANES) {
            i32x16 q = {0};
            if (!empty && !damaged) q = to_int(round_even(load_columns(x, c, columns) / scale));
            sum += (u32x16)group_term(q);
            put_values(type, values, padded_columns, c, q);
        }
        scales[group] = damaged ? __builtin_nanf("") : empty ? 0.0f : scale;
        sums[group] = tree_sum_int((i32x16)sum);
    }
}

static void embed_row(const void *tile, size_t row_in_tile, float scale, const float *addend, size_t n, float *y) {
    for (size_t i = 0; i < n; i += LEAF_LANES) {
        size_t count = n - i < LEAF_LANES ? n - i : LEAF_LANES;
        i8x16 q = {0};
        for (size_t c = 0; c < count; c += 4) {
            int32_t quad = load_quad(section_of(tile, i + c), row_in_tile, (i + c) % SECTION_COLUMNS);
            memcpy((char *)&q + c, &quad, sizeof quad);
        }
        f32x16 value = fma16(__builtin_convertvector(q, f32x16), spread(scale), load_columns(addend, i, n));
        store_part(y + i, value, count);
    }
}

#endif
