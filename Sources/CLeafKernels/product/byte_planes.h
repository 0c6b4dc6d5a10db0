/* Quantized values as planes of bytes, for instruction sets that multiply bytes: an int16 row is two planes one behind
 * the other, h and l with q = 256 h + l, an int8 row is one. The sum of a product is then 256 times that of h, plus
 * that of l, exactly. */
#ifndef LEAF_BYTE_PLANES_H
#define LEAF_BYTE_PLANES_H

#include "../float/vector.h"
#include "quantized_row.h"

LEAF_INLINE size_t plane_count(leaf_activation type) { return type == LEAF_ACTIVATION_INT16 ? 2 : 1; }

LEAF_INLINE i32x16 group_term(i32x16 q) { return q; }

LEAF_INLINE void put_values(leaf_activation type, uint8_t *values, size_t padded_columns, size_t column, i32x16 q) {
    i32x16 low = (q << 24) >> 24;
    i8x16 bytes = __builtin_convertvector(low, i8x16);
    if (type == LEAF_ACTIVATION_INT8) {
        memcpy(values + column, &bytes, sizeof bytes);
        return;
    }
    memcpy(values + padded_columns + column, &bytes, sizeof bytes);
    bytes = __builtin_convertvector((q - low) >> 8, i8x16);
    memcpy(values + column, &bytes, sizeof bytes);
}

#endif
