/* The tables that this build has; which of them the processor can run is for dispatch.c to say. */
#ifndef LEAF_TABLES_H
#define LEAF_TABLES_H

#include "include/leaf_kernels.h"

extern const leaf_float_kernels leaf_floats_scalar;
extern const leaf_product leaf_int8_scalar, leaf_q4_scalar;
#if defined(__x86_64__)
extern const leaf_float_kernels leaf_floats_avx2, leaf_floats_avx512;
extern const leaf_product leaf_int8_avx2, leaf_int8_avxvnni, leaf_int8_avx512;
extern const leaf_product leaf_q4_avx2, leaf_q4_avxvnni, leaf_q4_avx512;
#elif defined(__aarch64__)
extern const leaf_float_kernels leaf_floats_neon;
extern const leaf_product leaf_int8_neon, leaf_q4_neon;
#endif

#endif
