/* int8 weights, which lie as products want them. */
#ifndef LEAF_PRODUCT_INT8_H
#define LEAF_PRODUCT_INT8_H

#include "section.h"

enum { LAYOUT = LEAF_LAYOUT_INT8, SECTION_BYTES = INT8_SECTION_BYTES };

LEAF_INLINE void load_step(const uint8_t *section, size_t step, size_t part, bytes w[2]) {
    load_int8_step(section, step, part, w);
}

LEAF_INLINE int32_t load_quad(const uint8_t *section, size_t row, size_t column) {
    int32_t quad;
    memcpy(&quad, section + 16 * column + 4 * row, sizeof quad);
    return quad;
}

#endif
