/* smmla of ARMv8.6: two rows of 8 values times two output rows of 8 weights. The rows of values are two planes, those
 * of one row or of two; a single plane takes both places. */
#ifndef LEAF_ARM_I8MM_DOT_H
#define LEAF_ARM_I8MM_DOT_H

#include <arm_neon.h>

#include "../product/byte_planes.h"

enum { DOT_LEAST_PLANES = 2 };

LEAF_INLINE int64x2_t as_pair(int32x4_t v) { return vreinterpretq_s64_s32(v); }

/* From 16 columns of each of two planes to 8 columns of both, twice: one for each step. */
LEAF_INLINE void arrange_values(int8x16_t *values, size_t planes) {
    for (size_t p = 0; p < planes; p += 2) {
        int64x2_t first = vreinterpretq_s64_s8(values[p]), second = vreinterpretq_s64_s8(values[p + 1]);
        values[p] = vreinterpretq_s8_s64(vzip1q_s64(first, second));
        values[p + 1] = vreinterpretq_s8_s64(vzip2q_s64(first, second));
    }
}

/* Sum p has the first two of 4 output rows for both planes, sum p + 1 the other two. */
#define ADD_DOTS(sums, w, values, planes, step)                                                                        \
    do {                                                                                                               \
        int32x4_t low = (int32x4_t)(w)[0], high = (int32x4_t)(w)[1];                                                   \
        int8x16_t upper = vreinterpretq_s8_s32(vzip1q_s32(low, high));                                                 \
        int8x16_t lower = vreinterpretq_s8_s32(vzip2q_s32(low, high));                                                 \
        for (size_t p = 0; p < (planes); p += 2) {                                                                     \
            (sums)[p] = vmmlaq_s32((sums)[p], (values)[p + (step)], upper);                                            \
            (sums)[p + 1] = vmmlaq_s32((sums)[p + 1], (values)[p + (step)], lower);                                    \
        }                                                                                                              \
    } while (0)

LEAF_INLINE void separate_planes(int32x4_t *sums, size_t planes) {
    for (size_t p = 0; p < planes; p += 2) {
        int64x2_t upper = as_pair(sums[p]), lower = as_pair(sums[p + 1]);
        sums[p] = vreinterpretq_s32_s64(vzip1q_s64(upper, lower));
        sums[p + 1] = vreinterpretq_s32_s64(vzip2q_s64(upper, lower));
    }
}

#endif
