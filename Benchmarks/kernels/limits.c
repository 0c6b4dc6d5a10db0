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

/* Two tiles by two, as in x86/amx_product.h. */
__attribute__((target("amx-tile,amx-int8"))) static void dot_tiles(long steps) {
    struct {
        uint8_t palette, first_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } shapes = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) shapes.row_bytes[tile] = 64, shapes.rows[tile] = 16;
    _tile_loadconfig(&shapes);
    for (long i = 0; i < steps; i++) {
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    }
    _tile_release();
}

__attribute__((target("avx512f"))) static void fma_512(long steps) {
    __m512 sum[16], a = _mm512_set1_ps(1), b = _mm512_set1_ps(1e-9f);
    for (int j = 0; j < 16; j++) sum[j] = a;
    for (long i = 0; i < steps; i++) {
        for (int j = 0; j < 16; j++) sum[j] = _mm512_fmadd_ps(sum[j], a, b);
        for (int j = 0; j < 16; j++) __asm__ volatile("" : "+v"(sum[j]));
    }
}

__attribute__((target("avx2,fma"))) static void fma_256(long steps) {
    __m256 sum[12], a = _mm256_set1_ps(1), b = _mm256_set1_ps(1e-9f);
    for (int j = 0; j < 12; j++) sum[j] = a;
    for (long i = 0; i < steps; i++) {
        for (int j = 0; j < 12; j++) sum[j] = _mm256_fmadd_ps(sum[j], a, b);
        for (int j = 0; j < 12; j++) __asm__ volatile("" : "+x"(sum[j]));
    }
}

const register_loop *fma_loop(const char *floats) {
    static const register_loop wide = {"avx512", "fma", fma_512, 16 * 16 * 2};
    static const register_loop narrow = {"avx2", "fma", fma_256, 12 * 8 * 2};
    return strcmp(floats, "avx512") == 0 ? &wide : strcmp(floats, "avx2") == 0 ? &narrow : NULL;
}

const register_loop *register_loops(const char *isa) {
    static const register_loop avx2[] = {{"avx2", "vpmaddwd + vpaddd", multiply_add, 6 * 16 * 2},
                                         {"avx2", "2 vpaddw + vpmaddwd + vpaddd", add_multiply_add, 8 * 32 * 2},
                                         {0}};
    static const register_loop avx512[] = {{"avx512", "vpdpbusd", dot_bytes, 16 * 64 * 2}, {0}};
    static const register_loop avxvnni[] = {{"avxvnni", "vpdpbusd", dot_bytes_256, 12 * 32 * 2}, {0}};
    static const register_loop amx[] = {{"amx", "tdpbssd", dot_tiles, 4 * 16 * 16 * 64 * 2}, {0}};
    static const register_loop none[] = {{0}};
    return strcmp(isa, "avx2") == 0      ? avx2
           : strcmp(isa, "avxvnni") == 0 ? avxvnni
           : strcmp(isa, "avx512") == 0  ? avx512
           : strcmp(isa, "amx") == 0     ? amx
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

const register_loop *fma_loop(const char *floats) { return (void)floats, NULL; }

#endif
