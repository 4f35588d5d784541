/* SPDX-License-Identifier: BSD-3-Clause */
/* Convolution layers: the forward pass against loops; thread counts; workspaces of exactly the size that is asked for. */
#include "harness.h"

static int32_t small(uint64_t *state) { return (int32_t)(next_random(state) % 2000001) - 1000000; }

static int sum_above(const cbn_transition *t, const uint8_t *image, int k, int y, int x) {
    int64_t sum = t->bias[k];
    const int size = t->kernel_size;
    for (int c = 0; c < t->in_channels; c++)
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++)
                if (image[((int64_t)c * t->in_height + y + i) * t->in_width + x + j] > 127)
                    sum += t->weights[(((int64_t)k * t->in_channels + c) * size + i) * size + j];
    return sum > 0;
}

static void check_shape(int channels, int height, int width, int kernels, int size, int pool, int64_t n) {
    uint64_t state = (uint64_t)(channels * 7 + width);
    const int64_t n_in = (int64_t)channels * height * width, n_weights = (int64_t)kernels * channels * size * size;
    int32_t *weights = allocate(4 * n_weights), *bias = allocate(4 * kernels);
    for (int64_t i = 0; i < n_weights; i++) weights[i] = small(&state);
    for (int k = 0; k < kernels; k++) bias[k] = small(&state);
    const cbn_transition t = {channels, height, width, kernels, size, pool, weights, bias};
    const int out_height = (height - size + 1) / pool, out_width = (width - size + 1) / pool;
    const int64_t n_out = (int64_t)kernels * out_height * out_width, words = cbn_plane_words(n);
    uint8_t *images = allocate(n * n_in), *states = allocate(n * n_out);
    uint64_t *planes = allocate(8 * n_in * words), *out = allocate(8 * n_out * words), *again = allocate(8 * n_out * words);
    fill_images(images, n * n_in, 5);
    CHECK(cbn_pack_planes(images, n, n_in, 127, planes, 1) == CBN_OK);

    for (int threads = 1; threads <= 3; threads++) {
        int64_t bytes;
        CHECK(cbn_transition_workspace_size(&t, threads, &bytes) == CBN_OK);
        void *workspace = allocate(bytes);
        uint64_t *to = threads == 1 ? out : again;
        CHECK(cbn_transition_forward(&t, PLANES(planes, n), to, ROOM(workspace, bytes - 1), threads) == CBN_E_WORKSPACE);
        CHECK(cbn_transition_forward(&t, PLANES(planes, n), to, ROOM(workspace, bytes), threads) == CBN_OK);
        CHECK(threads == 1 || memcmp(out, again, (size_t)(8 * n_out * words)) == 0);
        free(workspace);
    }
    CHECK(cbn_unpack_planes(PLANES(out, n), n_out, states, 1) == CBN_OK);
    int32_t *sums = allocate(4 * n_out * n);
    int64_t room;
    CHECK(cbn_transition_workspace_size(&t, 3, &room) == CBN_OK);
    void *area = allocate(room);
    CHECK(cbn_transition_sums(&t, PLANES(planes, n), NULL, ROOM(area, room), 3) == CBN_E_NULL);
    CHECK(cbn_transition_sums(&t, PLANES(planes, n), sums, ROOM(area, room - 1), 3) == CBN_E_WORKSPACE);
    CHECK(cbn_transition_sums(&t, PLANES(planes, n), sums, ROOM(area, room), 3) == CBN_OK);
    int agree = 1;
    for (int64_t v = 0; v < n_out; v++)
        for (int64_t i = 0; i < n; i++) agree &= (sums[v * n + i] > 0) == states[i * n_out + v];
    CHECK(agree);
    free(sums), free(area);
    int same = 1;
    for (int64_t i = 0; i < n; i++)
        for (int64_t v = 0; v < n_out; v++) {
            const int k = (int)(v / ((int64_t)out_height * out_width)), y = (int)(v / out_width % out_height);
            const int x = (int)(v % out_width);
            int any = 0;
            for (int w = 0; w < pool * pool; w++)
                any |= sum_above(&t, images + i * n_in, k, y * pool + w / pool, x * pool + w % pool);
            same &= states[i * n_out + v] == any;
        }
    CHECK(same);

    /* gradient and gains on the layer above: all kernels lean on kernel 0, two positions up */
    int64_t *begin = allocate(8 * (kernels + 1)), rows, bytes;
    int32_t *parent = allocate(4 * kernels), *dy = allocate(4 * kernels), *dx = allocate(4 * kernels);
    uint8_t *required = allocate(kernels);
    for (int k = 0; k <= kernels; k++) begin[k] = k;
    for (int k = 0; k < kernels; k++) parent[k] = 0, dy[k] = -2, dx[k] = 0, required[k] = 0;
    const cbn_layer layer = {{kernels, out_height, out_width}, begin, parent, dy, dx, required};
    CHECK(cbn_layer_rows(&layer, &rows) == CBN_OK);
    int64_t *counts = allocate(16 * rows);
    CHECK(cbn_count(&layer, PLANES(out, n), counts, 2) == CBN_OK);
    const cbn_objective objective = {&layer, counts, 1.0, 8.0};
    double *first = allocate(8 * (n_weights + kernels)), *second = allocate(8 * (n_weights + kernels));
    for (int threads = 1; threads <= 3; threads++) {
        double *to = threads == 1 ? first : second;
        CHECK(cbn_kernel_gradient_workspace_size(&t, &layer, n, threads, &bytes) == CBN_OK);
        void *workspace = allocate(bytes);
        CHECK(cbn_kernel_gradient(&t, &objective, PLANES(planes, n), out, to, to + n_weights,
                                  ROOM(workspace, bytes), threads) == CBN_OK);
        CHECK(threads == 1 || memcmp(first, second, (size_t)(8 * (n_weights + kernels))) == 0);
        free(workspace);
    }
    const int32_t child = 0, candidate_dy = -1, candidate_dx = 0;
    const cbn_relations candidates = {1, &child, &child, &candidate_dy, &candidate_dx};
    double change[2];
    CHECK(cbn_relation_gains_workspace_size(&layer, n, 1, 3, &bytes) == CBN_OK);
    void *workspace = allocate(bytes);
    CHECK(cbn_relation_gains(&layer, PLANES(out, n), &candidates, NULL, change, ROOM(workspace, bytes), 1) == CBN_OK);
    CHECK(cbn_relation_gains(&layer, PLANES(out, n), &candidates, NULL, change + 1, ROOM(workspace, bytes), 3) == CBN_OK);
    CHECK(change[0] == change[1]);

    /* the search gets to this layer from one without relations; tables of exactly the size that is asked for */
    int64_t *none = allocate(8 * (kernels + 1));
    memset(none, 0, 8 * (size_t)(kernels + 1));
    const cbn_layer alone = {layer.grid, none, parent, dy, dx, required};
    cbn_kept_tables kept = {allocate(4 * 2 * (int64_t)out_height * out_width), 2, 0};
    CHECK(cbn_relation_gains(&alone, PLANES(out, n), &candidates, &kept, change + 1, ROOM(workspace, bytes), 2) == CBN_OK);
    kept.of_last_step = 1;
    CHECK(cbn_relation_gains(&alone, PLANES(out, n), &candidates, &kept, change + 1, ROOM(workspace, bytes), 2) ==
          CBN_E_RELATION);
    CHECK(cbn_relation_gains(&layer, PLANES(out, n), &candidates, &kept, change + 1, ROOM(workspace, bytes), 2) == CBN_OK);
    CHECK(change[0] == change[1]);
    kept.entries = 3;
    CHECK(cbn_relation_gains(&layer, PLANES(out, n), &candidates, &kept, change + 1, ROOM(workspace, bytes), 2) ==
          CBN_E_SIZE);
    free(kept.count), free(none);
    int64_t entries;
    CHECK(cbn_relation_counts_size(&layer, &candidates, NULL) == CBN_E_NULL);
    CHECK(cbn_relation_counts_size(&layer, &candidates, &entries) == CBN_OK);
    CHECK(entries == 4 * (int64_t)out_height * out_width);
    int64_t *with = allocate(8 * entries);
    CHECK(cbn_relation_counts(&layer, PLANES(out, n), &candidates, with, 2) == CBN_OK);
    CHECK(cbn_relation_counts(&layer, PLANES(out, 0), &candidates, with, 2) == CBN_E_SIZE);
    CHECK(cbn_relation_counts(&layer, PLANES(out, n), NULL, with, 2) == CBN_E_NULL);
    CHECK(cbn_relation_gains_of_counts(&layer, counts, &candidates, with, change + 1, 2) == CBN_OK);
    CHECK(change[0] == change[1]);
    CHECK(cbn_relation_gains_of_counts(&layer, counts, &candidates, NULL, change, 1) == CBN_E_NULL);
    with[0] = n + 1;
    CHECK(cbn_relation_gains_of_counts(&layer, counts, &candidates, with, change, 1) == CBN_E_COUNTS);
    free(with);
    free(workspace), free(begin), free(parent), free(dy), free(dx), free(required), free(counts), free(first);
    free(second), free(weights), free(bias), free(images), free(states), free(planes), free(out), free(again);
}

/* Kept tables of several sizes over a search of four steps, and tables of anything: nothing outside them is touched. */
static void check_kept_tables(int64_t entries) {
    uint64_t state = (uint64_t)entries;
    enum { channels = 2, height = 4, width = 3, places = 12, nodes = 24 };
    const int64_t n = 150, words = cbn_plane_words(n);
    uint64_t *planes = allocate(8 * nodes * words);
    uint8_t *images = allocate(n * nodes);
    fill_images(images, n * nodes, 9);
    CHECK(cbn_pack_planes(images, n, nodes, 127, planes, 1) == CBN_OK);
    int32_t parent[8], dy[8], dx[8];
    uint8_t required[8] = {0};
    const int32_t child[3] = {0, 1, 1}, parents[3] = {1, 0, 1}, rows[3] = {-1, -2, 0}, columns[3] = {-2, 1, -2};
    const cbn_relations candidates = {3, child, parents, rows, columns};
    const int64_t size = 3 * places * entries;
    cbn_kept_tables kept = {allocate(4 * size), entries, 0};
    for (int steps = 0; steps < 5; steps++) {
        int64_t begin[3] = {0, steps, 2 * steps}, bytes;
        for (int r = 0; r < 2 * steps; r++) {
            const int own = r % steps; /* both channels lean on the same places */
            parent[r] = own / 3, dy[r] = -1, dx[r] = own % 3 - 1;
        }
        const cbn_layer layer = {{channels, height, width}, begin, parent, dy, dx, required};
        CHECK(cbn_relation_gains_workspace_size(&layer, n, 3, 2, &bytes) == CBN_OK);
        void *workspace = allocate(bytes);
        double plain[3], found[3];
        CHECK(cbn_relation_gains(&layer, PLANES(planes, n), &candidates, NULL, plain, ROOM(workspace, bytes), 2) == CBN_OK);
        kept.of_last_step = steps > 0;
        CHECK(cbn_relation_gains(&layer, PLANES(planes, n), &candidates, &kept, found, ROOM(workspace, bytes), 2) == CBN_OK);
        CHECK(memcmp(plain, found, sizeof plain) == 0);
        cbn_kept_tables any = {allocate(4 * size), entries, steps > 0};
        for (int64_t i = 0; i < size; i++) any.count[i] = (int32_t)next_random(&state);
        const int status = cbn_relation_gains(&layer, PLANES(planes, n), &candidates, &any, found, ROOM(workspace, bytes), 2);
        CHECK(status == (steps ? CBN_E_COUNTS : CBN_OK));
        free(any.count), free(workspace);
    }
    free(kept.count), free(planes), free(images);
}

int main(void) {
    for (int64_t entries = 2; entries <= 2048; entries *= 4) check_kept_tables(entries);
    check_shape(1, 28, 28, 5, 3, 2, 130);
    check_shape(5, 13, 13, 5, 3, 2, 70);
    check_shape(2, 12, 75, 9, 4, 1, 65);
    check_shape(1, 12, 140, 3, 10, 3, 3);
    check_shape(3, 1, 1, 17, 1, 1, 64);
    check_shape(64, 3, 4, 64, 3, 1, 2);
    return report(__FILE__);
}
