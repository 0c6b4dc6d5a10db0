/* The product by vpdpbusd: 16 output rows of 4 columns, a 64-byte block of int8, at once. The instruction takes
 * unsigned bytes by signed ones, so weights have their top bit flipped, which adds 128, and 128 times the group's sum
 * of activations comes off again.
 *
 * The including file has a layout, and gives dot_bytes(sums, weights, activations): sums + the dot products of four
 * unsigned and four signed bytes in each lane. It says how many sums of 16 lanes its registers hold (LEAF_DOT_SUMS: 4
 * or 24), and how many dot_bytes keep the processor busy while each waits for the sum before it
 * (LEAF_DOTS_IN_FLIGHT). */
#ifndef LEAF_X86_VNNI_H
#define LEAF_X86_VNNI_H

#include "../product/panel.h"
#include "../product/table.h"

enum {
    /* The most activation rows at once. */
    VNNI_ROWS = 12,
    /* Rows whose values stay in L2 while the tiles pass by. */
    VNNI_ROWS_IN_L2 = 48,
    /* Steps at once: four blocks of weights. */
    VNNI_STEPS = 2,
};

LEAF_INLINE i32x16 four_bytes(const char *at) {
    int32_t quad;
    memcpy(&quad, at, sizeof quad);
    return (i32x16){0} + quad;
}

/* The arrays are registers only if every loop over them is unrolled. */
#define EACH(index, count) _Pragma("clang loop unroll(full)") for (size_t index = 0; index < (count); index++)

/* A step of weights as unsigned bytes. */
LEAF_INLINE void load_blocks(const column_span *span, size_t column, size_t step, i32x16 blocks[2]) {
    EACH(part, BLOCK_PARTS) {
        bytes w[2];
        load_span_step(span, column, step, part, w);
        EACH(block, 2) memcpy((char *)&blocks[block] + sizeof(bytes) * part, &w[block], sizeof(bytes));
    }
    EACH(block, 2) blocks[block] ^= (int32_t)0x80808080;
}

/* Some columns of one tile for `count` rows from `row` on; `planes` and `count` are constants. Few rows have several
 * sums each, or each product would wait for the one before. */
LEAF_INLINE void count_rows(const linear_task *task, column_span span, size_t output, size_t row, size_t planes,
                            size_t count) {
    const size_t stride = task->stride, dots = count * planes;
    const size_t chains = dots >= LEAF_DOTS_IN_FLIGHT ? 1 : 2 * dots >= LEAF_DOTS_IN_FLIGHT ? 2 : 4;
    /* A pointer for three rows, since 24 would not fit the registers. */
    const char *rows[VNNI_ROWS / 3][2];
    f32x16 acc[VNNI_ROWS];
    EACH(r, count) acc[r] = span.begin == 0 ? (f32x16){0} : load16(output_of(task, row + r, output));
    EACH(r, count) EACH(p, planes) {
        rows[r / 3][p] = values_of(task, row + r / 3 * 3) + p * task->padded_columns + span.begin;
    }
    for (size_t column = span.begin, group = column / group_columns(task->type); column < span.end; group++) {
        size_t end = group_end(task, column);
        i32x16 sums[VNNI_ROWS][2][4];
        EACH(r, count) EACH(p, planes) EACH(c, chains) sums[r][p][c] = (i32x16){0};
        EACH(r, count) sums[r][planes - 1][0] -= sum_of(task, row + r, group) * 128;
        for (; column < end; column += SECTION_COLUMNS) {
            for (size_t first = 0; first < SECTION_STEPS; first += VNNI_STEPS) {
                EACH(step, VNNI_STEPS) {
                    fetch_span_step(&span, column, first + step);
                    i32x16 weights[2];
                    load_blocks(&span, column, first + step, weights);
                    EACH(block, 2) EACH(r, count) EACH(p, planes) {
                        const size_t quad = 2 * step + block;
                        i32x16 *sum = &sums[r][p][quad % chains];
                        *sum = dot_bytes(*sum, weights[block], four_bytes(rows[r / 3][p] + r % 3 * stride + 4 * quad));
                    }
                }
                EACH(three, (count + 2) / 3) EACH(p, planes) {
                    rows[three][p] += VNNI_STEPS * STEP_COLUMNS;
                    __asm__("" : "+r"(rows[three][p])); /* or the compiler makes a pointer for each row again */
                }
            }
        }
        EACH(r, count) {
            EACH(p, planes) EACH(c, chains) if (c > 0) sums[r][p][0] += sums[r][p][c];
            i32x16 total = planes == 2 ? (sums[r][0][0] << 8) + sums[r][1][0] : sums[r][0][0];
            acc[r] = fma16(__builtin_convertvector(total, f32x16), spread(scale_of(task, row + r, group)), acc[r]);
        }
    }
    EACH(r, count) {
        if (span.end == task->padded_columns) acc[r] *= load16(task->row_scales + output);
        store16(output_of(task, row + r, output), acc[r]);
    }
}

LEAF_INLINE size_t rows_at_once(size_t rows, size_t planes) {
    static const size_t counts[] = {12, 8, 4};
    for (size_t i = 0; i < 3; i++)
        if (rows >= counts[i] && counts[i] * planes <= LEAF_DOT_SUMS) return counts[i];
    return rows >= 2 ? 2 : 1;
}

LEAF_INLINE void span_rows(const linear_task *task, column_span span, size_t output, size_t row, size_t planes,
                           size_t count) {
    if (12 * planes <= LEAF_DOT_SUMS && count == 12) return count_rows(task, span, output, row, planes, 12);
    if (8 * planes <= LEAF_DOT_SUMS && count == 8) return count_rows(task, span, output, row, planes, 8);
    if (4 * planes <= LEAF_DOT_SUMS && count == 4) return count_rows(task, span, output, row, planes, 4);
    if (count == 2) return count_rows(task, span, output, row, planes, 2);
    count_rows(task, span, output, row, planes, 1);
}

LEAF_INLINE void vnni_product(const linear_task *task, const void *tiles, size_t tile_count, size_t rows,
                              size_t planes) {
    for (size_t begin = 0; begin < rows; begin += VNNI_ROWS_IN_L2) {
        size_t end = rows - begin < VNNI_ROWS_IN_L2 ? rows : begin + VNNI_ROWS_IN_L2;
        for (size_t t = 0; t < tile_count; t++)
            tile_rows(task, tile_of(tiles, t, task->padded_columns), t * LEAF_TILE_ROWS, begin, end, planes);
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
