/* Counts the allocations of a whole process. Linking it replaces malloc, mmap and their relatives by functions that
 * count and call glibc's. */
#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

typedef struct {
    long allocations, bytes;
} allocation_count;

/* 0 where there is no glibc to count for, and under a sanitizer, which has an allocator of its own. */
int allocation_counter_works(void);
/* Counts from zero, on all threads, until the end is asked for. */
void allocation_counter_begin(void);
allocation_count allocation_counter_end(void);

/* Bytes that are allocated or mapped now, by all threads; stacks of threads are not among them. */
long allocation_live_bytes(void);
/* The most of them since the last call of allocation_peak_reset. */
long allocation_peak_bytes(void);
void allocation_peak_reset(void);

#endif
