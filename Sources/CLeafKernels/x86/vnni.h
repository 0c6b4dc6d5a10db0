/* The int8 product by vpdpbusd: 16 output rows of 4 columns, a 64-byte block of a tile, at once. The instruction takes
 * unsigned bytes by signed ones, so weights have their top bit flipped, which adds 128, and 128 times the group's sum
 * of activations comes off again.
 *
 * The including file gives dot_bytes(sums, weights, activations): sums + the dot products of four unsigned and four
 * signed bytes in each lane. It says how many sums of 16 lanes its registers hold (LEAF_DOT_SUMS: 4 or 24), and how
 * many dot_bytes keep the processor busy while each waits for the sum before it (LEAF_DOTS_IN_FLIGHT). */
#ifndef LEAF_X86_VNNI_H
#define LEAF_X86_VNNI_H

#include "../product/table.h"

enum {
    /* The most activation rows at once. */
    VNNI_ROWS = 12,
    /* Rows whose values stay in L2 while the tiles pass by. */
    VNNI_ROWS_IN_L2 = 48,
    /* Columns a step: four blocks of weights. */
    VNNI_STEP = 16,
    VNNI_PREFETCH_BYTES = 2048,
};

LEAF_INLINE i32x16 four_bytes(const char *at) {
    int32_t quad;
    memcpy(&quad, at, sizeof quad);
    return (i32x16){0} + quad;
}

/* The arrays are registers only if every loop over them is unrolled. */
#define EACH(index, count) _Pragma("clang loop unroll(full)") for (size_t index = 0; index < (count); index++)

/* One tile for `count` rows from `row` on; `planes` and `count` are constants. Few rows have several sums each, or each
 * product would wait for the one before. */
LEAF_INLINE void vnni_rows(const linear_task *task, const int8_t *tile, size_t output, size_t row, size_t planes,
                           size_t count) {
    const size_t stride = task->stride, dots = count * planes;
    const size_t chains = dots >= LEAF_DOTS_IN_FLIGHT ? 1 : 2 * dots >= LEAF_DOTS_IN_FLIGHT ? 2 : 4;
    /* A pointer for three rows, since 24 would not fit the registers. */
    const char *rows[VNNI_ROWS / 3][2];
    f32x16 acc[VNNI_ROWS];
    EACH(r, count) acc[r] = (f32x16){0};
    EACH(r, count) EACH(p, planes) rows[r / 3][p] = values_of(task, row + r / 3 * 3) + p * task->padded_columns;
    for (size_t group = 0, column = 0; column < task->padded_columns; group++) {
        size_t end = group_end(task, column);
        i32x16 sums[VNNI_ROWS][2][4];
        EACH(r, count) EACH(p, planes) EACH(c, chains) sums[r][p][c] = (i32x16){0};
        EACH(r, count) sums[r][planes - 1][0] -= sum_of(task, row + r, group) * 128;
        for (; column < end; column += VNNI_STEP) {
            const int8_t *block = tile + column * LEAF_TILE_ROWS;
            EACH(quad, 4) {
                __builtin_prefetch(block + 64 * quad + VNNI_PREFETCH_BYTES);
                i32x16 weights;
                memcpy(&weights, block + 64 * quad, sizeof weights);
                weights ^= (int32_t)0x80808080;
                EACH(r, count) EACH(p, planes) {
                    i32x16 *sum = &sums[r][p][quad % chains];
                    *sum = dot_bytes(*sum, weights, four_bytes(rows[r / 3][p] + r % 3 * stride + 4 * quad));
                }
            }
            EACH(three, (count + 2) / 3) EACH(p, planes) {
                rows[three][p] += VNNI_STEP;
                __asm__("" : "+r"(rows[three][p])); /* or the compiler makes a pointer for each row again */
            }
        }
        EACH(r, count) {
            EACH(p, planes) EACH(c, chains) if (c > 0) sums[r][p][0] += sums[r][p][c];
            i32x16 total = planes == 2 ? (sums[r][0][0] << 8) + sums[r][1][0] : sums[r][0][0];
            acc[r] = fma16(__builtin_convertvector(total, f32x16), spread(scale_of(task, row + r, group)), acc[r]);
        }
    }
    EACH(r, count) store16(output_of(task, row + r, output), acc[r] * load16(task->row_scales + output));
}

/* As many rows as fit at once, at most `rows`; how many they were. */
LEAF_INLINE size_t vnni_block(const linear_task *task, const int8_t *tile, size_t output, size_t row, size_t rows,
                              size_t planes) {
    if (rows >= 12 && 12 * planes <= LEAF_DOT_SUMS) return vnni_rows(task, tile, output, row, planes, 12), 12;
    if (rows >= 8 && 8 * planes <= LEAF_DOT_SUMS) return vnni_rows(task, tile, output, row, planes, 8), 8;
    if (rows >= 4 && 4 * planes <= LEAF_DOT_SUMS) return vnni_rows(task, tile, output, row, planes, 4), 4;
    if (rows >= 2) return vnni_rows(task, tile, output, row, planes, 2), 2;
    return vnni_rows(task, tile, output, row, planes, 1), 1;
}

LEAF_INLINE void vnni_product(const linear_task *task, const int8_t *tiles, size_t tile_count, size_t rows,
                              size_t planes) {
    for (size_t begin = 0; begin < rows; begin += VNNI_ROWS_IN_L2) {
        size_t end = rows - begin < VNNI_ROWS_IN_L2 ? rows : begin + VNNI_ROWS_IN_L2;
        for (size_t t = 0; t < tile_count; t++)
            for (size_t row = begin; row < end;)
                row += vnni_block(task, tile_of(task, tiles, t), t * LEAF_TILE_ROWS, row, end - row, planes);
    }
}

static void linear(leaf_activation type, const void *tiles, size_t tile_count, size_t padded_columns,
                   const float *row_scales, const void *activations, size_t rows, float *y, size_t y_stride) {
    linear_task task = make_task(type, padded_columns, row_scales, activations, y, y_stride);
    if (plane_count(type) == 2)
        vnni_product(&task, tiles, tile_count, rows, 2);
    else
        vnni_product(&task, tiles, tile_count, rows, 1);
}

#endif
