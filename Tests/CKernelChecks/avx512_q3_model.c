#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "../../Sources/CLeafKernels/x86/bytes256.h"

#include "../../Sources/CLeafKernels/product/q3.h"

#define LEAF_DOT_SUMS 24
#define LEAF_DOTS_IN_FLIGHT 8
#include "vnni_model.h"

#pragma clang attribute pop

LEAF_PRODUCT(kernel_check_avx512_q3, "model");

#endif
