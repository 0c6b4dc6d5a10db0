/* The product of AMX with q4 weights, and of AVX-512 where rows are few. */
#if defined(__x86_64__)

#include "../tables.h"

#define FEW_ROWS leaf_q4_avx512

#pragma clang attribute push(                                                                                          \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c,amx-tile,amx-int8"))),          \
    apply_to = function)

#include "amx_tiles.h"
#include "bytes512.h"

#include "../product/q4.h"

#include "amx_product.h"

#pragma clang attribute pop

LEAF_PRODUCT(leaf_q4_amx, "amx");

#endif
