/* q3 weights: a code is three bits. Three steps of four lie as those of q4 do; the bits that they leave free are the
 * codes of the fourth. */
#ifndef LEAF_PRODUCT_Q3_H
#define LEAF_PRODUCT_Q3_H

#include "codes.h"
#include "section.h"

enum { LAYOUT = LEAF_LAYOUT_Q3, SECTION_BYTES = LEAF_Q3_SECTION };
#define LEAF_GRIDS leaf_q3_grids

LEAF_INLINE code_bytes load_codes(const uint8_t *section, size_t step, size_t part) {
    const uint8_t *from = q3_bytes(section, step) + sizeof(code_bytes) * part;
    code_bytes codes[Q3_STORED_STEPS];
    if (step % 4 < Q3_STORED_STEPS) {
        memcpy(codes, from + 64 * (step % 4), sizeof *codes);
        return *codes & 0x77;
    }
    for (size_t i = 0; i < Q3_STORED_STEPS; i++) memcpy(codes + i, from + 64 * i, sizeof *codes);
    return Q3_FREE_BITS(codes[0], codes[1], codes[2]);
}

LEAF_INLINE uint8_t codes_of_byte(const uint8_t *section, size_t step, size_t i) { return q3_codes(section, step, i); }

#include "coded.h"

#endif
