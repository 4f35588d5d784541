/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many threads a call is worth. Waking a thread takes 30 to 60 microseconds where cores are free. Where other
 * programs keep them busy it waits for its turn, some three milliseconds, and the call waits for it: there a call of one
 * millisecond is three times slower with two threads than with one. Callers estimate their work for AVX2 on one core of
 * 2023, to one digit; results do not depend on it.
 */
#include <stdlib.h>

#include "internal.h"

/* Nanoseconds of each thread. On free cores two threads then save at least three quarters of what they could. */
#define LEAST_WORK 400000.0

int cbn_worth(int num_threads, double nanoseconds) {
    const char *every = getenv("CBN_EVERY_THREAD");
    const double threads = nanoseconds / LEAST_WORK;
    if (threads >= num_threads || (every && every[0] && strcmp(every, "0") != 0)) return num_threads;
    return threads < 1.0 ? 1 : (int)threads;
}
