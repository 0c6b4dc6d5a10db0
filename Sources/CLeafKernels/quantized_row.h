/* A quantized activation row: values (two bytes a padded column, whichever the type), then one float scale a group, then
 * one int32 a group, the sum of the group's values. Each section is a multiple of 64 bytes. How the values lie is each
 * instruction set's own business. */
#ifndef LEAF_QUANTIZED_ROW_H
#define LEAF_QUANTIZED_ROW_H

#include "include/leaf_kernels.h"

static inline size_t group_columns(leaf_activation type) { return type == LEAF_ACTIVATION_INT16 ? 128 : 64; }

/* The largest magnitude of a value. 32639 = 127 * 256 + 127: both bytes of 256 h + l lie in -128...127. */
static inline float largest_value(leaf_activation type) { return type == LEAF_ACTIVATION_INT16 ? 32639.0f : 127.0f; }

static inline size_t group_count(leaf_activation type, size_t padded_columns) {
    size_t columns = group_columns(type);
    return (padded_columns + columns - 1) / columns;
}

static inline size_t scales_offset(size_t padded_columns) { return 2 * padded_columns; }

static inline size_t sums_offset(leaf_activation type, size_t padded_columns) {
    return scales_offset(padded_columns) + LEAF_ALIGN_UP(group_count(type, padded_columns) * sizeof(float), 64);
}

static inline size_t row_bytes(leaf_activation type, size_t padded_columns) {
    return sums_offset(type, padded_columns) + LEAF_ALIGN_UP(group_count(type, padded_columns) * sizeof(int32_t), 64);
}

#endif
