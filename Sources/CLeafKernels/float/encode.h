/* Encoding of int8 tiles as codes, in integers, so that every instruction set finds the same codes.
 *
 * A block whose 32 numbers all lie on a grid takes the first such grid: it decodes to itself, and so encoding is
 * idempotent. For any other block only grids about as wide as the block are tried, see leaf_grid_range; a block of few
 * numbers and many zeros may find them on far wider grids, and tries all. */
#ifndef LEAF_FLOAT_ENCODE_H
#define LEAF_FLOAT_ENCODE_H

#include "../tables.h"
#include "vector.h"

#if LEAF_HARDWARE_BYTES && defined(__aarch64__)
#include <arm_neon.h>
#endif

typedef int8_t i8x32 __attribute__((vector_size(32)));
typedef int8_t i8x64 __attribute__((vector_size(64)));
typedef uint8_t u8x64 __attribute__((vector_size(64)));
typedef uint16_t u16x64 __attribute__((vector_size(128)));
typedef int32_t i32x8 __attribute__((vector_size(32)));
typedef uint32_t u32x8 __attribute__((vector_size(32)));
typedef uint64_t u64x4 __attribute__((vector_size(32)));

/* Numbers beside zeros in a block that tries all grids. */
enum { ENCODE_FEW = 4 };

/* A 16-byte table in both halves of a vector. */
LEAF_INLINE i8x32 load_twice(const int8_t *table) {
    i8x16 t;
    memcpy(&t, table, sizeof t);
    return __builtin_shufflevector(t, t, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7,
                                   8, 9, 10, 11, 12, 13, 14, 15);
}

/* The entries of the table in the same half, at indexes of which the low four bits count and the highest is 0. */
LEAF_INLINE i8x32 look_up(i8x32 table, i8x32 index) {
#if LEAF_HARDWARE_BYTES && defined(__x86_64__)
    typedef char c8x32 __attribute__((vector_size(32)));
    return (i8x32)__builtin_ia32_pshufb256((c8x32)table, (c8x32)index);
#elif LEAF_HARDWARE_BYTES && defined(__aarch64__)
    typedef uint8_t u8x16 __attribute__((vector_size(16)));
    int8x16_t tables[2];
    u8x16 halves[2];
    memcpy(tables, &table, sizeof tables);
    memcpy(halves, &index, sizeof halves);
    for (int i = 0; i < 2; i++) halves[i] = (u8x16)vqtbl1q_s8(tables[i], (uint8x16_t)(halves[i] & 15));
    memcpy(&index, halves, sizeof index);
    return index;
#else
    int8_t entries[32], places[32];
    memcpy(entries, &table, sizeof entries);
    memcpy(places, &index, sizeof places);
    for (size_t i = 0; i < 32; i++) places[i] = entries[i / 16 * 16 + (places[i] & 15)];
    memcpy(&index, places, sizeof index);
    return index;
#endif
}

/* Lane i is a[2 i] b[2 i] + a[2 i + 1] b[2 i + 1]. */
LEAF_INLINE i32x8 multiply_add_pairs(i16x16 a, i16x16 b) {
#if LEAF_HARDWARE_BYTES && defined(__x86_64__)
    return __builtin_ia32_pmaddwd256(a, b);
#else
    i32x16 products = __builtin_convertvector(a, i32x16) * __builtin_convertvector(b, i32x16);
    return __builtin_shufflevector(products, products, 0, 2, 4, 6, 8, 10, 12, 14) +
           __builtin_shufflevector(products, products, 1, 3, 5, 7, 9, 11, 13, 15);
#endif
}

/* Half of a block, widened. */
LEAF_INLINE i16x16 widen_low(i8x32 x) {
    return __builtin_convertvector(
        __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), i16x16);
}

LEAF_INLINE i16x16 widen_high(i8x32 x) {
    return __builtin_convertvector(
        __builtin_shufflevector(x, x, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31), i16x16);
}

/* Grids, and what they are searched with: see tables.h. */
typedef struct {
    int code_bits;
    const int8_t (*grids)[16], (*thresholds)[16];
    const uint64_t (*holders)[LEAF_GRIDS_COUNT / 64];
    const leaf_grid_range *search;
} grid_table;

/* The codes of the nearest grid entries, of equals the smaller: a binary search among the thresholds between entries,
 * which lie in the order of a heap from place 1 on, and then the step from the place of an entry to its code. */
LEAF_INLINE i8x32 nearest_codes(grid_table table, i8x32 x, size_t grid) {
    i8x32 thresholds = load_twice(table.thresholds[grid]);
    i8x32 place = 2 - (i8x32)(x > thresholds[1]);
#pragma clang loop unroll(full)
    for (int bit = 1; bit < table.code_bits; bit++) place = place + place - (i8x32)(x > look_up(thresholds, place));
    return (place + thresholds[0]) & (int8_t)((1 << table.code_bits) - 1);
}

/* The first grid that holds all numbers of a block; LEAF_GRIDS_COUNT if there is none. */
LEAF_INLINE size_t exact_grid(grid_table table, i8x32 x) {
    u64x4 grids = ~(u64x4){0};
    for (size_t i = 0; i < 32; i++) {
        u64x4 holders;
        memcpy(&holders, table.holders[(uint8_t)x[i]], sizeof holders);
        grids &= holders;
        if (i % 8 == 7 && !(grids[0] | grids[1] | grids[2] | grids[3])) return LEAF_GRIDS_COUNT;
    }
    size_t word = 0;
    while (!grids[word]) word++;
    return 64 * word + (size_t)__builtin_ctzll(grids[word]);
}

/* What a miss of each number of a block counts; none is above 32,767. */
typedef struct {
    i16x16 low, high;
} block_weights;

/* w^2 + mean(w^2), the mean rounded to an integer. */
LEAF_INLINE block_weights weights_of_numbers(i8x32 x) {
    i16x16 low = widen_low(x), high = widen_high(x);
    int32_t sum = __builtin_reduce_add(multiply_add_pairs(low, low) + multiply_add_pairs(high, high));
    int16_t mean = (int16_t)((sum + 16) / 32);
    return (block_weights){low * low + mean, high * high + mean};
}

/* The square of what every grid misses a number by, for each number by its bits. Behind the last grid is room to read
 * 16 from any on. */
typedef struct {
    uint16_t squares[256][LEAF_GRIDS_COUNT + LEAF_LANES];
} grid_misses;

/* The distance to the nearest entry below each number, and then to the nearest on either side. */
static void find_misses(grid_table table, grid_misses *misses) {
    const u8x64 bits = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32,
                        64, 128, 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8,
                        16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    for (size_t first = 0; first < LEAF_GRIDS_COUNT; first += 64) {
        // A grid without an entry below -127 has at least 0.
        u8x64 below[255], miss = (u8x64){0} + 127;
        for (int x = -127; x <= 127; x++) {
            typedef uint8_t u8x8 __attribute__((vector_size(8)));
            u8x8 holders = (u8x8)table.holders[(uint8_t)x][first / 64];
            u8x64 held = bits & __builtin_shufflevector(
                                    holders, holders, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2,
                                    2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 6, 6,
                                    6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7);
            miss = (miss + 1) & (u8x64)(held == 0);
            below[127 + x] = miss;
        }
        for (int x = 127; x >= -127; x--) {
            miss = __builtin_elementwise_min(miss + 1, below[127 + x]);
            u16x64 wide = __builtin_convertvector(miss, u16x64);
            wide *= wide;
            memcpy(misses->squares[(uint8_t)x] + first, &wide, sizeof wide);
        }
    }
    for (size_t i = 0; i < 256; i++) memset(misses->squares[i] + LEAF_GRIDS_COUNT, 0, LEAF_LANES * sizeof(uint16_t));
}

/* The grid of the least weighted squared error. Every sum of grids that are tried fits 32 bits: no number is missed by
 * more than 64, or all but a few are zeros, which no grid misses.
 *
 * Lanes are grids, 16 at a time, and what they miss is looked up. */
LEAF_INLINE size_t nearest_grid(grid_table table, const grid_misses *misses, i8x32 x, block_weights weights) {
    // Interleaving exchanges the middle quarters of a vector.
    const u32x8 lanes[2] = {{0, 1, 2, 3, 8, 9, 10, 11}, {4, 5, 6, 7, 12, 13, 14, 15}};
    int8_t absmax = __builtin_reduce_max(__builtin_elementwise_abs(x));
    int8_t minus_others = __builtin_reduce_add((i8x32)(x != 0));
    leaf_grid_range range = table.search[minus_others >= -ENCODE_FEW ? 0 : absmax];
    uint8_t numbers[32];
    int32_t pairs_of_weights[16];
    memcpy(numbers, &x, sizeof numbers);
    memcpy(pairs_of_weights, &weights, sizeof pairs_of_weights);

    u32x8 least[2], best[2];
    for (size_t half = 0; half < 2; half++) {
        least[half] = ~(u32x8){0};
        best[half] = (u32x8){0} + range.first;
    }
    uint32_t end = (uint32_t)range.first + range.count;
    for (uint32_t first = range.first; first < end; first += LEAF_LANES) {
        u32x8 errors[2] = {{0}, {0}};
        for (size_t i = 0; i < 32; i += 2) {
            i16x16 a, b, factors = (i16x16)((i32x8){0} + pairs_of_weights[i / 2]);
            memcpy(&a, misses->squares[numbers[i]] + first, sizeof a);
            memcpy(&b, misses->squares[numbers[i + 1]] + first, sizeof b);
            i16x16 low = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 8, 24, 9, 25, 10, 26, 11, 27);
            i16x16 high = __builtin_shufflevector(a, b, 4, 20, 5, 21, 6, 22, 7, 23, 12, 28, 13, 29, 14, 30, 15, 31);
            errors[0] += (u32x8)multiply_add_pairs(low, factors);
            errors[1] += (u32x8)multiply_add_pairs(high, factors);
        }
        for (size_t half = 0; half < 2; half++) {
            u32x8 grids = lanes[half] + first;
            u32x8 better = (u32x8)(errors[half] < least[half]) & (u32x8)(grids < end);
            least[half] = (better & errors[half]) | (~better & least[half]);
            best[half] = (better & grids) | (~better & best[half]);
        }
    }
    uint32_t error = __builtin_reduce_min(__builtin_elementwise_min(least[0], least[1]));
    // Of equals the first.
    for (size_t half = 0; half < 2; half++) best[half] |= (u32x8)(least[half] != error);
    return __builtin_reduce_min(__builtin_elementwise_min(best[0], best[1]));
}

/* Finds the grids of the blocks of 64 columns, and the codes of their steps, two a byte. */
LEAF_INLINE void encode_blocks(grid_table table, const grid_misses *misses, const int8_t *numbers, uint8_t *selectors,
                               uint8_t codes[8][64]) {
    for (size_t block = 0; block < LEAF_SELECTORS; block++) {
        const int8_t *first = numbers + block / 4 * 128 + block % 4 * 16;
        i8x32 x;
        memcpy(&x, first, 16);
        memcpy((int8_t *)&x + 16, first + 64, 16);
        x = __builtin_elementwise_max(x, (i8x32){0} - 127);

        size_t grid = exact_grid(table, x);
        if (grid == LEAF_GRIDS_COUNT) grid = nearest_grid(table, misses, x, weights_of_numbers(x));
        selectors[block] = (uint8_t)grid;
        i8x32 code = nearest_codes(table, x, grid);
        for (size_t i = 0; i < 16; i++)
            codes[block / 4][block % 4 * 16 + i] = (uint8_t)(code[i] | code[16 + i] << 4);
    }
}

LEAF_INLINE grid_table table_of(leaf_layout layout) {
    return layout == LEAF_LAYOUT_Q4
               ? (grid_table){4, leaf_q4_grids, leaf_q4_thresholds, leaf_q4_holders, leaf_q4_search}
               : (grid_table){3, leaf_q3_grids, leaf_q3_thresholds, leaf_q3_holders, leaf_q3_search};
}

/* Packs the codes of 64 columns. In q3 three steps of four keep their bytes; their free bits take the codes of the
 * fourth. */
LEAF_INLINE void store_codes(leaf_layout layout, uint8_t codes[8][64], uint8_t *to) {
    if (layout == LEAF_LAYOUT_Q4) {
        memcpy(to, codes, 8 * 64);
        return;
    }
    for (size_t step = 0; step < 8; step++) {
        const uint8_t *fourth = codes[step / 4 * 4 + 3];
        size_t bit = step % 4;
        if (bit == 3) continue;
        for (size_t i = 0; i < 64; i++) *to++ = (uint8_t)(codes[step][i] | (fourth[i] >> bit & 0x11) << 3);
    }
}

LEAF_INLINE void encode_sections(leaf_layout layout, const grid_misses *misses, const int8_t *tile,
                                 size_t padded_columns, uint8_t *section) {
    for (size_t column = 0; column < padded_columns; column += 64, section += leaf_section_bytes(layout)) {
        uint8_t codes[8][64];
        encode_blocks(table_of(layout), misses, tile + column * LEAF_TILE_ROWS, section, codes);
        store_codes(layout, codes, section + LEAF_SELECTORS);
    }
}

#endif
