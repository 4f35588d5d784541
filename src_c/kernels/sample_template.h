/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two samplers for a group of 32 chains: one 32-bit word per node, one bit per chain. All chains of a group work on
 * the same node at the same time, so the geometry is computed once and the loops over chains vectorize.
 *
 * Interface:
 *   CBN_FUNCTION                                    storage class and target attribute
 *   CBN_ADD_BIT(index, word, bit)                   optional: add_bit below
 *   CBN_FACTOR_SMALL(index, table, bits, flip, w)   optional: multiply_weights below for tables of at most 32 entries
 */

/* Uniforms of steps 2 * block and 2 * block + 1 for the chains of a group. */
CBN_FUNCTION void group_uniforms(uint64_t seed, uint32_t purpose, uint32_t first_chain, uint64_t block,
                                 double u[2][CBN_GROUP]) {
    for (uint32_t i = 0; i < CBN_GROUP; i++) {
        uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32), c2 = first_chain + i, c3 = purpose;
        cbn_philox_block(&c0, &c1, &c2, &c3, (uint32_t)seed, (uint32_t)(seed >> 32));
        u[0][i] = cbn_to_unit(c0, c1);
        u[1][i] = cbn_to_unit(c2, c3);
    }
}

/* What chooses the sites of steps 4 * block .. 4 * block + 3, the same for all chains. */
CBN_FUNCTION void site_words(uint64_t seed, uint64_t block, uint32_t word[4]) {
    word[0] = (uint32_t)block, word[1] = (uint32_t)(block >> 32), word[2] = 0, word[3] = CBN_RANDOM_SITE;
    cbn_philox_block(&word[0], &word[1], &word[2], &word[3], (uint32_t)seed, (uint32_t)(seed >> 32));
}

/* index[i] |= (bit i of word) << bit */
CBN_FUNCTION inline void add_bit(uint32_t index[CBN_GROUP], uint32_t word, int bit) {
#ifdef CBN_ADD_BIT
    CBN_ADD_BIT(index, word, bit);
    return;
#endif
    for (uint32_t i = 0; i < CBN_GROUP; i++) index[i] |= (word >> i & 1u) << bit;
}

CBN_FUNCTION void ancestral_group(const cbn_layer *layer, const double *probability, uint64_t seed,
                                  const uint8_t *clamped, uint32_t first_chain, uint32_t *state) {
    const int64_t positions = cbn_grid_positions(layer->grid);
    uint64_t step = 0; /* place of the node in raster order, channels innermost */
    double u[2][CBN_GROUP];
    for (int64_t inside = 0; inside < positions; inside++)
        for (int channel = 0; channel < layer->grid.channels; channel++, step++) {
            const int64_t node = channel * positions + inside;
            if (!(step & 1)) group_uniforms(seed, CBN_RANDOM_ANCESTRAL, first_chain, step >> 1, u);
            if (clamped && clamped[node]) continue;
            const cbn_place place = cbn_place_of(layer, node);
            int64_t parent[CBN_MAX_PARENTS];
            cbn_parents_of(layer, &place, parent);
            uint32_t row[CBN_GROUP] = {0}, drawn = 0;
            for (int j = 0; j < place.k; j++)
                if (parent[j] >= 0) add_bit(row, state[parent[j]], j);
            const double *table = probability + 2 * place.table;
            for (uint32_t i = 0; i < CBN_GROUP; i++)
                drawn |= (uint32_t)(u[step & 1][i] < table[2 * (int64_t)row[i] + 1]) << i;
            state[node] = drawn;
        }
}

/* w[0][i] *= table[index[i]], w[1][i] *= table[index[i] | 1 << flip]; the table has 2^bits entries. */
CBN_FUNCTION inline void multiply_weights(const uint32_t index[CBN_GROUP], const double *table, int bits, int flip,
                                          double w[2][CBN_GROUP]) {
#ifdef CBN_FACTOR_SMALL
    if (bits <= 5) {
        CBN_FACTOR_SMALL(index, table, bits, flip, w);
        return;
    }
#endif
    (void)bits;
    const double *flipped = table + ((int64_t)1 << flip);
    for (uint32_t i = 0; i < CBN_GROUP; i++) {
        w[0][i] *= table[index[i]];
        w[1][i] *= flipped[index[i]];
    }
}

/* Multiplies the weights w[0], w[1] of the two candidate states by p(state of the node at `place` | parents), the
 * candidate being bit `flip` of the table index (0: the node itself, j + 1: its parent j). */
CBN_FUNCTION inline void gibbs_factor(const cbn_gibbs_plan *plan, const cbn_place *place, int flip,
                                      const uint32_t *state, double w[2][CBN_GROUP]) {
    int64_t parent[CBN_MAX_PARENTS];
    cbn_parents_of(plan->layer, place, parent);
    uint32_t index[CBN_GROUP] = {0};
    if (flip != 0)
        add_bit(index, state[cbn_node_at(plan->layer, place->channel, place->row, place->column)], 0);
    for (int j = 0; j < place->k; j++)
        if (parent[j] >= 0 && flip != j + 1) add_bit(index, state[parent[j]], j + 1);
    multiply_weights(index, plan->probability + 2 * place->table, place->k + 1, flip, w);
}

/* Products of many small probabilities stay away from underflow: both weights grow by the same power of two, exactly. */
CBN_FUNCTION inline void rescale_weights(double *w0, double *w1, int n_chains) {
    for (int i = 0; i < n_chains; i++) {
        const double scale = w0[i] + w1[i] < 0x1.0p-500 ? 0x1.0p+500 : 1.0;
        w0[i] *= scale;
        w1[i] *= scale;
    }
}

CBN_FUNCTION void gibbs_group(const cbn_gibbs_plan *plan, uint32_t first_chain, uint32_t *state) {
    const cbn_layer *layer = plan->layer;
    double u[2][CBN_GROUP];
    uint32_t word[4] = {0, 0, 0, 0};
    for (int64_t n = 0; n < plan->steps->n; n++) {
        const uint64_t step = plan->steps->first + (uint64_t)n;
        if (n == 0 || !(step & 1)) group_uniforms(plan->steps->seed, CBN_RANDOM_FLIP, first_chain, step >> 1, u);
        if (n == 0 || !(step & 3)) site_words(plan->steps->seed, step >> 2, word);
        const int64_t site = plan->steps->sites[word[step & 3] * (uint64_t)plan->steps->n_sites >> 32];
        const cbn_place place = cbn_place_of(layer, site);
        double w[2][CBN_GROUP];
        for (int i = 0; i < CBN_GROUP; i++) w[0][i] = w[1][i] = 1.0;
        int factors = 0;
        gibbs_factor(plan, &place, 0, state, w);
        for (int child = 0; child < layer->grid.channels; child++)
            for (int64_t r = layer->relation_begin[child]; r < layer->relation_begin[child + 1]; r++) {
                if (layer->parent_channel[r] != place.channel) continue;
                const int64_t row = (int64_t)place.row - layer->dy[r], column = (int64_t)place.column - layer->dx[r];
                if (cbn_node_at(layer, child, row, column) < 0) continue;
                const cbn_place at = cbn_place_at(layer, child, (int)row, (int)column);
                gibbs_factor(plan, &at, (int)(r - layer->relation_begin[child]) + 1, state, w);
                if ((++factors & 3) == 0) rescale_weights(w[0], w[1], CBN_GROUP);
            }
        uint32_t drawn = 0;
        for (uint32_t i = 0; i < CBN_GROUP; i++) drawn |= (uint32_t)(u[step & 1][i] * (w[0][i] + w[1][i]) < w[1][i]) << i;
        state[site] = drawn;
    }
}
