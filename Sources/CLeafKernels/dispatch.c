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

#if defined(__x86_64__)
static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}
#elif defined(__aarch64__)
static int has_dot_product(void) {
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
    return 0;
#endif
}
#endif

const leaf_kernels *leaf_kernels_for(leaf_isa isa) {
    switch (isa) {
    case LEAF_ISA_SCALAR:
        return &leaf_kernels_scalar;
#if defined(__x86_64__)
    case LEAF_ISA_AVX2:
        return has_avx2() ? &leaf_kernels_avx2 : NULL;
    case LEAF_ISA_AVX512:
        return has_avx512() ? &leaf_kernels_avx512 : NULL;
#elif defined(__aarch64__)
    case LEAF_ISA_NEON:
        return has_dot_product() ? &leaf_kernels_neon : NULL;
#endif
    default:
        return NULL;
    }
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
