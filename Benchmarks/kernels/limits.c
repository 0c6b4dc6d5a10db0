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

/* Six products, then six additions: other orders reach up to 6 % less, because additions take the ports of products. */
__attribute__((target("avx2"))) static void multiply_add(long steps) {
    __m256i sum[6] = {0}, product[6], a = _mm256_set1_epi16(3), b = _mm256_set1_epi16(5);
    for (long i = 0; i < steps; i++) {
        for (int j = 0; j < 6; j++) {
            __asm__ volatile("" : "+x"(a)); /* or all would share one product */
            product[j] = _mm256_madd_epi16(a, b);
            __asm__ volatile("" : "+x"(product[j]));
        }
        for (int j = 0; j < 6; j++) {
            sum[j] = _mm256_add_epi32(sum[j], product[j]);
            __asm__ volatile("" : "+x"(sum[j]));
        }
    }
}

/* Winograd's form, as in x86/avx2_product.h: two additions for one product of twice the worth. */
__attribute__((target("avx2"))) static void add_multiply_add(long steps) {
    __m256i sum[8] = {0}, w0 = _mm256_set1_epi16(3), w1 = _mm256_set1_epi16(5), q0 = w1, q1 = w0;
    for (long i = 0; i < steps; i++) {
        for (int j = 0; j < 8; j++) {
            __asm__ volatile("" : "+x"(w0), "+x"(w1));
            __m256i left = _mm256_add_epi16(w0, q1), right = _mm256_add_epi16(w1, q0);
            sum[j] = _mm256_add_epi32(sum[j], _mm256_madd_epi16(left, right));
            __asm__ volatile("" : "+x"(sum[j]));
        }
    }
}

__attribute__((target("avx512f,avx512vnni"))) static void dot_bytes(long steps) {
    __m512i sum[16] = {0}, a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
    for (long i = 0; i < steps; i++) {
        for (int j = 0; j < 16; j++) sum[j] = _mm512_dpbusd_epi32(sum[j], a, b);
        for (int j = 0; j < 16; j++) __asm__ volatile("" : "+v"(sum[j]));
    }
}

__attribute__((target("avx2,avxvnni"))) static void dot_bytes_256(long steps) {
    __m256i sum[12] = {0}, a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(5);
    for (long i = 0; i < steps; i++) {
        for (int j = 0; j < 12; j++) sum[j] = _mm256_dpbusd_avx_epi32(sum[j], a, b);
        for (int j = 0; j < 12; j++) __asm__ volatile("" : "+x"(sum[j]));
    }
}

const register_loop *register_loops(const char *isa) {
    static const register_loop avx2[] = {{"avx2", "vpmaddwd + vpaddd", multiply_add, 6 * 16 * 2},
                                         {"avx2", "2 vpaddw + vpmaddwd + vpaddd", add_multiply_add, 8 * 32 * 2},
                                         {0}};
    static const register_loop avx512[] = {{"avx512", "vpdpbusd", dot_bytes, 16 * 64 * 2}, {0}};
    static const register_loop avxvnni[] = {{"avxvnni", "vpdpbusd", dot_bytes_256, 12 * 32 * 2}, {0}};
    static const register_loop none[] = {{0}};
    return strcmp(isa, "avx2") == 0      ? avx2
           : strcmp(isa, "avxvnni") == 0 ? avxvnni
           : strcmp(isa, "avx512") == 0  ? avx512
                                         : none;
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

const register_loop *register_loops(const char *isa) {
    static const register_loop none[] = {{0}};
    return (void)isa, none;
}

#endif
