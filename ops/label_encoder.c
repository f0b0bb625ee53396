/* LabelEncoder (ai.onnx.ml): each element that is among the keys becomes the value of its key, others the default. Keys
 * and values are lists or tensors among the attributes; of equal keys the last counts, and NaN is equal to NaN.  In
 * version 1 both are classes_strings and their places, one way or the other.
 *
 * Binarizer: 1 where x > threshold, else 0.  ArrayFeatureExtractor: elements Y of the last axis of X. */
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A list of elements; a NULL attribute stands for 0, 1, 2 .. */
typedef struct labels {
    const ot_attr *a;
    ot_dtype type;
    int64_t n;
} labels;

typedef struct encoder {
    labels key, value, other; /* other: the default, one element, or none: the one that the type has */
    struct place *sorted;
} encoder;

typedef struct place {
    const labels *key;
    int64_t i;
} place;

static double real_at(const labels *l, int64_t i)
{
    return l->a->type == OT_ATTR_TENSOR  ? ot_tensor_get(l->a->tensor, i)
           : l->a->type == OT_ATTR_FLOAT ? l->a->f
                                         : (double)l->a->floats[i];
}

static int64_t int_at(const labels *l, int64_t i)
{
    return !l->a                          ? i
           : l->a->type == OT_ATTR_TENSOR ? ot_tensor_get_int(l->a->tensor, i)
           : l->a->type == OT_ATTR_INT    ? l->a->i
                                          : l->a->ints[i];
}

static ot_str text_at(const labels *l, int64_t i)
{
    if (l->a->type == OT_ATTR_TENSOR)
        return ((const ot_str *)l->a->tensor->data)[i];
    const char *s = l->a->type == OT_ATTR_STRING ? l->a->s : l->a->strings[i];
    return (ot_str){ s, strlen(s) };
}

/* The list of this name, in any of the forms that there are: keys_int64s, keys_tensor .. */
static labels find_labels(const ot_node *n, const char *ints, const char *floats, const char *strings,
                          const char *tensor)
{
    const ot_attr *a;
    if ((a = ot_attr_find(n, tensor)) && a->type == OT_ATTR_TENSOR && a->tensor)
        return (labels){ a, a->tensor->dtype, ot_tensor_count(a->tensor) };
    if ((a = ot_attr_find(n, ints)) && (a->type == OT_ATTR_INTS || a->type == OT_ATTR_INT))
        return (labels){ a, OT_INT64, a->type == OT_ATTR_INT ? 1 : a->n };
    if ((a = ot_attr_find(n, floats)) && (a->type == OT_ATTR_FLOATS || a->type == OT_ATTR_FLOAT))
        return (labels){ a, OT_FLOAT, a->type == OT_ATTR_FLOAT ? 1 : a->n };
    if ((a = ot_attr_find(n, strings)) && (a->type == OT_ATTR_STRINGS || a->type == OT_ATTR_STRING))
        return (labels){ a, OT_STRING, a->type == OT_ATTR_STRING ? 1 : a->n };
    return (labels){ 0 };
}

static bool serves(ot_dtype t)
{
    return t == OT_STRING || t == OT_INT64 || t == OT_INT32 || t == OT_INT16 || t == OT_FLOAT || t == OT_DOUBLE;
}

static ot_status read_encoder(encoder *e, const ot_node *n, ot_dtype x)
{
    const ot_attr *classes = ot_attr_find(n, "classes_strings");
    *e = (encoder){ .key = find_labels(n, "keys_int64s", "keys_floats", "keys_strings", "keys_tensor"),
                    .value = find_labels(n, "values_int64s", "values_floats", "values_strings", "values_tensor") };
    if (classes && classes->type == OT_ATTR_STRINGS) {
        const labels text = { classes, OT_STRING, classes->n }, number = { NULL, OT_INT64, classes->n };
        e->key = x == OT_STRING ? text : number;
        e->value = x == OT_STRING ? number : text;
    }
    const ot_dtype y = e->value.type;
    e->other = y == OT_INT64    ? find_labels(n, "default_int64", "", "", "default_tensor")
               : y == OT_FLOAT  ? find_labels(n, "", "default_float", "", "default_tensor")
               : y == OT_STRING ? find_labels(n, "", "", "default_string", "default_tensor")
                                : find_labels(n, "", "", "", "default_tensor");
    if (!serves(e->key.type) || !serves(y) || e->key.n != e->value.n)
        return ot_fail(OT_EMODEL, "%lld keys of %s and %lld values of %s", (long long)e->key.n,
                       ot_dtype_name(e->key.type), (long long)e->value.n, ot_dtype_name(y));
    if (e->other.type != OT_UNDEFINED && (e->other.type != y || e->other.n != 1))
        return ot_fail(OT_EMODEL, "the default is %lld of %s", (long long)e->other.n, ot_dtype_name(e->other.type));
    const bool reals = e->key.type == OT_FLOAT && x == OT_DOUBLE && e->key.a->type == OT_ATTR_FLOATS;
    if (e->key.type != x && !reals) /* numbers of the list are float32, whatever X is */
        return ot_fail(OT_ESHAPE, "X is %s, the keys are %s", ot_dtype_name(x), ot_dtype_name(e->key.type));
    return OT_OK;
}

static ot_status encoder_infer(ot_infer *c)
{
    encoder e;
    OT_TRY(read_encoder(&e, c->node, c->x[0]->dtype));
    ot_set_shape(&c->y[0], e.value.type, c->x[0]->rank, c->x[0]->dim);
    return OT_OK;
}

static int order_of_reals(double a, double b)
{
    return isnan(a) || isnan(b) ? !isnan(b) - !isnan(a) : (a > b) - (a < b);
}

static int order_of_texts(ot_str a, ot_str b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    const int order = n ? memcmp(a.bytes, b.bytes, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

/* Key i against key k of another list of the type. */
static int order_of(const labels *l, int64_t i, const labels *m, int64_t k)
{
    if (l->type == OT_STRING)
        return order_of_texts(text_at(l, i), text_at(m, k));
    if (ot_dtype_is_float(l->type))
        return order_of_reals(real_at(l, i), real_at(m, k));
    return (int_at(l, i) > int_at(m, k)) - (int_at(l, i) < int_at(m, k));
}

static int order_of_places(const void *left, const void *right)
{
    const place *a = left, *b = right;
    const int order = order_of(a->key, a->i, b->key, b->i);
    return order ? order : (a->i > b->i) - (a->i < b->i);
}

static ot_status encoder_prepare(ot_prep *p)
{
    encoder e;
    OT_TRY(read_encoder(&e, p->node, p->x[0]->dtype));
    encoder *kept = p->state = ot_calloc(1, sizeof(e) + (size_t)e.key.n * sizeof(place));
    if (!kept)
        return OT_ENOMEM;
    *kept = e;
    kept->sorted = (place *)(void *)(kept + 1);
    for (int64_t i = 0; i < e.key.n; i++)
        kept->sorted[i] = (place){ &kept->key, i };
    qsort(kept->sorted, (size_t)e.key.n, sizeof(place), order_of_places);
    return OT_OK;
}

/* Element i of x among the keys; -1: it is none of them. */
static int64_t find(const encoder *e, const labels *x, int64_t i)
{
    int64_t lo = 0, hi = e->key.n;
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (order_of(&e->key, e->sorted[mid].i, x, i) > 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo > 0 && order_of(&e->key, e->sorted[lo - 1].i, x, i) == 0 ? e->sorted[lo - 1].i : -1;
}

static void put(const encoder *e, ot_tensor *y, int64_t i, int64_t at)
{
    const bool usual = at < 0 && e->other.type == OT_UNDEFINED;
    const labels *from = at < 0 ? &e->other : &e->value;
    at = at < 0 ? 0 : at;
    if (y->dtype == OT_STRING)
        ((ot_str *)y->data)[i] = usual ? (ot_str){ "_Unused", 7 } : text_at(from, at);
    else if (ot_dtype_is_float(y->dtype))
        ot_tensor_set(y, i, usual ? -0.0 : real_at(from, at));
    else
        ot_tensor_set_int(y, i, usual ? -1 : int_at(from, at));
}

static void encode_range(void *ctx, int64_t from, int64_t to)
{
    const ot_run *r = ctx;
    const ot_attr data = { .type = OT_ATTR_TENSOR, .tensor = &r->x[0] };
    const labels x = { &data, r->x[0].dtype, 0 };
    for (int64_t i = from; i < to; i++)
        put(r->state, &r->y[0], i, find(r->state, &x, i));
}

static ot_status encoder_run(const ot_run *r)
{
    ot_for_ranges(r, ot_tensor_count(&r->y[0]), OT_GRAIN / 16, encode_range, (void *)r);
    return OT_OK;
}

static const ot_kernel encoder_kernels[] = { { .name = "search", .prepare = encoder_prepare, .run = encoder_run },
                                             { 0 } };

/* ---- Composites ------------------------------------------------------------------------------------------------ */

static void binarizer_compose(ot_build *b)
{
    const ot_dtype t = ot_fact_of(b, ot_x(b, 0))->dtype;
    const double threshold = ot_attr_float(ot_the_node(b), "threshold", 0);
    const ot_dtype in = ot_dtype_is_float(t) ? t : OT_DOUBLE; /* the threshold may be a fraction */
    ot_val x = ot_x(b, 0);
    if (in != t)
        x = OT_EMIT_WITH(b, "Cast", OT_ATTRS(OT_INT("to", in)), x);
    const ot_val above = OT_EMIT(b, "Greater", x, ot_const_scalar(b, in, threshold));
    ot_becomes(b, 0, OT_EMIT(b, "Where", above, ot_const_scalar(b, t, 1), ot_const_scalar(b, t, 0)));
}

static void extractor_compose(ot_build *b)
{
    const int64_t rows[] = { 1, -1 };
    const ot_val at = OT_EMIT(b, "Reshape", ot_x(b, 1), ot_const_ints(b, 1, (const int64_t[]){ -1 }));
    ot_val y = OT_EMIT_WITH(b, "Gather", OT_ATTRS(OT_INT("axis", -1)), ot_x(b, 0), at);
    if (ot_fact_of(b, ot_x(b, 0))->rank == 1) /* a vector is one row */
        y = OT_EMIT(b, "Reshape", y, ot_const_ints(b, 2, rows));
    ot_becomes(b, 0, y);
}

#define ML .domain = "ai.onnx.ml", .since = 1, .until = 5, .min_out = 1, .max_out = 1

const ot_op ot_op_LabelEncoder = { ML,
                                   .name = "LabelEncoder",
                                   .min_in = 1,
                                   .max_in = 1,
                                   .infer = encoder_infer,
                                   .grad = ot_grad_none,
                                   .cpu = encoder_kernels };
const ot_op ot_op_Binarizer = { ML, .name = "Binarizer", .min_in = 1, .max_in = 1, .compose = binarizer_compose };
const ot_op ot_op_ArrayFeatureExtractor = { ML, .name = "ArrayFeatureExtractor", .min_in = 2, .max_in = 2,
                                            .compose = extractor_compose };
