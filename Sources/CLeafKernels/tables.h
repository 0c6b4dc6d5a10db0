/* The tables that this build has; which of them the processor can run is for dispatch.c to say. */
#ifndef LEAF_TABLES_H
#define LEAF_TABLES_H

#include "include/leaf_kernels.h"

extern const leaf_float_kernels leaf_floats_scalar;
extern const leaf_product leaf_int8_scalar, leaf_q4_scalar, leaf_q3_scalar;
#if defined(__x86_64__)
extern const leaf_float_kernels leaf_floats_avx2, leaf_floats_avx512;
extern const leaf_product leaf_int8_avx2, leaf_int8_avxvnni, leaf_int8_avx512, leaf_int8_amx;
extern const leaf_product leaf_q4_avx2, leaf_q4_avxvnni, leaf_q4_avx512, leaf_q4_amx;
extern const leaf_product leaf_q3_avx2, leaf_q3_avxvnni, leaf_q3_avx512, leaf_q3_amx;
#elif defined(__aarch64__)
extern const leaf_float_kernels leaf_floats_neon;
extern const leaf_product leaf_int8_neon, leaf_q4_neon, leaf_q3_neon;
extern const leaf_product leaf_int8_i8mm, leaf_q4_i8mm, leaf_q3_i8mm;
#endif

/* What the encoder searches grids with: of each grid the thresholds between its entries (the last number that takes the
 * lower one), in the order of a heap from place 1 on, and at place 0 the step from an entry's place in ascending order
 * to its code; by the bits of a number the set of grids that hold it; by the largest magnitude of a block the grids
 * that are tried, and at 0 all grids. */
typedef struct {
    uint16_t first, count;
} leaf_grid_range;
extern const int8_t leaf_q4_thresholds[LEAF_GRIDS_COUNT][16], leaf_q3_thresholds[LEAF_GRIDS_COUNT][16];
extern const uint64_t leaf_q4_holders[256][LEAF_GRIDS_COUNT / 64], leaf_q3_holders[256][LEAF_GRIDS_COUNT / 64];
extern const leaf_grid_range leaf_q4_search[128], leaf_q3_search[128];

#endif
