/* What the machine can do at most, for comparison. */
#ifndef LIMITS_H
#define LIMITS_H

#include <stddef.h>

/* Reads every byte once, in order, with the widest loads at hand. */
void read_all(const char *bytes, size_t count);

/* Multiply-and-add instructions in registers, `steps` times: vpmaddwd and vpaddd for "avx2", vpdpbusd for "avx512". */
void multiply_add(const char *isa, long steps);

/* Integer operations of one step, 0 where the instruction set has no such loop. int16 activations take two vpdpbusd for
 * each product, so that half of the figure is the limit there. */
double operations_a_step(const char *isa);

#endif
