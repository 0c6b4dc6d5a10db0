/* exp and erf of 16 floats. Coefficients by Scripts/fit-polynomials.py, errors in Documentation/numerics.md. */
#ifndef LEAF_FLOAT_MATH_H
#define LEAF_FLOAT_MATH_H

#include "vector.h"

#define LEAF_INFINITY __builtin_inff()
/* Above the first exp is infinite; below the second it is less than the smallest normal float, and given as zero. */
#define LEAF_EXP_LARGEST 0x1.62e42ep+6f
#define LEAF_EXP_SMALLEST -0x1.5d589ep+6f

/* exp(x) for LEAF_EXP_SMALLEST <= x <= LEAF_EXP_LARGEST: x = n ln 2 + r, exp(r) = 1 + r + r^2 P(r), and n added to the
 * exponent. r comes in two parts, n times the upper bits of ln 2 taken off x exactly, and n times the rest. */
LEAF_INLINE f32x16 exp_bounded(f32x16 x) {
    f32x16 shifted = fma16(x, spread(0x1.715476p+0f), spread(LEAF_ROUNDING));
    f32x16 n = shifted - LEAF_ROUNDING;
    f32x16 upper = fma16(n, spread(-0x1.62e4p-1f), x);
    f32x16 lower = n * -0x1.7f7d1cp-20f;
    f32x16 r = upper + lower;
    f32x16 p = spread(0x1.6a4f88p-10f);
    p = fma16(p, r, spread(0x1.123988p-7f));
    p = fma16(p, r, spread(0x1.5558aep-5f));
    p = fma16(p, r, spread(0x1.555492p-3f));
    p = fma16(p, r, spread(0x1.fffffcp-2f));
    f32x16 y = (upper + fma16(r * r, p, lower)) + 1.0f;
    return (f32x16)((i32x16)y + ((i32x16)shifted << 23));
}

LEAF_INLINE f32x16 exp16(f32x16 x) {
    f32x16 y = exp_bounded(x);
    y = choose(x > LEAF_EXP_LARGEST, spread(LEAF_INFINITY), y);
    y = choose(x < LEAF_EXP_SMALLEST, spread(0.0f), y);
    return choose(x == x, y, x);
}

/* x + x P(x^2) below 1, and 1 - exp(-t Q(t)) for t = |x| from there. From 4 on erf is 1 in float32. */
LEAF_INLINE f32x16 erf16(f32x16 x) {
    f32x16 square = x * x;
    f32x16 p = spread(0x1.4771fcp-14f);
    p = fma16(p, square, spread(-0x1.a3515ep-11f));
    p = fma16(p, square, spread(0x1.53f224p-8f));
    p = fma16(p, square, spread(-0x1.b7f71ap-6f));
    p = fma16(p, square, spread(0x1.ce2ce6p-4f));
    p = fma16(p, square, spread(-0x1.81273ep-2f));
    p = fma16(p, square, spread(0x1.06eba8p-3f));
    f32x16 small = fma16(x, p, x);

    f32x16 t = (f32x16)magnitude_bits(x);
    f32x16 bounded = choose(t > 4.0f, spread(4.0f), t);
    f32x16 q = spread(0x1.e90c38p-19f);
    q = fma16(q, bounded, spread(-0x1.ef2afap-16f));
    q = fma16(q, bounded, spread(-0x1.172f64p-13f));
    q = fma16(q, bounded, spread(0x1.9efc9ep-9f));
    q = fma16(q, bounded, spread(-0x1.79e68p-6f));
    q = fma16(q, bounded, spread(0x1.b0b706p-4f));
    q = fma16(q, bounded, spread(0x1.455644p-1f));
    q = fma16(q, bounded, spread(0x1.20ebb4p+0f));
    f32x16 large = 1.0f - exp_bounded(-bounded * q);
    large = (f32x16)((i32x16)large | ((i32x16)x & (int32_t)0x80000000));

    return choose(t < 1.0f, small, choose(x == x, large, x));
}

/* 0.5 x (1 + erf(x / sqrt 2)) */
LEAF_INLINE f32x16 gelu16(f32x16 x) { return (0.5f * x) * (1.0f + erf16(x * 0x1.6a09e6p-1f)); }

#endif
