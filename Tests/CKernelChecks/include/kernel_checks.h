/* Digests of what a table of kernels computes from generated inputs. Tables that give the same bits give the same
 * digests, on whichever processor. */
#ifndef KERNEL_CHECKS_H
#define KERNEL_CHECKS_H

#include "leaf_kernels.h"

size_t kernel_check_count(void);
const char *kernel_check_name(size_t check);
uint64_t kernel_check_digest(size_t check, const leaf_kernels *kernels);

/* The AVX-512 table with its intrinsics computed in plain C: its arithmetic and layout run where AVX-512 does not.
 * NULL where AVX2 is missing. */
const leaf_kernels *kernel_check_avx512_model(void);

#endif
