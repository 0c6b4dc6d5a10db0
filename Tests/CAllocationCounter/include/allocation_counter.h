/* Counts the allocations of a whole process. Linking it replaces malloc and its relatives by functions that count and
 * call glibc's. */
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

#endif
