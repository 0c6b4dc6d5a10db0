/* q4 weights: 16 of them, 4 output rows by 4 columns, are one lookup in a grid of 16 bytes. */
#ifndef LEAF_PRODUCT_Q4_H
#define LEAF_PRODUCT_Q4_H

#include "section.h"

enum { LAYOUT = LEAF_LAYOUT_Q4, SECTION_BYTES = LEAF_Q4_SECTION, Q4_CODES = 32 };

/* The grids of a vector's blocks of 4 rows, side by side. */
LEAF_INLINE bytes q4_grids(const uint8_t *selectors) {
    bytes grids;
    for (size_t i = 0; i < sizeof grids / 16; i++) memcpy((char *)&grids + 16 * i, leaf_q4_grids[selectors[i]], 16);
    return grids;
}

LEAF_INLINE void load_step(const uint8_t *section, size_t step, size_t part, bytes w[2]) {
    typedef uint8_t unsigned_bytes __attribute__((vector_size(sizeof(bytes))));
    bytes grids = q4_grids(section + 4 * step + sizeof(bytes) / 16 * part);
    unsigned_bytes codes;
    memcpy(&codes, section + Q4_CODES + 64 * step + sizeof(bytes) * part, sizeof codes);
    w[0] = lookup(grids, (bytes)(codes & 15));
    w[1] = lookup(grids, (bytes)(codes >> 4));
}

LEAF_INLINE int32_t load_quad(const uint8_t *section, size_t row, size_t column) {
    const int8_t *grid = leaf_q4_grids[section[column / 8 * 4 + row / 4]];
    const uint8_t *codes = section + Q4_CODES + column / 8 * 64 + 4 * row;
    int8_t quad[4];
    for (size_t i = 0; i < 4; i++) quad[i] = grid[codes[i] >> column % 8 & 15];
    int32_t bits;
    memcpy(&bits, quad, sizeof bits);
    return bits;
}

#endif
