/* What a tile stands for, in plain C: the definition that every product agrees with. */
#include "codes.h"

#include <string.h>

/* A section of codes as 16 blocks of 64 int8 numbers. */
static inline void decode_section(const uint8_t *section, const int8_t (*grids)[16],
                                  uint8_t (*codes_of)(const uint8_t *, size_t, size_t), int8_t *blocks) {
    for (size_t step = 0; step < 8; step++, blocks += 128) {
        for (size_t i = 0; i < 64; i++) {
            const int8_t *grid = grids[section[4 * step + i / 16]];
            uint8_t codes = codes_of(section, step, i);
            blocks[i] = grid[codes & 15];
            blocks[64 + i] = grid[codes >> 4];
        }
    }
}

void leaf_decode(leaf_layout layout, const void *tile, size_t padded_columns, int8_t *int8_tile) {
    if (layout == LEAF_LAYOUT_INT8) memcpy(int8_tile, tile, padded_columns * LEAF_TILE_ROWS);
    if (layout == LEAF_LAYOUT_INT8) return;
    const uint8_t *section = tile;
    for (size_t column = 0; column < padded_columns; column += 64, section += leaf_section_bytes(layout)) {
        int8_t *blocks = int8_tile + column * LEAF_TILE_ROWS;
        if (layout == LEAF_LAYOUT_Q4)
            decode_section(section, leaf_q4_grids, q4_codes, blocks);
        else
            decode_section(section, leaf_q3_grids, q3_codes, blocks);
    }
}
