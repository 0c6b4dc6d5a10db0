/* The tables that this build has; which of them the processor can run is for dispatch.c to say. */
#ifndef LEAF_TABLES_H
#define LEAF_TABLES_H

#include "include/leaf_kernels.h"

extern const leaf_kernels leaf_kernels_scalar;
#if defined(__x86_64__)
extern const leaf_kernels leaf_kernels_avx2;
extern const leaf_kernels leaf_kernels_avx512;
#elif defined(__aarch64__)
extern const leaf_kernels leaf_kernels_neon;
#endif

#endif
