/* SPDX-License-Identifier: BSD-3-Clause */
/* Packing and counting against loops over single images; sizes around word and vector boundaries. */
#include "harness.h"

static int bit(const uint8_t *images, int64_t width, int64_t pixels, int64_t i, int64_t y, int64_t x, int64_t height) {
    if (y < 0 || x < 0 || y >= height || x >= width) return 0;
    return images[i * pixels + y * width + x] > 76;
}

static void check_size(int64_t n, int32_t height, int32_t width) {
    const cbn_layer layer = thesis_layer(height, width);
    const int64_t pixels = (int64_t)height * width, words = cbn_plane_words(n);
    int64_t rows;
    CHECK(cbn_layer_rows(&layer, &rows) == CBN_OK && rows == 16 * pixels);
    uint8_t *images = allocate(n * pixels), *states = allocate(n * pixels);
    uint64_t *planes = allocate(pixels * words * 8), *again = allocate(pixels * words * 8);
    int64_t *counts = allocate(rows * 16), *expected = allocate(rows * 16);
    fill_images(images, n * pixels, (uint64_t)(n * 1000 + pixels));

    CHECK(cbn_pack_planes(images, n, pixels, 76, planes, 1) == CBN_OK);
    CHECK(cbn_pack_planes(images, n, pixels, 76, again, 3) == CBN_OK);
    CHECK(memcmp(planes, again, (size_t)(pixels * words * 8)) == 0);
    if (n % 64)
        for (int64_t p = 0; p < pixels; p++) CHECK(planes[p * words + words - 1] >> (n % 64) == 0);
    CHECK(cbn_unpack_planes(PLANES(planes, n), pixels, states, 2) == CBN_OK);
    int same = 1;
    for (int64_t i = 0; i < n * pixels; i++) same &= states[i] == (images[i] > 76);
    CHECK(same);

    memset(expected, 0, (size_t)rows * 16);
    for (int64_t i = 0; i < n; i++)
        for (int64_t y = 0; y < height; y++)
            for (int64_t x = 0; x < width; x++) {
                int row = 0;
                for (int j = 0; j < 4; j++)
                    row |= bit(images, width, pixels, i, y + thesis_dy[j], x + thesis_dx[j], height) << j;
                expected[2 * (16 * (y * width + x) + row) + bit(images, width, pixels, i, y, x, height)]++;
            }
    for (int threads = 1; threads <= 3; threads += 2) {
        CHECK(cbn_count(&layer, PLANES(planes, n), counts, threads) == CBN_OK);
        CHECK(memcmp(counts, expected, (size_t)rows * 16) == 0);
    }
    CHECK(cbn_counts_check(&layer, counts, n) == CBN_OK);
    CHECK(cbn_counts_check(&layer, counts, n + 1) == CBN_E_COUNTS);
    counts[1]--;
    CHECK(cbn_counts_check(&layer, counts, n) == CBN_E_COUNTS);
    free(images), free(states), free(planes), free(again), free(counts), free(expected);
}

int main(void) {
    static const int64_t sizes[] = {1, 63, 64, 65, 127, 511, 512, 513, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) check_size(sizes[i], 5, 13);
    check_size(70, 1, 1);
    check_size(70, 1, 130);
    check_size(70, 130, 1);
    check_size(3, 16, 16);

    int64_t a[3] = {1, 2, INT64_MAX}, b[3] = {4, 5, 1};
    CHECK(cbn_counts_add(a, 3, b) == CBN_E_OVERFLOW && b[0] == 4 && b[1] == 5 && b[2] == 1);
    a[2] = 7;
    CHECK(cbn_counts_add(a, 3, b) == CBN_OK && b[0] == 5 && b[1] == 7 && b[2] == 8);
    a[0] = -1;
    CHECK(cbn_counts_add(a, 3, b) == CBN_E_COUNTS);
    return report(__FILE__);
}
