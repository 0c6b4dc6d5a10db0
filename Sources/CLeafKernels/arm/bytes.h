/* Weights in vectors of 16 bytes. */
#ifndef LEAF_ARM_BYTES_H
#define LEAF_ARM_BYTES_H

#include <arm_neon.h>

typedef int8_t bytes __attribute__((vector_size(16)));

static inline __attribute__((always_inline)) bytes lookup(bytes grids, bytes codes) {
    return (bytes)vqtbl1q_s8((int8x16_t)grids, (uint8x16_t)codes);
}

#endif
