/* Errors of exp and erf over all 2^32 floats, in units of the last place, against glibc's double functions (under one
 * unit of a double, so exact here to 1e-8 ulp). Results below the normal floats are reported apart. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "leaf_kernels.h"

enum { batch = 1 << 16 };

static float of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

typedef struct {
    double worst, at;
    uint64_t counted, not_nearest, flushed, wrong;
} report;

static void judge(report *r, float x, float got, double exact) {
    if (isnan(x)) {
        r->wrong += !isnan(got);
    } else if ((float)exact == INFINITY || fabs(exact) == 0) {
        r->wrong += got != (float)exact;
    } else if (fabs(exact) < 0x1p-126 && got == 0) {
        r->flushed++;
    } else {
        int exponent;
        frexp(exact, &exponent);
        double unit = ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
        double error = fabs(got - exact) / unit;
        r->counted++;
        r->not_nearest += got != (float)exact;
        if (!(error <= r->worst)) r->worst = error, r->at = x;
    }
}

static void print(const char *name, report r) {
    printf("%s: worst %.3f ulp at %a; nearest float for %.2f %% of %llu results; %llu flushed to zero, %llu wrong\n", name,
           r.worst, r.at, 100.0 * (double)(r.counted - r.not_nearest) / (double)r.counted, (unsigned long long)r.counted,
           (unsigned long long)r.flushed, (unsigned long long)r.wrong);
}

int main(void) {
    const leaf_kernels *kernels = leaf_kernels_best();
    static float x[batch], e[batch], f[batch];
    report exp_report = {0}, erf_report = {0};
    for (uint64_t begin = 0; begin < 1ull << 32; begin += batch) {
        for (int i = 0; i < batch; i++) x[i] = of_bits((uint32_t)(begin + (uint64_t)i));
        kernels->floats->exp(x, e, batch);
        kernels->floats->erf(x, f, batch);
        for (int i = 0; i < batch; i++) {
            judge(&exp_report, x[i], e[i], exp(x[i]));
            judge(&erf_report, x[i], f[i], erf(x[i]));
        }
    }
    printf("kernels: %s\n", kernels->name);
    print("exp", exp_report);
    print("erf", erf_report);
    return exp_report.wrong + erf_report.wrong != 0;
}
