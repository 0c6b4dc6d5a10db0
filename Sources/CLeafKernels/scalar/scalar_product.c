/* The product in plain C for any processor, and the definition of what the others compute. */
#include "../tables.h"

#include "../float/vector.h"

/* Values are int16 in column order, for both types. */
LEAF_INLINE void put_values(leaf_activation type, uint8_t *values, size_t padded_columns, size_t column, i32x16 q) {
    (void)type, (void)padded_columns;
    i16x16 narrow = __builtin_convertvector(q, i16x16);
    memcpy(values + 2 * column, &narrow, sizeof narrow);
}

LEAF_INLINE i32x16 group_term(i32x16 q) { return q; }

#include "../product/table.h"

/* sums[o] = w[o] . q over one group; the tile's columns stand in quads, 16 rows of 4. */
static void group_dot(const int8_t *tile, const int16_t *q, size_t columns, int32_t *sums) {
    memset(sums, 0, LEAF_TILE_ROWS * sizeof *sums);
    for (size_t c = 0; c < columns; c += 4) {
        for (size_t o = 0; o < LEAF_TILE_ROWS; o++) {
            const int8_t *w = tile + c * LEAF_TILE_ROWS + o * 4;
            sums[o] += w[0] * q[c] + w[1] * q[c + 1] + w[2] * q[c + 2] + w[3] * q[c + 3];
        }
    }
}

static void linear(leaf_activation type, const void *tiles, size_t tile_count, size_t padded_columns,
                   const float *row_scales, const void *activations, size_t rows, float *y, size_t y_stride) {
    linear_task task = make_task(type, padded_columns, row_scales, activations, y, y_stride);
    for (size_t t = 0; t < tile_count; t++) {
        const int8_t *tile = tile_of(&task, tiles, t);
        size_t output = t * LEAF_TILE_ROWS;
        for (size_t row = 0; row < rows; row++) {
            const int16_t *q = (const int16_t *)values_of(&task, row);
            f32x16 acc = {0};
            for (size_t group = 0, begin = 0; begin < padded_columns; group++) {
                size_t end = group_end(&task, begin);
                i32x16 sums;
                group_dot(tile + begin * LEAF_TILE_ROWS, q + begin, end - begin, (int32_t *)&sums);
                acc = fma16(__builtin_convertvector(sums, f32x16), spread(scale_of(&task, row, group)), acc);
                begin = end;
            }
            store16(output_of(&task, row, output), acc * load16(row_scales + output));
        }
    }
}

LEAF_INT8_PRODUCT(leaf_int8_scalar, "scalar");
