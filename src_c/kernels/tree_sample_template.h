/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two samplers for trees, for a group of up to 64 chains: one 64-bit word per node, one bit per chain. Sets of
 * chains go down a tree, depth first; the sets that wait are disjoint and never empty, so that a stack of one place a
 * chain does, whatever the size of the tree, and vertices that no chain reaches are not visited.
 *
 * Interface: after sample_template.h, whose functions it uses.
 */

/* Chains that come to the same vertex of a tree. */
typedef struct {
    uint64_t chains;
    int32_t vertex;
    int32_t supposed; /* the state of the site under which they do, for Gibbs sampling */
} chains_at;

/* Uniforms of steps 2 * block and 2 * block + 1; chain i has number u[i / CBN_GROUP][.][i % CBN_GROUP]. */
CBN_FUNCTION void tree_group_uniforms(uint64_t seed, uint32_t purpose, uint32_t first_chain, int n_chains,
                                      uint64_t block, double u[CBN_TREE_GROUP / CBN_GROUP][2][CBN_GROUP]) {
    for (int part = 0; part * CBN_GROUP < n_chains; part++)
        group_uniforms(seed, purpose, first_chain + (uint32_t)(part * CBN_GROUP), block, u[part]);
}

/* The leaves that the chains reach; their number. */
CBN_FUNCTION inline int leaves_of_chains(const cbn_tree *tree, const uint64_t *state, uint64_t chains,
                                         chains_at leaf[CBN_TREE_GROUP]) {
    chains_at waiting[CBN_TREE_GROUP + 1] = {{chains, 0, 0}}; /* one more: written before it is known to be empty */
    int n_waiting = 1, n = 0;
    while (n_waiting) {
        const chains_at at = waiting[--n_waiting];
        const int32_t decides = tree->split[at.vertex], child = tree->child[at.vertex];
        if (decides < 0) {
            leaf[n++] = at;
            continue;
        }
        const uint64_t on = at.chains & state[decides], off = at.chains & ~state[decides];
        waiting[n_waiting] = (chains_at){on, child + 1, 0};
        n_waiting += on != 0;
        waiting[n_waiting] = (chains_at){off, child, 0};
        n_waiting += off != 0;
    }
    return n;
}

/* Multiplies w[x][i] by p(state of the tree's node | x at the site on which `vertex` splits, the rest as in chain i),
 * for every chain that comes to the vertex: to the others both states of the site are the same. above: of this tree. */
CBN_FUNCTION inline void tree_factor(const cbn_tree *tree, const int32_t *above, int32_t vertex, const uint64_t *state,
                                     uint64_t chains, double w[2][CBN_TREE_GROUP]) {
    const int32_t site = tree->split[vertex];
    for (int32_t t = vertex; above[t] >= 0; t = above[t] / 2) {
        const int32_t decides = tree->split[above[t] / 2];
        chains &= above[t] % 2 ? state[decides] : ~state[decides];
        if (!chains || decides == site) return; /* the site has been asked for further up */
    }
    chains_at waiting[2 * CBN_TREE_GROUP + 1]; /* a chain waits under both suppositions */
    int n_waiting = 0;
    for (int x = 0; x < 2; x++) waiting[n_waiting++] = (chains_at){chains, tree->child[vertex] + x, x};
    const uint64_t own = state[tree->node];
    while (n_waiting) {
        const chains_at at = waiting[--n_waiting];
        const int32_t decides = tree->split[at.vertex], child = tree->child[at.vertex];
        if (decides < 0) {
            const double *p = tree->values + 2 * (int64_t)at.vertex;
            for (uint64_t left = at.chains; left; left &= left - 1) {
                const int i = __builtin_ctzll(left);
                w[at.supposed][i] *= p[own >> i & 1];
            }
            continue;
        }
        const uint64_t word = decides != site ? state[decides] : at.supposed ? ~(uint64_t)0 : 0;
        const uint64_t on = at.chains & word, off = at.chains & ~word;
        waiting[n_waiting] = (chains_at){on, child + 1, at.supposed};
        n_waiting += on != 0;
        waiting[n_waiting] = (chains_at){off, child, at.supposed};
        n_waiting += off != 0;
    }
}

CBN_FUNCTION void ancestral_trees(const cbn_trees *trees, const double *probability, uint64_t seed,
                                  const uint8_t *clamped, uint32_t first_chain, int n_chains, uint64_t *state) {
    const int64_t positions = (int64_t)trees->grid.height * trees->grid.width;
    const uint64_t chains = ~(uint64_t)0 >> (64 - n_chains);
    uint64_t step = 0; /* place of the node in raster order, channels innermost */
    double u[CBN_TREE_GROUP / CBN_GROUP][2][CBN_GROUP];
    chains_at leaf[CBN_TREE_GROUP];
    for (int64_t inside = 0; inside < positions; inside++)
        for (int channel = 0; channel < trees->grid.channels; channel++, step++) {
            const int64_t node = channel * positions + inside;
            if (!(step & 1)) tree_group_uniforms(seed, CBN_RANDOM_ANCESTRAL, first_chain, n_chains, step >> 1, u);
            if (clamped && clamped[node]) continue;
            const cbn_tree tree = cbn_tree_of(trees, node, probability);
            uint64_t drawn = 0;
            for (int n = leaves_of_chains(&tree, state, chains, leaf); n--;) {
                const double p = tree.values[2 * (int64_t)leaf[n].vertex + 1];
                for (uint64_t left = leaf[n].chains; left; left &= left - 1) {
                    const int i = __builtin_ctzll(left);
                    drawn |= (uint64_t)(u[i / CBN_GROUP][step & 1][i % CBN_GROUP] < p) << i;
                }
            }
            state[node] = drawn;
        }
}

CBN_FUNCTION void gibbs_trees(const cbn_tree_gibbs_plan *plan, uint32_t first_chain, int n_chains, uint64_t *state) {
    const uint64_t chains = ~(uint64_t)0 >> (64 - n_chains);
    double u[CBN_TREE_GROUP / CBN_GROUP][2][CBN_GROUP], w[2][CBN_TREE_GROUP];
    uint32_t word[4] = {0, 0, 0, 0};
    chains_at leaf[CBN_TREE_GROUP];
    for (int64_t n = 0; n < plan->steps->n; n++) {
        const uint64_t step = plan->steps->first + (uint64_t)n;
        if (n == 0 || !(step & 1))
            tree_group_uniforms(plan->steps->seed, CBN_RANDOM_FLIP, first_chain, n_chains, step >> 1, u);
        if (n == 0 || !(step & 3)) site_words(plan->steps->seed, step >> 2, word);
        const int64_t site = plan->steps->sites[word[step & 3] * (uint64_t)plan->steps->n_sites >> 32];
        const cbn_tree own = cbn_tree_of(plan->trees, site, plan->probability);
        for (int l = leaves_of_chains(&own, state, chains, leaf); l--;) {
            const double *p = own.values + 2 * (int64_t)leaf[l].vertex;
            for (uint64_t left = leaf[l].chains; left; left &= left - 1) {
                const int i = __builtin_ctzll(left);
                w[0][i] = p[0], w[1][i] = p[1];
            }
        }
        const cbn_vertex *asked = plan->asked + plan->asked_begin[site];
        const int64_t n_asked = plan->asked_begin[site + 1] - plan->asked_begin[site];
        int factors = 0;
        for (int64_t v = 0; v < n_asked; v++) {
            const cbn_tree tree = cbn_tree_of(plan->trees, asked[v].node, plan->probability);
            tree_factor(&tree, plan->above + plan->trees->begin[asked[v].node], asked[v].vertex, state, chains, w);
            const int last_of_tree = v + 1 == n_asked || asked[v + 1].node != asked[v].node;
            if (last_of_tree && (++factors & 3) == 0) rescale_weights(w[0], w[1], n_chains);
        }
        uint64_t drawn = 0;
        for (int i = 0; i < n_chains; i++)
            drawn |= (uint64_t)(u[i / CBN_GROUP][step & 1][i % CBN_GROUP] * (w[0][i] + w[1][i]) < w[1][i]) << i;
        state[site] = drawn;
    }
}
