/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the particle filter does for 64 particles at a time: probabilities of a node from a table and from a tree, weights,
 * and particles that take the place of others. State of node v in the particles of a word: column[v * stride].
 *
 * Interface:
 *   CBN_FUNCTION   storage class and target attribute of every function
 */

CBN_FUNCTION void table_probabilities(const double *table, const int64_t *parent, int n_parents, const uint64_t *column,
                                      int64_t stride, double p[2][64]) {
    uint32_t row[64] = {0};
    for (int j = 0; j < n_parents; j++) {
        if (parent[j] < 0) continue;
        const uint64_t word = column[parent[j] * stride];
        if (!word) continue;
        for (int i = 0; i < 64; i++) row[i] |= (uint32_t)(word >> i & 1) << j;
    }
    for (int i = 0; i < 64; i++) {
        p[0][i] = table[2 * (int64_t)row[i]];
        p[1][i] = table[2 * (int64_t)row[i] + 1];
    }
}

/* Sets of particles go down the tree, depth first, as those of chains in tree_sample_template.h. */
CBN_FUNCTION void tree_probabilities(const cbn_tree *tree, const uint64_t *column, int64_t stride, double p[2][64]) {
    uint64_t waiting[65] = {~(uint64_t)0}; /* one more: written before it is known to be empty */
    int32_t vertex[65] = {0};
    int n_waiting = 1;
    while (n_waiting) {
        const uint64_t set = waiting[--n_waiting];
        const int32_t at = vertex[n_waiting], decides = tree->split[at], child = tree->child[at];
        if (decides >= 0) {
            const uint64_t word = column[decides * stride], on = set & word, off = set & ~word;
            waiting[n_waiting] = on, vertex[n_waiting] = child + 1;
            n_waiting += on != 0;
            waiting[n_waiting] = off, vertex[n_waiting] = child;
            n_waiting += off != 0;
            continue;
        }
        const double p0 = tree->values[2 * (int64_t)at], p1 = tree->values[2 * (int64_t)at + 1];
        if (set == ~(uint64_t)0) {
            for (int i = 0; i < 64; i++) p[0][i] = p0, p[1][i] = p1;
            return;
        }
        for (uint64_t left = set; left; left &= left - 1) {
            const int i = __builtin_ctzll(left);
            p[0][i] = p0, p[1][i] = p1;
        }
    }
}

/* log_weight[i] += log p[i], minus infinity where p[i] is 0 */
CBN_FUNCTION void weigh_word(const double p[64], double log_weight[64]) {
    for (int i = 0; i < 64; i++) {
        const double log_p = cbn_log(p[i]);
        log_weight[i] += p[i] > 0.0 ? log_p : -INFINITY;
    }
}

/* weight[i] = exp(log_weight[i] - largest), 0 for minus infinity; their sum and the sum of their squares, in 8 lanes. */
CBN_FUNCTION void weights_of_logs(const double *log_weight, int64_t n, double largest, double *weight, double sums[2]) {
    double sum[8] = {0.0}, squares[8] = {0.0};
    for (int64_t first = 0; first < n; first += 8) {
        double w[8] = {0.0};
        const int lanes = n - first < 8 ? (int)(n - first) : 8;
        if (lanes == 8) {
            for (int i = 0; i < 8; i++) {
                const double x = log_weight[first + i] - largest, e = cbn_exp_negative(x);
                w[i] = x == -INFINITY ? 0.0 : e;
            }
        } else {
            for (int i = 0; i < lanes; i++) {
                const double x = log_weight[first + i] - largest;
                w[i] = x == -INFINITY ? 0.0 : cbn_exp_negative(x);
            }
        }
        for (int i = 0; i < 8; i++) {
            sum[i] += w[i];
            squares[i] += w[i] * w[i];
        }
        memcpy(weight + first, w, sizeof *w * (size_t)lanes);
    }
    sums[0] = sums[1] = 0.0;
    for (int i = 0; i < 8; i++) sums[0] += sum[i], sums[1] += squares[i];
}

/* As draw_word of boost_template.h. One block of random numbers is for two steps: an even one leaves the uniforms of the
 * next in `next`, which an odd one takes from there if it may. */
CBN_FUNCTION uint64_t draw_in_turn(const double p1[64], uint64_t seed, uint32_t first_chain, uint64_t step, int prepared,
                                   double next[64]) {
    double u[64];
    if (!(step & 1 && prepared)) {
        for (uint32_t i = 0; i < 64; i++) {
            uint32_t c0 = (uint32_t)(step >> 1), c1 = (uint32_t)(step >> 33), c2 = first_chain + i;
            uint32_t c3 = CBN_RANDOM_ANCESTRAL;
            cbn_philox_block(&c0, &c1, &c2, &c3, (uint32_t)seed, (uint32_t)(seed >> 32));
            u[i] = cbn_to_unit(c0, c1);
            next[i] = cbn_to_unit(c2, c3);
        }
    }
    const double *own = step & 1 ? next : u;
    uint64_t drawn = 0;
    for (int i = 0; i < 64; i++) drawn |= (uint64_t)(own[i] < p1[i]) << i;
    return drawn;
}

/* Swaps ever smaller off-diagonal squares (Warren, Hacker's Delight, 7-3). */
CBN_FUNCTION inline void turn_64(uint64_t m[64]) {
    static const uint64_t masks[6] = {0x00000000ffffffffULL, 0x0000ffff0000ffffULL, 0x00ff00ff00ff00ffULL,
                                      0x0f0f0f0f0f0f0f0fULL, 0x3333333333333333ULL, 0x5555555555555555ULL};
    for (int level = 0, j = 32; j; level++, j >>= 1)
        for (int block = 0; block < 64; block += 2 * j)
            for (int i = block; i < block + j; i++) {
                const uint64_t t = ((m[i] >> j) ^ m[i + j]) & masks[level];
                m[i + j] ^= t;
                m[i] ^= t << j;
            }
}

/* Turned by squares of 64 x 64, the nodes of a particle are one word, which moves at once. */
CBN_FUNCTION void take_ancestors(uint64_t *state, const int64_t *node, int n_nodes, int64_t n, int64_t n_groups,
                                 const uint32_t *ancestor, uint64_t *by_particle) {
    uint64_t m[64];
    for (int64_t g = 0; g < n_groups; g++) {
        for (int k = 0; k < 64; k++) m[k] = k < n_nodes ? state[node[k] * n_groups + g] : 0;
        turn_64(m);
        memcpy(by_particle + 64 * g, m, sizeof m);
    }
    for (int64_t g = 0; g < n_groups; g++) {
        for (int64_t i = 0; i < 64; i++) m[i] = 64 * g + i < n ? by_particle[ancestor[64 * g + i]] : 0;
        turn_64(m);
        for (int k = 0; k < n_nodes; k++) state[node[k] * n_groups + g] = m[k];
    }
}
