/* What reading a file takes from those who compute, and what they take from it: a loop on every core, in registers or
 * through memory, alone and beside 8 readers of 1 MiB past the page cache, into huge pages. The loop in registers
 * touches nothing that a disk could need but the processor; what it loses, the system or the hypervisor used.
 *
 * beside FILE [SECONDS] [LOOPS, else one on each core] */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"

enum { readers = 8, most_cores = 64, request = 1 << 20, memory_bytes = 256 << 20 };

typedef struct {
    double loops, read, stolen; /* a second each: rounds of all cores, bytes, seconds of processor time */
} rates;

static int file, cores;
static size_t places;
static char *slots, *memory;
static _Atomic size_t next_place;
static _Atomic long rounds;
static double begin, deadline, bytes_per_second;

/* Processor time of all cores that went elsewhere, as a virtual machine is told. */
static double stolen_seconds(void) {
    FILE *stat = fopen("/proc/stat", "r");
    long ticks = 0;
    if (!stat || fscanf(stat, "cpu %*d %*d %*d %*d %*d %*d %*d %ld", &ticks) != 1) ticks = 0;
    if (stat) fclose(stat);
    return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static void *loop_in_registers(void *unused) {
    (void)unused;
    for (uint64_t x = 1; now() < deadline; atomic_fetch_add(&rounds, 1))
        for (int i = 0; i < 100000; i++) {
            x = x * 6364136223846793005u + 1;
            __asm__ volatile("" : "+r"(x));
        }
    return NULL;
}

static void *loop_through_memory(void *argument) {
    const char *own = memory + (size_t)(uintptr_t)argument * memory_bytes;
    for (size_t at = 0; now() < deadline; at = (at + request) % memory_bytes, atomic_fetch_add(&rounds, 1)) {
        uint64_t sum[8] = {0};
        for (size_t byte = 0; byte < request; byte += sizeof sum)
            for (size_t lane = 0; lane < 8; lane++) sum[lane] += ((const uint64_t *)(own + at + byte))[lane];
        __asm__ volatile("" : : "r"(sum) : "memory");
    }
    return NULL;
}

static void *read_on(void *argument) {
    char *slot = slots + (size_t)(uintptr_t)argument * request;
    while (now() < deadline) {
        size_t place = atomic_fetch_add(&next_place, 1);
        double wait = bytes_per_second > 0 ? begin + (double)(place * request) / bytes_per_second - now() : 0;
        if (wait > 0) usleep((useconds_t)(wait * 1e6));
        if (pread(file, slot, request, (off_t)(place % places * request)) < 0) fail("pread", errno);
    }
    return NULL;
}

static rates measure(void *(*loop)(void *), int reads, double rate, double seconds) {
    pthread_t threads[most_cores + readers];
    int count = 0;
    bytes_per_second = rate;
    next_place = 0;
    rounds = 0;
    double stolen = stolen_seconds();
    begin = now();
    deadline = begin + seconds;
    for (int core = 0; core < cores && loop; core++)
        pthread_create(&threads[count++], NULL, loop, (void *)(uintptr_t)core);
    for (int reader = 0; reader < readers && reads; reader++)
        pthread_create(&threads[count++], NULL, read_on, (void *)(uintptr_t)reader);
    for (int thread = 0; thread < count; thread++) pthread_join(threads[thread], NULL);
    double took = now() - begin;
    return (rates){(double)rounds / took, (double)(next_place * request) / took, (stolen_seconds() - stolen) / took};
}

int main(int count, char **words) {
    if (count < 2) {
        fprintf(stderr, "usage: beside FILE [SECONDS] [LOOPS]\n");
        return 2;
    }
    double seconds = count > 2 ? atof(words[2]) : 2;
    file = open(words[1], O_RDONLY | O_DIRECT);
    struct stat status;
    if (file < 0 || fstat(file, &status) < 0) fail(words[1], errno);
    places = (size_t)status.st_size / request;
    if (places == 0) {
        fprintf(stderr, "%s: shorter than 1 MiB\n", words[1]);
        return 1;
    }
    cores = count > 3 ? atoi(words[3]) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (cores > most_cores) cores = most_cores;
    slots = touched(readers * request, 1);
    memory = touched((size_t)cores * memory_bytes, 1);

    printf("| %d loops | limit of the reading | reading | of its rate alone | left of the loops | stolen, of %d cores |\n"
           "| --- | --- | --- | --- | --- | --- |\n", cores, cores);
    double alone = measure(NULL, 1, 0, seconds).read;
    printf("| none | none | %.2f GB/s | | | |\n", alone / 1e9);
    void *(*const loops[])(void *) = {loop_in_registers, loop_through_memory};
    const char *const names[] = {"in registers", "through memory"};
    const double limits[] = {1e9, 2e9, 0};
    for (int kind = 0; kind < 2; kind++) {
        double undisturbed = measure(loops[kind], 0, 0, seconds).loops;
        for (int limit = 0; limit < 3; limit++) {
            rates beside = measure(loops[kind], 1, limits[limit], seconds);
            char text[32] = "none";
            if (limits[limit] > 0) snprintf(text, sizeof text, "%.0f GB/s", limits[limit] / 1e9);
            printf("| %s | %s | %.2f GB/s | %.0f %% | %.0f %% | %.2f |\n", names[kind], text, beside.read / 1e9,
                   100 * beside.read / alone, 100 * beside.loops / undisturbed, beside.stolen);
        }
    }
    return 0;
}
