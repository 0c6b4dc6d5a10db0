/* Where codes lie in a section of 64 columns: byte i of a step has a code of each of its two blocks, in the low and in
 * the high four bits. */
#ifndef LEAF_PRODUCT_CODES_H
#define LEAF_PRODUCT_CODES_H

#include "../include/leaf_kernels.h"

static inline uint8_t q4_codes(const uint8_t *section, size_t step, size_t i) {
    return section[LEAF_SELECTORS + 64 * step + i];
}

/* The steps of which the codes are stored as bytes, of each four; the bytes' free bits are the codes of the fourth. */
enum { Q3_STORED_STEPS = 3 };

/* The first byte of what step 4 n has, for a step of 4 n to 4 n + 3. */
static inline const uint8_t *q3_bytes(const uint8_t *section, size_t step) {
    return section + LEAF_SELECTORS + 64 * Q3_STORED_STEPS * (step / 4);
}

/* The codes in the free bits of three bytes, or of vectors of them. */
#define Q3_FREE_BITS(a, b, c) (((a) & 0x88) >> 3 | ((b) & 0x88) >> 2 | ((c) & 0x88) >> 1)

static inline uint8_t q3_codes(const uint8_t *section, size_t step, size_t i) {
    const uint8_t *bytes = q3_bytes(section, step) + i;
    if (step % 4 < Q3_STORED_STEPS) return bytes[64 * (step % 4)] & 0x77;
    return (uint8_t)Q3_FREE_BITS(bytes[0], bytes[64], bytes[128]);
}

#endif
