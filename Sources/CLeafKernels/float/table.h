/* The float functions of one vector width, compiled by inclusion under that width's target attribute. The including
 * file says LEAF_HARDWARE_HALF 1 where its instructions convert float16, LEAF_HARDWARE_BYTES 1 where they look bytes
 * up in a table of 16, and LEAF_QUERY_TILE, how many 16-float accumulators its registers hold: 3, 6 or 12. */
#ifndef LEAF_FLOAT_TABLE_H
#define LEAF_FLOAT_TABLE_H

#include "attention.h"
#include "encode.h"
#include "feedback.h"
#include "low_rank.h"

#define LEAF_FLOAT_TABLE(symbol, label)                                                                                \
    const leaf_float_kernels symbol = {                                                                                \
        .name = label,                                                                                                 \
        .rms_norm = rms_norm,                                                                                          \
        .add = add,                                                                                                    \
        .gelu_multiply = gelu_multiply,                                                                                \
        .low_rank_down = low_rank_down,                                                                                \
        .low_rank_up = low_rank_up,                                                                                    \
        .cache_store = cache_store,                                                                                    \
        .cache_copy = cache_copy,                                                                                      \
        .attention = attention,                                                                                        \
        .exp = exp_row,                                                                                                \
        .erf = erf_row,                                                                                                \
        .softmax = softmax,                                                                                            \
        .f16_to_f32 = f16_to_f32,                                                                                      \
        .f32_to_f16 = f32_to_f16,                                                                                      \
        .bf16_to_f32 = bf16_to_f32,                                                                                    \
        .argmax = argmax,                                                                                              \
        .absmax = absmax,                                                                                              \
        .quantize_weights = quantize_weights,                                                                          \
        .encode = encode,                                                                                              \
        .add_products = add_products,                                                                                  \
    }

#endif
