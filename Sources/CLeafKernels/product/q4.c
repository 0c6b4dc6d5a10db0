/* What a q4 tile stands for, in plain C: the definition that every product agrees with. */
#include "../include/leaf_kernels.h"

void leaf_q4_decode(const void *tile, size_t padded_columns, int8_t *int8_tile) {
    const uint8_t *section = tile;
    for (size_t column = 0; column < padded_columns; column += 64, section += LEAF_Q4_SECTION)
        for (size_t step = 0; step < 8; step++) {
            const uint8_t *codes = section + 32 + 64 * step;
            int8_t *blocks = int8_tile + (column + 8 * step) * LEAF_TILE_ROWS;
            for (size_t i = 0; i < 64; i++) {
                const int8_t *grid = leaf_q4_grids[section[4 * step + i / 16]];
                blocks[i] = grid[codes[i] & 15];
                blocks[64 + i] = grid[codes[i] >> 4];
            }
        }
}
