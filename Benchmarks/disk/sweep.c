/* The least that a sweep is: a file read past the page cache in file order, 4 requests of 1 MiB at once into 6 slots of
 * 2 MiB in huge pages, the last that became free first; and every slot added up once, by all cores together, before it
 * is filled again. Prints two rates in bytes a second, half of the time each: of reading alone, and of reading with
 * adding up.
 *
 * sweep FILE SECONDS */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"

enum { reader_count = 4, slot_count = 6, request = 1 << 20, slot_bytes = 2 << 20, pieces = slot_bytes / request, most_cores = 64 };

typedef struct {
    size_t place;         /* in the file, in slots */
    size_t number;        /* in the order of reading */
    int asked, read, done; /* pieces, pieces, consumers */
} slot;

static int file, cores;
static size_t places, first_place, opened;
static char *memory;
static slot slots[slot_count];
static int unused[slot_count], unused_count, open_slot;
static double deadline;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void free_slot(int s) {
    unused[unused_count++] = s;
    pthread_cond_broadcast(&changed);
}

static void *read_on(void *consumers) {
    pthread_mutex_lock(&lock);
    while (now() < deadline) {
        if (open_slot < 0) {
            if (unused_count == 0) {
                pthread_cond_wait(&changed, &lock);
                continue;
            }
            open_slot = unused[--unused_count];
            slots[open_slot] = (slot){.place = (first_place + opened) % places, .number = opened};
            opened++;
        }
        int s = open_slot, piece = slots[s].asked++;
        if (slots[s].asked == pieces) open_slot = -1;
        pthread_mutex_unlock(&lock);
        ssize_t moved = pread(file, memory + (size_t)s * slot_bytes + (size_t)piece * request, request,
                              (off_t)(slots[s].place * slot_bytes + (size_t)piece * request));
        if (moved != request) fail("pread", errno);
        pthread_mutex_lock(&lock);
        if (++slots[s].read == pieces) {
            if (consumers) pthread_cond_broadcast(&changed);
            else free_slot(s);
        }
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* The slot that holds what was read as the given number, -1 as long as none does. */
static int slot_of(size_t number) {
    for (int s = 0; s < slot_count; s++)
        if (slots[s].number == number && slots[s].read == pieces) return s;
    return -1;
}

static void *add_up(void *core) {
    size_t part = slot_bytes / (size_t)cores / 64 * 64, from = (size_t)(uintptr_t)core * part;
    pthread_mutex_lock(&lock);
    for (size_t number = 0; now() < deadline;) {
        int s = slot_of(number);
        if (s < 0) {
            pthread_cond_wait(&changed, &lock);
            continue;
        }
        pthread_mutex_unlock(&lock);
        const char *bytes = memory + (size_t)s * slot_bytes + from;
        uint64_t sum[8] = {0};
        for (size_t byte = 0; byte < part; byte += sizeof sum)
            for (size_t lane = 0; lane < 8; lane++) sum[lane] += ((const uint64_t *)(bytes + byte))[lane];
        __asm__ volatile("" : : "r"(sum) : "memory");
        pthread_mutex_lock(&lock);
        if (++slots[s].done == cores) free_slot(s);
        number++;
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static double rate(int is_added_up, double seconds) {
    pthread_t threads[reader_count + most_cores];
    int count = 0;
    opened = 0;
    open_slot = -1;
    for (unused_count = 0; unused_count < slot_count; unused_count++) {
        unused[unused_count] = unused_count;
        slots[unused_count] = (slot){0};
    }
    double begin = now();
    first_place = (size_t)(begin * 1e6) % places;
    deadline = begin + seconds;
    for (int core = 0; core < cores && is_added_up; core++)
        pthread_create(&threads[count++], NULL, add_up, (void *)(uintptr_t)core);
    for (int reader = 0; reader < reader_count; reader++)
        pthread_create(&threads[count++], NULL, read_on, (void *)(uintptr_t)is_added_up);
    for (int thread = 0; thread < count; thread++) pthread_join(threads[thread], NULL);
    return (double)(opened * slot_bytes) / (now() - begin);
}

int main(int count, char **words) {
    if (count != 3) {
        fprintf(stderr, "usage: sweep FILE SECONDS\n");
        return 2;
    }
    file = open(words[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status)) fail(words[1], errno);
    places = (size_t)status.st_size / slot_bytes;
    if (places == 0) {
        fprintf(stderr, "%s: shorter than 2 MiB\n", words[1]);
        return 1;
    }
    cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (cores > most_cores) cores = most_cores;
    memory = touched(slot_count * slot_bytes, 1);
    double alone = rate(0, atof(words[2]) / 2);
    printf("%.0f %.0f\n", alone, rate(1, atof(words[2]) / 2));
    return 0;
}
