/* SPDX-License-Identifier: BSD-3-Clause */
/* What model files bring to the engine, mutated: an input is added, byte by byte, to the numbers of sound tables, trees,
 * boosted trees, transitions and tied trees. What the checks let pass is counted, scored and sampled; the sanitizers watch. Arrays
 * have exactly the sizes that the boundary in cbn/_engine.pyx checks. For libFuzzer, or with its own main() (PLAIN). */
#include "harness.h"

enum { IMAGES = 3, H = 2, W = 3, POSITIONS = H * W, MOST_NODES = 2 * POSITIONS, MOST_ROWS = 4096, CHAINS = 2 };

typedef struct {
    const uint8_t *data;
    size_t size;
} input;

enum { KINDS = 5 };
static int64_t passed[KINDS], refused[KINDS];

static int32_t next(input *in) {
    if (!in->size) return 0;
    in->size--;
    return (int8_t)*in->data++;
}

static int64_t moved(int64_t value, input *in, int64_t smallest, int64_t largest) {
    const int32_t delta = next(in);
    return delta == 127 ? largest : delta == -128 ? smallest : value + delta;
}

static int32_t *numbers(const int32_t *base, int64_t n, input *in) {
    int32_t *out = malloc((size_t)n * sizeof *out + 1);
    for (int64_t i = 0; i < n; i++) out[i] = (int32_t)moved(base[i], in, INT32_MIN, INT32_MAX);
    return out;
}

static int64_t *long_numbers(const int64_t *base, int64_t n, input *in) {
    int64_t *out = malloc((size_t)n * sizeof *out + 1);
    for (int64_t i = 0; i < n; i++) out[i] = moved(base[i], in, INT64_MIN, INT64_MAX);
    return out;
}

static void *room(int64_t n, size_t size) { return calloc((size_t)(n > 0 ? n : 1), size); }

static cbn_planes some_planes(uint64_t *words, int64_t n_nodes) {
    for (int64_t v = 0; v < n_nodes; v++) words[v] = v < POSITIONS ? (uint64_t)(v * 5 + 3) & 7 : 0; /* codes hold */
    return (cbn_planes){words, IMAGES};
}

static int sound(const double *values, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!(values[i] > -1e300 && values[i] < 1e300)) return 0;
    return 1;
}

/* Scores and samples must be usable whatever passed the checks. */
static void must(int right) {
    if (!right) abort();
}

static void tables(input *in) {
    static const int64_t begin[3] = {0, 2, 4};
    static const int32_t parent[4] = {0, 0, 0, 1}, dy[4] = {0, -1, 0, 0}, dx[4] = {-1, 0, 0, -1};
    int64_t *own_begin = long_numbers(begin, 3, in);
    int32_t *own_parent = numbers(parent, 4, in), *own_dy = numbers(dy, 4, in), *own_dx = numbers(dx, 4, in);
    uint8_t required[4] = {0, 0, 1, 0};
    for (int i = 0; i < 4; i++) required[i] = (uint8_t)(required[i] + next(in));
    const cbn_layer layer = {{2, H, W}, own_begin, own_parent, own_dy, own_dx, required};
    int64_t rows = 0;
    const int listed = own_begin[2] == 4; /* the boundary's own check */
    if (listed && cbn_layer_rows(&layer, &rows) == CBN_OK && rows <= MOST_ROWS) {
        uint64_t words[MOST_NODES];
        const cbn_planes planes = some_planes(words, MOST_NODES);
        int64_t *counts = room(2 * rows, sizeof *counts);
        must(cbn_count(&layer, planes, counts, 1) == CBN_OK);
        for (int64_t i = 0; i < 2 * rows && in->size; i++) counts[i] = moved(counts[i], in, INT64_MIN, INT64_MAX);
        if (cbn_counts_check(&layer, counts, IMAGES) == CBN_OK) {
            passed[0]++;
            double *values = room(2 * rows, sizeof *values), scores[IMAGES];
            for (int kind = 0; kind < 4; kind++) {
                must(cbn_value_table(&layer, counts, 1.0, kind, kind & 1, values, 1) == CBN_OK);
                if (kind == CBN_SURPRISE) must(cbn_score_images(&layer, planes, values, scores, 1) == CBN_OK);
            }
            must(cbn_probability_table(&layer, counts, 1.0, values, 1) == CBN_OK && sound(values, 2 * rows));
            int64_t bytes;
            must(cbn_sampler_workspace_size(&layer, CHAINS, &bytes) == CBN_OK);
            void *memory = room(bytes, 1);
            uint8_t states[CHAINS * MOST_NODES] = {0};
            must(cbn_sample_ancestral(&layer, values, 7, NULL, SAMPLED(CHAINS, states), ROOM(memory, bytes), 1) == CBN_OK);
            double likelihood, bic;
            int64_t n_parameters;
            must(cbn_bic(&layer, counts, &likelihood, &n_parameters, &bic) == CBN_OK);
            free(memory), free(values);
        } else refused[0]++;
        free(counts);
    } else refused[0]++;
    free(own_begin), free(own_parent), free(own_dy), free(own_dx);
}

/* Sound trees: of one leaf, of one split, then of two splits. */
enum { VERTICES = 1 + 3 + 4 * 5 };
static const int64_t tree_begin[POSITIONS + 1] = {0, 1, 4, 9, 14, 19, 24};
static const int32_t tree_split[VERTICES] = {-1, 0, -1, -1, 1, 0, -1, -1, -1, 2, 1, -1, -1, -1, 3, 2, -1, -1, -1, 4, 3, -1, -1, -1};
static const int32_t tree_child[VERTICES] = {0, 1, 0, 0, 1, 3, 0, 0, 0, 1, 3, 0, 0, 0, 1, 3, 0, 0, 0, 1, 3, 0, 0, 0};

static void trees(input *in) {
    static const int32_t none[POSITIONS] = {-1, -1, -1, -1, -1, -1};
    int64_t *begin = long_numbers(tree_begin, POSITIONS + 1, in);
    int32_t *split = numbers(tree_split, VERTICES, in), *child = numbers(tree_child, VERTICES, in);
    int32_t *required = numbers(none, POSITIONS, in);
    const cbn_trees own = {{1, H, W}, begin, split, child, next(in) & 1 ? NULL : required};
    if (begin[POSITIONS] == VERTICES && cbn_trees_check(&own) == CBN_OK) {
        uint64_t words[POSITIONS];
        const cbn_planes planes = some_planes(words, POSITIONS);
        int64_t bytes, *counts = room(2 * VERTICES, sizeof *counts);
        must(cbn_tree_count_workspace_size(&own, IMAGES, 1, &bytes) == CBN_OK);
        void *memory = room(bytes, 1);
        must(cbn_tree_count(&own, planes, counts, ROOM(memory, bytes), 1) == CBN_OK);
        free(memory);
        for (int i = 0; i < 2 * VERTICES && in->size; i++) counts[i] = moved(counts[i], in, INT64_MIN, INT64_MAX);
        if (cbn_tree_counts_check(&own, counts, IMAGES) == CBN_OK) {
            passed[1]++;
            double probability[2 * VERTICES], values[2 * VERTICES], scores[IMAGES];
            const cbn_smoothing smoothing = {1.0, 1.0};
            must(cbn_tree_probability(&own, counts, smoothing, probability, 1) == CBN_OK);
            must(sound(probability, 2 * VERTICES));
            for (int kind = 0; kind < 4; kind++)
                must(cbn_tree_values(&own, counts, probability, smoothing, kind, kind & 1, values, 1) == CBN_OK);
            must(cbn_tree_score_images(&own, planes, values, scores, 1) == CBN_OK);
            must(cbn_tree_sampler_workspace_size(&own, CHAINS, 1, &bytes) == CBN_OK);
            memory = room(bytes, 1);
            uint8_t states[CHAINS * POSITIONS] = {0};
            must(cbn_tree_sample_ancestral(&own, probability, 7, NULL, SAMPLED(CHAINS, states), ROOM(memory, bytes), 1) == CBN_OK);
            free(memory);
        } else refused[1]++;
        free(counts);
    } else refused[1]++;
    free(begin), free(split), free(child), free(required);
}

static void boosted(input *in) {
    /* the trees above, each the only one of its node */
    static const int64_t begin[POSITIONS + 1] = {0, 1, 2, 3, 4, 5, 6};
    static const int32_t none[POSITIONS] = {-1, -1, -1, -1, -1, -1}, zero[POSITIONS] = {0};
    int32_t leaf_values[VERTICES];
    for (int i = 0; i < VERTICES; i++) leaf_values[i] = tree_split[i] < 0 ? 1000 * (i - 9) : 0;
    int64_t *own_begin = long_numbers(begin, POSITIONS + 1, in), *own_tree = long_numbers(tree_begin, POSITIONS + 1, in);
    int32_t *split = numbers(tree_split, VERTICES, in), *value = numbers(leaf_values, VERTICES, in);
    int32_t *base = numbers(zero, POSITIONS, in), *required = numbers(none, POSITIONS, in);
    const cbn_boosted own = {{1, H, W}, own_begin, own_tree, split, value, base, required};
    const int sizes = own_begin[POSITIONS] == POSITIONS && own_tree[POSITIONS] == VERTICES;
    if (sizes && cbn_boosted_check(&own) == CBN_OK) {
        passed[2]++;
        uint64_t words[POSITIONS];
        const cbn_planes planes = some_planes(words, POSITIONS);
        double scores[IMAGES];
        for (int kind = 0; kind < 3; kind++) must(cbn_boosted_score_images(&own, planes, kind, scores, 1) == CBN_OK);
        int32_t odds[IMAGES * POSITIONS];
        must(cbn_boosted_log_odds(&own, planes, odds, 1) == CBN_OK);
        int64_t bytes;
        must(cbn_boosted_sample_workspace_size(&own, CHAINS, &bytes) == CBN_OK);
        void *memory = room(bytes, 1);
        uint8_t states[CHAINS * POSITIONS] = {0};
        must(cbn_boosted_sample(&own, 7, NULL, SAMPLED(CHAINS, states), ROOM(memory, bytes), 1) == CBN_OK);
        free(memory);
    } else refused[2]++;
    free(own_begin), free(own_tree), free(split), free(value), free(base), free(required);
}

static void transition(input *in) {
    enum { IN = 2, OUT = 2, SIZE = 2, WEIGHTS = OUT * IN * SIZE * SIZE };
    static const int32_t sizes[6] = {IN, 4, 5, OUT, SIZE, 1}, ones[WEIGHTS] = {1, -1, 1, -1, 1, -1, 1, -1}, zero[OUT] = {0};
    int32_t *s = numbers(sizes, 6, in), *weights = numbers(ones, WEIGHTS, in), *bias = numbers(zero, OUT, in);
    const cbn_transition own = {s[0], s[1], s[2], s[3], s[4], s[5], weights, bias};
    const int shapes = s[0] == IN && s[3] == OUT && s[4] == SIZE && (int64_t)s[1] * s[2] <= 4096;
    if (shapes && cbn_transition_check(&own) == CBN_OK) {
        passed[3]++;
        const int64_t n_in = (int64_t)IN * s[1] * s[2];
        const int64_t n_out = (int64_t)OUT * ((s[1] - SIZE + 1) / s[5]) * ((s[2] - SIZE + 1) / s[5]);
        uint64_t *below = room(n_in, sizeof *below), *above = room(n_out, sizeof *above);
        int64_t bytes;
        must(cbn_transition_workspace_size(&own, 1, &bytes) == CBN_OK);
        void *memory = room(bytes, 1);
        must(cbn_transition_forward(&own, some_planes(below, n_in), above, ROOM(memory, bytes), 1) == CBN_OK);
        free(memory), free(below), free(above);
    } else refused[3]++;
    free(s), free(weights), free(bias);
}

/* The trees of a channel share all positions; a feature is what a node is to other kinds. */
static void tied(input *in) {
    enum { TREES = 2, OWN = 8 };
    static const int64_t begin[2] = {0, TREES}, trees[TREES + 1] = {0, 5, OWN};
    static const int32_t splits[OWN] = {2, -1, 7, -1, -1, 0, -1, -1}, leaves[OWN] = {0, 3, 0, -32, 64, 0, 5, 6};
    static const int32_t sizes[3] = {1, 1, 1}, zero[1] = {0};
    int64_t *own_begin = long_numbers(begin, 2, in), *own_tree = long_numbers(trees, TREES + 1, in);
    int32_t *split = numbers(splits, OWN, in), *value = numbers(leaves, OWN, in), *base = numbers(zero, 1, in);
    int32_t *s = numbers(sizes, 3, in);
    const cbn_tied own = {{{1, H, W}, s[0], s[1], s[2]}, own_begin, own_tree, split, value, base, 0, NULL};
    const int shapes = own_begin[1] == TREES && own_tree[TREES] == OWN;
    if (shapes && cbn_tied_check(&own) == CBN_OK) {
        passed[4]++;
        uint64_t words[POSITIONS];
        const cbn_planes planes = some_planes(words, POSITIONS);
        double scores[IMAGES];
        int64_t bytes;
        must(cbn_tied_score_workspace_size(&own, IMAGES, &bytes) == CBN_OK);
        void *memory = room(bytes, 1);
        for (int kind = 0; kind < 3; kind++)
            must(cbn_tied_score_images(&own, planes, kind, scores, ROOM(memory, bytes), 1) == CBN_OK);
        must(sound(scores, IMAGES));
        free(memory);
        must(cbn_tied_sample_workspace_size(&own, CHAINS, &bytes) == CBN_OK);
        memory = room(bytes, 1);
        uint8_t states[CHAINS * POSITIONS] = {0};
        must(cbn_tied_sample(&own, 7, NULL, SAMPLED(CHAINS, states), ROOM(memory, bytes), 1) == CBN_OK);
        free(memory);
    } else refused[4]++;
    free(own_begin), free(own_tree), free(split), free(value), free(base), free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    input in = {data + 1, size - 1};
    switch (*data % KINDS) {
    case 0: tables(&in); break;
    case 1: trees(&in); break;
    case 2: boosted(&in); break;
    case 3: tied(&in); break;
    default: transition(&in);
    }
    return 0;
}

#ifdef PLAIN
/* Inputs of mostly zeros, so that mostly few numbers change: COUNT of them from SEED. */
int main(int argc, char **argv) {
    const long count = argc > 1 ? atol(argv[1]) : 100000;
    uint64_t state = argc > 2 ? (uint64_t)atol(argv[2]) : 1;
    for (long i = 0; i < count; i++) {
        uint8_t data[160] = {(uint8_t)(i % KINDS)};
        const uint32_t changes = 1 + next_random(&state) % 4;
        for (uint32_t c = 0; c < changes; c++) {
            static const int8_t steps[] = {1, -1, 2, -2, 3, 5, 8, 127, -128, 64};
            const uint32_t r = next_random(&state);
            data[1 + r % (sizeof data - 1)] = (uint8_t)(r & 256 ? steps[(r >> 9) % sizeof steps] : (int)(r >> 20));
        }
        LLVMFuzzerTestOneInput(data, sizeof data);
    }
    static const char *const names[] = {"tables", "trees", "boosted trees", "transitions", "tied trees"};
    for (int k = 0; k < KINDS; k++)
        printf("| engine: %s | %lld | %lld | %lld |\n", names[k], (long long)(passed[k] + refused[k]),
               (long long)passed[k], (long long)refused[k]);
    return 0;
}
#endif
