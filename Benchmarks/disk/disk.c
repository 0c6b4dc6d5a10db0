/* How fast a file can be read past the page cache, and by which means: a pool of threads in pread, or io_uring from one
 * thread, at several depths and request sizes. Reads are in file order, as a sweep's are, and every way goes on where
 * the one before stopped, in turns, so that a disk whose rate drifts treats all alike.
 *
 * disk FILE [SECONDS A TURN] [TURNS] [4k: into ordinary pages] */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"

enum { most_depth = 64, most_ways = 16, most_turns = 64, alignment = 4096 };

typedef struct {
    const char *name;
    int is_ring, depth;
    size_t request;
} way;

static const way ways[] = {
    {"pread", 0, 1, 4 << 20},     {"pread", 0, 4, 4 << 20},      {"pread", 0, 8, 4 << 20},     {"pread", 0, 8, 1 << 20},
    {"pread", 0, 16, 1 << 20},    {"pread", 0, 16, 256 << 10},   {"pread", 0, 32, 256 << 10},  {"pread", 0, 64, 256 << 10},
    {"pread", 0, 32, 1 << 20},    {"io_uring", 1, 4, 4 << 20},   {"io_uring", 1, 8, 1 << 20},  {"io_uring", 1, 16, 1 << 20},
    {"io_uring", 1, 16, 256 << 10}, {"io_uring", 1, 32, 256 << 10}, {"io_uring", 1, 64, 256 << 10},
};

static int file;
static size_t file_bytes;
static char *room;
static _Atomic size_t next_place, bytes_read;
static double deadline;

static double processor_time(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static size_t claim(size_t request) {
    size_t places = file_bytes / request;
    return atomic_fetch_add(&next_place, request) / request % places * request;
}

typedef struct {
    const way *way;
    int number;
} reader;

static void *read_on_thread(void *argument) {
    const reader *r = argument;
    char *buffer = room + (size_t)r->number * (4 << 20);
    while (now() < deadline) {
        ssize_t moved = pread(file, buffer, r->way->request, (off_t)claim(r->way->request));
        if (moved < 0) fail("pread", errno);
        atomic_fetch_add(&bytes_read, (size_t)moved);
    }
    return NULL;
}

static void read_by_threads(const way *w) {
    pthread_t threads[most_depth];
    reader readers[most_depth];
    for (int i = 0; i < w->depth; i++) {
        readers[i] = (reader){w, i};
        if (pthread_create(&threads[i], NULL, read_on_thread, &readers[i])) fail("pthread_create", EAGAIN);
    }
    for (int i = 0; i < w->depth; i++) pthread_join(threads[i], NULL);
}

static void read_by_ring(const way *w) {
    struct io_uring ring;
    int code = io_uring_queue_init(most_depth, &ring, 0);
    if (code < 0) fail("io_uring_queue_init", -code);
    int in_flight = 0;
    for (int i = 0; i < w->depth; i++, in_flight++) {
        struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
        io_uring_prep_read(entry, file, room + (size_t)i * (4 << 20), (unsigned)w->request, claim(w->request));
        io_uring_sqe_set_data(entry, room + (size_t)i * (4 << 20));
    }
    io_uring_submit(&ring);
    while (in_flight > 0) {
        struct io_uring_cqe *done;
        code = io_uring_wait_cqe(&ring, &done);
        if (code < 0 || done->res < 0) fail("io_uring", code < 0 ? -code : -done->res);
        atomic_fetch_add(&bytes_read, (size_t)done->res);
        void *buffer = io_uring_cqe_get_data(done);
        io_uring_cqe_seen(&ring, done);
        in_flight--;
        if (now() < deadline) {
            struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
            io_uring_prep_read(entry, file, buffer, (unsigned)w->request, claim(w->request));
            io_uring_sqe_set_data(entry, buffer);
            io_uring_submit(&ring);
            in_flight++;
        }
    }
    io_uring_queue_exit(&ring);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: disk FILE [SECONDS A TURN] [TURNS] [4k]\n");
        return 2;
    }
    double seconds = count > 2 ? atof(arguments[2]) : 1;
    int turns = count > 3 ? atoi(arguments[3]) : 7;
    int huge_pages = !(count > 4 && strcmp(arguments[4], "4k") == 0);
    if (turns < 1 || turns > most_turns) turns = 7;
    file = open(arguments[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status)) fail(arguments[1], errno);
    file_bytes = (size_t)status.st_size / (4 << 20) * (4 << 20);
    if (file_bytes == 0) {
        fprintf(stderr, "%s is smaller than one request of 4 MiB\n", arguments[1]);
        return 2;
    }
    room = touched((size_t)most_depth * (4 << 20), huge_pages);

    enum { way_count = sizeof ways / sizeof *ways };
    static double rates[most_ways][most_turns], load[most_ways];
    for (int turn = 0; turn < turns; turn++) {
        for (int w = 0; w < way_count; w++) {
            atomic_store(&bytes_read, 0);
            double begin = now(), used = processor_time();
            deadline = begin + seconds;
            (ways[w].is_ring ? read_by_ring : read_by_threads)(&ways[w]);
            double bytes = (double)atomic_load(&bytes_read);
            rates[w][turn] = bytes / (now() - begin) / 1e9;
            load[w] += (processor_time() - used) / bytes * 1e9 / turns;
        }
    }
    printf("| way | depth | request | GB/s, median | least to most | processor s/GB |\n|---|---|---|---|---|---|\n");
    for (int w = 0; w < way_count; w++) {
        qsort(rates[w], (size_t)turns, sizeof(double), by_value);
        printf("| %s | %d | %zu KiB | %.2f | %.2f to %.2f | %.3f |\n", ways[w].name, ways[w].depth, ways[w].request >> 10,
               rates[w][turns / 2], rates[w][0], rates[w][turns - 1], load[w]);
    }
    return 0;
}
