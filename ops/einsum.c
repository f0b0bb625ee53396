/* Einsum: products of elements of the operands, summed over the labels that the output lacks.  More than two operands
 * are contracted one by one, from the left.  Dims of 1 are broadcast.
 * EinsumLike: (like, operands..) -> the same with the dims of like, of which only the shape is read; a label that is
 * repeated in the output is a diagonal in zeros, one that no operand has is broadcast.  It is the gradient of both:
 * with respect to operand k, output and term k change places. Products of two go to the matrix kernel where all labels
 * are in the output or in both. */
#include "einsum.h"
#include "known.h"
#include "strided.h"

#include <string.h>

bool ot_einsum_is_like(const ot_node *n)
{
    return strcmp(n->op->name, "EinsumLike") == 0;
}

/* ---- Shapes --------------------------------------------------------------------------------------------------------
 */

static ot_status einsum_infer(ot_infer *c)
{
    ot_equation e;
    ot_term_labels l;
    int rank[OT_EINSUM_TERMS], like = ot_einsum_is_like(c->node);
    ot_dim size[OT_EINSUM_LABELS], dim[OT_MAX_RANK];
    OT_TRY(ot_equation_read(&e, ot_attr_text(c->node, "equation", NULL)));
    if (e.n != c->n_in - like)
        return ot_fail(OT_EMODEL, "the equation has %d operands, there are %d", e.n, c->n_in - like);
    if (ot_open_rank(c, -1)) {
        c->y[0].dtype = c->x[0]->dtype;
        return OT_OK;
    }
    for (int i = 0; i < c->n_in; i++) {
        OT_TRY(ot_rank_between(c, i, 0, OT_MAX_RANK));
        rank[like ? (i ? i - 1 : e.n) : i] = c->x[i]->rank;
        if (c->x[i]->dtype != c->x[0]->dtype)
            return ot_fail(OT_ESHAPE, "input %d is %s, input 0 is %s", i, ot_dtype_name(c->x[i]->dtype),
                           ot_dtype_name(c->x[0]->dtype));
    }
    if (!(ot_dtype_is_int(c->x[0]->dtype) && ot_dtype_size(c->x[0]->dtype)))
        OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_equation_label(&l, &e, rank, like));
    for (int i = 0; i < OT_EINSUM_LABELS; i++)
        size[i] = 1;
    for (int i = 0; i < e.n + like; i++) {
        const ot_fact *x = c->x[i < e.n ? i + like : 0];
        for (int d = 0; d < l.rank[i]; d++) {
            ot_dim *s = &size[l.label[i][d]], v = x->dim[d];
            if (*s == 1 || *s == v)
                *s = v;
            else if (ot_is_symbol(*s) && ot_is_symbol(v))
                *s = ot_dim_unknown(c);
            else if (ot_is_symbol(*s))
                *s = v == 1 ? *s : v;
            else if (v != 1 && !ot_is_symbol(v))
                return ot_fail(OT_ESHAPE, "a label is %lld and %lld", (long long)*s, (long long)v);
        }
    }
    int64_t all;
    bool open = false;
    for (int i = 0; i < OT_EINSUM_LABELS; i++)
        open |= ot_is_symbol(size[i]);
    if (!open && !ot_count(&all, OT_EINSUM_LABELS, size))
        return ot_fail(OT_ESHAPE, "the sizes of the labels have a product over 2^63");
    if (like) {
        ot_set_shape(&c->y[0], c->x[0]->dtype, c->x[0]->rank, c->x[0]->dim);
        return OT_OK;
    }
    for (int d = 0; d < l.rank[e.n]; d++)
        dim[d] = size[l.label[e.n][d]];
    ot_set_shape(&c->y[0], c->x[0]->dtype, l.rank[e.n], dim);
    return OT_OK;
}

/* ---- What a run does -----------------------------------------------------------------------------------------------
 */

typedef struct shape {
    int rank;
    const int64_t *dim;
} shape;

static ot_status sums_of(ot_sums *s, const ot_node *node, const shape *x, const shape *y)
{
    ot_equation e;
    ot_term_labels l;
    int rank[OT_EINSUM_TERMS], at[OT_EINSUM_LABELS];
    int64_t size[OT_EINSUM_LABELS], stride[OT_MAX_RANK];
    bool like = ot_einsum_is_like(node);
    OT_TRY(ot_equation_read(&e, ot_attr_text(node, "equation", NULL)));
    for (int i = 0; i < e.n; i++)
        rank[i] = x[i].rank;
    rank[e.n] = y->rank;
    OT_TRY(ot_equation_label(&l, &e, rank, like));
    memset(s, 0, sizeof(*s));
    s->n = e.n;
    for (int i = 0; i < OT_EINSUM_LABELS; i++) {
        size[i] = 1;
        at[i] = -1;
    }
    for (int i = 0; i <= e.n; i++)
        for (int d = 0; d < l.rank[i]; d++) {
            int64_t v = (i < e.n ? x[i].dim : y->dim)[d];
            if (v != 1)
                size[l.label[i][d]] = v;
        }
    for (int turn = 0; turn < 2; turn++) /* an output of 1 where the label is more is a sum */
        for (int i = e.n; i >= 0; i--) {
            if (turn == 0 && i < e.n)
                break;
            for (int d = 0; d < l.rank[i]; d++) {
                int v = l.label[i][d];
                if (at[v] >= 0 || (turn == 0 && y->dim[d] != size[v]))
                    continue;
                at[v] = s->n_label;
                s->size[s->n_label++] = size[v];
                s->n_out += turn == 0;
            }
        }
    for (int i = 0; i <= e.n; i++) {
        const int64_t *dim = i < e.n ? x[i].dim : y->dim;
        ot_dense_strides(stride, l.rank[i], dim);
        for (int d = 0; d < l.rank[i]; d++) {
            int k = at[l.label[i][d]];
            if (dim[d] != s->size[k])
                continue;
            s->sparse |= i == e.n && s->has[i][k];
            s->stride[i][k] += stride[d];
            s->has[i][k] = true;
        }
    }
    return OT_OK;
}

ot_status ot_sums_of_run(ot_sums *s, const ot_run *r)
{
    shape x[OT_EINSUM_TERMS], y = { r->y[0].rank, r->y[0].dim };
    int like = ot_einsum_is_like(r->node);
    for (int i = like; i < r->n_in && i < OT_EINSUM_TERMS; i++)
        x[i - like] = (shape){ r->x[i].rank, r->x[i].dim };
    return sums_of(s, r->node, x, &y);
}

ot_status ot_sums_of_prep(ot_sums *s, const ot_prep *p)
{
    shape x[OT_EINSUM_TERMS], y = { p->y[0]->rank, p->y[0]->dim };
    int like = ot_einsum_is_like(p->node);
    for (int i = like; i < p->n_in && i < OT_EINSUM_TERMS; i++)
        x[i - like] = (shape){ p->x[i]->rank, p->x[i]->dim };
    return sums_of(s, p->node, x, &y);
}

/* ---- The general loop ----------------------------------------------------------------------------------------------
 */

typedef struct looping {
    const ot_run *r;
    const ot_sums *s;
    int first; /* input of the first operand */
    int64_t n_out, n_sum;
} looping;

/* One step of an index over labels from .. to-1; places of the terms below `terms` go along. */
static void step(const ot_sums *s, int from, int to, int64_t *index, int64_t *place, int terms)
{
    for (int k = to - 1; k >= from; k--) {
        bool wraps = ++index[k] == s->size[k];
        for (int i = 0; i < terms; i++)
            place[i] += wraps ? s->stride[i][k] * (1 - s->size[k]) : s->stride[i][k];
        if (!wraps)
            return;
        index[k] = 0;
    }
}

#define LOOP(name, ACC, GET, SET)                                                                                      \
    static void name##_range(void *ctx, int64_t begin, int64_t end)                                                    \
    {                                                                                                                  \
        const looping *g = ctx;                                                                                        \
        const ot_sums *s = g->s;                                                                                       \
        const ot_tensor *x = g->r->x + g->first;                                                                       \
        ot_tensor y = g->r->y[0];                                                                                      \
        int64_t index[OT_EINSUM_LABELS] = { 0 }, place[OT_EINSUM_TERMS] = { 0 }, rest = begin;                         \
        for (int k = s->n_out - 1; k >= 0; k--) {                                                                      \
            index[k] = rest % s->size[k];                                                                              \
            rest /= s->size[k];                                                                                        \
            for (int i = 0; i <= s->n; i++)                                                                            \
                place[i] += index[k] * s->stride[i][k];                                                                \
        }                                                                                                              \
        for (int64_t o = begin; o < end; o++) {                                                                        \
            ACC sum = 0;                                                                                               \
            for (int64_t j = 0; j < g->n_sum; j++) {                                                                   \
                ACC product = (ACC)GET(&x[0], place[0]);                                                               \
                for (int i = 1; i < s->n; i++)                                                                         \
                    product *= (ACC)GET(&x[i], place[i]);                                                              \
                sum += product;                                                                                        \
                step(s, s->n_out, s->n_label, index, place, s->n);                                                     \
            }                                                                                                          \
            SET(&y, place[s->n], sum);                                                                                 \
            step(s, 0, s->n_out, index, place, s->n + 1);                                                              \
        }                                                                                                              \
    }
#define GET_DOUBLE(t, i)    (((const double *)(t)->data)[i])
#define SET_DOUBLE(t, i, v) (((double *)(t)->data)[i] = (v))
#define SET_INT(t, i, v)    ot_tensor_set_int(t, i, (int64_t)(v))
LOOP(double, double, GET_DOUBLE, SET_DOUBLE)
LOOP(ints, uint64_t, ot_tensor_get_int, SET_INT)

static ot_status run_loop(const ot_run *r, ot_range_fn *fn)
{
    ot_sums s;
    looping g = { .r = r, .s = &s, .first = ot_einsum_is_like(r->node) };
    OT_TRY(ot_sums_of_run(&s, r));
    if (!ot_count(&g.n_out, s.n_out, s.size) || !ot_count(&g.n_sum, s.n_label - s.n_out, s.size + s.n_out))
        return ot_fail(OT_ESHAPE, "the sizes of the labels have a product over 2^63");
    if (s.sparse)
        memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    ot_for_ranges(r, g.n_out, g.n_sum < OT_GRAIN / 8 ? OT_GRAIN / 8 / (g.n_sum + 1) + 1 : 1, fn, &g);
    return OT_OK;
}

static ot_status run_double(const ot_run *r)
{
    return run_loop(r, double_range);
}

static ot_status run_ints(const ot_run *r)
{
    return run_loop(r, ints_range);
}

/* One operand whose elements are moved, none added. */
static const char *move_declines(const ot_prep *p)
{
    ot_sums s;
    bool moves =
        ot_sums_of_prep(&s, p) == OT_OK && s.n == 1 && !s.sparse && s.n_label == s.n_out && s.n_label <= OT_MAX_RANK;
    return moves ? NULL : "elements are multiplied or added";
}

static ot_status run_move(const ot_run *r)
{
    ot_sums s;
    ot_walk w = ot_walk_into(&r->y[0], &r->x[ot_einsum_is_like(r->node)]);
    OT_TRY(ot_sums_of_run(&s, r));
    w.rank = s.n_label;
    memcpy(w.dim, s.size, sizeof(w.dim));
    memcpy(w.to_stride, s.stride[1], sizeof(w.to_stride));
    memcpy(w.from_stride, s.stride[0], sizeof(w.from_stride));
    ot_walk_copy(r, &w);
    return OT_OK;
}

static const char *ints_decline(const ot_prep *p)
{
    return ot_dtype_is_int(p->x[0]->dtype) ? NULL : "only for integers";
}

static const char *reals_decline(const ot_prep *p)
{
    return ot_dtype_is_float(p->x[0]->dtype) ? NULL : "only for floats";
}

static const ot_kernel einsum_kernels[] = {
    { .name = "strided", .declines = move_declines, .run = run_move },
    { .name = "gemm",
      .declines = ot_einsum_product_declines,
      .prepare = ot_einsum_product_prepare,
      .run = ot_einsum_product_run },
    { .name = "integers", .declines = ints_decline, .run = run_ints },
    { .name = "reference", .declines = reals_decline, .run = run_double, .in_double = true },
    { 0 },
};

/* ---- Gradients and chains ------------------------------------------------------------------------------------------
 */

/* "out,others->term k" over (x_k, dy, others). */
static void einsum_differentiate(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    int like = ot_einsum_is_like(n);
    ot_equation e;
    ot_status st = ot_equation_read(&e, ot_attr_text(n, "equation", NULL));
    if (st != OT_OK)
        ot_build_fail(b, st);
    for (int k = 0; st == OT_OK && k < e.n; k++) {
        char text[OT_EINSUM_TEXT + 64];
        ot_val in[OT_EINSUM_TERMS + 1] = { ot_x(b, k + like), ot_dy(b, 0) };
        int n_in = 2;
        if (!ot_wants(b, k + like))
            continue;
        strcpy(text, e.term[e.n].text);
        for (int i = 0; i < e.n; i++)
            if (i != k) {
                strcat(text, ",");
                strcat(text, e.term[i].text);
                in[n_in++] = ot_x(b, i + like);
            }
        strcat(text, "->");
        strcat(text, e.term[k].text);
        ot_give(b, k + like, ot_emit(b, "EinsumLike", OT_ATTRS(OT_TEXT("equation", text)), n_in, in));
    }
}

/* The term of two operands joined: the letters of both that a later term or the output has. */
static bool join(char *text, const ot_equation *e, const char *left, int k)
{
    const char *const from[2] = { left, e->term[k].text };
    size_t n = 0;
    bool dots = strchr(left, '.') || e->term[k].dots;
    if (dots)
        n = 3;
    memcpy(text, "...", 3);
    for (int t = 0; t < 2; t++)
        for (const char *p = from[t]; *p; p++) {
            bool later = false;
            for (int i = k + 1; i <= e->n; i++)
                later |= strchr(e->term[i].text, *p) != NULL;
            if (*p == '.' || !later || memchr(text, *p, n))
                continue;
            if (n >= OT_MAX_RANK)
                return false;
            text[n++] = *p;
        }
    text[n] = 0;
    return true;
}

static void einsum_normalise(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    ot_equation e;
    char left[64], both[64], text[OT_EINSUM_TEXT + 64];
    ot_val v = ot_x(b, 0);
    if (n->n_in < 3 || ot_equation_read(&e, ot_attr_text(n, "equation", NULL)) != OT_OK || e.n != n->n_in)
        return;
    strcpy(left, e.term[0].text);
    for (int k = 1; k < e.n; k++) /* a joined term of too many labels: all at once instead */
        if (!join(both, &e, left, k))
            return;
        else
            strcpy(left, both);
    strcpy(left, e.term[0].text);
    for (int k = 1; k < e.n; k++) {
        join(both, &e, left, k);
        strcpy(text, left);
        strcat(text, ",");
        strcat(text, e.term[k].text);
        strcat(text, "->");
        strcat(text, k == e.n - 1 ? e.term[e.n].text : both);
        v = OT_EMIT_WITH(b, "Einsum", OT_ATTRS(OT_TEXT("equation", text)), v, ot_x(b, k));
        strcpy(left, both);
    }
    ot_becomes(b, 0, v);
}

#define EINSUM(id, of_domain, first, last, least, rewrite, of_shape)                                                   \
    const ot_op ot_op_##id = { .domain = of_domain,                                                                    \
                               .name = #id,                                                                            \
                               .since = first,                                                                         \
                               .until = last,                                                                          \
                               .min_in = least,                                                                        \
                               .max_in = OT_EINSUM_TERMS,                                                              \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .normalise = rewrite,                                                                   \
                               .infer = einsum_infer,                                                                  \
                               .grad = einsum_differentiate,                                                           \
                               .cpu = einsum_kernels,                                                                  \
                               .shape_only = of_shape };

EINSUM(Einsum, "", 12, OT_LATEST, 1, einsum_normalise, 0)
EINSUM(EinsumLike, OT_INTERNAL, 1, 1, 2, NULL, 1)
