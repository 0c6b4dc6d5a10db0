/* The AVX-512 kernels with vpdpbusd computed in plain C, under AVX2. */
#include "kernel_checks.h"

#if defined(__x86_64__)

#define LEAF_HARDWARE_HALF 1
#define LEAF_QUERY_TILE 12

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "../../Sources/CLeafKernels/byte_planes.h"

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

static LEAF_KERNEL_TABLE(model, LEAF_ISA_AVX512, "avx512 model");

const leaf_kernels *kernel_check_avx512_model(void) {
    return leaf_kernels_for(LEAF_ISA_AVX2) ? &model : NULL;
}

#else

const leaf_kernels *kernel_check_avx512_model(void) { return NULL; }

#endif
