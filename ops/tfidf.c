/* TfIdfVectorizer: how often each n-gram of a pool is found in a row of tokens, at its column (mode TF); 1 at most
 * times the column's weight (IDF); the count times the weight (TFIDF).  The pool holds all 1-grams, then all 2-grams
 * ..; their starts are ngram_counts.  The tokens of an n-gram may lie 1 to max_skip_count + 1 apart, all by the same
 * distance; 1-grams count once.  Of equal n-grams the last has the column. */
#include "run.h"

#include <stdlib.h>
#include <string.h>

typedef struct pool {
    const ot_attr *tokens; /* int64s or strings */
    const int64_t *column; /* of each n-gram */
    int64_t shortest, longest, skips, columns;
    const float *weight; /* of each column, or NULL */
    bool counts;         /* else 1 at most */
    int64_t grams;
    struct gram *gram; /* sorted by size and tokens; NULL while only the shape is asked for */
} pool;

typedef struct gram {
    const pool *p;
    int64_t first, size, number; /* of its tokens; as the pool counts */
} gram;

static const ot_attr *list_of(const ot_node *n, const char *name, ot_attr_type type)
{
    const ot_attr *a = ot_attr_find(n, name);
    return a && a->type == type && a->n > 0 ? a : NULL;
}

static ot_status read_mode(pool *p, const ot_node *n)
{
    const char *mode = ot_attr_text(n, "mode", "");
    const ot_attr *weights = list_of(n, "weights", OT_ATTR_FLOATS);
    p->counts = strcmp(mode, "IDF") != 0;
    if (p->counts && strcmp(mode, "TF") != 0 && strcmp(mode, "TFIDF") != 0)
        return ot_fail(OT_EMODEL, "mode is '%.40s'", mode);
    if (weights && strcmp(mode, "TF") != 0) {
        if (weights->n < p->columns)
            return ot_fail(OT_EMODEL, "%d weights for %lld columns", weights->n, (long long)p->columns);
        p->weight = weights->floats;
    }
    return OT_OK;
}

/* Calls for each n-gram of the pool that is looked for: counts them, and fills p->gram where it is there. */
static ot_status read_grams(pool *p, const int64_t *start, int sizes, int columns)
{
    int64_t number = 0;
    p->grams = 0;
    for (int k = 0; k < sizes; k++) {
        const int64_t from = start[k], to = k + 1 < sizes ? start[k + 1] : p->tokens->n, size = k + 1;
        if (from < 0 || from > to || to > p->tokens->n)
            return ot_fail(OT_EMODEL, "%d-grams are from %lld to %lld of %d", k + 1, (long long)from, (long long)to,
                           p->tokens->n);
        for (int64_t i = 0; i < (to - from) / size; i++, number++)
            if (size >= p->shortest && size <= p->longest) {
                if (p->gram)
                    p->gram[p->grams] = (gram){ p, from + i * size, size, number };
                p->grams++;
            }
    }
    if (number > columns)
        return ot_fail(OT_EMODEL, "%lld n-grams, but %d ngram_indexes", (long long)number, columns);
    return OT_OK;
}

static ot_status read_pool(pool *p, const ot_node *n)
{
    const ot_attr *ints = list_of(n, "pool_int64s", OT_ATTR_INTS), *texts = list_of(n, "pool_strings", OT_ATTR_STRINGS);
    int columns, sizes;
    const int64_t *column = ot_attr_ints(n, "ngram_indexes", &columns),
                  *start = ot_attr_ints(n, "ngram_counts", &sizes);
    gram *room = p->gram;
    *p = (pool){ .tokens = ints ? ints : texts, .column = column, .gram = room };
    if (!ints == !texts)
        return ot_fail(OT_EMODEL, "one of pool_int64s and pool_strings must be there");
    p->shortest = ot_attr_int(n, "min_gram_length", 0);
    p->longest = ot_attr_int(n, "max_gram_length", 0);
    p->skips = ot_attr_int(n, "max_skip_count", -1);
    if (p->shortest < 1 || p->longest < p->shortest || p->skips < 0)
        return ot_fail(OT_EMODEL, "n-grams of %lld to %lld with %lld skips", (long long)p->shortest,
                       (long long)p->longest, (long long)p->skips);
    for (int i = 0; i < columns; i++) {
        if (column[i] < 0 || column[i] >= INT32_MAX)
            return ot_fail(OT_EMODEL, "ngram_indexes[%d] is %lld", i, (long long)column[i]);
        p->columns = column[i] >= p->columns ? column[i] + 1 : p->columns;
    }
    if (columns < 1 || sizes < 1)
        return ot_fail(OT_EMODEL, "%d ngram_indexes, %d ngram_counts", columns, sizes);
    OT_TRY(read_mode(p, n));
    return read_grams(p, start, sizes, columns);
}

static ot_status tfidf_infer(ot_infer *c)
{
    pool p = { 0 };
    const ot_fact *x = c->x[0];
    OT_TRY(read_pool(&p, c->node));
    const bool text = p.tokens->type == OT_ATTR_STRINGS;
    if (text ? x->dtype != OT_STRING : x->dtype != OT_INT32 && x->dtype != OT_INT64)
        return ot_fail(OT_ESHAPE, "X is %s, the pool has %s", ot_dtype_name(x->dtype), text ? "strings" : "integers");
    c->y[0].dtype = OT_FLOAT;
    if (x->rank < 0)
        return OT_OK;
    OT_TRY(ot_rank_between(c, 0, 0, 2));
    ot_set_shape(&c->y[0], OT_FLOAT, x->rank == 2 ? 2 : 1,
                 (const ot_dim[]){ x->rank == 2 ? x->dim[0] : p.columns, p.columns });
    return OT_OK;
}

/* Token i of the pool against token j of x. */
static int compare_token(const pool *p, int64_t i, const ot_tensor *x, int64_t j)
{
    if (p->tokens->type == OT_ATTR_INTS) {
        const int64_t a = p->tokens->ints[i], b = ot_tensor_get_int(x, j);
        return (a > b) - (a < b);
    }
    const char *a = p->tokens->strings[i];
    const ot_str *b = (const ot_str *)x->data + j;
    const size_t n = strlen(a), least = n < b->n ? n : b->n;
    const int order = least ? memcmp(a, b->bytes, least) : 0;
    return order ? order : (n > b->n) - (n < b->n);
}

static int compare_grams(const void *left, const void *right)
{
    const gram *a = left, *b = right;
    const ot_attr *t = a->p->tokens;
    int order = (a->size > b->size) - (a->size < b->size);
    for (int64_t i = 0; i < a->size && order == 0; i++) {
        const int64_t k = a->first + i, m = b->first + i;
        order = t->type == OT_ATTR_INTS ? (t->ints[k] > t->ints[m]) - (t->ints[k] < t->ints[m])
                                        : strcmp(t->strings[k], t->strings[m]);
    }
    return order ? order : (a->number > b->number) - (a->number < b->number);
}

static ot_status tfidf_prepare(ot_prep *prep)
{
    pool p = { 0 };
    OT_TRY(read_pool(&p, prep->node));
    pool *kept = prep->state = ot_calloc(1, sizeof(*kept) + (size_t)p.grams * sizeof(gram));
    if (!kept)
        return OT_ENOMEM;
    kept->gram = (gram *)(void *)(kept + 1);
    OT_TRY(read_pool(kept, prep->node));
    qsort(kept->gram, (size_t)kept->grams, sizeof(gram), compare_grams);
    return OT_OK;
}

/* The column of the n-gram of tokens first, first + step .. of x; -1: it is not in the pool. */
static int64_t column_of(const pool *p, const ot_tensor *x, int64_t first, int64_t step, int64_t size)
{
    int64_t lo = 0, hi = p->grams; /* the last that is not above lies before hi */
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        const gram *g = &p->gram[mid];
        int order = (g->size > size) - (g->size < size);
        for (int64_t i = 0; i < size && order == 0; i++)
            order = compare_token(p, g->first + i, x, first + i * step);
        if (order > 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    if (lo == 0 || p->gram[lo - 1].size != size)
        return -1;
    for (int64_t i = 0; i < size; i++)
        if (compare_token(p, p->gram[lo - 1].first + i, x, first + i * step) != 0)
            return -1;
    return p->column[p->gram[lo - 1].number];
}

static void count_row(const pool *p, const ot_tensor *x, int64_t begin, int64_t end, float *y)
{
    int64_t shortest = p->shortest;
    for (int64_t step = 1; step - 1 <= p->skips && shortest <= p->longest && step < end - begin + 1; step++) {
        for (int64_t at = begin; at < end; at++)
            for (int64_t size = shortest; size <= p->longest && size - 1 <= (end - 1 - at) / step; size++) {
                const int64_t column = column_of(p, x, at, step, size);
                if (column >= 0)
                    y[column]++;
            }
        shortest += shortest == 1;
    }
}

static void tfidf_rows(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    const pool *p = r->state;
    const ot_tensor *x = &r->x[0];
    const int64_t n = x->rank ? x->dim[x->rank - 1] : 1;
    for (int64_t row = from; row < to; row++) {
        float *y = (float *)r->y[0].data + row * p->columns;
        memset(y, 0, (size_t)p->columns * sizeof(float));
        count_row(p, x, row * n, (row + 1) * n, y);
        for (int64_t k = 0; k < p->columns; k++)
            y[k] = (p->counts || y[k] < 1 ? y[k] : 1) * (p->weight ? p->weight[k] : 1);
    }
}

static ot_status tfidf_run(const ot_run *r)
{
    ot_for_ranges(r, r->y[0].rank == 2 ? r->y[0].dim[0] : 1, 1, tfidf_rows, (void *)r);
    return OT_OK;
}

static const ot_kernel tfidf_kernels[] = { { .name = "search", .prepare = tfidf_prepare, .run = tfidf_run }, { 0 } };

const ot_op ot_op_TfIdfVectorizer = { .domain = "",
                                      .name = "TfIdfVectorizer",
                                      .since = 9,
                                      .until = OT_LATEST,
                                      .min_in = 1,
                                      .max_in = 1,
                                      .min_out = 1,
                                      .max_out = 1,
                                      .infer = tfidf_infer,
                                      .grad = ot_grad_none,
                                      .cpu = tfidf_kernels };
