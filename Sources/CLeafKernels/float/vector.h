/* A virtual vector of 16 floats. The float32 arithmetic of all instruction sets is written over it once; the compiler
 * splits it into the registers at hand. Every function here is one IEEE operation a lane, so the bits never depend on
 * the splitting. */
#ifndef LEAF_FLOAT_VECTOR_H
#define LEAF_FLOAT_VECTOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* a * b + c is two roundings unless it is written as fma. */
#pragma STDC FP_CONTRACT OFF
/* Vectors wider than a register are passed between inlined functions only. */
#pragma clang diagnostic ignored "-Wpsabi"

#define LEAF_LANES 16
#define LEAF_INLINE static inline __attribute__((always_inline))

typedef float f32x16 __attribute__((vector_size(64)));
typedef int32_t i32x16 __attribute__((vector_size(64)));
typedef uint32_t u32x16 __attribute__((vector_size(64)));
typedef int16_t i16x16 __attribute__((vector_size(32)));
typedef uint16_t u16x16 __attribute__((vector_size(32)));
typedef int8_t i8x16 __attribute__((vector_size(16)));

LEAF_INLINE f32x16 load16(const float *x) {
    f32x16 v;
    memcpy(&v, x, sizeof v);
    return v;
}

LEAF_INLINE void store16(float *x, f32x16 v) { memcpy(x, &v, sizeof v); }

/* The first n of 16 lanes; the others are zero and not read. */
LEAF_INLINE f32x16 load_part(const float *x, size_t n) {
    if (n == LEAF_LANES) return load16(x);
    f32x16 v = {0};
    memcpy(&v, x, n * sizeof(float));
    return v;
}

LEAF_INLINE void store_part(float *x, f32x16 v, size_t n) {
    if (n == LEAF_LANES)
        store16(x, v);
    else
        memcpy(x, &v, n * sizeof(float));
}

/* 16 numbers from `column` on; those at `columns` and beyond are zero. */
LEAF_INLINE f32x16 load_columns(const float *x, size_t column, size_t columns) {
    if (column + LEAF_LANES <= columns) return load16(x + column);
    return column < columns ? load_part(x + column, columns - column) : (f32x16){0};
}

LEAF_INLINE f32x16 spread(float x) { return (f32x16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }

LEAF_INLINE f32x16 fma16(f32x16 a, f32x16 b, f32x16 c) { return __builtin_elementwise_fma(a, b, c); }

/* a where the mask is set, else b. */
LEAF_INLINE f32x16 choose(i32x16 mask, f32x16 a, f32x16 b) {
    return (f32x16)((mask & (i32x16)a) | (~mask & (i32x16)b));
}

LEAF_INLINE i32x16 choose_int(i32x16 mask, i32x16 a, i32x16 b) { return (mask & a) | (~mask & b); }

/* The larger of two; where one is NaN, a. */
LEAF_INLINE f32x16 larger(f32x16 a, f32x16 b) { return choose(b > a, b, a); }

/* The bits of |x|. As integers they order like the magnitudes, infinity next to last, NaN last. */
LEAF_INLINE i32x16 magnitude_bits(f32x16 x) { return (i32x16)x & 0x7FFFFFFF; }

/* The nearest integer, ties to even, for |x| < 2^22: adding 1.5 * 2^23 leaves no room for a fraction. */
#define LEAF_ROUNDING 0x1.8p23f
LEAF_INLINE f32x16 round_even(f32x16 x) { return (x + LEAF_ROUNDING) - LEAF_ROUNDING; }

LEAF_INLINE i32x16 to_int(f32x16 x) { return __builtin_convertvector(x, i32x16); }

/* Fixed trees over the lanes: i with i + 8, then i + 4, i + 2, i + 1. */
#define LEAF_TREE(v, combine)                                                                                          \
    do {                                                                                                               \
        v = combine(v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));     \
        v = combine(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7));                 \
        v = combine(v, __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3));                 \
        v = combine(v, __builtin_shufflevector(v, v, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1));                 \
    } while (0)

LEAF_INLINE f32x16 plus(f32x16 a, f32x16 b) { return a + b; }
LEAF_INLINE i32x16 plus_int(i32x16 a, i32x16 b) { return a + b; }
LEAF_INLINE i32x16 larger_int(i32x16 a, i32x16 b) { return choose_int(b > a, b, a); }

LEAF_INLINE float tree_sum(f32x16 v) {
    LEAF_TREE(v, plus);
    return v[0];
}

LEAF_INLINE float tree_max(f32x16 v) {
    LEAF_TREE(v, larger);
    return v[0];
}

LEAF_INLINE int32_t tree_sum_int(i32x16 v) {
    LEAF_TREE(v, plus_int);
    return v[0];
}

LEAF_INLINE int32_t tree_max_int(i32x16 v) {
    LEAF_TREE(v, larger_int);
    return v[0];
}

LEAF_INLINE float float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
