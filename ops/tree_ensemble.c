/* TreeEnsemble (ai.onnx.ml): for each row of X the leaf of each tree is found by comparing features with splits, and
 * adds its weight to its target; then a transformation of the row of targets.  A NaN takes the true branch where
 * nodes_missing_value_tracks_true says so.  A target that no leaf reaches is 0, or the largest (smallest) number of the
 * type where the least (largest) leaf is asked for.  The gradient is zero wherever there is one. */
#include "run.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEQ, LT, GTE, GT, EQ, NEQ, MEMBER };
enum { AVERAGE, SUM, MIN, MAX };
enum { PLAIN, SOFTMAX, LOGISTIC, SOFTMAX_ZERO, PROBIT };

typedef struct trees {
    int64_t nodes, leaves, targets;
    int n_root, aggregate, transform;
    const int64_t *root, *feature, *true_id, *false_id, *true_leaf, *false_leaf, *target, *missing;
    const ot_tensor *mode, *split, *weight, *members;
} trees;

/* ---- Attributes ------------------------------------------------------------------------------------------------ */

static ot_status ints_of(const ot_node *n, const char *name, int64_t want, const int64_t **out)
{
    int count;
    *out = ot_attr_ints(n, name, &count);
    if (count != want)
        return ot_fail(OT_EMODEL, "%s has %d entries, wanted are %lld", name, count, (long long)want);
    return OT_OK;
}

static ot_status tensor_of(const ot_node *n, const char *name, bool number, int64_t want, const ot_tensor **out)
{
    const ot_attr *a = ot_attr_find(n, name);
    *out = a && a->type == OT_ATTR_TENSOR ? a->tensor : NULL;
    if (!*out)
        return ot_fail(OT_EMODEL, "the attribute %s is missing", name);
    if (number ? !ot_dtype_is_float((*out)->dtype) : (*out)->dtype != OT_UINT8)
        return ot_fail(OT_EMODEL, "%s is %s", name, ot_dtype_name((*out)->dtype));
    if (want >= 0 && ot_tensor_count(*out) != want)
        return ot_fail(OT_EMODEL, "%s has %lld entries, wanted are %lld", name, (long long)ot_tensor_count(*out),
                       (long long)want);
    return OT_OK;
}

static ot_status in_range(const char *name, int64_t i, int64_t v, int64_t n)
{
    return v >= 0 && v < n
               ? OT_OK
               : ot_fail(OT_EMODEL, "%s[%lld] is %lld of %lld", name, (long long)i, (long long)v, (long long)n);
}

static ot_status check_nodes(const trees *t, int64_t features)
{
    for (int i = 0; i < t->n_root; i++)
        OT_TRY(in_range("tree_roots", i, t->root[i], t->nodes));
    for (int64_t i = 0; i < t->nodes; i++) {
        OT_TRY(in_range("nodes_truenodeids", i, t->true_id[i], t->true_leaf[i] ? t->leaves : t->nodes));
        OT_TRY(in_range("nodes_falsenodeids", i, t->false_id[i], t->false_leaf[i] ? t->leaves : t->nodes));
        OT_TRY(in_range("nodes_modes", i, ot_tensor_get_int(t->mode, i), MEMBER + 1));
        OT_TRY(in_range("nodes_featureids", i, t->feature[i], features));
    }
    for (int64_t i = 0; i < t->leaves; i++)
        OT_TRY(in_range("leaf_targetids", i, t->target[i], t->targets));
    return OT_OK;
}

/* Each set of members ends with a NaN. */
static ot_status check_members(const trees *t)
{
    int64_t wanted = 0, sets = 0;
    for (int64_t i = 0; i < t->nodes; i++)
        wanted += ot_tensor_get_int(t->mode, i) == MEMBER;
    for (int64_t i = 0, n = t->members ? ot_tensor_count(t->members) : 0; i < n; i++)
        sets += isnan(ot_tensor_get(t->members, i));
    return sets == wanted ? OT_OK
                          : ot_fail(OT_EMODEL, "membership_values has %lld sets, wanted are %lld", (long long)sets,
                                    (long long)wanted);
}

static ot_status read_trees(trees *t, const ot_node *n, int64_t features)
{
    int count;
    *t = (trees){ .aggregate = (int)ot_attr_int(n, "aggregate_function", SUM),
                  .transform = (int)ot_attr_int(n, "post_transform", PLAIN) };
    OT_TRY(tensor_of(n, "nodes_modes", false, -1, &t->mode));
    OT_TRY(tensor_of(n, "leaf_weights", true, -1, &t->weight));
    t->nodes = ot_tensor_count(t->mode);
    t->leaves = ot_tensor_count(t->weight);
    OT_TRY(tensor_of(n, "nodes_splits", true, t->nodes, &t->split));
    OT_TRY(ints_of(n, "nodes_featureids", t->nodes, &t->feature));
    OT_TRY(ints_of(n, "nodes_truenodeids", t->nodes, &t->true_id));
    OT_TRY(ints_of(n, "nodes_falsenodeids", t->nodes, &t->false_id));
    OT_TRY(ints_of(n, "nodes_trueleafs", t->nodes, &t->true_leaf));
    OT_TRY(ints_of(n, "nodes_falseleafs", t->nodes, &t->false_leaf));
    OT_TRY(ints_of(n, "leaf_targetids", t->leaves, &t->target));
    if (ot_attr_find(n, "nodes_missing_value_tracks_true"))
        OT_TRY(ints_of(n, "nodes_missing_value_tracks_true", t->nodes, &t->missing));
    if (ot_attr_find(n, "membership_values"))
        OT_TRY(tensor_of(n, "membership_values", true, -1, &t->members));
    t->root = ot_attr_ints(n, "tree_roots", &count);
    t->n_root = count;
    for (int64_t i = 0; i < t->leaves; i++)
        t->targets = t->target[i] >= t->targets && t->target[i] < INT32_MAX ? t->target[i] + 1 : t->targets;
    t->targets = ot_attr_int(n, "n_targets", t->targets);
    if (t->targets < 0 || t->targets > INT32_MAX || t->aggregate < AVERAGE || t->aggregate > MAX ||
        t->transform < PLAIN || t->transform > PROBIT)
        return ot_fail(OT_EMODEL, "n_targets is %lld, aggregate_function %d, post_transform %d", (long long)t->targets,
                       t->aggregate, t->transform);
    OT_TRY(check_nodes(t, features));
    return check_members(t);
}

static ot_status trees_infer(ot_infer *c)
{
    trees t;
    OT_TRY(ot_rank_between(c, 0, 2, 2));
    OT_TRY(ot_needs_float(c, 0));
    const ot_fact *x = c->x[0];
    OT_TRY(read_trees(&t, c->node, ot_is_symbol(x->dim[1]) ? INT64_MAX : x->dim[1]));
    ot_set_shape(&c->y[0], x->dtype, 2, (const ot_dim[]){ x->dim[0], t.targets });
    return OT_OK;
}

/* ---- The plan's part: sets in order, and no way around in a circle --------------------------------------------- */

typedef struct ready {
    trees t;
    ot_dtype type;
    int64_t *set; /* by node: where its members begin in `member`; the next begins where they end */
    double *member;
    double *split, *weight;
} ready;

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void read_sets(ready *e)
{
    const ot_tensor *m = e->t.members;
    int64_t at = 0, kept = 0;
    for (int64_t i = 0; i < e->t.nodes; i++) {
        e->set[i] = kept;
        if (ot_tensor_get_int(e->t.mode, i) != MEMBER)
            continue;
        for (double v; !isnan(v = ot_tensor_get(m, at)); at++)
            e->member[kept++] = v;
        at++;
        qsort(e->member + e->set[i], (size_t)(kept - e->set[i]), sizeof(double), by_size);
    }
    e->set[e->t.nodes] = kept;
}

/* Nodes are taken away that no other leads to, until none is left. */
static ot_status check_circles(const trees *t)
{
    int64_t *led = ot_calloc((size_t)t->nodes + 1, sizeof(*led)),
            *todo = ot_malloc((size_t)t->nodes + 1, sizeof(*todo));
    int64_t n = 0, done = 0;
    for (int64_t i = 0; led && i < t->nodes; i++) {
        led[t->true_id[i]] += !t->true_leaf[i];
        led[t->false_id[i]] += !t->false_leaf[i];
    }
    for (int64_t i = 0; led && todo && i < t->nodes; i++)
        if (led[i] == 0)
            todo[n++] = i;
    for (; led && todo && done < n; done++) {
        const int64_t i = todo[done];
        if (!t->true_leaf[i] && --led[t->true_id[i]] == 0)
            todo[n++] = t->true_id[i];
        if (!t->false_leaf[i] && --led[t->false_id[i]] == 0)
            todo[n++] = t->false_id[i];
    }
    const bool room = led && todo;
    ot_free(led);
    ot_free(todo);
    if (!room)
        return OT_ENOMEM;
    return done == t->nodes
               ? OT_OK
               : ot_fail(OT_EMODEL, "%lld nodes of trees lead around in a circle", (long long)(t->nodes - done));
}

static ot_status trees_prepare(ot_prep *p)
{
    trees t;
    OT_TRY(read_trees(&t, p->node, p->x[0]->dim[1]));
    OT_TRY(check_circles(&t));
    const size_t nodes = (size_t)t.nodes, members = t.members ? (size_t)ot_tensor_count(t.members) : 0;
    ready *e = ot_calloc(1, sizeof(*e) + 8 * (2 * nodes + 1 + members + (size_t)t.leaves));
    if (!e)
        return OT_ENOMEM;
    p->state = e;
    *e = (ready){ .t = t, .type = p->x[0]->dtype, .set = (int64_t *)(e + 1) };
    e->member = (double *)(e->set + nodes + 1);
    e->split = e->member + members;
    e->weight = e->split + nodes;
    for (int64_t i = 0; i < t.nodes; i++)
        e->split[i] = ot_tensor_get(t.split, i);
    for (int64_t i = 0; i < t.leaves; i++)
        e->weight[i] = ot_tensor_get(t.weight, i);
    read_sets(e);
    return OT_OK;
}

/* ---- A row ----------------------------------------------------------------------------------------------------- */

static bool is_true(const ready *e, int64_t i, double v)
{
    const double s = e->split[i];
    if (isnan(v) && e->t.missing && e->t.missing[i])
        return true;
    switch (((const uint8_t *)e->t.mode->data)[i]) {
    case LEQ:
        return v <= s;
    case LT:
        return v < s;
    case GTE:
        return v >= s;
    case GT:
        return v > s;
    case EQ:
        return v == s;
    case NEQ:
        return v != s;
    default:
        return !isnan(v) && bsearch(&v, e->member + e->set[i], (size_t)(e->set[i + 1] - e->set[i]), sizeof(v), by_size);
    }
}

static int64_t leaf_of(const ready *e, int64_t i, const double *x)
{
    for (;;) {
        const bool yes = is_true(e, i, x[e->t.feature[i]]);
        const int64_t next = yes ? e->t.true_id[i] : e->t.false_id[i];
        if (yes ? e->t.true_leaf[i] : e->t.false_leaf[i])
            return next;
        i = next;
    }
}

static double largest(ot_dtype t)
{
    return t == OT_FLOAT16 ? 65504 : t == OT_BFLOAT16 ? 0x1.fep127 : t == OT_FLOAT ? (double)FLT_MAX : DBL_MAX;
}

/* Winitzki's approximation of the inverse of erf, as ONNX has it. */
static double probit(double p)
{
    const double x = 2 * p - 1, rest = (1 - x) * (1 + x);
    if (rest == 0)
        return 0;
    const double log_rest = log(rest), a = 2 / (3.14159265358979323846 * 0.147) + log_rest / 2;
    return (x < 0 ? -1 : 1) * 1.41421356 * sqrt(-a + sqrt(a * a - log_rest / 0.147));
}

/* zero: what is zero stays so. */
static void softmax(int64_t n, double *y, bool zero)
{
    double top = -(double)INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        top = y[i] > top ? y[i] : top;
    for (int64_t i = 0; i < n; i++) {
        y[i] = zero && fabs(y[i]) <= 1e-7 ? y[i] * exp(-top) : exp(y[i] - top);
        sum += y[i];
    }
    for (int64_t i = 0; i < n; i++)
        y[i] = sum != 0 ? y[i] / sum : 0.5;
}

static void transform(const ready *e, double *y)
{
    const int64_t n = e->t.targets;
    if (e->t.transform == SOFTMAX || e->t.transform == SOFTMAX_ZERO)
        softmax(n, y, e->t.transform == SOFTMAX_ZERO);
    for (int64_t i = 0; i < n && e->t.transform == LOGISTIC; i++)
        y[i] = 1 / (1 + exp(-y[i]));
    for (int64_t i = 0; i < n && e->t.transform == PROBIT; i++)
        y[i] = probit(y[i]);
}

static void rows(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    const ready *e = r->state;
    const int64_t features = r->x[0].dim[1], targets = e->t.targets;
    const double start = e->t.aggregate == MIN ? largest(e->type) : e->t.aggregate == MAX ? -largest(e->type) : 0;
    for (int64_t i = from; i < to; i++) {
        const double *x = (const double *)r->x[0].data + i * features;
        double *y = (double *)r->y[0].data + i * targets;
        for (int64_t k = 0; k < targets; k++)
            y[k] = start;
        for (int k = 0; k < e->t.n_root; k++) {
            const int64_t leaf = leaf_of(e, e->t.root[k], x);
            const double w = e->weight[leaf];
            double *to_y = &y[e->t.target[leaf]];
            if (e->t.aggregate == MIN || e->t.aggregate == MAX)
                *to_y = e->t.aggregate == MIN ? (w < *to_y ? w : *to_y) : w > *to_y ? w : *to_y;
            else
                *to_y += e->t.aggregate == AVERAGE ? w / e->t.n_root : w;
        }
        transform(e, y);
    }
}

static ot_status trees_run(const ot_run *r)
{
    const ready *e = r->state;
    ot_for_ranges(r, r->x[0].dim[0], 1024 / (e->t.n_root + 1) + 1, rows, (void *)r);
    return OT_OK;
}

static const ot_kernel trees_kernels[] = {
    { .name = "reference", .prepare = trees_prepare, .run = trees_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_TreeEnsemble = { .domain = "ai.onnx.ml",
                                   .name = "TreeEnsemble",
                                   .since = 5,
                                   .until = 5,
                                   .min_in = 1,
                                   .max_in = 1,
                                   .min_out = 1,
                                   .max_out = 1,
                                   .infer = trees_infer,
                                   .grad = ot_grad_none,
                                   .cpu = trees_kernels };
