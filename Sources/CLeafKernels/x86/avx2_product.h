/* The product by vpmaddwd of AVX2.
 *
 * A 64-byte block of int8 is 16 output rows of 4 columns. As int16 lanes a row's four bytes are the pairs (k0, k1) and
 * (k2, k3); vpmaddubsw with (1, 0) gives (k0, k2), shifting each pair down gives (k1, k3): int16 weights without a
 * shuffle. vpmaddwd with a broadcast pair of activations then yields 8 output rows at once. So
 * a quantized row keeps each quad in the order q0 q2 q1 q3, as int16 for both types.
 *
 * Many rows meet weights that were widened once, into a panel, with half of the multiplications (S. Winograd, 1968):
 *     w0 q0 + w1 q1 = (w0 + q1) (w1 + q0) - w0 w1 - q0 q1
 * Additions have twice as many ports as vpmaddwd. The factors fit int16, for |q| <= 32639 and |w| <= 128; the sums are
 * exact modulo 2^32, and so are the results, which fit int32. The products to take off are summed once: those of
 * weights with the panel, those of activations with the quantized row, in place of its sum. */
#ifndef LEAF_X86_AVX2_PRODUCT_H
#define LEAF_X86_AVX2_PRODUCT_H

#include <immintrin.h>

#include "../float/vector.h"

LEAF_INLINE void put_values(leaf_activation type, uint8_t *values, size_t padded_columns, size_t column, i32x16 q) {
    (void)type, (void)padded_columns;
    i16x16 narrow = __builtin_convertvector(q, i16x16);
    narrow = __builtin_shufflevector(narrow, narrow, 0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
    memcpy(values + 2 * column, &narrow, sizeof narrow);
}

/* Products of neighbours, in every other lane. */
LEAF_INLINE i32x16 group_term(i32x16 q) {
    typedef uint64_t u64x8 __attribute__((vector_size(64)));
    return (i32x16)((u32x16)q * (u32x16)((u64x8)q >> 32));
}

#include "../product/table.h"

enum {
    /* Activation rows at once, straight from the stored weights: all 16 outputs of a tile, or 8 and 8. */
    WHOLE_ROWS = 3,
    DIRECT_ROWS = 8,
    /* And from a panel. */
    PANEL_ROWS = 4,
    /* From this many rows on weights are widened once, into a panel, and not in registers each time; sooner if they
     * have to be decoded. */
    ROWS_FOR_PANELS = LAYOUT == LEAF_LAYOUT_INT8 ? 17 : 7,
    /* A panel: int16 weights of this many columns of a tile. 64 KiB; L2 holds it, and sums go to memory seldom. */
    PANEL_COLUMNS = 2048,
};

/* 32 bytes of weights, 8 rows of (k0 k1 k2 k3), as int16 pairs (k0, k2): 1 k0 + 0 k1, 1 k2 + 0 k3. Shifting up and down
 * again takes two of the few ports for shifts. */
LEAF_INLINE __m256i even_columns(bytes w) { return _mm256_maddubs_epi16(_mm256_set1_epi16(1), (__m256i)w); }
/* And (k1, k3). */
LEAF_INLINE __m256i odd_columns(bytes w) { return _mm256_srai_epi16((__m256i)w, 8); }

LEAF_INLINE __m256i pair_of(const char *row, size_t column) {
    int32_t pair;
    memcpy(&pair, row + 2 * column, sizeof pair);
    return _mm256_set1_epi32(pair);
}

LEAF_INLINE void accumulate(__m256i *sum, __m256i w, __m256i q) {
    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(w, q));
}

LEAF_INLINE void add_group(__m256 *acc, __m256i sum, float scale) {
    *acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_set1_ps(scale), *acc);
}

LEAF_INLINE void put_outputs(const linear_task *task, size_t row, size_t output, const __m256 *acc) {
    float *y = output_of(task, row, output);
    const float *scales = task->row_scales + output;
    _mm256_storeu_ps(y, _mm256_mul_ps(acc[0], _mm256_loadu_ps(scales)));
    _mm256_storeu_ps(y + 8, _mm256_mul_ps(acc[1], _mm256_loadu_ps(scales + 8)));
}

/* sum += a step of weights by the rows' values of its columns, for outputs from 8 `first` on. */
LEAF_INLINE void add_step(const linear_task *task, const uint8_t *section, size_t step, size_t column, size_t first,
                          size_t halves, size_t row, size_t count, __m256i sum[DIRECT_ROWS][2]) {
    bytes w[2][2];
#pragma clang loop unroll(full)
    for (size_t half = 0; half < halves; half++) load_step(section, step, first + half, w[half]);
#pragma clang loop unroll(full)
    for (size_t block = 0; block < 2; block++) {
#pragma clang loop unroll(full)
        for (size_t half = 0; half < halves; half++) {
            __m256i even = even_columns(w[half][block]), odd = odd_columns(w[half][block]);
#pragma clang loop unroll(full)
            for (size_t r = 0; r < count; r++) {
                const char *values = values_of(task, row + r);
                accumulate(&sum[r][half], even, pair_of(values, column + 4 * block));
                accumulate(&sum[r][half], odd, pair_of(values, column + 4 * block + 2));
            }
        }
    }
}

/* One tile for `count` rows from `row` on, straight from the stored weights; `count` is a constant. With few rows all
 * 16 outputs are summed at once, and memory is read without a pause; with more a group is gone through twice, for 8
 * outputs each time, so that the sums fit the registers. */
LEAF_INLINE void direct_rows(const linear_task *task, const uint8_t *tile, size_t output, size_t row, size_t count) {
    const size_t halves = count <= WHOLE_ROWS ? 2 : 1;
    __m256 acc[DIRECT_ROWS][2];
    for (size_t r = 0; r < count; r++) acc[r][0] = acc[r][1] = _mm256_setzero_ps();
    for (size_t group = 0, begin = 0; begin < task->padded_columns; group++) {
        size_t end = group_end(task, begin);
        for (size_t first = 0; first < 2; first += halves) {
            __m256i sum[DIRECT_ROWS][2];
            for (size_t r = 0; r < count; r++) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
            for (size_t column = begin; column < end;) {
                const uint8_t *section = section_of(tile, column);
                for (size_t step = 0; step < SECTION_STEPS; step++, column += STEP_COLUMNS) {
                    if (first == 0) fetch_step(section + PREFETCH_BYTES, step);
                    add_step(task, section, step, column, first, halves, row, count, sum);
                }
            }
            for (size_t r = 0; r < count; r++)
                for (size_t half = 0; half < halves; half++)
                    add_group(&acc[r][first + half], sum[r][half], scale_of(task, row + r, group));
        }
        begin = end;
    }
    for (size_t r = 0; r < count; r++) put_outputs(task, row + r, output, acc[r]);
}

/* Some columns of one tile, widened: 4 vectors a block, (k0, k2) of output rows 0-7 and 8-15, then (k1, k3) of both;
 * and for each group and output row minus the sum of the products of neighbours. */
typedef struct {
    _Alignas(64) int16_t weights[PANEL_COLUMNS * LEAF_TILE_ROWS];
    int32_t terms[PANEL_COLUMNS / 64][LEAF_TILE_ROWS];
} panel;

LEAF_INLINE void widen_step(const uint8_t *section, size_t step, int16_t *weights, __m256i term[2]) {
#pragma clang loop unroll(full)
    for (size_t half = 0; half < 2; half++, weights += LEAF_TILE_ROWS) {
        bytes w[2];
        load_step(section, step, half, w);
#pragma clang loop unroll(full)
        for (size_t block = 0; block < 2; block++) {
            __m256i even = even_columns(w[block]), odd = odd_columns(w[block]);
            _mm256_store_si256((__m256i *)(weights + 64 * block), even);
            _mm256_store_si256((__m256i *)(weights + 64 * block + 32), odd);
            term[half] = _mm256_sub_epi32(term[half], _mm256_madd_epi16(even, odd));
        }
    }
}

static void widen_columns(const linear_task *task, const uint8_t *tile, size_t begin, size_t end, panel *to) {
    int16_t *weights = to->weights;
    for (size_t column = begin, group = 0; column < end; group++) {
        __m256i term[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        for (size_t last = group_end(task, column); column < last; column += SECTION_COLUMNS) {
            const uint8_t *section = section_of(tile, column);
            for (size_t step = 0; step < SECTION_STEPS; step++, weights += STEP_COLUMNS * LEAF_TILE_ROWS) {
                fetch_step(section + PREFETCH_BYTES, step);
                widen_step(section, step, weights, term);
            }
        }
        _mm256_store_si256((__m256i *)to->terms[group], term[0]);
        _mm256_store_si256((__m256i *)(to->terms[group] + 8), term[1]);
    }
}

/* sum += (even + q_odd) (odd + q_even) */
LEAF_INLINE void accumulate_products(__m256i *sum, __m256i even, __m256i odd, __m256i q_even, __m256i q_odd) {
    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_add_epi16(even, q_odd), _mm256_add_epi16(odd, q_even)));
}

/* Has the weights of one group fetched that the next panel will be made of. */
LEAF_INLINE void fetch_group(const uint8_t *ahead, size_t columns) {
    for (size_t byte = 0; byte < tile_bytes(columns); byte += 64)
        _mm_prefetch((const char *)ahead + byte, _MM_HINT_T1);
}

/* Columns begin to end of one tile, widened, for `count` rows; the sums so far are in y. `count` is a constant. The
 * first rows of a panel also fetch what is to be the next one, from `ahead`; for the others that is NULL. */
LEAF_INLINE void panel_rows(const linear_task *task, const panel *from, const uint8_t *ahead, size_t begin, size_t end,
                            size_t output, size_t row, size_t count) {
    __m256 acc[PANEL_ROWS][2];
    for (size_t r = 0; r < count; r++) {
        const float *y = output_of(task, row + r, output);
        acc[r][0] = begin == 0 ? _mm256_setzero_ps() : _mm256_loadu_ps(y);
        acc[r][1] = begin == 0 ? _mm256_setzero_ps() : _mm256_loadu_ps(y + 8);
    }
    const int16_t *weights = from->weights;
    const size_t first = begin / group_columns(task->type);
    for (size_t column = begin, group = first; column < end; group++) {
        const size_t last = group_end(task, column);
        if (ahead) fetch_group(section_of(ahead, column - begin), last - column);
        __m256i sum[PANEL_ROWS][2];
        for (size_t r = 0; r < count; r++) {
            __m256i term = _mm256_set1_epi32(sum_of(task, row + r, group));
            const int32_t *terms = from->terms[group - first];
            sum[r][0] = _mm256_sub_epi32(_mm256_load_si256((const __m256i *)terms), term);
            sum[r][1] = _mm256_sub_epi32(_mm256_load_si256((const __m256i *)(terms + 8)), term);
        }
        for (; column < last; column += 4, weights += 4 * LEAF_TILE_ROWS) {
            __m256i low_even = _mm256_load_si256((const __m256i *)weights);
            __m256i high_even = _mm256_load_si256((const __m256i *)(weights + 16));
            __m256i low_odd = _mm256_load_si256((const __m256i *)(weights + 32));
            __m256i high_odd = _mm256_load_si256((const __m256i *)(weights + 48));
#pragma clang loop unroll(full)
            for (size_t r = 0; r < count; r++) {
                __m256i q_even = pair_of(values_of(task, row + r), column);
                __m256i q_odd = pair_of(values_of(task, row + r), column + 2);
                accumulate_products(&sum[r][0], low_even, low_odd, q_even, q_odd);
                accumulate_products(&sum[r][1], high_even, high_odd, q_even, q_odd);
            }
        }
        for (size_t r = 0; r < count; r++) {
            add_group(&acc[r][0], sum[r][0], scale_of(task, row + r, group));
            add_group(&acc[r][1], sum[r][1], scale_of(task, row + r, group));
        }
    }
    for (size_t r = 0; r < count; r++) {
        float *y = output_of(task, row + r, output);
        if (end == task->padded_columns) {
            put_outputs(task, row + r, output, acc[r]);
        } else {
            _mm256_storeu_ps(y, acc[r][0]);
            _mm256_storeu_ps(y + 8, acc[r][1]);
        }
    }
}

/* Calls `rows_of(..., count)` with a constant count, so that its arrays become registers. */
#define FOR_ROWS(count, rows_of, ...)                                                                                  \
    switch (count) {                                                                                                   \
    case 1: rows_of(__VA_ARGS__, 1); break;                                                                            \
    case 2: rows_of(__VA_ARGS__, 2); break;                                                                            \
    case 3: rows_of(__VA_ARGS__, 3); break;                                                                            \
    case 4: rows_of(__VA_ARGS__, 4); break;                                                                            \
    default: break;                                                                                                    \
    }

static void direct_block(const linear_task *task, const uint8_t *tile, size_t output, size_t row, size_t count) {
    switch (count) {
    case 5: direct_rows(task, tile, output, row, 5); break;
    case 6: direct_rows(task, tile, output, row, 6); break;
    case 7: direct_rows(task, tile, output, row, 7); break;
    case 8: direct_rows(task, tile, output, row, 8); break;
    default: FOR_ROWS(count, direct_rows, task, tile, output, row)
    }
}

static void panel_block(const linear_task *task, const panel *from, const uint8_t *ahead, size_t begin, size_t end,
                        size_t output, size_t row, size_t count) {
    FOR_ROWS(count, panel_rows, task, from, ahead, begin, end, output, row)
}

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Tile by tile, in blocks of rows that are as even as can be. */
static void linear_direct(const linear_task *task, const uint8_t *tiles, size_t tile_count, size_t rows) {
    size_t blocks = (rows + DIRECT_ROWS - 1) / DIRECT_ROWS;
    for (size_t t = 0; t < tile_count; t++) {
        for (size_t b = 0; b < blocks; b++) {
            size_t row = rows * b / blocks, next = rows * (b + 1) / blocks;
            direct_block(task, tile_of(tiles, t, task->padded_columns), t * LEAF_TILE_ROWS, row, next - row);
        }
    }
}

static void linear_by_panels(const linear_task *task, const uint8_t *tiles, size_t tile_count, size_t rows) {
    panel panel;
    size_t blocks = (rows + PANEL_ROWS - 1) / PANEL_ROWS;
    for (size_t t = 0; t < tile_count; t++) {
        const uint8_t *tile = tile_of(tiles, t, task->padded_columns);
        for (size_t begin = 0; begin < task->padded_columns; begin += PANEL_COLUMNS) {
            size_t end = begin + smaller(task->padded_columns - begin, PANEL_COLUMNS);
            widen_columns(task, tile, begin, end, &panel);
            for (size_t b = 0; b < blocks; b++) {
                size_t row = rows * b / blocks, next = rows * (b + 1) / blocks;
                const uint8_t *ahead = b == 0 ? section_of(tile, end) : NULL;
                panel_block(task, &panel, ahead, begin, end, t * LEAF_TILE_ROWS, row, next - row);
            }
        }
    }
}

static void linear(leaf_activation type, const void *tiles, size_t tile_count, size_t padded_columns,
                   const float *row_scales, const void *activations, size_t rows, float *y, size_t y_stride) {
    linear_task task = make_task(type, padded_columns, row_scales, activations, y, y_stride);
    if (rows < ROWS_FOR_PANELS)
        linear_direct(&task, tiles, tile_count, rows);
    else
        linear_by_panels(&task, tiles, tile_count, rows);
}

#endif
