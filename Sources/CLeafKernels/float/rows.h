/* Arithmetic over one row of n floats. Whole vectors first, then one that is filled up with zeros. */
#ifndef LEAF_FLOAT_ROWS_H
#define LEAF_FLOAT_ROWS_H

#include "half.h"
#include "math.h"

#define LEAF_WHOLE(n) ((n) / LEAF_LANES * LEAF_LANES)

static void rms_norm(const float *x, const float *weight, size_t n, float eps, float *y) {
    f32x16 squares = {0};
    size_t whole = LEAF_WHOLE(n);
    for (size_t i = 0; i < whole; i += LEAF_LANES) squares = fma16(load16(x + i), load16(x + i), squares);
    f32x16 last = load_part(x + whole, n - whole);
    squares = fma16(last, last, squares);

    float mean = tree_sum(squares) / (float)n;
    f32x16 root = __builtin_elementwise_sqrt(spread(mean + eps));
    for (size_t i = 0; i < whole; i += LEAF_LANES) store16(y + i, load16(x + i) / root * load16(weight + i));
    store_part(y + whole, last / root * load_part(weight + whole, n - whole), n - whole);
}

static void add(float *x, const float *y, size_t n) {
    size_t whole = LEAF_WHOLE(n);
    for (size_t i = 0; i < whole; i += LEAF_LANES) store16(x + i, load16(x + i) + load16(y + i));
    store_part(x + whole, load_part(x + whole, n - whole) + load_part(y + whole, n - whole), n - whole);
}

static void gelu_multiply(float *gate, const float *up, size_t n) {
    size_t whole = LEAF_WHOLE(n);
    for (size_t i = 0; i < whole; i += LEAF_LANES) store16(gate + i, gelu16(load16(gate + i)) * load16(up + i));
    f32x16 last = gelu16(load_part(gate + whole, n - whole)) * load_part(up + whole, n - whole);
    store_part(gate + whole, last, n - whole);
}

static void exp_row(const float *x, float *y, size_t n) {
    size_t whole = LEAF_WHOLE(n);
    for (size_t i = 0; i < whole; i += LEAF_LANES) store16(y + i, exp16(load16(x + i)));
    store_part(y + whole, exp16(load_part(x + whole, n - whole)), n - whole);
}

static void erf_row(const float *x, float *y, size_t n) {
    size_t whole = LEAF_WHOLE(n);
    for (size_t i = 0; i < whole; i += LEAF_LANES) store16(y + i, erf16(load16(x + i)));
    store_part(y + whole, erf16(load_part(x + whole, n - whole)), n - whole);
}

/* Lanes that take no part hold -inf, whose exponential is an exact zero. All -inf gives zeros. */
static void softmax(float *x, size_t n) {
    size_t whole = LEAF_WHOLE(n), rest = n - whole;
    f32x16 last = spread(-LEAF_INFINITY);
    memcpy(&last, x + whole, rest * sizeof(float));

    f32x16 largest = last;
    for (size_t i = 0; i < whole; i += LEAF_LANES) largest = larger(largest, load16(x + i));
    float peak = tree_max(largest);
    if (peak == -LEAF_INFINITY) peak = 0.0f;

    f32x16 sums = {0};
    for (size_t i = 0; i < whole; i += LEAF_LANES) {
        f32x16 e = exp16(load16(x + i) - peak);
        sums += e;
        store16(x + i, e);
    }
    last = exp16(last - peak);
    sums += last;

    float sum = tree_sum(sums);
    if (sum == 0.0f) sum = 1.0f;
    for (size_t i = 0; i < whole; i += LEAF_LANES) store16(x + i, load16(x + i) / sum);
    store_part(x + whole, last / sum, rest);
}

static size_t argmax(const float *x, size_t n) {
    f32x16 best = spread(-LEAF_INFINITY);
    i32x16 vectors = {0};  /* by lane, which vector has its best number */
    size_t whole = LEAF_WHOLE(n);
    for (size_t i = 0; i < whole; i += LEAF_LANES) {
        f32x16 v = load16(x + i);
        i32x16 wins = v > best;
        best = choose(wins, v, best);
        vectors = choose_int(wins, (i32x16){0} + (int32_t)(i / LEAF_LANES), vectors);
    }
    float largest = tree_max(best);
    for (size_t i = whole; i < n; i++) largest = x[i] > largest ? x[i] : largest;

    size_t index = n;
    if (largest == -LEAF_INFINITY) {  /* nothing ever won: the first that is a number */
        for (size_t i = n; i-- > 0;) index = x[i] == largest ? i : index;
        return index;
    }
    for (size_t i = n; i-- > whole;) index = x[i] == largest ? i : index;
    for (size_t lane = 0; lane < LEAF_LANES; lane++) {
        size_t at = (size_t)vectors[lane] * LEAF_LANES + lane;
        if (best[lane] == largest && at < index) index = at;
    }
    return index;
}

static float absmax(const float *x, size_t n) {
    i32x16 largest = {0};
    size_t whole = LEAF_WHOLE(n);
    for (size_t i = 0; i < whole; i += LEAF_LANES) largest = larger_int(largest, magnitude_bits(load16(x + i)));
    largest = larger_int(largest, magnitude_bits(load_part(x + whole, n - whole)));
    return float_of_bits((uint32_t)tree_max_int(largest));
}

static void quantize_weights(const float *x, size_t n, float scale, int8_t *q) {
    if (scale == 0.0f) {
        memset(q, 0, n);
        return;
    }
    for (size_t i = 0; i < n; i += LEAF_LANES) {
        f32x16 ratio = load_columns(x, i, n) / scale;
        ratio = choose(ratio > 127.0f, spread(127.0f), ratio);
        ratio = choose(ratio < -127.0f, spread(-127.0f), ratio);
        i8x16 rounded = __builtin_convertvector(to_int(round_even(ratio)), i8x16);
        memcpy(q + i, &rounded, n - i < LEAF_LANES ? n - i : LEAF_LANES);
    }
}

static void f16_to_f32(const uint16_t *x, float *y, size_t n) {
    size_t whole = LEAF_WHOLE(n), rest = n - whole;
    for (size_t i = 0; i < whole; i += LEAF_LANES) store16(y + i, float_of_half(load_half(x + i)));
    u16x16 last = {0};
    memcpy(&last, x + whole, rest * sizeof(uint16_t));
    store_part(y + whole, float_of_half(last), rest);
}

static void f32_to_f16(const float *x, uint16_t *y, size_t n) {
    size_t whole = LEAF_WHOLE(n), rest = n - whole;
    for (size_t i = 0; i < whole; i += LEAF_LANES) store_half(y + i, half_of_float(load16(x + i)));
    u16x16 last = half_of_float(load_part(x + whole, rest));
    memcpy(y + whole, &last, rest * sizeof(uint16_t));
}

static void bf16_to_f32(const uint16_t *x, float *y, size_t n) {
    size_t whole = LEAF_WHOLE(n), rest = n - whole;
    for (size_t i = 0; i < whole; i += LEAF_LANES)
        store16(y + i, (f32x16)(__builtin_convertvector(load_half(x + i), u32x16) << 16));
    u16x16 last = {0};
    memcpy(&last, x + whole, rest * sizeof(uint16_t));
    store_part(y + whole, (f32x16)(__builtin_convertvector(last, u32x16) << 16), rest);
}

#endif
