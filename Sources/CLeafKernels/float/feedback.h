/* Encoding that knows what the columns are multiplied with: the products of a model's inputs over a text, and codes
 * whose misses the columns behind them make good.
 *
 * The steps of floats are the same on every instruction set, so the codes are too. */
#ifndef LEAF_FLOAT_FEEDBACK_H
#define LEAF_FLOAT_FEEDBACK_H

#include "encode.h"

/* products += X^T X for the columns of `rows`, row after row. */
static void add_products(const float *x, size_t x_stride, size_t rows, size_t columns, float *products) {
    for (size_t j = 0; j < columns; j += 4) {
        for (size_t k = j / LEAF_LANES * LEAF_LANES; k < columns; k += LEAF_LANES) {
            f32x16 sums[4];
            for (size_t i = 0; i < 4; i++) sums[i] = load16(products + leaf_products_row(j + i) + k);
            for (size_t row = 0; row < rows; row++) {
                const float *numbers = x + row * x_stride;
                f32x16 others = load16(numbers + k);
                for (size_t i = 0; i < 4; i++) sums[i] = fma16(spread(numbers[j + i]), others, sums[i]);
            }
            for (size_t i = 0; i < 4; i++) store16(products + leaf_products_row(j + i) + k, sums[i]);
        }
    }
}

/* What the 16 rows of each column are to come to, in numbers of their int8 scales. */
typedef f32x16 column_targets[LEAF_FEEDBACK_COLUMNS];

LEAF_INLINE i8x16 nearest_numbers(f32x16 targets) {
    f32x16 x = choose(targets > 127, spread(127), choose(targets < -127, spread(-127), targets));
    return __builtin_convertvector(round_even(x), i8x16);
}

/* 4 columns of the 16 rows as they lie in a tile, [16][4]. */
LEAF_INLINE i8x64 interleave(const i8x16 columns[4]) {
    i8x32 a = __builtin_shufflevector(columns[0], columns[1], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8,
                                      24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    i8x32 b = __builtin_shufflevector(columns[2], columns[3], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8,
                                      24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    return (i8x64)__builtin_shufflevector((i16x16)a, (i16x16)b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
                                          8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/* The numbers of 4 columns of a tile. */
LEAF_INLINE void load_numbers(const int8_t *tile, size_t column, f32x16 numbers[4]) {
    i8x64 quads;
    memcpy(&quads, tile + column * LEAF_TILE_ROWS, sizeof quads);
    i32x16 words = (i32x16)__builtin_elementwise_max(quads, (i8x64){0} - 127);
    for (int i = 0; i < 4; i++) numbers[i] = __builtin_convertvector((words << (24 - 8 * i)) >> 24, f32x16);
}

/* Misses of 8 columns weigh as D does, the largest 32,000. */
LEAF_INLINE block_weights weights_of_columns(const float *feedback, size_t column) {
    float worth[8], most = 0;
    for (size_t j = 0; j < 8; j++) {
        worth[j] = feedback[leaf_products_row(column + j) + column + j];
        most = worth[j] > most ? worth[j] : most;
    }
    int16_t counts[8];
    for (size_t j = 0; j < 8; j++) counts[j] = (int16_t)(1 + (int)(worth[j] / most * 31999.0f));
    block_weights weights;
    for (size_t i = 0; i < 16; i++) {
        weights.low[i] = counts[i % 4];
        weights.high[i] = counts[4 + i % 4];
    }
    return weights;
}

/* The tables of 4 blocks of 4 rows, for numbers of all rows that are in both halves of a vector. */
typedef struct {
    i8x32 first, second;
} four_tables;

/* Rows whose entries the second pair of tables has. */
static const i8x32 second_pair = {0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1,
                                  0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1};

LEAF_INLINE four_tables load_four(const int8_t (*tables)[16], const uint8_t grids[4]) {
    four_tables four;
    memcpy(&four.first, tables[grids[0]], 16);
    memcpy((char *)&four.first + 16, tables[grids[1]], 16);
    memcpy(&four.second, tables[grids[2]], 16);
    memcpy((char *)&four.second + 16, tables[grids[3]], 16);
    return four;
}

/* Right for rows 0-3 and 8-11 in the low half, for the others in the high one. */
LEAF_INLINE i8x32 look_up_four(four_tables tables, i8x32 index) {
    return (look_up(tables.first, index) & ~second_pair) | (look_up(tables.second, index) & second_pair);
}

LEAF_INLINE i8x16 rows_of_four(i8x32 x) {
    return __builtin_shufflevector(x, x, 0, 1, 2, 3, 20, 21, 22, 23, 8, 9, 10, 11, 28, 29, 30, 31);
}

/* Finds grids and codes of 8 columns, one column after the other; `misses` is what each code misses its number by. */
LEAF_INLINE void encode_step(grid_table table, const grid_misses *grid_misses, const int8_t *tile,
                             column_targets targets, size_t column, const float *feedback, uint8_t selectors[4],
                             uint8_t codes[64], f32x16 misses[8]) {
    block_weights weights = weights_of_columns(feedback, column);
    i8x16 numbers[8];
    for (size_t j = 0; j < 8; j++) numbers[j] = nearest_numbers(targets[column + j]);
    i8x64 halves[2] = {interleave(numbers), interleave(numbers + 4)};
    for (size_t block = 0; block < 4; block++) {
        i8x32 x;
        memcpy(&x, (const char *)&halves[0] + 16 * block, 16);
        memcpy((char *)&x + 16, (const char *)&halves[1] + 16 * block, 16);
        size_t grid = exact_grid(table, x);
        if (grid == LEAF_GRIDS_COUNT) grid = nearest_grid(table, grid_misses, x, weights);
        selectors[block] = (uint8_t)grid;
    }

    four_tables thresholds = load_four(table.thresholds, selectors), grids = load_four(table.grids, selectors);
    i8x32 steps = look_up_four(thresholds, (i8x32){0}), roots = look_up_four(thresholds, (i8x32){0} + 1);
    f32x16 originals[8];
    load_numbers(tile, column, originals);
    load_numbers(tile, column + 4, originals + 4);
    i8x16 found[8];
    for (size_t j = 0; j < 8; j++) {
        i8x16 nearest = nearest_numbers(targets[column + j]);
        i8x32 x = __builtin_shufflevector(nearest, nearest, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1,
                                          2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        i8x32 place = 2 - (i8x32)(x > roots);
#pragma clang loop unroll(full)
        for (int bit = 1; bit < table.code_bits; bit++)
            place = place + place - (i8x32)(x > look_up_four(thresholds, place));
        i8x32 code = (place + steps) & (int8_t)((1 << table.code_bits) - 1);
        found[j] = rows_of_four(code);
        misses[j] = originals[j] - __builtin_convertvector(rows_of_four(look_up_four(grids, code)), f32x16);
        const float *passed = feedback + leaf_products_row(column + j) + column;
        for (size_t k = j + 1; k < 8; k++)
            targets[column + k] = fma16(misses[j], spread(passed[k]), targets[column + k]);
    }
    u8x64 packed = (u8x64)interleave(found) | (u8x64)interleave(found + 4) << 4;
    memcpy(codes, &packed, sizeof packed);
}

/* Adds to the targets behind 8 columns what makes their misses good. */
LEAF_INLINE void pass_on(column_targets targets, size_t column, size_t columns, const float *feedback,
                         const f32x16 misses[8]) {
    const float *passed[8];
    for (size_t j = 0; j < 8; j++) passed[j] = feedback + leaf_products_row(column + j);
    for (size_t k = column + 8; k < columns; k++) {
        f32x16 target = targets[k];
        for (size_t j = 0; j < 8; j++) target = fma16(misses[j], spread(passed[j][k]), target);
        targets[k] = target;
    }
}

LEAF_INLINE void encode_feeding(leaf_layout layout, const grid_misses *grid_misses, const int8_t *tile, size_t columns,
                                const float *feedback, uint8_t *section) {
    column_targets targets;
    for (size_t column = 0; column < columns; column += 4) load_numbers(tile, column, targets + column);
    for (size_t first = 0; first < columns; first += 64, section += leaf_section_bytes(layout)) {
        uint8_t codes[8][64];
        for (size_t step = 0; step < 8; step++) {
            f32x16 misses[8];
            size_t column = first + 8 * step;
            encode_step(table_of(layout), grid_misses, tile, targets, column, feedback, section + 4 * step, codes[step],
                        misses);
            pass_on(targets, column, columns, feedback, misses);
        }
        store_codes(layout, codes, section + LEAF_SELECTORS);
    }
}

LEAF_INLINE void encode_codes(leaf_layout layout, const int8_t *tile, size_t padded_columns, const float *feedback,
                              uint8_t *sections) {
    grid_misses misses;
    find_misses(table_of(layout), &misses);
    if (!feedback) {
        encode_sections(layout, &misses, tile, padded_columns, sections);
        return;
    }
    for (size_t first = 0; first < padded_columns; first += LEAF_FEEDBACK_COLUMNS, feedback += LEAF_PRODUCTS_COUNT) {
        size_t left = padded_columns - first;
        encode_feeding(layout, &misses, tile + first * LEAF_TILE_ROWS,
                       left < LEAF_FEEDBACK_COLUMNS ? left : LEAF_FEEDBACK_COLUMNS, feedback,
                       sections + first / 64 * leaf_section_bytes(layout));
    }
}

static void encode(leaf_layout layout, const int8_t *int8_tile, size_t padded_columns, const float *feedback,
                   void *tile) {
    if (layout == LEAF_LAYOUT_Q4)
        encode_codes(LEAF_LAYOUT_Q4, int8_tile, padded_columns, feedback, tile);
    else if (layout == LEAF_LAYOUT_Q3)
        encode_codes(LEAF_LAYOUT_Q3, int8_tile, padded_columns, feedback, tile);
    else
        memcpy(tile, int8_tile, padded_columns * LEAF_TILE_ROWS);
}

#endif
