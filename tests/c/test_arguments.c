/* SPDX-License-Identifier: BSD-3-Clause */
/* Every public function refuses what its contract excludes, with the code that the header promises. */
#include <math.h>

#include "harness.h"

static int one_relation(int32_t parent, int32_t dy, int32_t dx, uint8_t required) {
    const int64_t begin[3] = {0, 0, 1};
    const cbn_layer layer = {{2, 4, 4}, begin, &parent, &dy, &dx, &required};
    return cbn_layer_check(&layer);
}

static void layers(void) {
    CHECK(cbn_layer_check(NULL) == CBN_E_NULL);
    CHECK(one_relation(1, -1, 0, 0) == CBN_OK);
    CHECK(one_relation(1, 0, -3, 0) == CBN_OK);
    CHECK(one_relation(0, 0, 0, 1) == CBN_OK);
    CHECK(one_relation(1, 0, 0, 0) == CBN_E_RELATION);  /* itself */
    CHECK(one_relation(1, 0, 1, 0) == CBN_E_RELATION);  /* later */
    CHECK(one_relation(0, 1, -1, 0) == CBN_E_RELATION); /* later */
    CHECK(one_relation(2, -1, 0, 0) == CBN_E_RELATION);
    CHECK(one_relation(-1, -1, 0, 0) == CBN_E_RELATION);
    CHECK(one_relation(1, -1, 0, 1) == CBN_E_RELATION); /* only (0, 0) can be required */
    cbn_layer layer = thesis_layer(4, 4);
    layer.grid.height = 0;
    CHECK(cbn_layer_check(&layer) == CBN_E_SIZE);
    layer = thesis_layer(INT32_MAX, INT32_MAX);
    CHECK(cbn_layer_check(&layer) == CBN_E_SIZE);
    layer = thesis_layer(4, 4);
    layer.dy = NULL;
    CHECK(cbn_layer_check(&layer) == CBN_E_NULL);
    const int32_t twice_dy[4] = {-1, -1, -1, -1}, twice_dx[4] = {0, 1, 0, -1};
    layer = thesis_layer(4, 4);
    layer.dy = twice_dy, layer.dx = twice_dx;
    CHECK(cbn_layer_check(&layer) == CBN_E_RELATION);
    const int64_t many[2] = {0, CBN_MAX_PARENTS + 1};
    layer = thesis_layer(4, 4);
    layer.relation_begin = many;
    CHECK(cbn_layer_check(&layer) == CBN_E_PARENTS);
    const int64_t backwards[2] = {0, -1};
    layer.relation_begin = backwards;
    CHECK(cbn_layer_check(&layer) == CBN_E_RELATION);
}

int main(void) {
    layers();
    const cbn_layer layer = thesis_layer(2, 2);
    int64_t rows, parameters, bytes, counts[128] = {0};
    double values[128], score[1], likelihood, bic;
    uint8_t images[4] = {0, 255, 0, 255}, states[4] = {0};
    uint64_t planes[4], workspace[64];
    const int64_t site = 0, bad_site = 4;

    CHECK(cbn_layer_rows(&layer, NULL) == CBN_E_NULL);
    CHECK(cbn_layer_rows(&layer, &rows) == CBN_OK && rows == 64);
    CHECK(cbn_pack_planes(NULL, 1, 4, 76, planes, 1) == CBN_E_NULL);
    CHECK(cbn_pack_planes(images, 0, 4, 76, planes, 1) == CBN_E_SIZE);
    CHECK(cbn_pack_planes(images, INT64_MAX, 4, 76, planes, 1) == CBN_E_SIZE);
    CHECK(cbn_pack_planes(images, 1, 4, 256, planes, 1) == CBN_E_PARAMETER);
    CHECK(cbn_pack_planes(images, 1, 4, -1, planes, 1) == CBN_E_PARAMETER);
    CHECK(cbn_pack_planes(images, 1, 4, 76, planes, 0) == CBN_E_PARAMETER);
    CHECK(cbn_pack_planes(images, 1, 4, 76, planes, 1) == CBN_OK);
    CHECK(planes[0] == 0 && planes[1] == 1 && planes[2] == 0 && planes[3] == 1);
    CHECK(cbn_unpack_planes(PLANES(planes, 1), 4, NULL, 1) == CBN_E_NULL);
    CHECK(cbn_unpack_planes(PLANES(planes, -1), 4, states, 1) == CBN_E_SIZE);

    uint64_t digest[2];
    CHECK(cbn_planes_digest(PLANES(NULL, 1), 4, digest, 1) == CBN_E_NULL);
    CHECK(cbn_planes_digest(PLANES(planes, 1), 4, NULL, 1) == CBN_E_NULL);
    CHECK(cbn_planes_digest(PLANES(planes, 0), 4, digest, 1) == CBN_E_SIZE);
    CHECK(cbn_planes_digest(PLANES(planes, 1), 0, digest, 1) == CBN_E_SIZE);
    CHECK(cbn_planes_digest(PLANES(planes, 1), 4, digest, 0) == CBN_E_PARAMETER);
    CHECK(cbn_planes_digest(PLANES(planes, 1), 4, digest, 1) == CBN_OK);
    CHECK(cbn_count(&layer, PLANES(planes, 1), NULL, 1) == CBN_E_NULL);
    CHECK(cbn_count(&layer, PLANES(planes, 0), counts, 1) == CBN_E_SIZE);
    CHECK(cbn_count(&layer, PLANES(planes, 1), counts, 0) == CBN_E_PARAMETER);
    CHECK(cbn_count(&layer, PLANES(planes, 1), counts, 1) == CBN_OK);
    CHECK(cbn_counts_add(counts, 0, counts) == CBN_E_SIZE);
    CHECK(cbn_counts_check(&layer, NULL, 1) == CBN_E_NULL);
    CHECK(cbn_counts_check(&layer, counts, -1) == CBN_E_SIZE);

    CHECK(cbn_bic(&layer, counts, NULL, &parameters, &bic) == CBN_E_NULL);
    CHECK(cbn_bic(&layer, counts, &likelihood, &parameters, &bic) == CBN_OK);
    /* one image: likelihood 1; present parents 0, W; N, NE; NW, N, W: 1 + 2 + 4 + 8 rows */
    CHECK(likelihood == 0.0 && parameters == 15 && bic == 0.0);

    CHECK(cbn_value_table(&layer, counts, 0.0, CBN_SURPRISE, 0, values, 1) == CBN_E_PARAMETER);
    CHECK(cbn_value_table(&layer, counts, NAN, CBN_SURPRISE, 0, values, 1) == CBN_E_PARAMETER);
    CHECK(cbn_value_table(&layer, counts, 1.0, 4, 0, values, 1) == CBN_E_PARAMETER);
    CHECK(cbn_value_table(&layer, counts, 1.0, -1, 0, values, 1) == CBN_E_PARAMETER);
    CHECK(cbn_value_table(&layer, NULL, 1.0, 0, 0, values, 1) == CBN_E_NULL);
    CHECK(cbn_probability_table(&layer, counts, INFINITY, values, 1) == CBN_E_PARAMETER);
    CHECK(cbn_value_table(&layer, counts, 1.0, CBN_LOG_PROBABILITY, 0, values, 1) == CBN_OK);
    CHECK(cbn_score_images(&layer, PLANES(planes, 1), values, NULL, 1) == CBN_E_NULL);
    CHECK(cbn_score_images(&layer, PLANES(planes, 0), values, score, 1) == CBN_E_SIZE);
    CHECK(cbn_score_nodes(&layer, PLANES(planes, 1), NULL, values, 1) == CBN_E_NULL);
    CHECK(cbn_score_images(&layer, PLANES(planes, 1), values, score, 1) == CBN_OK);
    CHECK(fabs(score[0] - 4 * log(2.0 / 3.0)) < 1e-12); /* every node: (1 + 1) / (1 + 2) */

    CHECK(cbn_probability_table(&layer, counts, 1.0, values, 1) == CBN_OK);
    CHECK(cbn_sampler_workspace_size(&layer, 0, &bytes) == CBN_E_SIZE);
    CHECK(cbn_sampler_workspace_size(&layer, 33, &bytes) == CBN_OK && bytes >= 2 * 4 * 4);
    CHECK(cbn_sample_ancestral(&layer, values, 1, NULL, SAMPLED(1, states), ROOM(workspace, 15), 1) == CBN_E_WORKSPACE);
    CHECK(cbn_sample_ancestral(&layer, NULL, 1, NULL, SAMPLED(1, states), ROOM(workspace, 512), 1) == CBN_E_NULL);
    CHECK(cbn_sample_ancestral(&layer, values, 1, NULL, SAMPLED(1, states), ROOM(workspace, 512), 0) == CBN_E_PARAMETER);
    CHECK(cbn_sample_gibbs(&layer, values, STEPS_OF(1, 0, 5, &bad_site, 1), SAMPLED(1, states), ROOM(workspace, 512), 1) == CBN_E_SITE);
    CHECK(cbn_sample_gibbs(&layer, values, STEPS_OF(1, 0, 5, NULL, 1), SAMPLED(1, states), ROOM(workspace, 512), 1) == CBN_E_NULL);
    CHECK(cbn_sample_gibbs(&layer, values, STEPS_OF(1, 0, 5, &site, 0), SAMPLED(1, states), ROOM(workspace, 512), 1) == CBN_E_SIZE);
    CHECK(cbn_sample_gibbs(&layer, values, STEPS_OF(1, 0, -5, &site, 1), SAMPLED(1, states), ROOM(workspace, 512), 1) == CBN_E_SIZE);
    CHECK(cbn_sample_gibbs(&layer, values, STEPS_OF(1, 0, 5, &site, 1), SAMPLED(1, states), ROOM(workspace, 512), 1) == CBN_OK);

    const uint8_t keep[2] = {0, 1}, nothing[2] = {0, 0};
    uint64_t kept[4];
    CHECK(cbn_planes_select_workspace_size(0, &bytes) == CBN_E_SIZE);
    CHECK(cbn_planes_select_workspace_size(2, &bytes) == CBN_OK && bytes <= 512 + 63);
    void *room = allocate(bytes);
    for (int v = 0; v < 4; v++) planes[v] = (uint64_t)v;
    CHECK(cbn_planes_select(PLANES(planes, 2), 4, NULL, 1, kept, ROOM(room, bytes), 1) == CBN_E_NULL);
    CHECK(cbn_planes_select(PLANES(planes, 2), 4, keep, 2, kept, ROOM(room, bytes), 1) == CBN_E_SIZE);
    CHECK(cbn_planes_select(PLANES(planes, 2), 4, nothing, 0, kept, ROOM(room, bytes), 1) == CBN_E_SIZE);
    CHECK(cbn_planes_select(PLANES(planes, 2), 4, keep, 1, kept, ROOM(room, bytes - 1), 1) == CBN_E_WORKSPACE);
    CHECK(cbn_planes_select(PLANES(planes, 2), 4, keep, 1, kept, ROOM(room, bytes), 0) == CBN_E_PARAMETER);
    CHECK(cbn_planes_select(PLANES(planes, 2), 4, keep, 1, kept, ROOM(room, bytes), 1) == CBN_OK);
    CHECK(kept[0] == 0 && kept[1] == 0 && kept[2] == 1 && kept[3] == 1);
    free(room);

    for (int status = 0; status >= CBN_E_TAP; status--) CHECK(strcmp(cbn_strerror(status), cbn_strerror(-1000)) != 0);
    CHECK(strcmp(cbn_version(), CBN_VERSION) == 0);
    return report(__FILE__);
}
