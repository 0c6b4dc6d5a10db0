/* The product of AVX-VNNI with q3 weights. */
#if defined(__x86_64__)

#include "../tables.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)

#include "bytes256.h"
#include "avxvnni_dot.h"

#include "../product/q3.h"

#include "vnni.h"

#pragma clang attribute pop

LEAF_PRODUCT(leaf_q3_avxvnni, "avxvnni");

#endif
