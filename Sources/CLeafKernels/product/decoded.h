/* Columns of a tile as int8, for products that meet them with more rows than the registers hold. */
#ifndef LEAF_PRODUCT_DECODED_H
#define LEAF_PRODUCT_DECODED_H

#include "tile.h"

enum {
    /* Columns that are decoded at once: 16 KiB of int8 a tile. */
    PANEL_COLUMNS = 1024,
    HAS_PANELS = LAYOUT != LEAF_LAYOUT_INT8,
};

static inline void decode_columns(const uint8_t *sections, size_t columns, uint8_t *blocks) {
    for (size_t column = 0; column < columns; column += SECTION_COLUMNS) {
        for (size_t step = 0; step < SECTION_STEPS; step++, blocks += 128) {
            for (size_t part = 0; part < BLOCK_PARTS; part++) {
                bytes w[2];
                load_step(section_of(sections, column), step, part, w);
                memcpy(blocks + sizeof(bytes) * part, &w[0], sizeof(bytes));
                memcpy(blocks + 64 + sizeof(bytes) * part, &w[1], sizeof(bytes));
            }
        }
    }
}

#endif
