/* Attention over a paged cache of one head. Sixteen keys of a page are the lanes of a vector, so a score is a chain of
 * fma over the head's dimensions, a softmax sum goes over lanes by key index modulo 16, and a weighted value is a chain
 * of fma over keys in order. A key that is not visible weighs an exact zero: it changes no bit wherever it stands.
 *
 * Many queries share the widening of a page to float32, and are copied together, because their rows lie far apart, at
 * multiples that share few places of a cache; a single one reads the cache once, as stored. */
#ifndef LEAF_FLOAT_ATTENTION_H
#define LEAF_FLOAT_ATTENTION_H

#include "rows.h"

/* The most vectors of keys or values that a tile of queries meets at once: two, if the registers hold twelve queries
 * twice, so that a query's number is loaded once for both. */
#define LEAF_TILE_VECTORS (LEAF_QUERY_TILE >= 12 ? 2 : 1)

enum {
    /* The most queries, pages or vectors that one function takes at once. */
    LEAF_MOST_TOGETHER = 12,
    /* Queries whose scores stay in L2 while the pages pass by. */
    LEAF_QUERIES_IN_L2 = 48,
    /* What these queries and pages of keys may have: 48 queries of 128 dimensions and a page. */
    LEAF_FLOATS_IN_L1 = (48 + 16) * 128,
};

/* A stretch of stored numbers: float16 or float32. */
typedef struct {
    leaf_kv type;
    const void *at;
} stored;

LEAF_INLINE f32x16 load_stored(stored from, size_t index) {
    if (from.type == LEAF_KV_F32) return load16((const float *)from.at + index);
    return float_of_half(load_half((const uint16_t *)from.at + index));
}

LEAF_INLINE size_t stored_size(leaf_kv type) { return type == LEAF_KV_F32 ? sizeof(float) : sizeof(uint16_t); }

LEAF_INLINE size_t padded_dim(size_t dim_head) { return LEAF_ALIGN_UP(dim_head, LEAF_LANES); }

LEAF_INLINE size_t page_count(const leaf_cache_view *cache) {
    return (cache->keys + LEAF_PAGE_KEYS - 1) / LEAF_PAGE_KEYS;
}

LEAF_INLINE stored page_keys(const leaf_cache_view *cache, leaf_kv type, size_t page) {
    return (stored){type, (const char *)cache->base + cache->pages[page] * cache->page_stride};
}

LEAF_INLINE stored page_values(const leaf_cache_view *cache, leaf_kv type, size_t page) {
    size_t keys = padded_dim(cache->dim_head) * LEAF_PAGE_KEYS * stored_size(type);
    return (stored){type, (const char *)page_keys(cache, type, page).at + keys};
}

static void cache_store(leaf_kv type, size_t dim_head, const float *key, const float *value, void *page, size_t place) {
    size_t values = padded_dim(dim_head) * LEAF_PAGE_KEYS + place * padded_dim(dim_head);
    if (type == LEAF_KV_F32) {
        float *numbers = page;
        for (size_t d = 0; d < dim_head; d++) numbers[d * LEAF_PAGE_KEYS + place] = key[d];
        memcpy(numbers + values, value, dim_head * sizeof(float));
        return;
    }
    uint16_t *numbers = page;
    for (size_t d = 0; d < dim_head; d += LEAF_LANES) {
        size_t count = dim_head - d < LEAF_LANES ? dim_head - d : LEAF_LANES;
        u16x16 rounded = half_of_float(load_part(key + d, count));
        for (size_t i = 0; i < count; i++) numbers[(d + i) * LEAF_PAGE_KEYS + place] = rounded[i];
    }
    f32_to_f16(value, numbers + values, dim_head);
}

static void cache_copy(leaf_kv type, size_t dim_head, const void *from, void *to, size_t place) {
    const size_t size = stored_size(type), keys = padded_dim(dim_head) * LEAF_PAGE_KEYS;
    for (size_t d = 0; d < dim_head; d++) {
        const size_t at = (d * LEAF_PAGE_KEYS + place) * size;
        memcpy((char *)to + at, (const char *)from + at, size);
    }
    const size_t at = (keys + place * padded_dim(dim_head)) * size;
    memcpy((char *)to + at, (const char *)from + at, dim_head * size);
}

/* score * scale + bias of one query against the 16 keys of a page, -inf where a key is not visible. */
LEAF_INLINE f32x16 biased(f32x16 score, float scale, const float *bias, const uint16_t *buckets) {
    u16x16 bucket = load_half(buckets);
    i32x16 hidden = __builtin_convertvector(bucket, i32x16) == (int32_t)LEAF_MASKED;
    f32x16 addend = {0};
    if (!__builtin_reduce_or(hidden)) { /* as in most pages, and faster */
        for (size_t key = 0; key < LEAF_PAGE_KEYS; key++) addend[key] = bias[buckets[key]];
        return fma16(score, spread(scale), addend);
    }
    for (size_t key = 0; key < LEAF_PAGE_KEYS; key++)
        addend[key] = bias[buckets[key] == LEAF_MASKED ? 0 : buckets[key]];
    return choose(hidden, spread(-LEAF_INFINITY), fma16(score, spread(scale), addend));
}

typedef struct {
    const leaf_cache_view *cache;
    const float *q;
    size_t q_stride, rows;
    const uint16_t *buckets;
    size_t bucket_stride;
    const float *bias;
    float score_scale;
    float *out;
    size_t out_stride;
    float *weights;     /* [rows][align16(keys)]: scores, then what softmax makes of them */

    /* Of several queries. */
    float *floats;                       /* [rows][align16(dim_head)]: queries, then sums of weighted values */
    float *room[LEAF_TILE_VECTORS];      /* [16 * align16(dim_head)]: for keys or values of a page as float32 */
    const float *pages[LEAF_TILE_VECTORS]; /* those at hand */
} attention_task;

LEAF_INLINE size_t weight_stride(const attention_task *task) { return page_count(task->cache) * LEAF_PAGE_KEYS; }

/* Scores of one query against `pages` pages from `page` on; `pages` is a constant. */
LEAF_INLINE void query_scores(const attention_task *task, leaf_kv type, size_t page, size_t pages) {
    f32x16 scores[LEAF_MOST_TOGETHER];
    stored keys[LEAF_MOST_TOGETHER];
    for (size_t p = 0; p < pages; p++) {
        scores[p] = (f32x16){0};
        keys[p] = page_keys(task->cache, type, page + p);
    }
    for (size_t d = 0; d < task->cache->dim_head; d++) {
        f32x16 q = spread(task->q[d]);
#pragma clang loop unroll(full)
        for (size_t p = 0; p < pages; p++) scores[p] = fma16(q, load_stored(keys[p], d * LEAF_PAGE_KEYS), scores[p]);
    }
    for (size_t p = 0; p < pages; p++) {
        size_t key = (page + p) * LEAF_PAGE_KEYS;
        store16(task->weights + key, biased(scores[p], task->score_scale, task->bias, task->buckets + key));
    }
}

/* Dimensions d to d + 16 * vectors of one query's weighted values; `vectors` is a constant. */
LEAF_INLINE void query_values(const attention_task *task, leaf_kv type, size_t d, size_t vectors) {
    f32x16 sums[LEAF_MOST_TOGETHER];
    size_t stride = padded_dim(task->cache->dim_head);
    for (size_t v = 0; v < vectors; v++) sums[v] = (f32x16){0};
    for (size_t page = 0; page < page_count(task->cache); page++) {
        stored values = page_values(task->cache, type, page);
        for (size_t key = 0; key < LEAF_PAGE_KEYS; key++) {
            f32x16 weight = spread(task->weights[page * LEAF_PAGE_KEYS + key]);
#pragma clang loop unroll(full)
            for (size_t v = 0; v < vectors; v++)
                sums[v] = fma16(weight, load_stored(values, key * stride + d + v * LEAF_LANES), sums[v]);
        }
    }
    for (size_t v = 0; v < vectors; v++) {
        size_t begin = d + v * LEAF_LANES, rest = task->cache->dim_head - begin;
        store_part(task->out + begin, sums[v] + 0.0f, rest < LEAF_LANES ? rest : LEAF_LANES);
    }
}

LEAF_INLINE void attend_one(const attention_task *task, leaf_kv type) {
    enum { together = 4 };
    size_t page = 0, pages = page_count(task->cache);
    for (; page + together <= pages; page += together) query_scores(task, type, page, together);
    for (; page < pages; page++) query_scores(task, type, page, 1);

    softmax(task->weights, weight_stride(task));

    size_t d = 0, dims = padded_dim(task->cache->dim_head);
    for (; d + together * LEAF_LANES <= dims; d += together * LEAF_LANES) query_values(task, type, d, together);
    for (; d < dims; d += LEAF_LANES) query_values(task, type, d, 1);
}

/* A page's keys or values as float32: as they are, or widened into `room`. */
LEAF_INLINE const float *widen(const attention_task *task, stored from, float *room) {
    if (from.type == LEAF_KV_F32) return from.at;
    for (size_t i = 0; i < padded_dim(task->cache->dim_head) * LEAF_PAGE_KEYS; i += LEAF_LANES)
        store16(room + i, load_stored(from, i));
    return room;
}

/* The arrays are registers only if every loop over them is unrolled. */
#define LEAF_EACH(index, count) _Pragma("clang loop unroll(full)") for (size_t index = 0; index < (count); index++)

/* Where numbers of `count` rows are: a pointer for three rows, since twelve would not fit the registers. */
typedef struct {
    const float *three[LEAF_MOST_TOGETHER / 3];
    size_t stride;
} row_numbers;

LEAF_INLINE row_numbers numbers_of(const float *first, size_t stride, size_t count) {
    row_numbers rows = {.stride = stride};
    LEAF_EACH(i, (count + 2) / 3) rows.three[i] = first + 3 * i * stride;
    return rows;
}

/* The number of a row, in all lanes. */
LEAF_INLINE f32x16 spread_number(const row_numbers *rows, size_t row) {
    return spread(rows->three[row / 3][row % 3 * rows->stride]);
}

LEAF_INLINE void next_numbers(row_numbers *rows, size_t count) {
    LEAF_EACH(i, (count + 2) / 3) {
        rows->three[i]++;
        __asm__("" : "+r"(rows->three[i])); /* or the compiler makes a pointer for each row again */
    }
}

/* Scores of `count` queries from `row` on against `pages` pages; both are constants. */
LEAF_INLINE void tile_scores(const attention_task *task, size_t page, size_t pages, size_t row, size_t count) {
    f32x16 scores[LEAF_MOST_TOGETHER][LEAF_TILE_VECTORS];
    const size_t stride = padded_dim(task->cache->dim_head);
    row_numbers q = numbers_of(task->floats + row * stride, stride, count);
    LEAF_EACH(r, count) LEAF_EACH(p, pages) scores[r][p] = (f32x16){0};
    for (size_t d = 0; d < task->cache->dim_head; d++) {
        f32x16 keys[LEAF_TILE_VECTORS];
        LEAF_EACH(p, pages) keys[p] = load16(task->pages[p] + d * LEAF_PAGE_KEYS);
        LEAF_EACH(r, count) LEAF_EACH(p, pages) scores[r][p] = fma16(spread_number(&q, r), keys[p], scores[r][p]);
        next_numbers(&q, count);
    }
    LEAF_EACH(r, count) LEAF_EACH(p, pages) {
        size_t key = (page + p) * LEAF_PAGE_KEYS;
        const uint16_t *buckets = task->buckets + (row + r) * task->bucket_stride + key;
        store16(task->weights + (row + r) * weight_stride(task) + key,
                biased(scores[r][p], task->score_scale, task->bias, buckets));
    }
}

/* Adds the weighted values of one of the pages at hand, dimensions d to d + 16 * vectors, to the sums of `count`
 * queries; `vectors` and `count` are constants. */
LEAF_INLINE void add_values(const attention_task *task, size_t page, size_t p, size_t d, size_t vectors, size_t row,
                            size_t count, f32x16 sums[LEAF_MOST_TOGETHER][LEAF_TILE_VECTORS]) {
    const size_t stride = padded_dim(task->cache->dim_head);
    const float *from = task->weights + row * weight_stride(task) + (page + p) * LEAF_PAGE_KEYS;
    row_numbers weights = numbers_of(from, weight_stride(task), count);
    for (size_t key = 0; key < LEAF_PAGE_KEYS; key++) {
        f32x16 values[LEAF_TILE_VECTORS];
        LEAF_EACH(v, vectors) values[v] = load16(task->pages[p] + key * stride + d + v * LEAF_LANES);
        LEAF_EACH(r, count) LEAF_EACH(v, vectors) sums[r][v] = fma16(spread_number(&weights, r), values[v], sums[r][v]);
        next_numbers(&weights, count);
    }
}

LEAF_INLINE void tile_vectors(const attention_task *task, size_t page, size_t pages, size_t d, size_t vectors,
                              size_t row, size_t count) {
    const size_t stride = padded_dim(task->cache->dim_head);
    float *so_far = task->floats + row * stride + d;
    f32x16 sums[LEAF_MOST_TOGETHER][LEAF_TILE_VECTORS];
    LEAF_EACH(r, count) LEAF_EACH(v, vectors) {
        sums[r][v] = page == 0 ? (f32x16){0} : load16(so_far + r * stride + v * LEAF_LANES);
    }
    for (size_t p = 0; p < pages; p++) add_values(task, page, p, d, vectors, row, count, sums);
    LEAF_EACH(r, count) LEAF_EACH(v, vectors) store16(so_far + r * stride + v * LEAF_LANES, sums[r][v]);
}

/* Adds the weighted values of `pages` pages to the sums of `count` queries; `count` is a constant. */
LEAF_INLINE void tile_values(const attention_task *task, size_t page, size_t pages, size_t row, size_t count) {
    const size_t dims = padded_dim(task->cache->dim_head), together = LEAF_TILE_VECTORS * LEAF_LANES;
    size_t d = 0;
    for (; d + together <= dims; d += together) tile_vectors(task, page, pages, d, LEAF_TILE_VECTORS, row, count);
    for (; d < dims; d += LEAF_LANES) tile_vectors(task, page, pages, d, 1, row, count);
}

/* Calls tile(task, page, pages, row, count) for all rows, with constant counts that the registers hold. */
#define LEAF_FOR_ROWS(tile, task, page, pages)                                                                         \
    do {                                                                                                               \
        size_t row = 0, rows = (task)->rows;                                                                           \
        for (; LEAF_QUERY_TILE >= 12 && row + 12 <= rows; row += 12) tile(task, page, pages, row, 12);                 \
        for (; LEAF_QUERY_TILE >= 6 && row + 6 <= rows; row += 6) tile(task, page, pages, row, 6);                     \
        for (; row + 3 <= rows; row += 3) tile(task, page, pages, row, 3);                                             \
        if (row + 2 == rows) tile(task, page, pages, row, 2);                                                          \
        if (row + 1 == rows) tile(task, page, pages, row, 1);                                                          \
    } while (0)

/* Widens some pages' keys or values. */
LEAF_INLINE void open_pages(attention_task *task, stored (*part)(const leaf_cache_view *, leaf_kv, size_t), size_t page,
                            size_t pages) {
    const leaf_cache_view *cache = task->cache;
    for (size_t p = 0; p < pages; p++)
        task->pages[p] = widen(task, part(cache, cache->type, page + p), task->room[p]);
}

static void attend_many(attention_task *task) {
    const size_t pages = page_count(task->cache), dims = task->cache->dim_head, stride = padded_dim(dims);
    for (size_t row = 0; row < task->rows; row++)
        memcpy(task->floats + row * stride, task->q + row * task->q_stride, dims * sizeof(float));
    for (size_t page = 0, together; page < pages; page += together) {
        together = pages - page < LEAF_TILE_VECTORS ? 1 : LEAF_TILE_VECTORS;
        open_pages(task, page_keys, page, together);
        if (together == LEAF_TILE_VECTORS)
            LEAF_FOR_ROWS(tile_scores, task, page, LEAF_TILE_VECTORS);
        else
            LEAF_FOR_ROWS(tile_scores, task, page, 1);
    }
    for (size_t row = 0; row < task->rows; row++)
        softmax(task->weights + row * weight_stride(task), weight_stride(task));
    for (size_t page = 0, together; page < pages; page += together) {
        together = pages - page < LEAF_TILE_VECTORS ? 1 : LEAF_TILE_VECTORS;
        open_pages(task, page_values, page, together);
        LEAF_FOR_ROWS(tile_values, task, page, together);
    }
    for (size_t row = 0; row < task->rows; row++) {
        for (size_t d = 0; d < dims; d += LEAF_LANES) {
            size_t lanes = dims - d < LEAF_LANES ? dims - d : LEAF_LANES;
            store_part(task->out + row * task->out_stride + d, load16(task->floats + row * stride + d) + 0.0f, lanes);
        }
    }
}

static void attention(const leaf_cache_view *cache, const float *q, size_t q_stride, size_t rows,
                      const uint16_t *buckets, size_t bucket_stride, const float *bias, float score_scale, float *out,
                      size_t out_stride, float *scratch) {
    if (cache->keys == 0) {
        for (size_t row = 0; row < rows; row++) memset(out + row * out_stride, 0, cache->dim_head * sizeof(float));
        return;
    }
    const size_t stride = padded_dim(cache->dim_head), page_floats = stride * LEAF_PAGE_KEYS;
    _Alignas(64) float floats[LEAF_FLOATS_IN_L1];
    size_t most = stride > LEAF_FLOATS_IN_L1 / 18 ? 1 : LEAF_FLOATS_IN_L1 / stride - LEAF_PAGE_KEYS;
    if (most > LEAF_QUERIES_IN_L2) most = LEAF_QUERIES_IN_L2;
    for (size_t row = 0; row < rows; row += most) {
        attention_task task = {
            .cache = cache,
            .q = q + row * q_stride,
            .q_stride = q_stride,
            .rows = rows - row < most ? rows - row : most,
            .buckets = buckets + row * bucket_stride,
            .bucket_stride = bucket_stride,
            .bias = bias,
            .score_scale = score_scale,
            .out = out + row * out_stride,
            .out_stride = out_stride,
            .weights = scratch + page_floats,
            .floats = floats,
        };
        task.room[0] = scratch;
        task.room[LEAF_TILE_VECTORS - 1] = LEAF_TILE_VECTORS == 1 ? scratch : floats + most * stride;
        if (task.rows > 1)
            attend_many(&task);
        else if (cache->type == LEAF_KV_F16)
            attend_one(&task, LEAF_KV_F16);
        else
            attend_one(&task, LEAF_KV_F32);
    }
}

#endif
