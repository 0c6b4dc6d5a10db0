/* The product by the NEON instructions that multiply bytes. A 64-byte block of int8 is four registers of 4 output rows
 * by 4 columns.
 *
 * The including file has a layout, and gives (arm/neon_dot.h, arm/i8mm_dot.h)
 *     DOT_LEAST_PLANES                             how many planes the instruction multiplies at least
 *     arrange_values(values, planes)               16 columns of each plane in the instruction's order
 *     ADD_DOTS(sums, w, values, planes, step)      adds 4 output rows by a step of 8 columns, the first or the second
 *     separate_planes(sums, planes)                makes of the sums those of 4 output rows for each plane */
#ifndef LEAF_ARM_NEON_PRODUCT_H
#define LEAF_ARM_NEON_PRODUCT_H

#include "../product/panel.h"
#include "../product/table.h"

enum { MOST_PLANES = 4, PARTS = BLOCK_PARTS };

/* sums += a step of weights by the values of every plane. */
#define ADD_STEP(step)                                                                                                 \
    do {                                                                                                               \
        fetch_span_step(&span, column, first + step);                                                                  \
        for (size_t part = 0; part < PARTS; part++) {                                                                  \
            bytes w[2];                                                                                                \
            load_span_step(&span, column, first + step, part, w);                                                      \
            ADD_DOTS(sums[part], w, values, dots, step);                                                               \
        }                                                                                                              \
    } while (0)

/* Some columns of one tile for `count` rows from `row` on; `planes` and `count` are constants, at most MOST_PLANES in
 * all. */
LEAF_INLINE void count_rows(const linear_task *task, column_span span, size_t output, size_t row, size_t planes,
                            size_t count) {
    const size_t used = count * planes, dots = used < DOT_LEAST_PLANES ? DOT_LEAST_PLANES : used;
    const int8_t *rows = (const int8_t *)values_of(task, row);
    float32x4_t acc[MOST_PLANES][PARTS];
    for (size_t r = 0; r < count; r++)
        for (size_t part = 0; part < PARTS; part++)
            acc[r][part] = span.begin == 0 ? vdupq_n_f32(0) : vld1q_f32(output_of(task, row + r, output) + 4 * part);

    for (size_t column = span.begin, group = column / group_columns(task->type); column < span.end; group++) {
        size_t end = group_end(task, column);
        int32x4_t sums[PARTS][MOST_PLANES];
        for (size_t part = 0; part < PARTS; part++)
            for (size_t p = 0; p < dots; p++) sums[part][p] = vdupq_n_s32(0);
        for (; column < end; column += SECTION_COLUMNS) {
            for (size_t first = 0; first < SECTION_STEPS; first += 2) {
                int8x16_t values[MOST_PLANES];
                for (size_t p = 0; p < dots; p++) {
                    size_t from = p < used ? p : 0, plane = from / planes * task->stride;
                    plane += from % planes * task->padded_columns;
                    values[p] = vld1q_s8(rows + plane + column + STEP_COLUMNS * first);
                }
                arrange_values(values, dots);
                ADD_STEP(0);
                ADD_STEP(1);
            }
        }
        for (size_t part = 0; part < PARTS; part++) {
            separate_planes(sums[part], dots);
            for (size_t r = 0; r < count; r++) {
                int32x4_t total = sums[part][r * planes];
                if (planes == 2) total = vaddq_s32(vshlq_n_s32(total, 8), sums[part][r * planes + 1]);
                acc[r][part] = vfmaq_n_f32(acc[r][part], vcvtq_f32_s32(total), scale_of(task, row + r, group));
            }
        }
    }
    for (size_t r = 0; r < count; r++) {
        for (size_t part = 0; part < PARTS; part++) {
            float32x4_t sum = acc[r][part];
            if (span.end == task->padded_columns) sum = vmulq_f32(sum, vld1q_f32(task->row_scales + output + 4 * part));
            vst1q_f32(output_of(task, row + r, output) + 4 * part, sum);
        }
    }
}

LEAF_INLINE size_t rows_at_once(size_t rows, size_t planes) {
    if (rows * planes >= MOST_PLANES) return MOST_PLANES / planes;
    return rows >= 2 ? 2 : 1;
}

LEAF_INLINE void span_rows(const linear_task *task, column_span span, size_t output, size_t row, size_t planes,
                           size_t count) {
    if (count * planes == MOST_PLANES) return count_rows(task, span, output, row, planes, MOST_PLANES / planes);
    if (count == 2) return count_rows(task, span, output, row, planes, 2);
    count_rows(task, span, output, row, planes, 1);
}

static void linear(leaf_activation type, const void *tiles, size_t tile_count, size_t padded_columns,
                   const float *row_scales, const void *activations, size_t rows, float *y, size_t y_stride) {
    linear_task task = make_task(type, padded_columns, row_scales, activations, y, y_stride);
    for (size_t t = 0; t < tile_count; t++) {
        const uint8_t *tile = tile_of(tiles, t, padded_columns);
        if (plane_count(type) == 2)
            tile_rows(&task, tile, t * LEAF_TILE_ROWS, 0, rows, 2);
        else
            tile_rows(&task, tile, t * LEAF_TILE_ROWS, 0, rows, 1);
    }
}

#endif
