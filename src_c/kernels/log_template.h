/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Logarithms of many numbers: cbn_log of each. The same additions, multiplications and divisions in every lane, so the
 * same bits for every vector width.
 *
 * Interface:
 *   CBN_FUNCTION    storage class and target attribute
 */
CBN_FUNCTION void logs(const double *x, int64_t n, double *out) {
    for (int64_t i = 0; i < n; i++) out[i] = cbn_log(x[i]);
}
