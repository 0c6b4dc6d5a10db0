/* AVX2, FMA and F16C.
 *
 * A 64-byte block of a tile is 16 output rows of 4 columns. As int16 lanes a row's four bytes are the pairs (k0, k1)
 * and (k2, k3); shifting each pair's low byte up and down again gives (k0, k2), shifting the pair down gives (k1, k3):
 * int16 weights without a shuffle. vpmaddwd with a broadcast pair of activations then yields 8 output rows at once. So
 * a quantized row keeps each quad in the order q0 q2 q1 q3, as int16 for both types. */
#if defined(__x86_64__)

#include <immintrin.h>

#include "../tables.h"

#define LEAF_HARDWARE_HALF 1
#define LEAF_QUERY_TILE 6

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "../float/vector.h"

LEAF_INLINE void put_values(leaf_activation type, uint8_t *values, size_t padded_columns, size_t column, i32x16 q) {
    (void)type, (void)padded_columns;
    i16x16 narrow = __builtin_convertvector(q, i16x16);
    narrow = __builtin_shufflevector(narrow, narrow, 0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
    memcpy(values + 2 * column, &narrow, sizeof narrow);
}

#include "../float/table.h"

enum {
    /* Activation rows at once, straight from the stored weights: all 16 outputs of a tile, or 8 and 8. */
    WHOLE_ROWS = 3,
    DIRECT_ROWS = 8,
    /* And from a panel. */
    PANEL_ROWS = 6,
    /* From this many rows on weights are widened once, into a panel, and not in registers each time. */
    ROWS_FOR_PANELS = 17,
    /* A panel: int16 weights of this many columns of this many tiles. 32 KiB; L1 and L2 hold it. */
    PANEL_COLUMNS = 512,
    PANEL_TILES = 2,
    PREFETCH_BYTES = 4096,
};

/* 32 bytes of weights, 8 rows of (k0 k1 k2 k3), as int16 pairs (k0, k2). */
LEAF_INLINE __m256i even_columns(__m256i w) { return _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8); }
/* And (k1, k3). */
LEAF_INLINE __m256i odd_columns(__m256i w) { return _mm256_srai_epi16(w, 8); }

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

/* One tile for `count` rows from `row` on, straight from the stored weights; `count` is a constant. With few rows all
 * 16 outputs are summed at once, and memory is read without a pause; with more a group is gone through twice, for 8
 * outputs each time, so that the sums fit the registers. */
LEAF_INLINE void direct_rows(const linear_task *task, const int8_t *tile, size_t output, size_t row, size_t count) {
    const size_t halves = count <= WHOLE_ROWS ? 2 : 1;
    __m256 acc[DIRECT_ROWS][2];
    for (size_t r = 0; r < count; r++) acc[r][0] = acc[r][1] = _mm256_setzero_ps();
    for (size_t group = 0, begin = 0; begin < task->padded_columns; group++) {
        size_t end = group_end(task, begin);
        for (size_t first = 0; first < 2; first += halves) {
            __m256i sum[DIRECT_ROWS][2];
            for (size_t r = 0; r < count; r++) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
            for (size_t column = begin; column < end; column += 4) {
                const int8_t *block = tile + column * LEAF_TILE_ROWS;
                if (first == 0) _mm_prefetch((const char *)block + PREFETCH_BYTES, _MM_HINT_T0);
#pragma clang loop unroll(full)
                for (size_t half = 0; half < halves; half++) {
                    __m256i w = _mm256_loadu_si256((const __m256i *)(block + 32 * (first + half)));
                    __m256i even = even_columns(w), odd = odd_columns(w);
#pragma clang loop unroll(full)
                    for (size_t r = 0; r < count; r++) {
                        accumulate(&sum[r][half], even, pair_of(values_of(task, row + r), column));
                        accumulate(&sum[r][half], odd, pair_of(values_of(task, row + r), column + 2));
                    }
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

/* Widens columns begin to end of one tile into a panel: 4 vectors a block, (k0, k2) of output rows 0-7 and 8-15, then
 * (k1, k3) of both. */
static void widen_tile(const int8_t *tile, size_t begin, size_t end, int16_t *panel) {
    for (size_t column = begin; column < end; column += 4, panel += 4 * 16) {
        const int8_t *block = tile + column * LEAF_TILE_ROWS;
        _mm_prefetch((const char *)block + PREFETCH_BYTES, _MM_HINT_T0);
        __m256i low = _mm256_loadu_si256((const __m256i *)block);
        __m256i high = _mm256_loadu_si256((const __m256i *)(block + 32));
        _mm256_store_si256((__m256i *)panel, even_columns(low));
        _mm256_store_si256((__m256i *)(panel + 16), even_columns(high));
        _mm256_store_si256((__m256i *)(panel + 32), odd_columns(low));
        _mm256_store_si256((__m256i *)(panel + 48), odd_columns(high));
    }
}

/* Columns begin to end of one tile, widened, for `count` rows; the sums so far are in y. `count` is a constant. */
LEAF_INLINE void panel_rows(const linear_task *task, const int16_t *panel, size_t begin, size_t end, size_t output,
                            size_t row, size_t count) {
    __m256 acc[PANEL_ROWS][2];
    for (size_t r = 0; r < count; r++) {
        const float *y = output_of(task, row + r, output);
        acc[r][0] = begin == 0 ? _mm256_setzero_ps() : _mm256_loadu_ps(y);
        acc[r][1] = begin == 0 ? _mm256_setzero_ps() : _mm256_loadu_ps(y + 8);
    }
    for (size_t column = begin; column < end;) {
        size_t group = column / group_columns(task->type);
        __m256i sum[PANEL_ROWS][2];
        for (size_t r = 0; r < count; r++) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
        for (size_t last = group_end(task, column); column < last; column += 2, panel += 2 * 16) {
            __m256i low = _mm256_load_si256((const __m256i *)panel);
            __m256i high = _mm256_load_si256((const __m256i *)(panel + 16));
#pragma clang loop unroll(full)
            for (size_t r = 0; r < count; r++) {
                __m256i q = pair_of(values_of(task, row + r), column);
                accumulate(&sum[r][0], low, q);
                accumulate(&sum[r][1], high, q);
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
    case 5: rows_of(__VA_ARGS__, 5); break;                                                                            \
    case 6: rows_of(__VA_ARGS__, 6); break;                                                                            \
    default: break;                                                                                                    \
    }

static void direct_block(const linear_task *task, const int8_t *tile, size_t output, size_t row, size_t count) {
    switch (count) {
    case 7: direct_rows(task, tile, output, row, 7); break;
    case 8: direct_rows(task, tile, output, row, 8); break;
    default: FOR_ROWS(count, direct_rows, task, tile, output, row)
    }
}

static void panel_block(const linear_task *task, const int16_t *panel, size_t begin, size_t end, size_t output,
                        size_t row, size_t count) {
    FOR_ROWS(count, panel_rows, task, panel, begin, end, output, row)
}

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Tile by tile, in blocks of rows that are as even as can be. */
static void linear_direct(const linear_task *task, const int8_t *tiles, size_t tile_count, size_t rows) {
    size_t blocks = (rows + DIRECT_ROWS - 1) / DIRECT_ROWS;
    for (size_t t = 0; t < tile_count; t++) {
        for (size_t b = 0; b < blocks; b++) {
            size_t row = rows * b / blocks, next = rows * (b + 1) / blocks;
            direct_block(task, tile_of(task, tiles, t), t * LEAF_TILE_ROWS, row, next - row);
        }
    }
}

static void linear_by_panels(const linear_task *task, const int8_t *tiles, size_t tile_count, size_t rows) {
    _Alignas(64) int16_t panels[PANEL_TILES][PANEL_COLUMNS * LEAF_TILE_ROWS];
    for (size_t first = 0; first < tile_count; first += PANEL_TILES) {
        size_t count = smaller(tile_count - first, PANEL_TILES);
        for (size_t begin = 0; begin < task->padded_columns; begin += PANEL_COLUMNS) {
            size_t end = begin + smaller(task->padded_columns - begin, PANEL_COLUMNS);
            for (size_t t = 0; t < count; t++)
                widen_tile(tile_of(task, tiles, first + t), begin, end, panels[t]);
            for (size_t row = 0; row < rows; row += PANEL_ROWS)
                for (size_t t = 0; t < count; t++)
                    panel_block(task, panels[t], begin, end, (first + t) * LEAF_TILE_ROWS, row,
                                smaller(rows - row, PANEL_ROWS));
        }
    }
}

static void linear(leaf_activation type, const int8_t *tiles, size_t tile_count, size_t padded_columns,
                   const float *row_scales, const void *activations, size_t rows, float *y, size_t y_stride) {
    linear_task task = make_task(type, padded_columns, row_scales, activations, y, y_stride);
    if (rows < ROWS_FOR_PANELS)
        linear_direct(&task, tiles, tile_count, rows);
    else
        linear_by_panels(&task, tiles, tile_count, rows);
}

#pragma clang attribute pop

LEAF_KERNEL_TABLE(leaf_kernels_avx2, LEAF_ISA_AVX2, "avx2");

#endif
