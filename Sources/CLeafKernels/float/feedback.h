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
            for (size_t i = 0; i < 4; i++) sums[i] = load16(leaf_products_row(products, j + i) + k);
            for (size_t row = 0; row < rows; row++) {
                const float *numbers = x + row * x_stride;
                f32x16 others = load16(numbers + k);
                for (size_t i = 0; i < 4; i++) sums[i] = fma16(spread(numbers[j + i]), others, sums[i]);
            }
            for (size_t i = 0; i < 4; i++) store16(leaf_products_row(products, j + i) + k, sums[i]);
        }
    }
}

/* What 16 rows are to come to, [16 rows][columns], in numbers of their int8 scales. */
typedef float row_targets[LEAF_TILE_ROWS][LEAF_FEEDBACK_COLUMNS];

/* The code of the nearest entry of one grid: nearest_codes for one number. */
LEAF_INLINE uint8_t nearest_code(grid_table table, int8_t x, size_t grid) {
    const int8_t *thresholds = table.thresholds[grid];
    size_t place = 2 + (x > thresholds[1]);
#pragma clang loop unroll(full)
    for (int bit = 1; bit < table.code_bits; bit++) place = 2 * place + (x > thresholds[place]);
    return (uint8_t)((place + (size_t)thresholds[0]) & ((1u << table.code_bits) - 1));
}

LEAF_INLINE int8_t nearest_number(float target) {
    float x = target > 127 ? 127 : target < -127 ? -127 : target;
    return (int8_t)((x + LEAF_ROUNDING) - LEAF_ROUNDING);
}

LEAF_INLINE int number_of(const int8_t *tile, size_t row, size_t column) {
    int number = tile[column / 4 * 64 + row * 4 + column % 4];
    return number < -127 ? -127 : number;
}

/* Misses of 8 columns weigh as D does, the largest 32,000. */
LEAF_INLINE block_weights weights_of_columns(const float *feedback, size_t column) {
    float worth[8], most = 0;
    for (size_t j = 0; j < 8; j++) {
        worth[j] = leaf_products_row((float *)feedback, column + j)[column + j];
        most = worth[j] > most ? worth[j] : most;
    }
    block_weights weights;
    for (size_t i = 0; i < 16; i++) {
        weights.low[i] = (int16_t)(1 + (int)(worth[i % 4] / most * 31999.0f));
        weights.high[i] = (int16_t)(1 + (int)(worth[4 + i % 4] / most * 31999.0f));
    }
    return weights;
}

/* Finds grids and codes of 8 columns, one column after the other; `misses` is what each code misses its number by. */
LEAF_INLINE void encode_step(grid_table table, const int8_t *tile, row_targets targets, size_t column,
                             const float *feedback, uint8_t selectors[4], uint8_t codes[64],
                             float misses[8][LEAF_TILE_ROWS]) {
    block_weights weights = weights_of_columns(feedback, column);
    for (size_t block = 0; block < 4; block++) {
        i8x32 x;
        for (size_t i = 0; i < 32; i++)
            x[i] = nearest_number(targets[4 * block + i % 16 / 4][column + i / 16 * 4 + i % 4]);
        size_t grid = exact_grid(table, x);
        if (grid == LEAF_GRIDS_COUNT) grid = nearest_grid(table, x, weights);
        selectors[block] = (uint8_t)grid;
    }
    memset(codes, 0, 64);
    for (size_t j = 0; j < 8; j++) {
        const float *passed = leaf_products_row((float *)feedback, column + j) + column;
        for (size_t row = 0; row < LEAF_TILE_ROWS; row++) {
            float *target = targets[row] + column;
            size_t grid = selectors[row / 4];
            uint8_t code = nearest_code(table, nearest_number(target[j]), grid);
            float miss = (float)(number_of(tile, row, column + j) - table.grids[grid][code]);
            codes[row * 4 + j % 4] |= (uint8_t)(code << j / 4 * 4);
            misses[j][row] = miss;
            for (size_t k = j + 1; k < 8; k++) target[k] = __builtin_fmaf(miss, passed[k], target[k]);
        }
    }
}

/* Adds to the targets behind 8 columns what makes their misses good. */
LEAF_INLINE void pass_on(row_targets targets, size_t column, size_t columns, const float *feedback,
                         float misses[8][LEAF_TILE_ROWS]) {
    // Targets that have their codes may be changed: nobody reads them.
    for (size_t k = (column + 8) / LEAF_LANES * LEAF_LANES; k < columns; k += LEAF_LANES) {
        f32x16 passed[8];
        for (size_t j = 0; j < 8; j++) passed[j] = load16(leaf_products_row((float *)feedback, column + j) + k);
        for (size_t row = 0; row < LEAF_TILE_ROWS; row++) {
            f32x16 target = load16(targets[row] + k);
            for (size_t j = 0; j < 8; j++) target = fma16(spread(misses[j][row]), passed[j], target);
            store16(targets[row] + k, target);
        }
    }
}

LEAF_INLINE void encode_feeding(leaf_layout layout, const int8_t *tile, size_t padded_columns, const float *feedback,
                                uint8_t *section) {
    row_targets targets;
    for (size_t column = 0; column < padded_columns; column++)
        for (size_t row = 0; row < LEAF_TILE_ROWS; row++)
            targets[row][column] = (float)number_of(tile, row, column);
    for (size_t first = 0; first < padded_columns; first += 64, section += leaf_section_bytes(layout)) {
        uint8_t codes[8][64];
        for (size_t step = 0; step < 8; step++) {
            float misses[8][LEAF_TILE_ROWS];
            size_t column = first + 8 * step;
            encode_step(table_of(layout), tile, targets, column, feedback, section + 4 * step, codes[step], misses);
            pass_on(targets, column, padded_columns, feedback, misses);
        }
        store_codes(layout, codes, section + LEAF_SELECTORS);
    }
}

static void encode_with_feedback(leaf_layout layout, const int8_t *int8_tile, size_t padded_columns,
                                 const float *feedback, void *tile) {
    if (layout == LEAF_LAYOUT_Q4)
        encode_feeding(LEAF_LAYOUT_Q4, int8_tile, padded_columns, feedback, tile);
    else if (layout == LEAF_LAYOUT_Q3)
        encode_feeding(LEAF_LAYOUT_Q3, int8_tile, padded_columns, feedback, tile);
    else
        memcpy(tile, int8_tile, padded_columns * LEAF_TILE_ROWS);
}

#endif
