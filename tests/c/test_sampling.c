/* SPDX-License-Identifier: BSD-3-Clause */
/* Samplers: the same bytes for any thread count, chain count and cutting of the steps; clamped nodes stay. */
#include "harness.h"

enum { HEIGHT = 6, WIDTH = 7, NODES = HEIGHT * WIDTH, CHAINS = 70, IMAGES = 200 };

int main(void) {
    const cbn_layer layer = thesis_layer(HEIGHT, WIDTH);
    static uint8_t images[IMAGES * NODES], first[CHAINS * NODES], second[CHAINS * NODES], clamped[NODES];
    static uint64_t planes[NODES * 4];
    static int64_t counts[16 * NODES * 2], sites[NODES];
    static double probability[16 * NODES * 2];
    int64_t bytes;
    fill_images(images, sizeof images, 3);
    CHECK(cbn_pack_planes(images, IMAGES, NODES, 127, planes, 1) == CBN_OK);
    CHECK(cbn_count(&layer, PLANES(planes, IMAGES), counts, 1) == CBN_OK);
    CHECK(cbn_probability_table(&layer, counts, 1.0, probability, 1) == CBN_OK);
    CHECK(cbn_sampler_workspace_size(&layer, CHAINS, &bytes) == CBN_OK);
    void *workspace = allocate(bytes);
    const cbn_workspace room = {workspace, bytes};

    CHECK(cbn_sample_ancestral(&layer, probability, 9, NULL, SAMPLED(CHAINS, first), room, 1) == CBN_OK);
    CHECK(cbn_sample_ancestral(&layer, probability, 9, NULL, SAMPLED(CHAINS, second), room, 3) == CBN_OK);
    CHECK(memcmp(first, second, sizeof first) == 0);
    CHECK(cbn_sample_ancestral(&layer, probability, 10, NULL, SAMPLED(CHAINS, second), room, 3) == CBN_OK);
    CHECK(memcmp(first, second, sizeof first) != 0);
    /* fewer chains: the same first chains */
    CHECK(cbn_sample_ancestral(&layer, probability, 9, NULL, SAMPLED(5, second), room, 1) == CBN_OK);
    CHECK(memcmp(first, second, 5 * NODES) == 0);

    for (int v = 0; v < NODES; v++) {
        clamped[v] = v % 3 == 0;
        for (int i = 0; i < CHAINS; i++) second[i * NODES + v] = v % 2 == 0;
    }
    CHECK(cbn_sample_ancestral(&layer, probability, 9, clamped, SAMPLED(CHAINS, second), room, 2) == CBN_OK);
    int kept = 1, moved = 0;
    for (int i = 0; i < CHAINS; i++)
        for (int v = 0; v < NODES; v++) {
            if (clamped[v])
                kept &= second[i * NODES + v] == (v % 2 == 0);
            else
                moved |= second[i * NODES + v] != (v % 2 == 0);
        }
    CHECK(kept && moved);

    int64_t n_sites = 0;
    for (int v = 0; v < NODES; v++)
        if (!clamped[v]) sites[n_sites++] = v;
    memcpy(second, first, sizeof first);
    CHECK(cbn_sample_gibbs(&layer, probability, STEPS_OF(4, 5, 1001, sites, n_sites), SAMPLED(CHAINS, first), room, 1) == CBN_OK);
    /* the same steps in three uneven calls, with other thread counts */
    CHECK(cbn_sample_gibbs(&layer, probability, STEPS_OF(4, 5, 2, sites, n_sites), SAMPLED(CHAINS, second), room, 2) == CBN_OK);
    CHECK(cbn_sample_gibbs(&layer, probability, STEPS_OF(4, 7, 0, sites, n_sites), SAMPLED(CHAINS, second), room, 2) == CBN_OK);
    CHECK(cbn_sample_gibbs(&layer, probability, STEPS_OF(4, 7, 998, sites, n_sites), SAMPLED(CHAINS, second), room, 7) == CBN_OK);
    CHECK(cbn_sample_gibbs(&layer, probability, STEPS_OF(4, 1005, 1, sites, n_sites), SAMPLED(CHAINS, second), room, 3) == CBN_OK);
    CHECK(memcmp(first, second, sizeof first) == 0);
    free(workspace);
    return report(__FILE__);
}
