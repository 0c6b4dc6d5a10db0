/* The table of one instruction set, from the functions that its file has included and its own `linear`. */
#ifndef LEAF_FLOAT_TABLE_H
#define LEAF_FLOAT_TABLE_H

#include "attention.h"
#include "low_rank.h"
#include "quantize.h"

#define LEAF_KERNEL_TABLE(symbol, which, label)                                                                        \
    const leaf_kernels symbol = {                                                                                      \
        .isa = which,                                                                                                  \
        .name = label,                                                                                                 \
        .quantize_row = quantize_row,                                                                                  \
        .linear = linear,                                                                                              \
        .rms_norm = rms_norm,                                                                                          \
        .add = add,                                                                                                    \
        .gelu_multiply = gelu_multiply,                                                                                \
        .low_rank_down = low_rank_down,                                                                                \
        .low_rank_up = low_rank_up,                                                                                    \
        .embed_int8 = embed_int8,                                                                                      \
        .cache_store = cache_store,                                                                                    \
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
    }

#endif
