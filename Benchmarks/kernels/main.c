/* How near the kernels come to what the machine can do, as tables for RESULTS.md. A product and its limit are measured
 * in turns, in short stretches, and the best of each is given. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layer.h"
#include "limits.h"
#include "timing.h"

enum { columns = 4096, most_rows = 512, reading_rounds = 15, computing_rounds = 30, loop_steps = 1000000 };
/* 268 MB of weights, more than caches hold; and 2 MB, which they do. */
enum { ram_tiles = 4096, cached_tiles = 32 };

typedef struct {
    const leaf_kernels *kernels;
    leaf_layout layout;
    leaf_activation type;
    const char *weights;
    size_t tile_count, rows;
    const void *activations;
    const float *scales;
    float *y;
    size_t y_stride;
} product;

static void run_product(const void *job) {
    const product *p = job;
    leaf_kernels_product(p->kernels, p->layout)
        ->linear(p->type, p->weights, p->tile_count, columns, p->scales, p->activations, p->rows, p->y, p->y_stride);
}

typedef struct {
    const char *bytes;
    size_t count;
} reading;

static void run_reading(const void *job) {
    const reading *r = job;
    read_all(r->bytes, r->count);
}

static void run_loop(const void *job) { (*(const register_loop *const *)job)->run(loop_steps); }

static double smaller(double a, double b) { return a < b ? a : b; }

static const char *type_name(leaf_activation type) { return type == LEAF_ACTIVATION_INT16 ? "int16" : "int8"; }

static double weights_of(size_t tiles) { return (double)tiles * LEAF_TILE_ROWS * columns; }

static size_t tile_bytes(leaf_layout layout) {
    return columns / 64 * leaf_section_bytes(layout);
}

/* The jobs of one product, its tiles divided among the threads. */
static void divide(product whole, int threads, product *jobs) {
    whole.y_stride = whole.tile_count * LEAF_TILE_ROWS;
    for (int t = 0; t < threads; t++) {
        size_t begin = whole.tile_count * (size_t)t / (size_t)threads;
        jobs[t] = whole;
        jobs[t].weights += begin * tile_bytes(whole.layout);
        jobs[t].scales += begin * LEAF_TILE_ROWS;
        jobs[t].y += begin * LEAF_TILE_ROWS;
        jobs[t].tile_count = whole.tile_count * (size_t)(t + 1) / (size_t)threads - begin;
    }
}

static double time_product(product whole, int threads, int rounds) {
    product jobs[most_threads];
    divide(whole, threads, jobs);
    double best = 1e9;
    for (int i = 0; i < rounds; i++) best = smaller(best, measure(run_product, jobs, sizeof *jobs, threads));
    return best;
}

/* One row, and a plain loop that reads the same bytes. */
static void print_one_row(product whole, int threads) {
    product jobs[most_threads];
    reading readings[most_threads];
    whole.tile_count = ram_tiles, whole.rows = 1;
    divide(whole, threads, jobs);
    for (int t = 0; t < threads; t++)
        readings[t] = (reading){jobs[t].weights, jobs[t].tile_count * LEAF_TILE_ROWS * columns};
    double product_time = 1e9, reading_time = 1e9;
    for (int i = 0; i < reading_rounds; i++) {
        reading_time = smaller(reading_time, measure(run_reading, readings, sizeof *readings, threads));
        product_time = smaller(product_time, measure(run_product, jobs, sizeof *jobs, threads));
    }
    printf("| %s | %d | %.1f GB/s | %.1f GB/s | %.0f %% |\n", type_name(whole.type), threads,
           weights_of(ram_tiles) / product_time / 1e9, weights_of(ram_tiles) / reading_time / 1e9,
           100 * reading_time / product_time);
}

/* What each more row costs when the weights come from RAM, as a share of the first. */
static void print_few_rows(product whole, int threads) {
    static const size_t rows[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32};
    double first = 0, before = 0;
    whole.tile_count = ram_tiles;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        whole.rows = rows[i];
        double time = time_product(whole, threads, 5);
        if (i == 0) first = time;
        printf("| %s | %zu | %.1f ms | %.2f | ", type_name(whole.type), rows[i], 1e3 * time, time / first);
        if (i > 0) printf("%.2f", (time - before) / first / (double)(rows[i] - rows[i - 1]));
        printf(" | %.0f GOPS |\n", 2 * (double)rows[i] * weights_of(ram_tiles) / time / 1e9);
        before = time;
    }
}

/* Many rows, and the instructions alone. */
static void print_many_rows(product whole, int threads) {
    static const size_t rows[] = {32, 128, 512};
    whole.tile_count = cached_tiles;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        whole.rows = rows[i];
        double product_time = 1e9, loop_times[most_loops] = {1e9, 1e9};
        const register_loop *loops = register_loops(whole.kernels->name);
        for (int round = 0; round < computing_rounds; round++) {
            product_time = smaller(product_time, time_product(whole, threads, 1));
            for (int l = 0; loops[l].name; l++) {
                const register_loop *same[most_threads];
                for (int t = 0; t < threads; t++) same[t] = loops + l;
                loop_times[l] = smaller(loop_times[l], measure(run_loop, same, sizeof *same, threads));
            }
        }
        double rate = 2 * (double)rows[i] * weights_of(cached_tiles) / product_time;
        printf("| %s | %d | %zu | %.0f GOPS |", type_name(whole.type), threads, rows[i], rate / 1e9);
        for (int l = 0; loops[l].name; l++) {
            double limit = loops[l].operations * loop_steps * threads / loop_times[l];
            printf(" %.0f | %.0f %% |", limit / 1e9, 100 * rate / limit);
        }
        printf("\n");
    }
}

/* int8, q4 and q3 by turns. */
static void print_turns(product int8, const char *weights, int threads) {
    static const struct {
        size_t rows, tiles;
        int rounds;
    } cases[] = {{1, ram_tiles, 15}, {2, ram_tiles, 9}, {3, ram_tiles, 9},     {4, ram_tiles, 5},
                 {8, ram_tiles, 3},  {32, cached_tiles, 30}, {128, cached_tiles, 9}, {512, cached_tiles, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int8.tile_count = cases[i].tiles, int8.rows = cases[i].rows;
        product all[LEAF_LAYOUT_COUNT];
        double times[LEAF_LAYOUT_COUNT];
        for (int l = 0; l < LEAF_LAYOUT_COUNT; l++) {
            all[l] = int8, times[l] = 1e9;
            if (l != LEAF_LAYOUT_INT8) all[l].layout = (leaf_layout)l, all[l].weights = weights;
        }
        for (int round = 0; round < cases[i].rounds; round++)
            for (int l = 0; l < LEAF_LAYOUT_COUNT; l++) times[l] = smaller(times[l], time_product(all[l], threads, 1));
        double products = (double)cases[i].rows * weights_of(cases[i].tiles) / 1e9;
        printf("| %s | %d | %zu | %.1f | %.1f | %.2f | %.1f | %.2f |\n", type_name(int8.type), threads, cases[i].rows,
               products / times[LEAF_LAYOUT_INT8], products / times[LEAF_LAYOUT_Q4],
               times[LEAF_LAYOUT_INT8] / times[LEAF_LAYOUT_Q4], products / times[LEAF_LAYOUT_Q3],
               times[LEAF_LAYOUT_INT8] / times[LEAF_LAYOUT_Q3]);
    }
}

static void print_coded(const product products[2], const char *weights, int threads) {
    printf("\nq4 and q3 beside int8 by turns, 10^9 weights times rows a second; up to 8 rows with weights in RAM "
           "(268 MB of int8), then in a cache:\n\n"
           "| activations | threads | rows | int8 | q4 | ratio | q3 | ratio |\n"
           "| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (int t = 1; t <= threads; t += threads > 1 ? threads - 1 : 1)
        for (int p = 0; p < 2; p++) print_turns(products[p], weights, t);
}

/* 16 rows of numbers as codes. */
typedef struct {
    const leaf_float_kernels *kernels;
    leaf_layout layout;
    const int8_t *numbers;
    const float *feedback;
    char *tile;
} encoding;

static void run_encoding(const void *job) {
    const encoding *e = job;
    e->kernels->encode(e->layout, e->numbers, columns, e->feedback, e->tile);
}

/* A sum of 8 bytes of a fixed sequence: nearly normal numbers. */
static int bell(uint32_t *state) {
    int sum = 0;
    for (int i = 0; i < 8; i++) sum += (int8_t)((*state = *state * 1664525 + 1013904223) >> 24);
    return sum / 8;
}

static void print_encoding(const leaf_float_kernels *kernels) {
    enum { inputs = 64, blocks = columns / LEAF_FEEDBACK_COLUMNS };
    uint32_t state = 1;
    int8_t *numbers = room(columns * LEAF_TILE_ROWS);
    for (size_t i = 0; i < columns * LEAF_TILE_ROWS; i++) numbers[i] = (int8_t)bell(&state);
    float *rows = room(inputs * LEAF_FEEDBACK_COLUMNS * sizeof(float));
    for (size_t i = 0; i < inputs * LEAF_FEEDBACK_COLUMNS; i++) rows[i] = (float)bell(&state);
    float *feedback = room(blocks * LEAF_PRODUCTS_COUNT * sizeof(float));
    memset(feedback, 0, blocks * LEAF_PRODUCTS_COUNT * sizeof(float));
    for (size_t block = 0; block < blocks; block++) {
        float *products = feedback + block * LEAF_PRODUCTS_COUNT;
        kernels->add_products(rows, LEAF_FEEDBACK_COLUMNS, inputs, LEAF_FEEDBACK_COLUMNS, products);
        leaf_feedback(products, LEAF_FEEDBACK_COLUMNS);
    }
    printf("\nEncoding of int8 numbers, ns a weight, 1 thread:\n\n"
           "| codes | nearest | with the feedback of a text |\n| --- | --- | --- |\n");
    for (int layout = LEAF_LAYOUT_Q4; layout <= LEAF_LAYOUT_Q3; layout++) {
        encoding job = {kernels, (leaf_layout)layout, numbers, NULL, room(columns * LEAF_TILE_ROWS)};
        double times[2] = {1e9, 1e9};
        for (int i = 0; i < 2 * computing_rounds; i++) {
            job.feedback = i % 2 ? feedback : NULL;
            times[i % 2] = smaller(times[i % 2], measure(run_encoding, &job, sizeof job, 1));
        }
        printf("| %s | %.1f | %.1f |\n", layout == LEAF_LAYOUT_Q4 ? "q4" : "q3", 1e9 * times[0] / weights_of(1),
               1e9 * times[1] / weights_of(1));
    }
}

static product make_product(const leaf_kernels *kernels, leaf_activation type, const char *weights,
                            const float *scales, float *y) {
    size_t bytes = leaf_activation_row_bytes(type, columns);
    char *activations = room(bytes * most_rows);
    float *x = room(columns * sizeof(float));
    for (size_t i = 0; i < columns; i++) x[i] = (float)(i % 251) - 125;
    const leaf_product *int8 = leaf_kernels_product(kernels, LEAF_LAYOUT_INT8);
    for (size_t r = 0; r < most_rows; r++) int8->quantize_row(type, x, columns, columns, activations + r * bytes);
    free(x);
    return (product){kernels, LEAF_LAYOUT_INT8, type, weights, 0, 0, activations, scales, y, 0};
}

int main(int count, char **arguments) {
    const char *name = count > 1 ? arguments[1] : "best";
    leaf_kernels_permit();
    const leaf_kernels *kernels = strcmp(name, "best") == 0 ? leaf_kernels_best() : leaf_kernels_named(name);
    if (!kernels) {
        fprintf(stderr, "no such instruction set on this machine\n");
        return 2;
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int threads = cores < most_threads ? (int)cores : most_threads;
    size_t outputs = ram_tiles * LEAF_TILE_ROWS;
    char *weights = room(ram_tiles * tile_bytes(LEAF_LAYOUT_INT8));
    char *codes = room(ram_tiles * tile_bytes(LEAF_LAYOUT_Q4));
    float *scales = room(outputs * sizeof(float)), *y = room(outputs * 32 * sizeof(float));
    for (size_t i = 0; i < outputs; i++) scales[i] = 1e-3f;
    product products[2];
    for (int type = LEAF_ACTIVATION_INT16; type <= LEAF_ACTIVATION_INT8; type++)
        products[type] = make_product(kernels, (leaf_activation)type, weights, scales, y);
    choose_clock();
    printf("%s, %ld cores; %s.\n", kernels->name, cores, clock_name());
    if (count > 2 && strcmp(arguments[2], "encode") == 0) return print_encoding(kernels->floats), 0;
    if (count > 2) return print_coded(products, codes, threads), 0;

    printf("\n1 row, 268 MB of weights in RAM:\n\n"
           "| activations | threads | product | a plain loop reads | share |\n| --- | --- | --- | --- | --- |\n");
    for (int t = 1; t <= threads; t += threads > 1 ? threads - 1 : 1)
        for (int p = 0; p < 2; p++) print_one_row(products[p], t);

    printf("\nFew rows, 268 MB of weights in RAM, %d threads:\n\n"
           "| activations | rows | time | of one row's | each more row | |\n| --- | --- | --- | --- | --- | --- |\n",
           threads);
    for (int p = 0; p < 2; p++) print_few_rows(products[p], threads);

    printf("\nMany rows, weights in a cache:\n\n| activations | threads | rows | product |");
    const register_loop *loops = register_loops(kernels->name);
    for (int l = 0; loops[l].name; l++) printf(" %s in registers | share |", loops[l].name);
    printf("\n| --- | --- | --- | --- |");
    for (int l = 0; loops[l].name; l++) printf(" --- | --- |");
    printf("\n");
    for (int t = 1; t <= threads; t += threads > 1 ? threads - 1 : 1)
        for (int p = 1; p >= 0; p--) print_many_rows(products[p], t);

    print_coded(products, codes, threads);
    print_encoding(kernels->floats);

    printf("\n512 tokens through one layer of the 10B shape (d 4096, 32 heads of 128, ff 10240), 1 thread:\n\n");
    for (int type = LEAF_ACTIVATION_INT8; type >= LEAF_ACTIVATION_INT16; type--)
        print_layer(kernels, (leaf_activation)type);
    return 0;
}
