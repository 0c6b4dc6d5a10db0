/* Places in tiles of the layout that the including file has chosen. */
#ifndef LEAF_PRODUCT_TILE_H
#define LEAF_PRODUCT_TILE_H

#include "section.h"

/* How far ahead of what is computed a tile is fetched. */
enum { PREFETCH_BYTES = 2048 };

LEAF_INLINE size_t tile_bytes(size_t columns) { return columns / SECTION_COLUMNS * SECTION_BYTES; }

/* The section that `column` lies in. */
LEAF_INLINE const uint8_t *section_of(const void *tile, size_t column) {
    return (const uint8_t *)tile + tile_bytes(column);
}

LEAF_INLINE const uint8_t *tile_of(const void *tiles, size_t tile, size_t padded_columns) {
    return (const uint8_t *)tiles + tile * tile_bytes(padded_columns);
}

/* Has a step's share of a section fetched. */
LEAF_INLINE void fetch_step(const uint8_t *section, size_t step) {
    for (size_t byte = 0; byte < SECTION_BYTES / SECTION_STEPS; byte += 64)
        __builtin_prefetch(section + SECTION_BYTES / SECTION_STEPS * step + byte);
}

#endif
