/* The product by sdot of ARMv8.2. A 64-byte block of a tile is four registers of 4 output rows by 4 columns; sdot
 * multiplies each by one quad of activations, a lane of a register. */
#if defined(__aarch64__)

#include <arm_neon.h>

#include "../tables.h"

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

#include "../product/byte_planes.h"
#include "../product/table.h"

enum { ROWS = 4, PARTS = 4, PREFETCH_BYTES = 1024 };

/* sums += a block of weights by lane `quad` of the values, for every plane of every row. */
#define ADD_QUAD(quad)                                                                                                 \
    do {                                                                                                               \
        int8x16_t w[PARTS];                                                                                            \
        for (size_t part = 0; part < PARTS; part++) w[part] = vld1q_s8(block + 64 * quad + 16 * part);                 \
        for (size_t p = 0; p < count * planes; p++)                                                                    \
            for (size_t part = 0; part < PARTS; part++)                                                                \
                sums[p][part] = vdotq_laneq_s32(sums[p][part], w[part], values[p], quad);                              \
    } while (0)

/* One tile for `count` rows from `row` on; `planes` and `count` are constants, at most ROWS planes in all. */
LEAF_INLINE void tile_rows(const linear_task *task, const int8_t *tile, size_t output, size_t row, size_t planes,
                           size_t count) {
    const int8_t *rows = (const int8_t *)values_of(task, row);
    float32x4_t acc[ROWS][PARTS];
    for (size_t r = 0; r < count; r++)
        for (size_t part = 0; part < PARTS; part++) acc[r][part] = vdupq_n_f32(0);

    for (size_t group = 0, column = 0; column < task->padded_columns; group++) {
        size_t end = group_end(task, column);
        int32x4_t sums[ROWS][PARTS];
        for (size_t p = 0; p < count * planes; p++)
            for (size_t part = 0; part < PARTS; part++) sums[p][part] = vdupq_n_s32(0);
        for (; column < end; column += 16) {
            const int8_t *block = tile + column * LEAF_TILE_ROWS;
            for (int line = 0; line < 4; line++) __builtin_prefetch(block + PREFETCH_BYTES + 64 * line);
            int8x16_t values[ROWS];
            for (size_t p = 0; p < count * planes; p++)
                values[p] = vld1q_s8(rows + p / planes * task->stride + p % planes * task->padded_columns + column);
            ADD_QUAD(0);
            ADD_QUAD(1);
            ADD_QUAD(2);
            ADD_QUAD(3);
        }
        for (size_t r = 0; r < count; r++) {
            for (size_t part = 0; part < PARTS; part++) {
                int32x4_t total = sums[r * planes][part];
                if (planes == 2) total = vaddq_s32(vshlq_n_s32(total, 8), sums[r * planes + 1][part]);
                acc[r][part] = vfmaq_n_f32(acc[r][part], vcvtq_f32_s32(total), scale_of(task, row + r, group));
            }
        }
    }
    for (size_t r = 0; r < count; r++)
        for (size_t part = 0; part < PARTS; part++)
            vst1q_f32(output_of(task, row + r, output) + 4 * part,
                      vmulq_f32(acc[r][part], vld1q_f32(task->row_scales + output + 4 * part)));
}

static void linear(leaf_activation type, const void *tiles, size_t tile_count, size_t padded_columns,
                   const float *row_scales, const void *activations, size_t rows, float *y, size_t y_stride) {
    linear_task task = make_task(type, padded_columns, row_scales, activations, y, y_stride);
    for (size_t t = 0; t < tile_count; t++) {
        const int8_t *tile = tile_of(&task, tiles, t);
        size_t output = t * LEAF_TILE_ROWS, row = 0;
        if (type == LEAF_ACTIVATION_INT16) {
            for (; row + 2 <= rows; row += 2) tile_rows(&task, tile, output, row, 2, 2);
            if (row < rows) tile_rows(&task, tile, output, row, 2, 1);
        } else {
            for (; row + 4 <= rows; row += 4) tile_rows(&task, tile, output, row, 1, 4);
            for (; row < rows; row++) tile_rows(&task, tile, output, row, 1, 1);
        }
    }
}

#pragma clang attribute pop

LEAF_INT8_PRODUCT(leaf_int8_neon, "neon");

#endif
