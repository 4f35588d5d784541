/* SPDX-License-Identifier: BSD-3-Clause */
/* Max pooling, channels last. Threads own rows of the output; of the gradient, images. */
#include "neural.h"
#include "kernels/kernels.h"

int cbn_pooling_check(const cbn_pooling *p) {
    if (!p) return CBN_E_NULL;
    if (p->n_images < 1 || p->height < 1 || p->width < 1 || p->channels < 1 || p->stride < 1 || p->size < 1)
        return CBN_E_SIZE;
    if (p->size > CBN_MAX_POOL || p->size > p->height || p->size > p->width) return CBN_E_TAP;
    int64_t size;
    CBN_TRY(cbn_multiply(p->n_images, (int64_t)p->height * p->width, &size));
    return cbn_multiply(size, 4 * (int64_t)p->channels, &size);
}

static int64_t pooled(int32_t length, const cbn_pooling *p) { return (length - p->size) / p->stride + 1; }

int cbn_max_pool(const cbn_pooling *p, const float *x, float *out, uint8_t *which, int num_threads) {
    CBN_TRY(cbn_pooling_check(p));
    if (!x || !out || !which) return CBN_E_NULL;
    if (num_threads < 1) return CBN_E_PARAMETER;
    const int64_t height = pooled(p->height, p), width = pooled(p->width, p), n_rows = p->n_images * height;
    const cbn_pool_plan plan = {width, p->channels, p->width, p->size, p->stride};
    const cbn_kernels *kernels = cbn_kernels_select();
    const double work = 0.3 * (double)(n_rows * width * p->channels) * p->size * p->size;
    CBN_PARALLEL_FOR(cbn_worth(num_threads, work), n_rows, static)
    for (int64_t r = 0; r < n_rows; r++) {
        const int64_t row = r / height * p->height + r % height * p->stride, to = r * width * p->channels;
        kernels->pool_row(&plan, x + row * p->width * p->channels, out + to, which + to);
    }
    return CBN_OK;
}

int cbn_max_pool_gradient(const cbn_pooling *p, const float *d_out, const uint8_t *which, float *d_x,
                          int num_threads) {
    CBN_TRY(cbn_pooling_check(p));
    if (!d_out || !which || !d_x) return CBN_E_NULL;
    if (num_threads < 1) return CBN_E_PARAMETER;
    const int64_t height = pooled(p->height, p), width = pooled(p->width, p), channels = p->channels;
    const int64_t in_size = (int64_t)p->height * p->width * channels;
    for (int64_t i = 0; i < p->n_images * height * width * channels; i++)
        if (which[i] >= p->size * p->size) return CBN_E_TAP;
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 1.0 * (double)(p->n_images * in_size)), p->n_images, static)
    for (int64_t i = 0; i < p->n_images; i++) {
        float *image = d_x + i * in_size;
        memset(image, 0, (size_t)in_size * sizeof *image);
        for (int64_t y = 0; y < height; y++)
            for (int64_t x = 0; x < width; x++) {
                const int64_t from = ((i * height + y) * width + x) * channels;
                float *corner = image + (y * p->stride * p->width + x * p->stride) * channels;
                for (int64_t c = 0; c < channels; c++) {
                    const int place = which[from + c];
                    corner[(place / p->size * p->width + place % p->size) * channels + c] += d_out[from + c];
                }
            }
    }
    return CBN_OK;
}
