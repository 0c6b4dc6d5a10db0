/* sdot of ARMv8.2: a register of 4 output rows by 4 columns times one quad of activations, a lane of a register. */
#ifndef LEAF_ARM_NEON_DOT_H
#define LEAF_ARM_NEON_DOT_H

#include <arm_neon.h>

#include "../product/byte_planes.h"

enum { DOT_LEAST_PLANES = 1 };

LEAF_INLINE void arrange_values(int8x16_t *values, size_t planes) { (void)values, (void)planes; }

#define ADD_DOTS(sums, w, values, planes, step)                                                                        \
    for (size_t p = 0; p < (planes); p++) {                                                                            \
        int32x4_t sum = vdotq_laneq_s32((sums)[p], (int8x16_t)(w)[0], (values)[p], 2 * (step));                        \
        (sums)[p] = vdotq_laneq_s32(sum, (int8x16_t)(w)[1], (values)[p], 2 * (step) + 1);                              \
    }

LEAF_INLINE void separate_planes(int32x4_t *sums, size_t planes) { (void)sums, (void)planes; }

#endif
