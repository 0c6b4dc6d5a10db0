/* Tables of the models: the float functions of 512 bits, compiled for AVX2, and the products of vnni_model.h and
 * amx_model.h. */
#include "kernel_checks.h"

#if defined(__x86_64__)

#include "../../Sources/CLeafKernels/tables.h"

#define LEAF_HARDWARE_HALF 1
#define LEAF_HARDWARE_BYTES 1
#define LEAF_QUERY_TILE 12

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "../../Sources/CLeafKernels/float/table.h"

#pragma clang attribute pop

extern const leaf_product kernel_check_avx512_int8, kernel_check_avx512_q4, kernel_check_avx512_q3;
extern const leaf_product kernel_check_avxvnni_int8, kernel_check_avxvnni_q4, kernel_check_avxvnni_q3;
extern const leaf_product kernel_check_amx_int8, kernel_check_amx_q4, kernel_check_amx_q3;

static LEAF_FLOAT_TABLE(model_floats, "model");
static const leaf_kernels avx512 = {
    "model", &model_floats, {&kernel_check_avx512_int8, &kernel_check_avx512_q4, &kernel_check_avx512_q3}};
static const leaf_kernels avxvnni = {
    "model", &leaf_floats_avx2, {&kernel_check_avxvnni_int8, &kernel_check_avxvnni_q4, &kernel_check_avxvnni_q3}};
static const leaf_kernels amx = {
    "model", &model_floats, {&kernel_check_amx_int8, &kernel_check_amx_q4, &kernel_check_amx_q3}};

const leaf_kernels *kernel_check_avx512_model(void) { return leaf_kernels_named("avx2") ? &avx512 : NULL; }
const leaf_kernels *kernel_check_avxvnni_model(void) { return leaf_kernels_named("avx2") ? &avxvnni : NULL; }
const leaf_kernels *kernel_check_amx_model(void) { return leaf_kernels_named("avx2") ? &amx : NULL; }

#else

const leaf_kernels *kernel_check_avx512_model(void) { return NULL; }
const leaf_kernels *kernel_check_avxvnni_model(void) { return NULL; }
const leaf_kernels *kernel_check_amx_model(void) { return NULL; }

#endif
