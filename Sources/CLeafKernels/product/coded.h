/* Weights that are looked up: 16 of them, 4 output rows by 4 columns, in a grid of 16 bytes. The including file gives
 *     LEAF_GRIDS                            the grids of its codes
 *     load_codes(section, step, part)       the part-th vector of a step's bytes of codes
 *     codes_of_byte(section, step, i)       one of the bytes */
#ifndef LEAF_PRODUCT_CODED_H
#define LEAF_PRODUCT_CODED_H

/* The grids of a vector's blocks of 4 rows, side by side. */
LEAF_INLINE bytes load_grids(const uint8_t *selectors) {
    bytes grids;
    for (size_t i = 0; i < sizeof grids / 16; i++) memcpy((char *)&grids + 16 * i, LEAF_GRIDS[selectors[i]], 16);
    return grids;
}

LEAF_INLINE void load_step(const uint8_t *section, size_t step, size_t part, bytes w[2]) {
    bytes grids = load_grids(section + 4 * step + sizeof(bytes) / 16 * part);
    code_bytes codes = load_codes(section, step, part);
    w[0] = lookup(grids, (bytes)(codes & 15));
    w[1] = lookup(grids, (bytes)(codes >> 4));
}

LEAF_INLINE int32_t load_quad(const uint8_t *section, size_t row, size_t column) {
    const int8_t *grid = LEAF_GRIDS[section[column / 8 * 4 + row / 4]];
    int8_t quad[4];
    for (size_t i = 0; i < 4; i++) quad[i] = grid[codes_of_byte(section, column / 8, 4 * row + i) >> column % 8 & 15];
    int32_t bits;
    memcpy(&bits, quad, sizeof bits);
    return bits;
}

#endif
