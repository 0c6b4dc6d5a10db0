#include <string.h>

#include "quantized_row.h"
#include "tables.h"

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

size_t leaf_activation_row_bytes(leaf_activation type, size_t padded_columns) {
    return row_bytes(type, padded_columns);
}

const leaf_kernels *leaf_kernels_for(leaf_isa isa) {
    switch (isa) {
    case LEAF_ISA_SCALAR:
        return &leaf_kernels_scalar;
    case LEAF_ISA_AVX2:
#if defined(__x86_64__)
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
            return &leaf_kernels_avx2;
#endif
        return NULL;
    case LEAF_ISA_AVX512:
    case LEAF_ISA_NEON:
        return NULL;
    }
    return NULL;
}

const leaf_kernels *leaf_kernels_best(void) {
    static const leaf_isa fastest_first[] = {LEAF_ISA_AVX512, LEAF_ISA_AVX2, LEAF_ISA_NEON};
    for (size_t i = 0; i < sizeof fastest_first / sizeof *fastest_first; i++) {
        const leaf_kernels *kernels = leaf_kernels_for(fastest_first[i]);
        if (kernels) return kernels;
    }
    return &leaf_kernels_scalar;
}

const leaf_kernels *leaf_kernels_named(const char *name) {
    for (int isa = LEAF_ISA_SCALAR; isa <= LEAF_ISA_NEON; isa++) {
        const leaf_kernels *kernels = leaf_kernels_for((leaf_isa)isa);
        if (kernels && strcmp(kernels->name, name) == 0) return kernels;
    }
    return NULL;
}
