/* The product of AVX2 with q3 weights. */
#if defined(__x86_64__)

#include "../tables.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "bytes256.h"

#include "../product/q3.h"

#include "avx2_product.h"

#pragma clang attribute pop

LEAF_PRODUCT(leaf_q3_avx2, "avx2");

#endif
