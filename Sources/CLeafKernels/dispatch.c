#include <string.h>

#include "product/quantized_row.h"
#include "tables.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

size_t leaf_activation_row_bytes(leaf_activation type, size_t padded_columns) {
    return row_bytes(type, padded_columns);
}

static int is_anywhere(void) { return 1; }

#if defined(__x86_64__)
#define X86(what) what
#define ARM(what) NULL

static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

/* Asks the processor itself: compilers and their libraries disagree on the number of this feature. */
static int has_avxvnni(void) {
    unsigned a, b, c, d;
    return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}

static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}

/* Whether the processor has AMX with int8, and the system saves its registers: bits 17 and 18 of XCR0. */
static int has_tiles(void) {
    unsigned a, b, c, d, states, upper;
    if (!has_avx512() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d >> 24 & 3) != 3) return 0;
    __asm__("xgetbv" : "=a"(states), "=d"(upper) : "c"(0));
    return (states >> 17 & 3) == 3;
}

#if defined(__linux__)

/* Calls of arch_prctl, which older headers lack, and the number of the tiles' data among the states. */
enum { GET_PERMISSIONS = 0x1022, ASK_PERMISSION = 0x1023, TILE_DATA = 18 };

static int has_amx(void) {
    unsigned long permitted = 0;
    return has_tiles() && syscall(SYS_arch_prctl, GET_PERMISSIONS, &permitted) == 0 && (permitted >> TILE_DATA & 1);
}

int leaf_kernels_permit(void) {
    return has_tiles() && syscall(SYS_arch_prctl, ASK_PERMISSION, TILE_DATA) != 0 ? errno : 0;
}

#else

static int has_amx(void) { return 0; }

#endif

#elif defined(__aarch64__)
#define X86(what) NULL
#define ARM(what) what

#if defined(__linux__)

/* Bit 13 of AT_HWCAP2, which older headers lack. */
enum { I8MM = 1 << 13 };

static int has_dot_product(void) { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }
static int has_i8mm(void) { return has_dot_product() && (getauxval(AT_HWCAP2) & I8MM) != 0; }

#elif defined(__APPLE__)

static int has_feature(const char *name) {
    int value = 0;
    size_t bytes = sizeof value;
    return sysctlbyname(name, &value, &bytes, NULL, 0) == 0 && value != 0;
}

static int has_dot_product(void) { return has_feature("hw.optional.arm.FEAT_DotProd"); }
static int has_i8mm(void) { return has_dot_product() && has_feature("hw.optional.arm.FEAT_I8MM"); }

#else

static int has_dot_product(void) { return 0; }
static int has_i8mm(void) { return 0; }

#endif

#else
#define X86(what) NULL
#define ARM(what) NULL
#endif

/* All instruction sets, slowest first. Those of other processors have no tables. */
static const struct {
    leaf_kernels kernels;
    int (*is_here)(void);
} sets[] = {
    {{"scalar", &leaf_floats_scalar, {&leaf_int8_scalar, &leaf_q4_scalar, &leaf_q3_scalar}}, is_anywhere},
    {{"avx2", X86(&leaf_floats_avx2), {X86(&leaf_int8_avx2), X86(&leaf_q4_avx2), X86(&leaf_q3_avx2)}}, X86(has_avx2)},
    {{"avxvnni", X86(&leaf_floats_avx2), {X86(&leaf_int8_avxvnni), X86(&leaf_q4_avxvnni), X86(&leaf_q3_avxvnni)}},
     X86(has_avxvnni)},
    {{"avx512", X86(&leaf_floats_avx512), {X86(&leaf_int8_avx512), X86(&leaf_q4_avx512), X86(&leaf_q3_avx512)}},
     X86(has_avx512)},
    {{"amx", X86(&leaf_floats_avx512), {X86(&leaf_int8_amx), X86(&leaf_q4_amx), X86(&leaf_q3_amx)}}, X86(has_amx)},
    {{"neon", ARM(&leaf_floats_neon), {ARM(&leaf_int8_neon), ARM(&leaf_q4_neon), ARM(&leaf_q3_neon)}},
     ARM(has_dot_product)},
    {{"i8mm", ARM(&leaf_floats_neon), {ARM(&leaf_int8_i8mm), ARM(&leaf_q4_i8mm), ARM(&leaf_q3_i8mm)}}, ARM(has_i8mm)},
};
enum { set_count = sizeof sets / sizeof *sets };

static int is_here(size_t set) { return sets[set].is_here && sets[set].is_here(); }

const char *leaf_kernels_name(size_t index) { return index < set_count ? sets[index].kernels.name : NULL; }

const leaf_kernels *leaf_kernels_named(const char *name) {
    for (size_t set = 0; set < set_count; set++)
        if (strcmp(sets[set].kernels.name, name) == 0) return is_here(set) ? &sets[set].kernels : NULL;
    return NULL;
}

const leaf_kernels *leaf_kernels_best(void) {
    size_t set = set_count - 1;
    while (!is_here(set)) set--;
    return &sets[set].kernels;
}

#if !defined(__x86_64__) || !defined(__linux__)
int leaf_kernels_permit(void) { return 0; }
#endif
