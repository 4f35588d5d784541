/* SPDX-License-Identifier: BSD-3-Clause */
/* Networks of inverted residuals: refusals, nothing written outside the outputs (run with sanitizers), threads and
 * batches alike. */
#include "harness.h"

#define BLOCKS 4
static const int32_t blocks[BLOCKS][4] = {{16, 8, 3, 1}, {32, 24, 5, 2}, {48, 24, 4, 1}, {16, 40, 9, 3}};

static float *numbers(int64_t n, uint64_t seed) {
    float *values = allocate(n * 4);
    for (int64_t i = 0; i < n; i++) values[i] = (float)(next_random(&seed) % 2001) / 2000.0f - 0.4f;
    return values;
}

static int64_t floats_of(int b, int64_t n, int32_t height, int32_t width) {
    int64_t h = (height + 1) / 2, w = (width + 1) / 2;
    for (int i = 0; i <= b; i++) h = (h + blocks[i][3] - 1) / blocks[i][3], w = (w + blocks[i][3] - 1) / blocks[i][3];
    return n * h * w * blocks[b][1];
}

static void test_pictures(int64_t n, int32_t height, int32_t width, int32_t channels) {
    const cbn_mobile m = {BLOCKS, &blocks[0][0]};
    int64_t n_weights, bytes;
    CHECK(cbn_mobile_weights(&m, &n_weights) == CBN_OK);
    float *weights = numbers(n_weights, 1), *packed = allocate(4 * n_weights);
    CHECK(cbn_mobile_pack(&m, weights, packed) == CBN_OK);
    float *values = numbers(n * height * width * channels, 2), *out[3][BLOCKS];
    const cbn_pictures pictures = {n, height, width, channels, values, 2.0f, -1.0f};
    for (int r = 0; r < 3; r++)
        for (int b = 0; b < BLOCKS; b++) out[r][b] = allocate(4 * floats_of(b, n, height, width));
    for (int r = 0; r < 2; r++) {
        CHECK(cbn_mobile_workspace_size(&m, &pictures, 1 + 2 * r, &bytes) == CBN_OK);
        void *workspace = allocate(bytes);
        CHECK(cbn_mobile_features(&m, packed, &pictures, out[r], ROOM(workspace, bytes), 1 + 2 * r) == CBN_OK);
        CHECK(cbn_mobile_features(&m, packed, &pictures, out[2], ROOM(workspace, bytes - 1), 1 + 2 * r) ==
              CBN_E_WORKSPACE);
        free(workspace);
    }
    /* the last picture alone, and only the last block */
    cbn_pictures last = pictures;
    last.n_images = 1, last.values = values + (n - 1) * height * width * channels;
    float *wanted[BLOCKS] = {NULL, NULL, NULL, out[2][BLOCKS - 1]};
    CHECK(cbn_mobile_workspace_size(&m, &last, 2, &bytes) == CBN_OK);
    void *workspace = allocate(bytes);
    CHECK(cbn_mobile_features(&m, packed, &last, wanted, ROOM(workspace, bytes), 2) == CBN_OK);
    const int64_t size = floats_of(BLOCKS - 1, 1, height, width);
    CHECK(memcmp(wanted[BLOCKS - 1], out[0][BLOCKS - 1] + (n - 1) * size, (size_t)(4 * size)) == 0);
    for (int b = 0; b < BLOCKS; b++)
        CHECK(memcmp(out[0][b], out[1][b], (size_t)(4 * floats_of(b, n, height, width))) == 0);
    for (int r = 0; r < 3; r++)
        for (int b = 0; b < BLOCKS; b++) free(out[r][b]);
    free(weights), free(packed), free(values), free(workspace);
}

static int check_block(int32_t expanded, int32_t out_channels, int32_t size, int32_t stride) {
    const int32_t block[4] = {expanded, out_channels, size, stride};
    const cbn_mobile m = {1, block};
    return cbn_mobile_check(&m);
}

static void test_refusals(void) {
    CHECK(cbn_mobile_check(NULL) == CBN_E_NULL);
    CHECK(check_block(16, 8, 3, 1) == CBN_OK);
    CHECK(check_block(0, 8, 3, 1) == CBN_E_SIZE);
    CHECK(check_block(16, CBN_MAX_CHANNELS + 8, 3, 1) == CBN_E_SIZE);
    CHECK(check_block(24, 8, 3, 1) == CBN_E_PARAMETER);
    CHECK(check_block(16, 4, 3, 1) == CBN_E_PARAMETER);
    CHECK(check_block(16, 8, CBN_MAX_WINDOW + 1, 1) == CBN_E_TAP);
    CHECK(check_block(16, 8, 3, 4) == CBN_E_TAP);
    CHECK(check_block(16, 8, 3, 0) == CBN_E_TAP);
    cbn_mobile m = {0, &blocks[0][0]};
    CHECK(cbn_mobile_check(&m) == CBN_E_SIZE);
    m.n_blocks = CBN_MAX_BLOCKS + 1;
    CHECK(cbn_mobile_check(&m) == CBN_E_SIZE);
    m.n_blocks = 1;
    float *values = numbers(5 * 5 * 3, 3), *out[1] = {allocate(4 * 3 * 3 * 8)};
    int64_t n_weights, bytes;
    CHECK(cbn_mobile_weights(&m, NULL) == CBN_E_NULL);
    CHECK(cbn_mobile_weights(&m, &n_weights) == CBN_OK);
    float *packed = numbers(n_weights, 4);
    CHECK(cbn_mobile_pack(&m, NULL, packed) == CBN_E_NULL);
    const cbn_pictures good = {1, 5, 5, 3, values, 1.0f, 0.0f};
    cbn_pictures p = good;
    CHECK(cbn_mobile_workspace_size(&m, NULL, 1, &bytes) == CBN_E_NULL);
    CHECK(cbn_mobile_workspace_size(&m, &p, 0, &bytes) == CBN_E_PARAMETER);
    CHECK(cbn_mobile_workspace_size(&m, &p, 1, &bytes) == CBN_OK);
    void *workspace = allocate(bytes);
    CHECK(cbn_mobile_features(&m, packed, &p, out, ROOM(workspace, bytes), 1) == CBN_OK);
    CHECK(cbn_mobile_features(&m, packed, &p, out, ROOM(workspace, bytes), 0) == CBN_E_PARAMETER);
    CHECK(cbn_mobile_features(&m, NULL, &p, out, ROOM(workspace, bytes), 1) == CBN_E_NULL);
    CHECK(cbn_mobile_features(&m, packed, &p, NULL, ROOM(workspace, bytes), 1) == CBN_E_NULL);
    CHECK(cbn_mobile_features(&m, packed, &p, out, ROOM(NULL, bytes), 1) == CBN_E_NULL);
    p.values = NULL;
    CHECK(cbn_mobile_features(&m, packed, &p, out, ROOM(workspace, bytes), 1) == CBN_E_NULL);
    p = good, p.channels = 2;
    CHECK(cbn_mobile_features(&m, packed, &p, out, ROOM(workspace, bytes), 1) == CBN_E_PARAMETER);
    p = good, p.width = 0;
    CHECK(cbn_mobile_features(&m, packed, &p, out, ROOM(workspace, bytes), 1) == CBN_E_SIZE);
    p = good, p.height = CBN_MAX_PICTURE + 1;
    CHECK(cbn_mobile_features(&m, packed, &p, out, ROOM(workspace, bytes), 1) == CBN_E_SIZE);
    p = good, p.n_images = INT64_MAX / 8;
    CHECK(cbn_mobile_workspace_size(&m, &p, 1, &bytes) == CBN_E_SIZE);
    p = good, p.height = p.width = CBN_MAX_PICTURE;
    CHECK(cbn_mobile_workspace_size(&m, &p, 4, &bytes) == CBN_OK);
    CHECK(bytes > (int64_t)CBN_MAX_PICTURE * CBN_MAX_PICTURE);
    free(values), free(out[0]), free(packed), free(workspace);
}

int main(void) {
    test_pictures(1, 1, 1, 3);
    test_pictures(2, 7, 100, 1);
    test_pictures(5, 23, 18, 3);
    test_pictures(1, 150, 90, 3);
    test_refusals();
    return report(__FILE__);
}
