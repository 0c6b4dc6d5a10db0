/* OpenBLAS's sgemm, loaded when a model with float weights is opened: a program that runs int8 weights never pays for
 * the library's pages, buffers and threads. */
#ifndef LEAF_BLAS_H
#define LEAF_BLAS_H

#include <stddef.h>

/* y[m][n] = alpha * x[m][k] * w[n][k]^T, all row-major; strides in floats. */
typedef void (*leaf_sgemm_fn)(size_t m, size_t n, size_t k, float alpha, const float *x, size_t x_stride,
                              const float *w, size_t w_stride, float *y, size_t y_stride);

/* NULL when no OpenBLAS is installed. Calls from several threads at once are safe; each stays on its thread. */
leaf_sgemm_fn leaf_sgemm_load(void);

#endif
