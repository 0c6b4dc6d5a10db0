/* float32 to float16 and back. The including file says LEAF_HARDWARE_HALF 1 where its instructions convert. */
#ifndef LEAF_FLOAT_HALF_H
#define LEAF_FLOAT_HALF_H

#include "vector.h"

typedef _Float16 f16x16 __attribute__((vector_size(32)));

LEAF_INLINE u16x16 load_half(const uint16_t *x) {
    u16x16 v;
    memcpy(&v, x, sizeof v);
    return v;
}

LEAF_INLINE void store_half(uint16_t *x, u16x16 v) { memcpy(x, &v, sizeof v); }

#if LEAF_HARDWARE_HALF

LEAF_INLINE f32x16 float_of_half(u16x16 h) { return __builtin_convertvector((f16x16)h, f32x16); }
LEAF_INLINE u16x16 half_of_float(f32x16 x) { return (u16x16)__builtin_convertvector(x, f16x16); }

#else

/* Exponent and fraction move to their places; multiplying by 2^112 corrects the bias, for denormals too. */
LEAF_INLINE f32x16 float_of_half(u16x16 h) {
    u32x16 wide = __builtin_convertvector(h, u32x16);
    u32x16 sign = (wide & 0x8000) << 16;
    u32x16 rest = (wide & 0x7FFF) << 13;
    u32x16 finite = (u32x16)((f32x16)rest * 0x1p112f);
    u32x16 infinite = (u32x16)(rest >= 0x0F800000);
    u32x16 nan = (u32x16)(rest > 0x0F800000);
    u32x16 special = rest | 0x7F800000 | (nan & 0x00400000);
    return (f32x16)(sign | (infinite & special) | (~infinite & finite));
}

/* Rounds to nearest even: normal numbers by an integer carry, denormal ones by adding 0.5, which aligns them. */
LEAF_INLINE u16x16 half_of_float(f32x16 x) {
    u32x16 bits = (u32x16)x & 0x7FFFFFFF;
    u32x16 sign = ((u32x16)x >> 16) & 0x8000;
    u32x16 normal = (bits + 0xC8000FFF + ((bits >> 13) & 1)) >> 13;
    u32x16 denormal = (u32x16)((f32x16)bits + 0.5f) - 0x3F000000;
    u32x16 small = (u32x16)(bits < 0x38800000);
    u32x16 large = (u32x16)(bits >= 0x47800000);
    u32x16 nan = (u32x16)(bits > 0x7F800000);
    u32x16 special = 0x7C00 | (nan & (0x0200 | ((bits >> 13) & 0x03FF)));
    u32x16 half = (small & denormal) | (~small & normal);
    half = sign | (large & special) | (~large & half);
    return __builtin_convertvector(half, u16x16);
}

#endif

#endif
