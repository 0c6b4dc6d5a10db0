#include "layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limits.h"
#include "timing.h"

enum {
    rows = 512,
    d_model = 4096,
    d_ff = 10240,
    heads = 32,
    d_head = 128,
    buckets_known = 1536,
    /* Queries a call, as in Scratch.attentionRows. */
    query_rows = 48,
    /* Of all tiles; the sums are scaled. */
    sample_tiles = 16,
    rounds = 5,
    loop_steps = 1000000,
};

typedef struct {
    const leaf_kernels *kernels;
    leaf_activation type;
    const int8_t *weights;
    const float *scales;
    float *hidden, *delta, *wide, *wider;
    char *quantized, *pages;
    const uint32_t *order;
    const uint16_t *buckets;
    float *scratch;
} layer;

static size_t page_bytes(void) { return 2 * 16 * d_head * sizeof(uint16_t); }

static const leaf_product *int8_product(const layer *l) { return leaf_kernels_product(l->kernels, LEAF_LAYOUT_INT8); }

static void linear(const layer *l, size_t columns) {
    int8_product(l)->linear(l->type, l->weights, sample_tiles, columns, l->scales, l->quantized, rows, l->wide, d_ff);
}
static void run_linear_d(const void *job) { linear(job, d_model); }
static void run_linear_ff(const void *job) { linear(job, d_ff); }

static void quantize(const layer *l, const float *x, size_t columns) {
    size_t bytes = leaf_activation_row_bytes(l->type, columns);
    for (size_t r = 0; r < rows; r++)
        int8_product(l)->quantize_row(l->type, x + r * columns, columns, columns, l->quantized + r * bytes);
}
/* The inputs of q, k, v; of out; of w_0 and w_1; and of w_out. */
static void run_quantize(const void *job) {
    const layer *l = job;
    for (int i = 0; i < 3; i++) quantize(l, l->hidden, d_model);
    quantize(l, l->wide, d_ff);
}

static void run_norms(const void *job) {
    const layer *l = job;
    for (int i = 0; i < 2; i++)
        for (size_t r = 0; r < rows; r++)
            l->kernels->floats->rms_norm(l->hidden + r * d_model, l->scales, d_model, 1e-6f, l->delta + r * d_model);
}

static void run_additions(const void *job) {
    const layer *l = job;
    for (int i = 0; i < 2; i++)
        for (size_t r = 0; r < rows; r++)
            l->kernels->floats->add(l->hidden + r * d_model, l->delta + r * d_model, d_model);
}

static void run_gelu(const void *job) {
    const layer *l = job;
    for (size_t r = 0; r < rows; r++) l->kernels->floats->gelu_multiply(l->wide + r * d_ff, l->wider + r * d_ff, d_ff);
}

/* Keys and values into the cache, scores, softmax, values; all heads read one head's cache, which is as long. */
static void run_attention(const void *job) {
    const layer *l = job;
    leaf_cache_view view = {LEAF_KV_F16, d_head, rows, l->order, l->pages, page_bytes()};
    for (size_t head = 0; head < heads; head++) {
        for (size_t r = 0; r < rows; r++) {
            const float *x = l->hidden + r * d_model + head * d_head;
            l->kernels->floats->cache_store(LEAF_KV_F16, d_head, x, x, l->pages + r / 16 * page_bytes(), r % 16);
        }
        for (size_t r = 0; r < rows; r += query_rows)
            l->kernels->floats->attention(&view, l->hidden + r * d_model + head * d_head, d_model,
                                  rows - r < query_rows ? rows - r : query_rows, l->buckets + r * rows, rows, l->scales,
                                  0.088f, l->delta + r * d_model + head * d_head, d_model, l->scratch);
    }
}

static void run_loop(const void *job) { (*(const register_loop *const *)job)->run(loop_steps); }

static double best(void (*run)(const void *), const void *job, size_t job_bytes) {
    double least = 1e9;
    for (int i = 0; i < rounds; i++) {
        double time = measure(run, job, job_bytes, 1);
        if (time < least) least = time;
    }
    return least;
}

static float *numbers(size_t count) {
    float *x = room(count * sizeof *x);
    for (size_t i = 0; i < count; i++) x[i] = (float)(i * 7919 % 2003) / 1000 - 1;
    return x;
}

void print_layer(const leaf_kernels *kernels, leaf_activation type) {
    uint32_t *order = room(rows / 16 * sizeof *order);
    for (uint32_t p = 0; p < rows / 16; p++) order[p] = p;
    uint16_t *buckets = room(rows * rows * sizeof *buckets);
    for (size_t i = 0; i < rows * rows; i++) buckets[i] = i * 31 % buckets_known;
    layer l = {kernels, type, room(sample_tiles * LEAF_TILE_ROWS * d_ff), numbers(d_ff), numbers(rows * d_model),
               numbers(rows * d_model), numbers(rows * d_ff), numbers(rows * d_ff),
               room(rows * leaf_activation_row_bytes(type, d_ff)), room(rows / 16 * page_bytes()), order, buckets,
               room((query_rows * rows + 16 * d_head) * sizeof(float))};
    quantize(&l, l.hidden, d_model);
    double linear_time = best(run_linear_d, &l, sizeof l) * (4 * d_model + 2 * d_ff) / (sample_tiles * LEAF_TILE_ROWS);
    quantize(&l, l.wide, d_ff);
    linear_time += best(run_linear_ff, &l, sizeof l) * d_model / (sample_tiles * LEAF_TILE_ROWS);

    static const struct {
        const char *name;
        void (*run)(const void *);
    } parts[] = {{"attention with softmax and cache", run_attention}, {"norms", run_norms}, {"gated GELU", run_gelu},
                 {"quantization", run_quantize}, {"additions", run_additions}};
    printf("| %s activations | ms | share of the linear layers |\n| --- | --- | --- |\n",
           type == LEAF_ACTIVATION_INT16 ? "int16" : "int8");
    printf("| linear layers | %.1f | |\n", 1e3 * linear_time);
    double sum = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        double time = best(parts[i].run, &l, sizeof l);
        sum += time;
        printf("| %s | %.2f | %.2f %% |\n", parts[i].name, 1e3 * time, 100 * time / linear_time);
    }
    printf("| all but the linear layers | %.1f | %.1f %% |\n\n", 1e3 * sum, 100 * sum / linear_time);
    const register_loop *loop = fma_loop(kernels->floats->name);
    if (loop) {
        double operations = 4.0 * rows * rows * d_head * heads;
        double rate = loop->operations * loop_steps / best(run_loop, &loop, sizeof loop);
        printf("The multiplications of attention alone take %.2f ms by fma in registers.\n\n", 1e3 * operations / rate);
    }
    free((void *)l.weights), free((void *)l.scales), free(l.hidden), free(l.delta), free(l.wide), free(l.wider);
    free(l.quantized), free(l.pages), free(order), free(buckets), free(l.scratch);
}
