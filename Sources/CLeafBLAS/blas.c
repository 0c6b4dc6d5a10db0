#include "leaf_blas.h"
#include <dlfcn.h>
#include <stdatomic.h>

/* The C interface that OpenBLAS documents; the enumerators are CBLAS's fixed numbers. */
enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };
typedef void (*cblas_sgemm_fn)(int, int, int, int, int, int, float, const float *, int, const float *, int, float,
                               float *, int);

/* The same for all who load it; models may be opened and run on several threads. */
static _Atomic(cblas_sgemm_fn) cblas_sgemm;

static void sgemm(size_t m, size_t n, size_t k, float alpha, const float *x, size_t x_stride, const float *w,
                  size_t w_stride, float *y, size_t y_stride) {
    cblas_sgemm_fn product = atomic_load_explicit(&cblas_sgemm, memory_order_relaxed);
    product(ROW_MAJOR, NO_TRANS, TRANS, (int)m, (int)n, (int)k, alpha, x, (int)x_stride, w, (int)w_stride, 0, y,
            (int)y_stride);
}

leaf_sgemm_fn leaf_sgemm_load(void) {
    /* Where somebody else in this process uses it, the number of threads is theirs. */
    int is_there = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_NOLOAD) != NULL;
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return NULL;
    void (*set_threads)(int);
    *(void **)&set_threads = dlsym(library, "openblas_set_num_threads");
    cblas_sgemm_fn product;
    *(void **)&product = dlsym(library, "cblas_sgemm");
    if (!set_threads || !product)
        return NULL;
    atomic_store_explicit(&cblas_sgemm, product, memory_order_relaxed);
    if (!is_there)
        set_threads(1);
    return sgemm;
}
