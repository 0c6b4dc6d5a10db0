/* How long jobs take that run at the same time, one a thread. */
#ifndef TIMING_H
#define TIMING_H

#include <stddef.h>

enum { most_threads = 64 };

/* Looks for half a second whether other programs run. If so, times are processor times of the slowest thread, which
 * leave out when it did not run, but not what others do to caches, memory and clock; else wall-clock times. */
void choose_clock(void);
const char *clock_name(void);

/* Seconds from the first start to the last end of `threads` jobs, `size` bytes apart. */
double measure(void (*run)(const void *), const void *jobs, size_t size, int threads);

/* A large buffer in huge pages where the system has them, filled with something. */
void *room(size_t bytes);

#endif
