/* vpdpbusd in plain C, under AVX2: what a source that takes the instruction computes and how it lays rows out, where
 * the processor does not have it. The including file has a layout, LEAF_DOT_SUMS and LEAF_DOTS_IN_FLIGHT. */
#ifndef VNNI_MODEL_H
#define VNNI_MODEL_H

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

#endif
