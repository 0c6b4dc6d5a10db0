/* How near the int8 matrix product comes to what the machine can do.
 *
 * One row: bytes of weights per second from a matrix larger than the last-level cache, beside a plain loop that reads
 * as much. Many rows: operations per second (a multiplication and an addition are two), beside the multiply-and-add
 * instructions alone, in registers. Both of a pair are measured in turns, in short stretches, by the processor time of
 * the slowest thread, and the best of each is given: that leaves out what other programs on the machine take. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "leaf_kernels.h"
#include "limits.h"

enum { columns = 4096, tiles = 4096, max_threads = 2, max_rows = 512, peak_steps = 1000000 };
enum { reading_rounds = 15, computing_rounds = 40 };

static double processor_time(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A large buffer in huge pages where the system has them, filled with something. */
static void *room(size_t bytes) {
    size_t huge = 2 << 20;
    char *p = aligned_alloc(huge, LEAF_ALIGN_UP(bytes, huge));
    if (!p) abort();
    madvise(p, bytes, MADV_HUGEPAGE);
    for (size_t i = 0; i < bytes; i++) p[i] = (char)(i * 2654435761u >> 13);
    return p;
}

typedef struct {
    const leaf_kernels *kernels;
    leaf_activation type;
    const int8_t *weights;
    size_t tile_count, rows;
    const void *activations;
    const float *scales;
    float *y;
    size_t y_stride;
} product;

static void run_product(const void *job) {
    const product *p = job;
    p->kernels->linear(p->type, p->weights, p->tile_count, columns, p->scales, p->activations, p->rows, p->y,
                       p->y_stride);
}

typedef struct {
    const char *bytes;
    size_t count;
} reading;

static void run_reading(const void *job) {
    const reading *r = job;
    read_all(r->bytes, r->count);
}

typedef struct {
    const char *isa;
    long steps;
} peak;

static void run_peak(const void *job) { multiply_add(((const peak *)job)->isa, ((const peak *)job)->steps); }

typedef struct {
    void (*run)(const void *);
    const void *job;
    double seconds;
} start;

static void *thread_main(void *argument) {
    start *s = argument;
    double begin = processor_time();
    s->run(s->job);
    s->seconds = processor_time() - begin;
    return NULL;
}

/* Seconds that the slowest of `threads` jobs, `size` bytes apart, takes when all run at once. */
static double measure(void (*run)(const void *), const void *jobs, size_t size, int threads) {
    pthread_t ids[max_threads];
    start starts[max_threads];
    for (int t = 0; t < threads; t++) {
        starts[t] = (start){run, (const char *)jobs + (size_t)t * size, 0};
        if (t > 0 && pthread_create(&ids[t], NULL, thread_main, &starts[t]) != 0) abort();
    }
    thread_main(&starts[0]);
    double slowest = starts[0].seconds;
    for (int t = 1; t < threads; t++) {
        pthread_join(ids[t], NULL);
        if (starts[t].seconds > slowest) slowest = starts[t].seconds;
    }
    return slowest;
}

static double smaller(double a, double b) { return a < b ? a : b; }

/* The jobs of one product, its tiles divided among the threads. */
static void divide(product whole, size_t tile_count, int threads, product *jobs) {
    for (int t = 0; t < threads; t++) {
        size_t begin = tile_count * (size_t)t / (size_t)threads, end = tile_count * (size_t)(t + 1) / (size_t)threads;
        jobs[t] = whole;
        jobs[t].weights += begin * LEAF_TILE_ROWS * columns;
        jobs[t].scales += begin * LEAF_TILE_ROWS;
        jobs[t].y += begin * LEAF_TILE_ROWS;
        jobs[t].tile_count = end - begin;
    }
}

static void bandwidth(product whole, int threads) {
    size_t bytes = (size_t)tiles * LEAF_TILE_ROWS * columns;
    product jobs[max_threads];
    reading readings[max_threads];
    divide(whole, tiles, threads, jobs);
    for (int t = 0; t < threads; t++)
        readings[t] = (reading){(const char *)jobs[t].weights, jobs[t].tile_count * LEAF_TILE_ROWS * columns};
    double product_time = 1e9, reading_time = 1e9;
    for (int i = 0; i < reading_rounds; i++) {
        reading_time = smaller(reading_time, measure(run_reading, readings, sizeof *readings, threads));
        product_time = smaller(product_time, measure(run_product, jobs, sizeof *jobs, threads));
    }
    printf("%-7s %-5s %d thread%s  1 row    %6.2f GB/s of %6.2f GB/s read  %5.1f %%\n", whole.kernels->name,
           whole.type == LEAF_ACTIVATION_INT16 ? "int16" : "int8", threads, threads == 1 ? " " : "s",
           (double)bytes / product_time / 1e9, (double)bytes / reading_time / 1e9, 100 * reading_time / product_time);
}

static void throughput(product whole, size_t rows, int threads) {
    product jobs[max_threads];
    peak peaks[max_threads];
    whole.rows = rows;
    size_t tile_count = rows < 32 ? tiles / 4 : 4096 / rows + 8;  /* few rows: 64 MB of weights; many: milliseconds */
    whole.y_stride = rows < 32 ? tile_count * LEAF_TILE_ROWS : columns;
    divide(whole, tile_count, threads, jobs);
    for (int t = 0; t < threads; t++) peaks[t] = (peak){whole.kernels->name, peak_steps};
    double operations = 2.0 * (double)rows * (double)tile_count * LEAF_TILE_ROWS * columns;
    double peak_operations = operations_a_step(whole.kernels->name) * peak_steps * threads;
    double product_time = 1e9, peak_time = 1e9;
    for (int i = 0; i < computing_rounds; i++) {
        product_time = smaller(product_time, measure(run_product, jobs, sizeof *jobs, threads));
        if (peak_operations > 0) peak_time = smaller(peak_time, measure(run_peak, peaks, sizeof *peaks, threads));
    }
    printf("%-7s %-5s %d thread%s  %3zu rows %6.1f GOPS of %6.1f in registers  %5.1f %%\n", whole.kernels->name,
           whole.type == LEAF_ACTIVATION_INT16 ? "int16" : "int8", threads, threads == 1 ? " " : "s", rows,
           operations / product_time / 1e9, peak_operations / peak_time / 1e9,
           100 * (operations / product_time) / (peak_operations / peak_time));
}

int main(int count, char **arguments) {
    const leaf_kernels *kernels = count > 1 ? leaf_kernels_named(arguments[1]) : leaf_kernels_best();
    if (!kernels) {
        fprintf(stderr, "no such instruction set on this machine\n");
        return 2;
    }
    size_t outputs = (size_t)tiles * LEAF_TILE_ROWS;
    int8_t *weights = room(outputs * columns);
    float *scales = room(outputs * sizeof(float)), *y = room(outputs * max_rows * sizeof(float));
    float *x = room(columns * sizeof(float));
    for (size_t i = 0; i < outputs; i++) scales[i] = 1e-3f;
    for (size_t i = 0; i < columns; i++) x[i] = (float)(i % 251) - 125;
    for (int type = LEAF_ACTIVATION_INT16; type <= LEAF_ACTIVATION_INT8; type++) {
        size_t bytes = leaf_activation_row_bytes((leaf_activation)type, columns);
        char *activations = room(bytes * max_rows);
        for (size_t r = 0; r < max_rows; r++)
            kernels->quantize_row((leaf_activation)type, x, columns, columns, activations + r * bytes);
        product whole = {kernels, (leaf_activation)type, weights, tiles, 1, activations, scales, y, outputs};
        for (int threads = 1; threads <= max_threads; threads++) {
            static const size_t rows[] = {2, 4, 8, 16, 32, 128, 512};
            bandwidth(whole, threads);
            for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) throughput(whole, rows[i], threads);
        }
        free(activations);
    }
    return 0;
}
