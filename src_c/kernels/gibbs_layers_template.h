/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gibbs sampling through all layers for a group of up to 32 chains: one 32-bit word per node, one bit per chain; one
 * vector of 32 sums per convolution window and kernel. A proposal flips the same pixel in all chains, so the windows
 * that it reaches are the same for all, and everything up to the new states of nodes is done for all chains at once.
 * Which nodes change differs: their tables are looked up chain by chain where few chains are concerned.
 *
 * A layer up, the windows that hold a changed node are copied, the weights of changed nodes added or taken away, and
 * pooled and compared with 0 again; where no node changes the climb ends. Accepted proposals are copied back.
 *
 * All sums are of whole numbers, so they do not depend on the order of their terms, on which chains share a group, or
 * on how long ago they were made from scratch.
 *
 * Interface:
 *   CBN_FUNCTION              storage class and target attribute; after sample_template.h
 *   CBN_POSITIVE(values)      optional: positive below
 */

/* Chains from which on a node's tables are looked up for the whole group. */
#define CBN_DENSE_CHAINS 16

/* Bit i: values[i] > 0. */
CBN_FUNCTION inline uint32_t positive(const int32_t values[CBN_GROUP]) {
#ifdef CBN_POSITIVE
    return CBN_POSITIVE(values);
#else
    uint32_t word = 0;
    for (int i = 0; i < CBN_GROUP; i++) word |= (uint32_t)(values[i] > 0) << i;
    return word;
#endif
}

/* Where a layer's vector of sums is: window (y, x), kernel 0. */
CBN_FUNCTION inline int32_t *sums_at(const cbn_chain_layer *layer, const cbn_chain_state *s, int y, int x) {
    return s->sums + ((int64_t)y * layer->sum_width + x) * layer->layer->grid.channels * CBN_GROUP;
}

CBN_FUNCTION inline int32_t *proposed_at(const cbn_chain_layer *layer, const cbn_chain_state *s, int y, int x) {
    const int64_t width = s->right - s->left + 1;
    return s->proposed + ((y - s->top) * width + (x - s->left)) * layer->layer->grid.channels * CBN_GROUP;
}

/* Adds a node of the layer below, present +1 or -1 times (0: not at all) in each chain, to the proposed sums. */
CBN_FUNCTION void add_node(const cbn_chain_layer *layer, const cbn_chain_state *s, const cbn_place *below,
                           const int32_t times[CBN_GROUP]) {
    const cbn_transition *t = layer->transition;
    const int size = t->kernel_size;
    const int64_t per_kernel = (int64_t)t->in_channels * size * size;
    const int32_t *weights = t->weights + (int64_t)below->channel * size * size;
    const int first_y = below->row - size + 1, first_x = below->column - size + 1;
    for (int y = first_y > s->top ? first_y : s->top; y <= below->row && y <= s->bottom; y++)
        for (int x = first_x > s->left ? first_x : s->left; x <= below->column && x <= s->right; x++) {
            const int32_t *w = weights + (below->row - y) * size + (below->column - x);
            int32_t *sums = proposed_at(layer, s, y, x);
            for (int k = 0; k < t->out_channels; k++, sums += CBN_GROUP)
                for (int i = 0; i < CBN_GROUP; i++) sums[i] += w[k * per_kernel] * times[i];
        }
}

/* New states of the nodes of channel `channel` at (row, column): OR of "sum above 0" over the pooling window. */
CBN_FUNCTION inline uint32_t pooled(const cbn_chain_layer *layer, const cbn_chain_state *s, int channel, int row,
                                    int column) {
    const int pool = layer->transition->pool;
    int32_t best[CBN_GROUP];
    for (int y = row * pool; y < (row + 1) * pool; y++)
        for (int x = column * pool; x < (column + 1) * pool; x++) {
            const int inside = y >= s->top && y <= s->bottom && x >= s->left && x <= s->right;
            const int32_t *window = inside ? proposed_at(layer, s, y, x) : sums_at(layer, s, y, x);
            const int32_t *sums = window + channel * CBN_GROUP;
            if (y == row * pool && x == column * pool)
                memcpy(best, sums, sizeof best);
            else
                for (int i = 0; i < CBN_GROUP; i++) best[i] = sums[i] > best[i] ? sums[i] : best[i];
        }
    return positive(best);
}

CBN_FUNCTION inline cbn_place chain_place(const cbn_chain_layer *layer, int channel, int row, int column) {
    const int k = cbn_parent_count(layer->layer, channel);
    const int64_t inside = (int64_t)row * layer->layer->grid.width + column;
    const cbn_place place = {channel, row, column, k, layer->channel_row[channel] + (inside << k)};
    return place;
}

CBN_FUNCTION inline int64_t chain_node(const cbn_chain_layer *layer, const cbn_place *place) {
    const cbn_grid grid = layer->layer->grid;
    return ((int64_t)place->channel * grid.height + place->row) * grid.width + place->column;
}

/* What the changed nodes of the layer below change in this one: list and masks of the changed nodes. Returns 0 where no
 * window that is used holds one of them. */
CBN_FUNCTION int propose_layer(const cbn_chain_layer *layer, cbn_chain_state *s, const cbn_chain_layer *below,
                               const cbn_chain_state *from) {
    const int size = layer->transition->kernel_size, pool = layer->transition->pool;
    const int channels = layer->layer->grid.channels;
    int top = INT32_MAX, left = INT32_MAX, bottom = -1, right = -1;
    s->n_changed = 0;
    for (int64_t n = 0; n < from->n_changed; n++) {
        const cbn_place *place = from->list + n;
        top = place->row < top ? place->row : top, bottom = place->row > bottom ? place->row : bottom;
        left = place->column < left ? place->column : left, right = place->column > right ? place->column : right;
    }
    s->top = top - size + 1 > 0 ? top - size + 1 : 0;
    s->left = left - size + 1 > 0 ? left - size + 1 : 0;
    s->bottom = bottom < layer->sum_height ? bottom : layer->sum_height - 1;
    s->right = right < layer->sum_width ? right : layer->sum_width - 1;
    if (s->top > s->bottom || s->left > s->right) return 0;
    const int64_t row_sums = (int64_t)(s->right - s->left + 1) * channels * CBN_GROUP;
    for (int y = s->top; y <= s->bottom; y++)
        memcpy(proposed_at(layer, s, y, s->left), sums_at(layer, s, y, s->left), sizeof(int32_t) * (size_t)row_sums);
    for (int64_t n = 0; n < from->n_changed; n++) {
        const int64_t node = chain_node(below, from->list + n);
        const uint32_t changed = from->changed[node], was = from->state[node];
        int32_t times[CBN_GROUP];
        for (int i = 0; i < CBN_GROUP; i++) times[i] = (int32_t)(changed >> i & 1) * (1 - 2 * (int32_t)(was >> i & 1));
        add_node(layer, s, from->list + n, times);
    }
    for (int row = s->top / pool; row <= s->bottom / pool; row++)
        for (int column = s->left / pool; column <= s->right / pool; column++)
            for (int channel = 0; channel < channels; channel++) {
                const cbn_place place = chain_place(layer, channel, row, column);
                const int64_t node = chain_node(layer, &place);
                s->changed[node] = pooled(layer, s, channel, row, column) ^ s->state[node];
                if (s->changed[node]) s->list[s->n_changed++] = place;
            }
    return 1;
}

CBN_FUNCTION inline int count_bits(uint32_t x) { /* in halves of growing width; without a call on any machine */
    x -= x >> 1 & 0x55555555u;
    x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
    return (int)(((x + (x >> 4)) & 0x0f0f0f0fu) * 0x01010101u >> 24);
}

/* odds[i] += what the table of a node says to the proposal against the present, unless that has been added already. */
CBN_FUNCTION void score_node(const cbn_chain_layer *layer, const cbn_chain_state *s, const cbn_place *place,
                             int64_t proposal, int64_t odds[CBN_GROUP]) {
    const int64_t node = chain_node(layer, place);
    if (s->scored_at[node] == proposal) return;
    s->scored_at[node] = proposal;
    int64_t parent[CBN_MAX_PARENTS];
    cbn_parents_of(layer->layer, place, parent);
    uint32_t state[CBN_MAX_PARENTS + 1], changed[CBN_MAX_PARENTS + 1], chains = s->changed[node];
    int bit[CBN_MAX_PARENTS + 1], n = 1;
    state[0] = s->state[node], changed[0] = s->changed[node], bit[0] = 0;
    for (int j = 0; j < place->k; j++) {
        if (parent[j] < 0) continue;
        state[n] = s->state[parent[j]], changed[n] = s->changed[parent[j]], bit[n] = j + 1;
        chains |= changed[n++];
    }
    const int64_t *table = layer->values + 2 * place->table;
    if (count_bits(chains) >= CBN_DENSE_CHAINS) {
        uint32_t before[CBN_GROUP] = {0}, after[CBN_GROUP] = {0};
        for (int j = 0; j < n; j++) {
            add_bit(before, state[j], bit[j]);
            add_bit(after, state[j] ^ changed[j], bit[j]);
        }
        for (int i = 0; i < CBN_GROUP; i++) odds[i] += table[after[i]] - table[before[i]];
        return;
    }
    for (; chains; chains &= chains - 1) {
        const int i = __builtin_ctz(chains);
        uint32_t before = 0, flips = 0;
        for (int j = 0; j < n; j++) {
            before |= (state[j] >> i & 1) << bit[j];
            flips |= (changed[j] >> i & 1) << bit[j];
        }
        odds[i] += table[before ^ flips] - table[before];
    }
}

/* The tables of all changed nodes of a layer and of their children. */
CBN_FUNCTION void score_layer(const cbn_chain_layer *layer, const cbn_chain_state *s, int64_t proposal,
                              int64_t odds[CBN_GROUP]) {
    const cbn_layer *own = layer->layer;
    for (int64_t n = 0; n < s->n_changed; n++) {
        const cbn_place *place = s->list + n;
        score_node(layer, s, place, proposal, odds);
        for (int64_t r = layer->child_begin[place->channel]; r < layer->child_begin[place->channel + 1]; r++) {
            const int64_t row = (int64_t)place->row + layer->child_dy[r];
            const int64_t column = (int64_t)place->column + layer->child_dx[r];
            if (cbn_node_at(own, layer->child[r], row, column) < 0) continue;
            const cbn_place child = chain_place(layer, layer->child[r], (int)row, (int)column);
            score_node(layer, s, &child, proposal, odds);
        }
    }
}

/* Where a required relation decides alone: *zero has the chains in which the node must be 0, *one those in which it
 * must be 1. Where both would hold it must be 0. */
CBN_FUNCTION void required_states(const cbn_chain_layer *layer, const cbn_chain_state *s, const cbn_place *place,
                                  uint32_t *zero, uint32_t *one) {
    const cbn_layer *own = layer->layer;
    *zero = *one = 0;
    for (int c = 0; c < own->grid.channels; c++)
        for (int64_t r = own->relation_begin[c]; r < own->relation_begin[c + 1]; r++) {
            if (!own->required[r]) continue;
            if (c == place->channel)
                *zero |= ~s->state[cbn_node_at(own, own->parent_channel[r], place->row, place->column)];
            if (own->parent_channel[r] == place->channel)
                *one |= s->state[cbn_node_at(own, c, place->row, place->column)];
        }
    *one &= ~*zero;
}

/* Bit i: the site is 1 once the proposal of chain i is decided. now: its present states; odds: of the proposal. */
CBN_FUNCTION uint32_t decide(double inverse_temperature, double unit, const double u[CBN_GROUP], uint32_t now,
                             const int64_t odds[CBN_GROUP]) {
    uint32_t drawn = 0;
    if (inverse_temperature > 1.7976931348623157e308) { /* strict climbing */
        for (int i = 0; i < CBN_GROUP; i++) drawn |= (uint32_t)(odds[i] > 0) << i;
        return drawn ^ now;
    }
    const double scale = inverse_temperature * unit;
    for (int i = 0; i < CBN_GROUP; i++) {
        /* log-odds of state 1; e / (1 + e) or 1 / (1 + e), so that e never overflows */
        const double x = scale * (double)odds[i] * (now >> i & 1 ? -1.0 : 1.0);
        const double e = cbn_exp_negative(x < 0.0 ? x : -x);
        drawn |= (uint32_t)(u[i] * (1.0 + e) < (x < 0.0 ? e : 1.0)) << i;
    }
    return drawn;
}

/* Ends a proposal: it becomes the present in the chains of the mask. */
CBN_FUNCTION void settle_nodes(const cbn_chain_layer *layer, cbn_chain_state *s, uint32_t accepted) {
    for (int64_t n = 0; n < s->n_changed; n++) {
        const int64_t node = chain_node(layer, s->list + n);
        s->state[node] ^= s->changed[node] & accepted;
        s->changed[node] = 0;
    }
}

CBN_FUNCTION void settle_sums(const cbn_chain_layer *layer, cbn_chain_state *s, uint32_t accepted) {
    const int64_t row_sums = (int64_t)(s->right - s->left + 1) * layer->layer->grid.channels * CBN_GROUP;
    int32_t mask[CBN_GROUP];
    for (int i = 0; i < CBN_GROUP; i++) mask[i] = -(int32_t)(accepted >> i & 1);
    for (int y = s->top; y <= s->bottom; y++) {
        int32_t *sums = sums_at(layer, s, y, s->left);
        const int32_t *proposed = proposed_at(layer, s, y, s->left);
        for (int64_t j = 0; j < row_sums; j += CBN_GROUP)
            for (int i = 0; i < CBN_GROUP; i++) sums[j + i] ^= (sums[j + i] ^ proposed[j + i]) & mask[i];
    }
}

/* Sums and nodes of a layer from the states of the layer below. */
CBN_FUNCTION void start_layer(const cbn_chain_layer *layer, cbn_chain_state *s, const cbn_chain_layer *below,
                              const cbn_chain_state *from) {
    const cbn_grid grid = layer->layer->grid, grid_below = below->layer->grid;
    cbn_chain_state whole = *s; /* a box of all sums, in their own place */
    whole.proposed = s->sums;
    whole.top = whole.left = 0;
    whole.bottom = layer->sum_height - 1;
    whole.right = layer->sum_width - 1;
    const int64_t n_sums = (int64_t)layer->sum_height * layer->sum_width * grid.channels;
    for (int64_t j = 0; j < n_sums; j++)
        for (int i = 0; i < CBN_GROUP; i++) s->sums[j * CBN_GROUP + i] = layer->transition->bias[j % grid.channels];
    for (int channel = 0; channel < grid_below.channels; channel++)
        for (int row = 0; row < grid_below.height; row++)
            for (int column = 0; column < grid_below.width; column++) {
                const cbn_place place = chain_place(below, channel, row, column);
                const uint32_t state = from->state[chain_node(below, &place)];
                int32_t times[CBN_GROUP];
                for (int i = 0; i < CBN_GROUP; i++) times[i] = (int32_t)(state >> i & 1);
                if (state) add_node(layer, &whole, &place, times);
            }
    int64_t node = 0;
    for (int channel = 0; channel < grid.channels; channel++)
        for (int row = 0; row < grid.height; row++)
            for (int column = 0; column < grid.width; column++)
                s->state[node++] = pooled(layer, &whole, channel, row, column);
}

CBN_FUNCTION void gibbs_layers_group(const cbn_chain_plan *plan, uint32_t first_chain, uint32_t chains,
                                     cbn_chain_state s[CBN_MAX_LAYERS]) {
    for (int l = 0; l < plan->n_layers; l++) {
        if (l > 0) start_layer(plan->layer + l, s + l, plan->layer + l - 1, s + l - 1);
        memset(s[l].changed, 0, sizeof *s[l].changed * (size_t)plan->layer[l].n_nodes);
        memset(s[l].scored_at, 0, sizeof *s[l].scored_at * (size_t)plan->layer[l].n_nodes);
    }
    double u[2][CBN_GROUP];
    uint32_t word[4] = {0, 0, 0, 0};
    for (int64_t n = 0; n < plan->steps->n; n++) {
        const uint64_t step = plan->steps->first + (uint64_t)n;
        if (n == 0 || !(step & 1)) group_uniforms(plan->steps->seed, CBN_RANDOM_FLIP, first_chain, step >> 1, u);
        if (n == 0 || !(step & 3)) site_words(plan->steps->seed, step >> 2, word);
        const int64_t site = plan->steps->sites[word[step & 3] * (uint64_t)plan->steps->n_sites >> 32];
        const cbn_place place = cbn_place_of(plan->layer[0].layer, site);
        const uint32_t now = s[0].state[site];
        uint32_t zero = 0, one = 0;
        if (plan->layer[0].required) required_states(plan->layer, s, &place, &zero, &one);
        /* nothing to decide where a required relation keeps the node as it is */
        const uint32_t proposed = chains & ~((zero & ~now) | (one & now));
        if (!proposed) continue;
        s[0].changed[site] = proposed;
        s[0].list[0] = place;
        s[0].n_changed = 1;
        int reached = 1; /* layers that the flip may change */
        while (reached < plan->n_layers &&
               propose_layer(plan->layer + reached, s + reached, plan->layer + reached - 1, s + reached - 1))
            reached++;
        int64_t odds[CBN_GROUP] = {0}; /* in units: of the proposal against the present */
        for (int l = 0; l < reached; l++) score_layer(plan->layer + l, s + l, n + 1, odds);
        const uint32_t drawn = decide(plan->inverse_temperature[n], plan->unit, u[step & 1], now, odds);
        const uint32_t accepted = ((drawn ^ now) | zero | one) & proposed;
        for (int l = 0; l < reached; l++) {
            settle_nodes(plan->layer + l, s + l, accepted);
            if (l > 0 && accepted) settle_sums(plan->layer + l, s + l, accepted);
        }
    }
}
