/* SPDX-License-Identifier: BSD-3-Clause */
/* The neural functions: refusals, nothing written outside the outputs (run with sanitizers), threads alike. */
#include "harness.h"

#define HEIGHT 5
#define WIDTH 14
#define CHANNELS 3
#define KERNELS 18
#define RING 8

static const int32_t ring[RING][2] = {{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 2}, {2, 0}, {2, 1}, {2, 2}};

static float *numbers(int64_t n, uint64_t seed) {
    float *values = allocate(n * 4);
    for (int64_t i = 0; i < n; i++) values[i] = (float)(next_random(&seed) % 2001) / 1000.0f - 1.0f;
    return values;
}

static cbn_convolution convolution(void) {
    const cbn_convolution c = {2, HEIGHT + 2, WIDTH + 2, CHANNELS, HEIGHT, WIDTH, KERNELS, 1, RING, &ring[0][0]};
    return c;
}

static void test_convolution(void) {
    const cbn_convolution c = convolution();
    const int64_t n_in = 2 * (HEIGHT + 2) * (WIDTH + 2) * CHANNELS, n_out = 2 * HEIGHT * WIDTH * KERNELS;
    const int64_t n_weights = RING * CHANNELS * KERNELS;
    float *x = numbers(n_in, 1), *weights = numbers(n_weights, 2), *bias = numbers(KERNELS, 3);
    float *out = allocate(4 * n_out), *again = allocate(4 * n_out);
    float *d_weights = allocate(4 * n_weights), *d_bias = allocate(4 * KERNELS);
    int64_t bytes, gradient_bytes;
    CHECK(cbn_convolve_workspace_size(&c, 3, &bytes) == CBN_OK);
    CHECK(cbn_convolve_weight_gradient_workspace_size(&c, 3, &gradient_bytes) == CBN_OK);
    void *workspace = allocate(bytes), *gradient_workspace = allocate(gradient_bytes);
    CHECK(cbn_convolve(&c, x, weights, bias, out, ROOM(workspace, bytes), 1) == CBN_OK);
    CHECK(cbn_convolve(&c, x, weights, bias, again, ROOM(workspace, bytes), 3) == CBN_OK);
    CHECK(memcmp(out, again, (size_t)(4 * n_out)) == 0);
    CHECK(cbn_convolve(&c, x, weights, bias, out, ROOM(workspace, bytes - 1), 3) == CBN_E_WORKSPACE);
    CHECK(cbn_convolve(&c, NULL, weights, bias, out, ROOM(workspace, bytes), 1) == CBN_E_NULL);
    CHECK(cbn_convolve(&c, x, weights, bias, out, ROOM(workspace, bytes), 0) == CBN_E_PARAMETER);
    CHECK(cbn_convolve_weight_gradient(&c, x, out, d_weights, d_bias, ROOM(gradient_workspace, gradient_bytes), 3) == CBN_OK);
    float sum = 0.0f; /* of one kernel's slopes, row by row as one block holds one row */
    for (int64_t y = 0; y < HEIGHT; y++) {
        float row = 0.0f;
        for (int64_t i = 0; i < 2; i++)
            for (int64_t p = 0; p < WIDTH; p++) row += out[((i * HEIGHT + y) * WIDTH + p) * KERNELS + 7];
        sum += row;
    }
    CHECK(d_bias[7] == sum);
    free(x), free(weights), free(bias), free(out), free(again), free(d_weights), free(d_bias);
    free(workspace), free(gradient_workspace);
}

static void test_refusals(void) {
    cbn_convolution c = convolution();
    CHECK(cbn_convolution_check(NULL) == CBN_E_NULL);
    c.in_width--;
    CHECK(cbn_convolution_check(&c) == CBN_E_TAP);
    c = convolution(), c.n_taps = 0;
    CHECK(cbn_convolution_check(&c) == CBN_E_SIZE);
    c = convolution(), c.stride = 0;
    CHECK(cbn_convolution_check(&c) == CBN_E_SIZE);
    c = convolution(), c.n_images = INT64_MAX / 8;
    CHECK(cbn_convolution_check(&c) == CBN_E_SIZE);
    cbn_pooling p = {1, 4, 4, 1, 5, 1};
    CHECK(cbn_pooling_check(&p) == CBN_E_TAP);
    p.size = CBN_MAX_POOL + 1, p.height = p.width = 100;
    CHECK(cbn_pooling_check(&p) == CBN_E_TAP);
    p.size = 2, p.stride = 0;
    CHECK(cbn_pooling_check(&p) == CBN_E_SIZE);
}

static void test_sidewards(int own_last) {
    const int32_t units[3] = {20, 7, 33};
    const cbn_sidewards s = {2, HEIGHT, WIDTH, KERNELS, HEIGHT + 2, WIDTH + 2, CHANNELS, RING, &ring[0][0], 2, 3, units,
                             own_last};
    const int64_t n_x = 2 * (HEIGHT + 2) * (WIDTH + 2) * CHANNELS, n_first = RING * CHANNELS * 20, n_extra = 3 * 20;
    const int64_t n_hidden = 21 * 7 + 8 * 33, n_last = (own_last ? HEIGHT * WIDTH : 1) * KERNELS * 34;
    const int64_t n_out = 2 * HEIGHT * WIDTH * KERNELS;
    float *x = numbers(n_x, 1), *extra = numbers(HEIGHT * WIDTH * 2, 2), *first = numbers(n_first, 3);
    float *first_extra = numbers(n_extra, 4), *hidden = numbers(n_hidden, 5), *last = numbers(n_last, 6);
    float *target = numbers(n_out, 7), *prediction = allocate(4 * n_out);
    const cbn_sidewards_weights weights = {first, first_extra, hidden, last};
    cbn_sidewards_gradients out[2];
    int64_t bytes, gradient_bytes;
    CHECK(cbn_sidewards_predict_workspace_size(&s, 3, &bytes) == CBN_OK);
    CHECK(cbn_sidewards_gradient_workspace_size(&s, 3, &gradient_bytes) == CBN_OK);
    void *workspace = allocate(bytes), *gradient_workspace = allocate(gradient_bytes);
    CHECK(cbn_sidewards_predict(&s, x, extra, &weights, prediction, ROOM(workspace, bytes), 2) == CBN_OK);
    CHECK(cbn_sidewards_predict(&s, x, NULL, &weights, prediction, ROOM(workspace, bytes), 2) == CBN_E_NULL);
    CHECK(cbn_sidewards_predict(&s, x, extra, &weights, prediction, ROOM(workspace, bytes - 1), 3) == CBN_E_WORKSPACE);
    for (int r = 0; r < 2; r++) {
        out[r].first = allocate(4 * n_first), out[r].first_extra = allocate(4 * n_extra);
        out[r].hidden = allocate(4 * n_hidden), out[r].last = allocate(4 * n_last);
        out[r].error = allocate(4 * n_out), out[r].sums = allocate(4 * 2 * HEIGHT * WIDTH * 20);
        CHECK(cbn_sidewards_gradient(&s, x, extra, &weights, target, &out[r], ROOM(gradient_workspace, gradient_bytes),
                                     1 + 2 * r) == CBN_OK);
    }
    CHECK(memcmp(out[0].first, out[1].first, (size_t)(4 * n_first)) == 0);
    CHECK(memcmp(out[0].hidden, out[1].hidden, (size_t)(4 * n_hidden)) == 0);
    CHECK(memcmp(out[0].last, out[1].last, (size_t)(4 * n_last)) == 0);
    int differ = 0;
    for (int64_t i = 0; i < n_out; i++) differ |= out[0].error[i] != prediction[i] - target[i];
    CHECK(!differ);
    cbn_sidewards wrong = s;
    wrong.n_layers = CBN_MAX_HIDDEN + 1;
    CHECK(cbn_sidewards_check(&wrong) == CBN_E_SIZE);
    wrong = s, wrong.in_height--;
    CHECK(cbn_sidewards_check(&wrong) == CBN_E_TAP);
    for (int r = 0; r < 2; r++) {
        free(out[r].first), free(out[r].first_extra), free(out[r].hidden), free(out[r].last);
        free(out[r].error), free(out[r].sums);
    }
    free(x), free(extra), free(first), free(first_extra), free(hidden), free(last), free(target), free(prediction);
    free(workspace), free(gradient_workspace);
}

int main(void) {
    test_convolution();
    test_refusals();
    test_sidewards(0);
    test_sidewards(1);
    return report(__FILE__);
}
