/* What the machine can do at most, for comparison. */
#ifndef LIMITS_H
#define LIMITS_H

#include <stddef.h>

/* Reads every byte once, in order, with the widest loads at hand. */
void read_all(const char *bytes, size_t count);

/* A loop of the instructions of an integer product, in registers alone. */
typedef struct {
    const char *isa, *name;
    void (*run)(long steps);
    double operations; /* of one step: a multiplication and an addition are two */
} register_loop;

enum { most_loops = 2 };

/* The loops of an instruction set, ended by one without a name. */
const register_loop *register_loops(const char *isa);

/* The fused multiplications and additions of float functions, by the name of their table; NULL for other processors. */
const register_loop *fma_loop(const char *floats);

#endif
