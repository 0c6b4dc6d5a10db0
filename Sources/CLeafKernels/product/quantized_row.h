/* A quantized activation row, and a call of the product that takes such rows.
 *
 * A row is values (two bytes a padded column, whichever the type), then one float scale a group, then one int32 a
 * group, a sum over its values. Each section is a multiple of 64 bytes. How the values lie and what is summed is each
 * instruction set's own business. */
#ifndef LEAF_QUANTIZED_ROW_H
#define LEAF_QUANTIZED_ROW_H

#include "../include/leaf_kernels.h"

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

/* One call of `linear`. Within its tiles, output rows and columns are counted from the call's first. */
typedef struct {
    leaf_activation type;
    size_t padded_columns;
    const char *activations;
    size_t stride;              /* bytes of a quantized row */
    const float *row_scales;
    float *y;
    size_t y_stride;            /* floats */
} linear_task;

static inline linear_task make_task(leaf_activation type, size_t padded_columns, const float *row_scales,
                                    const void *activations, float *y, size_t y_stride) {
    return (linear_task){type, padded_columns, activations, row_bytes(type, padded_columns), row_scales, y, y_stride};
}

static inline const char *values_of(const linear_task *task, size_t row) {
    return task->activations + row * task->stride;
}

static inline float scale_of(const linear_task *task, size_t row, size_t group) {
    return ((const float *)(values_of(task, row) + scales_offset(task->padded_columns)))[group];
}

static inline int32_t sum_of(const linear_task *task, size_t row, size_t group) {
    return ((const int32_t *)(values_of(task, row) + sums_offset(task->type, task->padded_columns)))[group];
}

static inline float *output_of(const linear_task *task, size_t row, size_t output) {
    return task->y + row * task->y_stride + output;
}

/* One past the last column of the group that `column` begins. */
static inline size_t group_end(const linear_task *task, size_t column) {
    size_t end = column + group_columns(task->type);
    return end < task->padded_columns ? end : task->padded_columns;
}

#endif
