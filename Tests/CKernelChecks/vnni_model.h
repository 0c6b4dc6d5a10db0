/* vpdpbusd in plain C, under AVX2: what a source that takes the instruction computes and how it lays rows out, where the
 * processor does not have it. The including file says LEAF_DOT_SUMS, LEAF_DOTS_IN_FLIGHT and LEAF_QUERY_TILE. */
#include "kernel_checks.h"

#if defined(__x86_64__)

#define LEAF_HARDWARE_HALF 1
#define LEAF_HARDWARE_BYTES 1

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "../../Sources/CLeafKernels/float/table.h"
#include "../../Sources/CLeafKernels/product/byte_planes.h"

/* Four unsigned bytes of `weights` by four signed ones of `activations`, in each lane. */
LEAF_INLINE i32x16 dot_bytes(i32x16 sums, i32x16 weights, i32x16 activations) {
    for (int byte = 0; byte < 32; byte += 8) {
        i32x16 w = (i32x16)((u32x16)weights << (24 - byte) >> 24);
        sums += w * (activations << (24 - byte) >> 24);
    }
    return sums;
}

#include "../../Sources/CLeafKernels/x86/vnni.h"

#pragma clang attribute pop

static LEAF_FLOAT_TABLE(model_floats, "model");
static LEAF_INT8_PRODUCT(model_product, "model");
static const leaf_kernels model_kernels = {"model", &model_floats, {&model_product}};

static const leaf_kernels *model(void) { return leaf_kernels_named("avx2") ? &model_kernels : NULL; }

#else

static const leaf_kernels *model(void) { return NULL; }

#endif
