/* The instructions of x86/amx_tiles.h in plain C: a thread's tiles, in whose shapes the source must keep. */
#ifndef AMX_MODEL_H
#define AMX_MODEL_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    size_t rows, row_bytes;
    int32_t words[16][16];
} amx_tile;

static _Thread_local amx_tile amx_tiles[8];

static inline void tile_configure(const void *shapes) {
    const uint8_t *bytes = shapes;
    if (bytes[0] != 1) abort();
    memset(amx_tiles, 0, sizeof amx_tiles);
    for (int tile = 0; tile < 8; tile++) {
        amx_tiles[tile].row_bytes = bytes[16 + 2 * tile];
        amx_tiles[tile].rows = bytes[48 + tile];
        if (amx_tiles[tile].row_bytes > 64 || amx_tiles[tile].rows > 16) abort();
    }
}

static inline void tile_release(void) { memset(amx_tiles, 0, sizeof amx_tiles); }

static inline amx_tile *amx_shaped(int tile) {
    if (amx_tiles[tile].rows == 0) abort();
    return &amx_tiles[tile];
}

static inline void tile_zero(int tile) { memset(amx_shaped(tile)->words, 0, sizeof amx_tiles->words); }

static inline void tile_load(int tile, const void *from, size_t stride) {
    amx_tile *to = amx_shaped(tile);
    memset(to->words, 0, sizeof to->words);
    const char *bytes = from;
    for (size_t row = 0; row < to->rows; row++) memcpy(to->words[row], bytes + row * stride, to->row_bytes);
}

static inline void tile_store(int tile, void *to, size_t stride) {
    const amx_tile *from = amx_shaped(tile);
    for (size_t row = 0; row < from->rows; row++) memcpy((char *)to + row * stride, from->words[row], from->row_bytes);
}

/* sums[m][n] += the dot product of bytes 4 k to 4 k + 3 of a[m] and bytes 4 n to 4 n + 3 of b[k], for all k. */
static inline void tile_dot(int sums, int left, int right) {
    amx_tile *c = amx_shaped(sums), *a = amx_shaped(left), *b = amx_shaped(right);
    if (c->rows != a->rows || c->row_bytes != b->row_bytes || a->row_bytes != 4 * b->rows) abort();
    for (size_t m = 0; m < c->rows; m++) {
        for (size_t k = 0; k < b->rows; k++) {
            const int8_t *four = (const int8_t *)&a->words[m][k];
            for (size_t n = 0; n < c->row_bytes / 4; n++) {
                const int8_t *by = (const int8_t *)&b->words[k][n];
                for (size_t i = 0; i < 4; i++) c->words[m][n] += four[i] * by[i];
            }
        }
    }
}

#endif
