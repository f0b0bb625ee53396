/* Unique: the different elements of x, or its different slices along `axis`, in ascending order or that of their first
 * occurrence; where each occurs first, which of them each element of x is, and how often each is there.
 * Slices are compared element by element; NaN is above all numbers and equal to NaN.
 * How many there are is known when the data is. */
#include "known.h"
#include "run.h"

#include <string.h>

/* Slice i of `n` is the elements i * inner + c of each of `outer` parts of n * inner elements. */
typedef struct slices {
    const ot_tensor *x;
    int64_t outer, n, inner;
} slices;

static ot_status slices_of(slices *s, const ot_node *node, const ot_tensor *x)
{
    int axis;
    *s = (slices){ x, 1, ot_tensor_count(x), 1 };
    if (!ot_attr_find(node, "axis"))
        return OT_OK;
    OT_TRY(ot_axis(&axis, ot_attr_int(node, "axis", 0), x->rank));
    s->n = x->dim[axis];
    for (int d = 0; d < axis; d++)
        s->outer *= x->dim[d];
    for (int d = axis + 1; d < x->rank; d++)
        s->inner *= x->dim[d];
    return OT_OK;
}

static int of_doubles(double v, double w)
{
    if (v != v || w != w)
        return (v != v) - (w != w);
    return (v > w) - (v < w);
}

static int compare_elements(const ot_tensor *x, int64_t a, int64_t b)
{
    if (x->dtype == OT_STRING) {
        const ot_str *s = (const ot_str *)x->data + a, *t = (const ot_str *)x->data + b;
        size_t n = s->n < t->n ? s->n : t->n;
        int c = n ? memcmp(s->bytes, t->bytes, n) : 0;
        return c ? c : (s->n > t->n) - (s->n < t->n);
    }
    if (x->dtype == OT_COMPLEX64 || x->dtype == OT_COMPLEX128) {
        ot_tensor part = *x;
        part.dtype = x->dtype == OT_COMPLEX64 ? OT_FLOAT : OT_DOUBLE;
        int c = of_doubles(ot_tensor_get(&part, 2 * a), ot_tensor_get(&part, 2 * b));
        return c ? c : of_doubles(ot_tensor_get(&part, 2 * a + 1), ot_tensor_get(&part, 2 * b + 1));
    }
    if (ot_dtype_is_float(x->dtype))
        return of_doubles(ot_tensor_get(x, a), ot_tensor_get(x, b));
    int64_t v = ot_tensor_get_int(x, a), w = ot_tensor_get_int(x, b);
    if (x->dtype == OT_UINT64)
        return ((uint64_t)v > (uint64_t)w) - ((uint64_t)v < (uint64_t)w);
    return (v > w) - (v < w);
}

static int compare(const slices *s, int64_t a, int64_t b)
{
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t c = 0; c < s->inner; c++) {
            int64_t base = o * s->n * s->inner + c;
            int r = compare_elements(s->x, base + a * s->inner, base + b * s->inner);
            if (r)
                return r;
        }
    return 0;
}

/* order[] = the slices in ascending order, equal ones by their index: a merge sort from the bottom; `room` is as long.
 */
static void sort(const slices *s, int64_t *order, int64_t *room)
{
    int64_t *from = order, *to = room, n = s->n;
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t at = 0; at < n; at += 2 * width) {
            int64_t middle = at + width < n ? at + width : n, end = at + 2 * width < n ? at + 2 * width : n;
            for (int64_t a = at, b = middle, k = at; k < end; k++)
                to[k] = b == end || (a < middle && compare(s, from[a], from[b]) <= 0) ? from[a++] : from[b++];
        }
        int64_t *t = from;
        from = to;
        to = t;
    }
    if (from != order && n)
        memcpy(order, from, (size_t)n * sizeof(*order));
}

static int64_t count_groups(const slices *s, const int64_t *order)
{
    int64_t groups = 0;
    for (int64_t i = 0; i < s->n; i++)
        groups += i == 0 || compare(s, order[i - 1], order[i]) != 0;
    return groups;
}

static ot_status unique_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    ot_tensor data;
    ot_dim dim[OT_MAX_RANK], all, count = ot_dim_unknown(c);
    bool flat = !ot_attr_find(c->node, "axis");
    int axis = 0, rank = flat ? 1 : x->rank;
    if (ot_open_rank(c, 0)) {
        all = ot_dim_unknown(c);
        ot_set_shape(&c->y[0], x->dtype, flat ? 1 : -1, &count);
        for (int i = 1; i < c->n_out; i++)
            ot_set_shape(&c->y[i], OT_INT64, 1, i == 2 ? &all : &count);
        return OT_OK;
    }
    OT_TRY(ot_rank_between(c, 0, flat ? 0 : 1, OT_MAX_RANK));
    if (!ot_dtype_size(x->dtype))
        return ot_fail(OT_ESHAPE, "Unique is not defined for %s", ot_dtype_name(x->dtype));
    if (!flat)
        OT_TRY(ot_axis(&axis, ot_attr_int(c->node, "axis", 0), x->rank));
    all = flat ? ot_dims_product(c, x->dim, 0, x->rank) : x->dim[axis];
    if (ot_known_numbers(c, 0, &data)) {
        slices s;
        OT_TRY(slices_of(&s, c->node, &data));
        int64_t *order = ot_arena_calloc(c->arena, 2 * (size_t)s.n + 1, sizeof(*order));
        if (!order)
            return OT_ENOMEM;
        sort(&s, order, order + s.n);
        count = count_groups(&s, order);
    }
    memcpy(dim, x->dim, sizeof(dim));
    dim[axis] = count;
    ot_set_shape(&c->y[0], x->dtype, rank, dim);
    for (int i = 1; i < c->n_out; i++)
        ot_set_shape(&c->y[i], OT_INT64, 1, i == 2 ? &all : &count);
    return OT_OK;
}

/* Scratch: order of the slices; then of each group the first slice; of each slice its group. */
static ot_status unique_prepare(ot_prep *p)
{
    ot_tensor x = { .dtype = p->x[0]->dtype, .rank = p->x[0]->rank };
    slices s;
    memcpy(x.dim, p->x[0]->dim, sizeof(x.dim));
    OT_TRY(slices_of(&s, p->node, &x));
    p->scratch = 3 * (size_t)s.n * sizeof(int64_t);
    return OT_OK;
}

/* Numbers the groups in the order that is wanted: first[g] and group_of[slice]; order[] is spent. */
static int64_t number_groups(const slices *s, bool sorted, int64_t *order, int64_t *first, int64_t *group_of)
{
    int64_t groups = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (i == 0 || compare(s, order[i - 1], order[i]) != 0)
            first[groups++] = order[i];
        group_of[order[i]] = groups - 1;
    }
    for (int64_t i = 0, next = 0; i < s->n && !sorted; i++) {
        int64_t *number = order; /* of a group: its turn among the first slices */
        if (first[group_of[i]] == i)
            number[group_of[i]] = next++;
        group_of[i] = number[group_of[i]];
    }
    for (int64_t i = s->n - 1; i >= 0; i--)
        first[group_of[i]] = i;
    return groups;
}

static void copy_slices(const slices *s, const int64_t *first, const ot_tensor *y, int64_t groups)
{
    size_t size = ot_dtype_size(y->dtype), bytes = (size_t)s->inner * size;
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t g = 0; g < groups && bytes; g++)
            memcpy((char *)y->data + (size_t)(o * groups + g) * bytes,
                   (const char *)s->x->data + (size_t)(o * s->n + first[g]) * bytes, bytes);
}

static ot_status unique_run(const ot_run *r)
{
    slices s;
    OT_TRY(slices_of(&s, r->node, &r->x[0]));
    int64_t *order = r->scratch, *first = order + s.n, *group_of = first + s.n;
    sort(&s, order, first);
    int64_t groups = number_groups(&s, ot_attr_int(r->node, "sorted", 1) != 0, order, first, group_of);
    int64_t each = s.outer * s.inner, planned = -1;
    if (ot_has_y(r, 0))
        planned = each ? ot_tensor_count(&r->y[0]) / each : groups;
    for (int i = 1; i < 4; i += 2)
        if (ot_has_y(r, i))
            planned = r->y[i].dim[0];
    if (planned >= 0 && planned != groups)
        return ot_fail(OT_ESHAPE, "%lld are different, planned were %lld", (long long)groups, (long long)planned);
    if (ot_has_y(r, 0))
        copy_slices(&s, first, &r->y[0], groups);
    if (ot_has_y(r, 1) && groups)
        memcpy(r->y[1].data, first, (size_t)groups * sizeof(*first));
    if (ot_has_y(r, 2) && s.n)
        memcpy(r->y[2].data, group_of, (size_t)s.n * sizeof(*group_of));
    if (ot_has_y(r, 3)) {
        memset(r->y[3].data, 0, ot_tensor_bytes(&r->y[3]));
        for (int64_t i = 0; i < s.n; i++)
            ((int64_t *)r->y[3].data)[group_of[i]]++;
    }
    return OT_OK;
}

static const ot_kernel unique_kernels[] = { { .name = "sort", .prepare = unique_prepare, .run = unique_run }, { 0 } };

const ot_op ot_op_Unique = { .domain = "",
                             .name = "Unique",
                             .since = 11,
                             .until = OT_LATEST,
                             .min_in = 1,
                             .max_in = 1,
                             .min_out = 1,
                             .max_out = 4,
                             .infer = unique_infer,
                             .cpu = unique_kernels };
