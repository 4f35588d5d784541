/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine's own logarithm and exponential against those of libm in long double: error in units in the last place. */
#include <math.h>

#include "harness.h"
#include "internal.h"

/* Of each of the two; fewer where long doubles are software, and that is emulated. */
#ifndef SAMPLES
#define SAMPLES 2000000
#endif

static double ulps(double x) {
    const long double exact = logl((long double)x);
    const double found = cbn_log(x);
    if (exact == 0) return found == 0 ? 0 : INFINITY;
    const double next = nextafter((double)exact, INFINITY) - (double)exact;
    return (double)(fabsl((long double)found - exact) / next);
}

static double exp_ulps(double x) {
    const long double exact = expl((long double)x);
    const double next = nextafter((double)exact, INFINITY) - (double)exact;
    return (double)(fabsl((long double)cbn_exp_negative(x) - exact) / next);
}

static void exponential(void) {
    uint64_t state = 2;
    double worst = 0;
    for (int i = 0; i < SAMPLES; i++) {
        const double u = (next_random(&state) + 0.5) / 2147483648.0;
        const double error = exp_ulps(i % 2 ? -u : -700.0 * u);
        if (error > worst) worst = error;
    }
    CHECK(worst < 1.5);
    CHECK(cbn_exp_negative(0.0) == 1.0 && cbn_exp_negative(-0.0) == 1.0);
    CHECK(exp_ulps(-1e-300) < 1 && exp_ulps(-700.0) < 1.5);
    CHECK(cbn_exp_negative(-1e9) == cbn_exp_negative(-700.0));
    CHECK(cbn_exp_negative(-INFINITY) == cbn_exp_negative(-700.0));
    printf("largest error of the exponential: %.3f units in the last place\n", worst);
}

int main(void) {
    exponential();
    uint64_t state = 1;
    double worst = 0;
    for (int i = 0; i < SAMPLES; i++) {
        const double u = (next_random(&state) + 0.5) / 2147483648.0;
        const double near_one = 1.0 + (u - 0.5) * 1e-3, wide = ldexp(u + 0.5, (int)(next_random(&state) % 1800) - 900);
        const int64_t n = 1 + next_random(&state) % 60000;
        const double ratio = ((double)(next_random(&state) % n) + 1.0) / ((double)n + 2.0);
        const double values[4] = {u, near_one, wide, ratio};
        for (int k = 0; k < 4; k++) {
            const double error = ulps(values[k]);
            if (error > worst) worst = error;
        }
    }
    CHECK(worst < 1.0);
    CHECK(cbn_log(1.0) == 0.0);
    CHECK(ulps(0.5) < 1 && ulps(2.0) < 1 && ulps(1e-300) < 1 && ulps(1e300) < 1);
    CHECK(ulps(nextafter(1.0, 0)) < 1 && ulps(nextafter(1.0, 2)) < 1);
    printf("largest error of the logarithm: %.3f units in the last place\n", worst);
    return report(__FILE__);
}
