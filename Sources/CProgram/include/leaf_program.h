/* What only a program has, and no library. */
#ifndef LEAF_PROGRAM_H
#define LEAF_PROGRAM_H

/* The arguments that the program was started with, its own name first. They come from the C library, so that they are
   there without /proc, where Swift reads them. */
int leaf_argument_count(void);
const char *leaf_argument(int index);

#endif
