#ifndef HEAP_PEAK_H
#define HEAP_PEAK_H

#include <stddef.h>

/// Begins to count the heap bytes that the calling thread has in use. Needs the address sanitizer's allocator.
void heap_peak_begin(void);

/// Ends counting.
///
/// @return the most bytes that were in use at the same time, as much as the C library would have taken for them.
size_t heap_peak_end(void);

#endif
