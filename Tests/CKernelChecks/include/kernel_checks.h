/* Digests of what the kernels of an instruction set compute from generated inputs. Sets that give the same bits give
 * the same digests, on whichever processor. */
#ifndef KERNEL_CHECKS_H
#define KERNEL_CHECKS_H

#include "leaf_kernels.h"

size_t kernel_check_count(void);
const char *kernel_check_name(size_t check);
uint64_t kernel_check_digest(size_t check, const leaf_kernels *kernels);

/* The kernels of AVX-512, AVX-VNNI and AMX with vpdpbusd and the instructions on tiles computed in plain C: their
 * arithmetic and layout run where the instructions do not. NULL where AVX2 is missing. */
const leaf_kernels *kernel_check_avx512_model(void);
const leaf_kernels *kernel_check_avxvnni_model(void);
const leaf_kernels *kernel_check_amx_model(void);

#endif
