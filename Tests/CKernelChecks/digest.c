#include <stdlib.h>
#include <string.h>

#include "kernel_checks.h"

/* xorshift64* */
typedef struct {
    uint64_t state;
} generator;

static uint32_t next(generator *g) {
    g->state ^= g->state >> 12;
    g->state ^= g->state << 25;
    g->state ^= g->state >> 27;
    return (uint32_t)((g->state * 0x2545F4914F6CDD1D) >> 32);
}

/* Numbers of very different sizes, with some zeros: (-1, 1) times a power of two of 2^-low to 2^high. */
static float number(generator *g, int low, int high) {
    float x = (float)((int32_t)next(g) / 256) / 8388608.0f;
    int exponent = (int)(next(g) % (uint32_t)(low + high + 1)) - low;
    if (next(g) % 61 == 0) return 0;
    for (; exponent > 0; exponent--) x *= 2;
    for (; exponent < 0; exponent++) x /= 2;
    return x;
}

static float any_finite(generator *g) {
    uint32_t bits = next(g);
    if ((bits & 0x7F800000) == 0x7F800000) bits &= 0x3FFFFFFF;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t digest(uint64_t so_far, const void *bytes, size_t count) {
    const uint8_t *b = bytes;
    for (size_t i = 0; i < count; i++) so_far = (so_far ^ b[i]) * 0x100000001B3;
    return so_far;
}

static const uint64_t start = 0xCBF29CE484222325;

static void *room(size_t bytes) {
    void *p = aligned_alloc(64, LEAF_ALIGN_UP(bytes + 1, 64));
    if (!p) abort();
    memset(p, 0, LEAF_ALIGN_UP(bytes + 1, 64));
    return p;
}

static float *floats(generator *g, size_t n, int low, int high) {
    float *x = room(n * sizeof(float));
    for (size_t i = 0; i < n; i++) x[i] = number(g, low, high);
    return x;
}

/* Random tiles of a layout. All bytes are valid codes; int8 weights are never -128. */
static void *random_tiles(generator *g, leaf_layout layout, size_t tiles, size_t padded_columns) {
    size_t bytes = tiles * padded_columns / 64 * leaf_section_bytes(layout);
    int8_t *weights = room(bytes);
    for (size_t i = 0; i < bytes; i++)
        weights[i] = layout == LEAF_LAYOUT_INT8 ? (int8_t)(next(g) % 255 - 127) : (int8_t)next(g);
    return weights;
}

/* Random weights times the first `first`, `first + step`, ... and at most `most` of random rows, for both activation
 * types. */
static uint64_t products(uint64_t h, const leaf_product *product, generator *g, size_t columns, size_t tiles,
                         size_t first, size_t most, size_t step) {
    size_t padded = LEAF_ALIGN_UP(columns, LEAF_COLUMN_ALIGN), outputs = tiles * LEAF_TILE_ROWS;
    for (int type = LEAF_ACTIVATION_INT16; type <= LEAF_ACTIVATION_INT8; type++) {
        size_t bytes = leaf_activation_row_bytes((leaf_activation)type, padded);
        void *weights = random_tiles(g, product->layout, tiles, padded);
        float *scales = floats(g, outputs, 12, 0), *x = floats(g, columns, 6, 6);
        float *y = room(most * outputs * sizeof(float));
        char *activations = room(most * bytes);
        for (size_t r = 0; r < most; r++) {
            for (size_t i = 0; i < columns; i++) x[i] = number(g, 6, 6);
            product->quantize_row((leaf_activation)type, x, columns, padded, activations + r * bytes);
        }
        for (size_t rows = first; rows <= most; rows += step) {
            product->linear((leaf_activation)type, weights, tiles, padded, scales, activations, rows, y, outputs);
            h = digest(h, y, rows * outputs * sizeof(float));
        }
        free(weights), free(scales), free(x), free(y), free(activations);
    }
    return h;
}

static uint64_t linear(const leaf_kernels *k, leaf_layout layout) {
    static const struct {
        size_t columns, tiles, rows;
    } shapes[] = {{1, 1, 1},   {48, 3, 2},   {64, 1, 3},   {100, 2, 40}, {128, 5, 5},  {192, 4, 17},
                  {350, 3, 7}, {700, 2, 13}, {1024, 1, 6}, {1100, 7, 19}, {3735, 1, 4}, {4096, 2, 1},
                  {64, 1, 600}};
    generator g = {42};
    uint64_t h = start;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        h = products(h, leaf_kernels_product(k, layout), &g, shapes[s].columns, shapes[s].tiles, shapes[s].rows,
                     shapes[s].rows, 1);
    return h;
}

static uint64_t check_linear(const leaf_kernels *k) { return linear(k, LEAF_LAYOUT_INT8); }
static uint64_t check_linear_q4(const leaf_kernels *k) { return linear(k, LEAF_LAYOUT_Q4); }
static uint64_t check_linear_q3(const leaf_kernels *k) { return linear(k, LEAF_LAYOUT_Q3); }

/* The first 1 to 64 of the same rows; of long ones 1, 22, 43 and 64. */
static uint64_t rows(const leaf_kernels *k, leaf_layout layout, size_t shape_count) {
    static const struct {
        size_t columns, tiles, step;
    } shapes[] = {{64, 1, 1}, {256, 2, 1}, {4096, 1, 21}, {10240, 1, 21}};
    generator g = {17};
    uint64_t h = start;
    for (size_t s = 0; s < shape_count; s++)
        h = products(h, leaf_kernels_product(k, layout), &g, shapes[s].columns, shapes[s].tiles, 1, 64, shapes[s].step);
    return h;
}

static uint64_t check_rows(const leaf_kernels *k) { return rows(k, LEAF_LAYOUT_INT8, 4); }
/* Not the longest: emulators are slow. */
static uint64_t check_rows_q4(const leaf_kernels *k) { return rows(k, LEAF_LAYOUT_Q4, 3); }
static uint64_t check_rows_q3(const leaf_kernels *k) { return rows(k, LEAF_LAYOUT_Q3, 3); }

static uint64_t attention(const leaf_kernels *k, leaf_kv type) {
    static const struct {
        size_t dim_head, keys, rows;
    } shapes[] = {{1, 1, 1}, {8, 5, 1}, {24, 33, 7}, {64, 130, 1}, {64, 130, 20}, {100, 64, 13}, {128, 77, 5}};
    enum { buckets_known = 50 };
    generator g = {7};
    uint64_t h = start;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        size_t dim = shapes[s].dim_head, keys = shapes[s].keys, rows = shapes[s].rows;
        size_t padded_dim = LEAF_ALIGN_UP(dim, 16), pages = (keys + 15) / 16;
        size_t page_bytes = 2 * 16 * padded_dim * (type == LEAF_KV_F16 ? 2 : 4);
        char *base = room(pages * page_bytes);
        uint32_t *order = room(pages * sizeof *order);
        for (size_t p = 0; p < pages; p++) order[p] = (uint32_t)(pages - 1 - p);
        for (size_t key = 0; key < keys; key++) {
            float *pair = floats(&g, 2 * dim, 4, 1);
            k->floats->cache_store(type, dim, pair, pair + dim, base + order[key / 16] * page_bytes, key % 16);
            free(pair);
        }
        h = digest(h, base, pages * page_bytes);
        float *q = floats(&g, rows * dim, 4, 1), *bias = floats(&g, buckets_known, 4, 1);
        uint16_t *buckets = room(rows * pages * 16 * sizeof *buckets);
        for (size_t i = 0; i < rows * pages * 16; i++)
            buckets[i] = i % (pages * 16) >= keys || next(&g) % 5 == 0 ? LEAF_MASKED : next(&g) % buckets_known;
        float *out = room(rows * dim * sizeof(float));
        float *scratch = room((rows * pages * 16 + 16 * padded_dim) * sizeof(float));
        leaf_cache_view view = {type, dim, keys, order, base, page_bytes};
        k->floats->attention(&view, q, dim, rows, buckets, pages * 16, bias, 0.125f, out, dim, scratch);
        h = digest(h, out, rows * dim * sizeof(float));
        free(base), free(order), free(q), free(bias), free(buckets), free(out), free(scratch);
    }
    return h;
}

static uint64_t check_attention_f16(const leaf_kernels *k) { return attention(k, LEAF_KV_F16); }
static uint64_t check_attention_f32(const leaf_kernels *k) { return attention(k, LEAF_KV_F32); }

static const size_t lengths[] = {1, 15, 16, 17, 48, 100, 350, 1023, 4096};

/* Runs one function of rows over all lengths; `low` and `high` bound the exponents of its numbers. */
static uint64_t over_rows(const leaf_kernels *k, int low, int high,
                          void (*body)(const leaf_kernels *, float *x, float *y, size_t n)) {
    generator g = {99};
    uint64_t h = start;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        float *x = floats(&g, lengths[i], low, high), *y = floats(&g, lengths[i], low, high);
        body(k, x, y, lengths[i]);
        h = digest(digest(h, x, lengths[i] * sizeof(float)), y, lengths[i] * sizeof(float));
        free(x), free(y);
    }
    return h;
}

static void norm(const leaf_kernels *k, float *x, float *y, size_t n) { k->floats->rms_norm(x, y, n, 1e-6f, y); }
static void sum(const leaf_kernels *k, float *x, float *y, size_t n) { k->floats->add(x, y, n); }
static void gelu(const leaf_kernels *k, float *x, float *y, size_t n) { k->floats->gelu_multiply(x, y, n); }
static void exponential(const leaf_kernels *k, float *x, float *y, size_t n) { k->floats->exp(x, y, n); }
static void error_function(const leaf_kernels *k, float *x, float *y, size_t n) { k->floats->erf(x, y, n); }
static void soft_maximum(const leaf_kernels *k, float *x, float *y, size_t n) {
    (void)y;
    k->floats->softmax(x, n);
}

static uint64_t check_rms_norm(const leaf_kernels *k) { return over_rows(k, 10, 10, norm); }
static uint64_t check_add(const leaf_kernels *k) { return over_rows(k, 20, 20, sum); }
static uint64_t check_gelu(const leaf_kernels *k) { return over_rows(k, 20, 4, gelu); }
static uint64_t check_exp(const leaf_kernels *k) { return over_rows(k, 20, 8, exponential); }
static uint64_t check_erf(const leaf_kernels *k) { return over_rows(k, 40, 4, error_function); }
static uint64_t check_softmax(const leaf_kernels *k) { return over_rows(k, 20, 7, soft_maximum); }

enum { halves = 65536 };

static uint64_t check_from_halves(const leaf_kernels *k) {
    uint16_t *h = room(halves * sizeof *h);
    float *x = room(halves * sizeof *x);
    for (size_t i = 0; i < halves; i++) h[i] = (uint16_t)((i & 0x7C00) == 0x7C00 && (i & 0x3FF) ? 0x7C00 : i);
    k->floats->f16_to_f32(h, x, halves);
    uint64_t d = digest(start, x, halves * sizeof *x);
    k->floats->bf16_to_f32(h, x, halves);
    d = digest(d, x, halves * sizeof *x);
    free(h), free(x);
    return d;
}

static uint64_t check_to_halves(const leaf_kernels *k) {
    generator g = {5};
    uint16_t *h = room(halves * sizeof *h);
    float *x = room(halves * sizeof *x);
    for (size_t i = 0; i < halves; i++) x[i] = i % 2 ? any_finite(&g) : number(&g, 30, 17);
    k->floats->f32_to_f16(x, h, halves);
    uint64_t d = digest(start, h, halves * sizeof *h);
    free(h), free(x);
    return d;
}

static uint64_t check_weights(const leaf_kernels *k) {
    generator g = {3};
    uint64_t h = start;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t n = lengths[i];
        float *x = floats(&g, n, 10, 3), *y = floats(&g, n, 10, 3);
        int8_t *q = room(LEAF_ALIGN_UP(n, 64) * LEAF_TILE_ROWS);
        float magnitude = k->floats->absmax(x, n);
        k->floats->quantize_weights(x, n, magnitude / 127, q);
        h = digest(digest(h, &magnitude, sizeof magnitude), q, n);
        for (size_t c = 0; c < LEAF_ALIGN_UP(n, 64) * LEAF_TILE_ROWS; c++) q[c] = (int8_t)next(&g);
        leaf_kernels_product(k, LEAF_LAYOUT_INT8)->embed_row(q, i % LEAF_TILE_ROWS, magnitude, y, n, x);
        uint64_t index = k->floats->argmax(x, n);
        h = digest(digest(h, x, n * sizeof *x), &index, sizeof index);
        free(x), free(y), free(q);
    }
    return h;
}

static uint64_t embedding(const leaf_kernels *k, leaf_layout layout) {
    generator g = {23};
    uint64_t h = start;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t n = lengths[i];
        void *tile = random_tiles(&g, layout, 1, LEAF_ALIGN_UP(n, 64));
        float *x = floats(&g, n, 10, 3), *y = room(n * sizeof *y);
        for (size_t row = 0; row < LEAF_TILE_ROWS; row++) {
            leaf_kernels_product(k, layout)->embed_row(tile, row, 0.5f, x, n, y);
            h = digest(h, y, n * sizeof *y);
        }
        free(tile), free(x), free(y);
    }
    return h;
}

static uint64_t check_embedding_q4(const leaf_kernels *k) { return embedding(k, LEAF_LAYOUT_Q4); }
static uint64_t check_embedding_q3(const leaf_kernels *k) { return embedding(k, LEAF_LAYOUT_Q3); }

static uint64_t encode(const leaf_kernels *k, leaf_layout layout) {
    generator g = {13};
    uint64_t h = start;
    for (size_t columns = 64; columns <= 1024; columns *= 4) {
        size_t n = columns * LEAF_TILE_ROWS, bytes = columns / 64 * leaf_section_bytes(layout);
        int8_t *x = room(n);
        uint8_t *tile = room(bytes);
        for (size_t i = 0; i < n; i++) x[i] = (int8_t)next(&g) / (1 + (int)(i / 1024 % 3) * 8);
        k->floats->encode(layout, x, columns, NULL, tile);
        h = digest(h, tile, bytes);
        free(x), free(tile);
    }
    return h;
}

static uint64_t check_encode_q4(const leaf_kernels *k) { return encode(k, LEAF_LAYOUT_Q4); }
static uint64_t check_encode_q3(const leaf_kernels *k) { return encode(k, LEAF_LAYOUT_Q3); }

static uint64_t feedback(const leaf_kernels *k, leaf_layout layout) {
    generator g = {29};
    uint64_t h = start;
    size_t rows = 20, bytes = LEAF_FEEDBACK_COLUMNS / 64 * leaf_section_bytes(layout);
    for (size_t columns = 128; columns <= LEAF_FEEDBACK_COLUMNS; columns *= 2) {
        float *x = floats(&g, rows * columns, 10, 3), *products = room(LEAF_PRODUCTS_COUNT * sizeof(float));
        int8_t *numbers = room(columns * LEAF_TILE_ROWS);
        uint8_t *tile = room(bytes);
        memset(products, 0, LEAF_PRODUCTS_COUNT * sizeof(float));
        memset(tile, 0, bytes);
        for (size_t i = 0; i < columns * LEAF_TILE_ROWS; i++) numbers[i] = (int8_t)next(&g);
        k->floats->add_products(x, columns, rows, columns, products);
        h = digest(h, products, LEAF_PRODUCTS_COUNT * sizeof *products);
        leaf_feedback(products, columns);
        k->floats->encode(layout, numbers, columns, products, tile);
        h = digest(h, tile, bytes);
        free(x), free(products), free(numbers), free(tile);
    }
    return h;
}

static uint64_t check_feedback_q4(const leaf_kernels *k) { return feedback(k, LEAF_LAYOUT_Q4); }
static uint64_t check_feedback_q3(const leaf_kernels *k) { return feedback(k, LEAF_LAYOUT_Q3); }

static uint64_t check_low_rank(const leaf_kernels *k) {
    generator g = {11};
    uint64_t h = start;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t n = lengths[i], outputs = lengths[(i + 3) % (sizeof lengths / sizeof *lengths)], rank = 1 + i * 2;
        float *x = floats(&g, n, 10, 3), *a = floats(&g, rank * n, 10, 3), *b = floats(&g, rank * outputs, 10, 3);
        float *y = floats(&g, outputs, 10, 3), *t = room(rank * sizeof(float));
        k->floats->low_rank_down(x, a, n, rank, n, 2.0f, t);
        k->floats->low_rank_up(t, b, outputs, rank, outputs, y);
        h = digest(digest(h, t, rank * sizeof *t), y, outputs * sizeof *y);
        free(x), free(a), free(b), free(y), free(t);
    }
    return h;
}

static const struct {
    const char *name;
    uint64_t (*digest)(const leaf_kernels *);
} checks[] = {
    {"linear", check_linear},
    {"rows", check_rows},
    {"linear_q4", check_linear_q4},
    {"linear_q3", check_linear_q3},
    {"rows_q4", check_rows_q4},
    {"rows_q3", check_rows_q3},
    {"embedding_q4", check_embedding_q4},
    {"embedding_q3", check_embedding_q3},
    {"attention_f16", check_attention_f16},
    {"attention_f32", check_attention_f32},
    {"rms_norm", check_rms_norm},
    {"add", check_add},
    {"gelu", check_gelu},
    {"exp", check_exp},
    {"erf", check_erf},
    {"softmax", check_softmax},
    {"from_halves", check_from_halves},
    {"to_halves", check_to_halves},
    {"weights", check_weights},
    {"encode_q4", check_encode_q4},
    {"encode_q3", check_encode_q3},
    {"feedback_q4", check_feedback_q4},
    {"feedback_q3", check_feedback_q3},
    {"low_rank", check_low_rank},
};

size_t kernel_check_count(void) { return sizeof checks / sizeof *checks; }
const char *kernel_check_name(size_t check) { return checks[check].name; }

uint64_t kernel_check_digest(size_t check, const leaf_kernels *kernels) { return checks[check].digest(kernels); }
