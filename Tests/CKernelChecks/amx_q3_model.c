#if defined(__x86_64__)

#include "../../Sources/CLeafKernels/tables.h"

extern const leaf_product kernel_check_avx512_q3;
#define FEW_ROWS kernel_check_avx512_q3

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "amx_model.h"

#include "../../Sources/CLeafKernels/x86/bytes256.h"

#include "../../Sources/CLeafKernels/product/q3.h"

#include "../../Sources/CLeafKernels/x86/amx_product.h"

#pragma clang attribute pop

LEAF_PRODUCT(kernel_check_amx_q3, "model");

#endif
