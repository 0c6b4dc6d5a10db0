/* The product in plain C for any processor, and the definition of what the others compute. */
#ifndef LEAF_SCALAR_PRODUCT_H
#define LEAF_SCALAR_PRODUCT_H

#include "../float/vector.h"

/* Values are int16 in column order, for both types. */
LEAF_INLINE void put_values(leaf_activation type, uint8_t *values, size_t padded_columns, size_t column, i32x16 q) {
    (void)type, (void)padded_columns;
    i16x16 narrow = __builtin_convertvector(q, i16x16);
    memcpy(values + 2 * column, &narrow, sizeof narrow);
}

LEAF_INLINE i32x16 group_term(i32x16 q) { return q; }

#include "../product/table.h"

/* sums[o] = w[o] . q over the columns begin to end of one group. */
static void group_dot(const uint8_t *tile, const int16_t *q, size_t begin, size_t end, int32_t *sums) {
    memset(sums, 0, LEAF_TILE_ROWS * sizeof *sums);
    for (size_t c = begin; c < end; c += STEP_COLUMNS) {
        bytes blocks[2];
        load_step(section_of(tile, c), c % SECTION_COLUMNS / STEP_COLUMNS, 0, blocks);
        for (size_t block = 0; block < 2; block++) {
            const int16_t *quad = q + c + 4 * block;
            for (size_t o = 0; o < LEAF_TILE_ROWS; o++) {
                const int8_t *w = (const int8_t *)&blocks[block] + 4 * o;
                sums[o] += w[0] * quad[0] + w[1] * quad[1] + w[2] * quad[2] + w[3] * quad[3];
            }
        }
    }
}

static void linear(leaf_activation type, const void *tiles, size_t tile_count, size_t padded_columns,
                   const float *row_scales, const void *activations, size_t rows, float *y, size_t y_stride) {
    linear_task task = make_task(type, padded_columns, row_scales, activations, y, y_stride);
    for (size_t t = 0; t < tile_count; t++) {
        const uint8_t *tile = tile_of(tiles, t, padded_columns);
        size_t output = t * LEAF_TILE_ROWS;
        for (size_t row = 0; row < rows; row++) {
            const int16_t *q = (const int16_t *)values_of(&task, row);
            f32x16 acc = {0};
            for (size_t group = 0, begin = 0; begin < padded_columns; group++) {
                size_t end = group_end(&task, begin);
                i32x16 sums;
                group_dot(tile, q, begin, end, (int32_t *)&sums);
                acc = fma16(__builtin_convertvector(sums, f32x16), spread(scale_of(&task, row, group)), acc);
                begin = end;
            }
            store16(output_of(&task, row, output), acc * load16(row_scales + output));
        }
    }
}

#endif
