/* What the library measures of itself inside of a process that is not its own. */
#ifndef LEAF_LIBRARY_H
#define LEAF_LIBRARY_H

#include <stddef.h>

/* Bytes that the library's own code has allocated and not freed. They are counted where the library is linked with
   --wrap for the functions in heap.c; elsewhere it is 0. */
long leaf_library_heap_bytes(void);

/* The most that these have been so far. */
long leaf_library_heap_peak_bytes(void);

/* Pages of the library's file and of its own variables that this process has in memory, in bytes. */
long leaf_library_image_bytes(void);

#endif
