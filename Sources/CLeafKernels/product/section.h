/* The weights of a tile as products go through them, whatever their layout: sections of 64 columns, each 8 steps of 8
 * columns. A decoded step is two 64-byte blocks of int8 numbers, each 16 output rows of 4 columns.
 *
 * A layout (product/int8.h, product/q4.h, product/q3.h) gives LAYOUT, SECTION_BYTES and two functions:
 *     load_step(section, step, part, w)   the part-th vector of each block of a step
 *     load_quad(section, row, column)     4 weights of one output row, from a column on
 * Before it the instruction set (x86/bytes256.h and others) gives `bytes`, a vector of 16, 32 or 64 int8 numbers, and
 * lookup(grids, codes): each 16 codes of the vector name numbers of the same 16 bytes of `grids`. */
#ifndef LEAF_PRODUCT_SECTION_H
#define LEAF_PRODUCT_SECTION_H

#include "../float/vector.h"
#include "../include/leaf_kernels.h"

/* Codes of a vector of numbers, two a byte. */
typedef uint8_t code_bytes __attribute__((vector_size(sizeof(bytes))));

enum {
    SECTION_COLUMNS = 64,
    SECTION_STEPS = 8,
    STEP_COLUMNS = 8,
    INT8_SECTION_BYTES = SECTION_COLUMNS * LEAF_TILE_ROWS,
    /* Vectors of a block. */
    BLOCK_PARTS = 64 / sizeof(bytes),
};

LEAF_INLINE void load_int8_step(const uint8_t *section, size_t step, size_t part, bytes w[2]) {
    const uint8_t *blocks = section + 128 * step + sizeof(bytes) * part;
    memcpy(&w[0], blocks, sizeof(bytes));
    memcpy(&w[1], blocks + 64, sizeof(bytes));
}

#endif
