#include "limits.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

/* Without prefetch instructions, which slow it down on Zen 3: it waits for nothing but memory. */
__attribute__((target("avx2"))) void read_all(const char *bytes, size_t count) {
    __m256i sum[4] = {0};
    for (size_t i = 0; i + 128 <= count; i += 128) {
        for (int j = 0; j < 4; j++)
            sum[j] = _mm256_xor_si256(sum[j], _mm256_loadu_si256((const __m256i *)(bytes + i + 32 * j)));
    }
    __m256i all = _mm256_xor_si256(_mm256_xor_si256(sum[0], sum[1]), _mm256_xor_si256(sum[2], sum[3]));
    __asm__ volatile("" : : "x"(all));
}

__attribute__((target("avx2"))) static void multiply_add_avx2(long steps) {
    __m256i sum[12] = {0}, a = _mm256_set1_epi16(3), b = _mm256_set1_epi16(5);
    for (long i = 0; i < steps; i++) {
        for (int j = 0; j < 12; j++) {
            __asm__ volatile("" : "+x"(a));  /* or all would share one product */
            sum[j] = _mm256_add_epi32(sum[j], _mm256_madd_epi16(a, b));
        }
        for (int j = 0; j < 12; j++) __asm__ volatile("" : "+x"(sum[j]));
    }
}

__attribute__((target("avx512f,avx512vnni"))) static void multiply_add_avx512(long steps) {
    __m512i sum[16] = {0}, a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
    for (long i = 0; i < steps; i++) {
        for (int j = 0; j < 16; j++) sum[j] = _mm512_dpbusd_epi32(sum[j], a, b);
        for (int j = 0; j < 16; j++) __asm__ volatile("" : "+v"(sum[j]));
    }
}

void multiply_add(const char *isa, long steps) {
    if (strcmp(isa, "avx2") == 0) multiply_add_avx2(steps);
    if (strcmp(isa, "avx512") == 0) multiply_add_avx512(steps);
}

double operations_a_step(const char *isa) {
    if (strcmp(isa, "avx2") == 0) return 12 * 16 * 2;
    return strcmp(isa, "avx512") == 0 ? 16 * 64 * 2 : 0;
}

#else

void read_all(const char *bytes, size_t count) {
    uint64_t sum = 0, word;
    for (size_t i = 0; i + 8 <= count; i += 8) {
        memcpy(&word, bytes + i, sizeof word);
        sum ^= word;
    }
    __asm__ volatile("" : : "r"(sum));
}

void multiply_add(const char *isa, long steps) { (void)isa, (void)steps; }
double operations_a_step(const char *isa) { return (void)isa, 0; }

#endif
