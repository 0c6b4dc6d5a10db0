/* The product of NEON with int8 weights. */
#if defined(__aarch64__)

#include "../tables.h"

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

#include "bytes.h"

#include "../product/int8.h"

#include "neon_dot.h"
#include "neon_product.h"

#pragma clang attribute pop

LEAF_PRODUCT(leaf_int8_neon, "neon");

#endif
