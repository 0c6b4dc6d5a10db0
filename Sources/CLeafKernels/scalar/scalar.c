/* Plain C for any processor, and the definition of what the others compute. */
#include "../tables.h"

#define LEAF_HARDWARE_HALF 0
#define LEAF_QUERY_TILE 4

#include "../float/vector.h"

/* Values are int16 in column order, for both types. */
LEAF_INLINE void put_values(leaf_activation type, uint8_t *values, size_t padded_columns, size_t column, i32x16 q) {
    (void)type, (void)padded_columns;
    i16x16 narrow = __builtin_convertvector(q, i16x16);
    memcpy(values + 2 * column, &narrow, sizeof narrow);
}

#include "../float/table.h"

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

static void linear(leaf_activation type, const int8_t *tiles, size_t tile_count, size_t padded_columns,
                   const float *row_scales, const void *activations, size_t rows, float *y, size_t y_stride) {
    size_t stride = row_bytes(type, padded_columns);
    for (size_t t = 0; t < tile_count; t++) {
        const int8_t *tile = tiles + t * LEAF_TILE_ROWS * padded_columns;
        for (size_t r = 0; r < rows; r++) {
            const char *row = (const char *)activations + r * stride;
            const float *scales = (const float *)(row + scales_offset(padded_columns));
            f32x16 acc = {0};
            for (size_t group = 0; group < group_count(type, padded_columns); group++) {
                size_t begin = group * group_columns(type), columns = group_columns(type);
                if (columns > padded_columns - begin) columns = padded_columns - begin;
                i32x16 sums;
                group_dot(tile + begin * LEAF_TILE_ROWS, (const int16_t *)row + begin, columns, (int32_t *)&sums);
                acc = fma16(__builtin_convertvector(sums, f32x16), spread(scales[group]), acc);
            }
            store16(y + r * y_stride + t * LEAF_TILE_ROWS, acc * load16(row_scales + t * LEAF_TILE_ROWS));
        }
    }
}

LEAF_KERNEL_TABLE(leaf_kernels_scalar, LEAF_ISA_SCALAR, "scalar");
