/* q4 weights: a code is four bits. */
#ifndef LEAF_PRODUCT_Q4_H
#define LEAF_PRODUCT_Q4_H

#include "codes.h"
#include "section.h"

enum { LAYOUT = LEAF_LAYOUT_Q4, SECTION_BYTES = LEAF_Q4_SECTION };
#define LEAF_GRIDS leaf_q4_grids

LEAF_INLINE code_bytes load_codes(const uint8_t *section, size_t step, size_t part) {
    code_bytes codes;
    memcpy(&codes, section + LEAF_SELECTORS + 64 * step + sizeof codes * part, sizeof codes);
    return codes;
}

LEAF_INLINE uint8_t codes_of_byte(const uint8_t *section, size_t step, size_t i) { return q4_codes(section, step, i); }

#include "coded.h"

#endif
