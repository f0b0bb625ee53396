#include "pool_shape.h"

#include <math.h>
#include <string.h>

static bool is_global(const ot_node *n)
{
    return strncmp(n->op->name, "Global", 6) == 0;
}

static ot_status check_taps(const ot_window *w)
{
    int64_t taps = 1, plane = 1;
    for (int d = 0; d < w->spatial; d++)
        if (__builtin_mul_overflow(taps, w->kernel[d], &taps) ||
            (!ot_is_symbol(w->in[d]) && __builtin_mul_overflow(plane, w->in[d] ? w->in[d] : 1, &plane)))
            return ot_fail(OT_EUNSUPPORTED, "a window or plane of more than 2^63 elements");
    return OT_OK;
}

ot_status ot_pool_rule(ot_infer *c, const ot_fact *x, ot_fact *y)
{
    ot_window w;
    ot_dim dim[OT_MAX_RANK] = { 0 };
    if (is_global(c->node)) {
        if (x->rank < 2)
            return ot_fail(OT_ESHAPE, "the input has rank %d, wanted is 2 or more", x->rank);
        for (int d = 0; d < x->rank; d++)
            dim[d] = d < 2 ? x->dim[d] : 1;
    } else {
        OT_TRY(ot_window_read(&w, c->node, x, NULL));
        OT_TRY(ot_window_out(c, &w));
        OT_TRY(check_taps(&w));
        memcpy(dim, x->dim, 2 * sizeof(*dim));
        memcpy(dim + 2, w.out, (size_t)w.spatial * sizeof(*dim));
    }
    ot_set_shape(y, x->dtype, x->rank, dim);
    return OT_OK;
}

static void whole_plane(ot_window *w, const ot_tensor *x)
{
    int64_t size = 1;
    for (int d = 2; d < x->rank; d++)
        size *= x->dim[d];
    *w = (ot_window){
        .spatial = 1, .in = { size }, .out = { 1 }, .kernel = { size }, .stride = { 1 }, .dilation = { 1 }
    };
}

ot_status ot_pool_read(ot_pool_size *s, const ot_node *n, const ot_tensor *x)
{
    *s = (ot_pool_size){ .planes = x->dim[0] * x->dim[1], .count_pad = ot_attr_int(n, "count_include_pad", 0) != 0 };
    if (is_global(n)) {
        whole_plane(&s->win, x);
        return OT_OK;
    }
    ot_fact f = { .dtype = x->dtype, .rank = x->rank };
    memcpy(f.dim, x->dim, sizeof(f.dim));
    OT_TRY(ot_window_read(&s->win, n, &f, NULL));
    ot_window_settle(&s->win);
    return OT_OK;
}

ot_status ot_pool_prepare(ot_prep *p, const ot_fact *x)
{
    ot_pool_size size;
    ot_tensor t = { .dtype = x->dtype, .rank = x->rank };
    memcpy(t.dim, x->dim, sizeof(t.dim));
    ot_pool_shape *s = p->state = ot_calloc(1, sizeof(*s));
    if (!s)
        return OT_ENOMEM;
    OT_TRY(ot_pool_read(&size, p->node, &t));
    s->spatial = size.win.spatial;
    s->planes = size.planes;
    s->count_pad = size.count_pad;
    for (int d = 0; d < s->spatial && d < 3; d++) {
        s->in[d] = size.win.in[d];
        s->out[d] = size.win.out[d];
        s->kernel[d] = size.win.kernel[d];
        s->stride[d] = size.win.stride[d];
        s->dilation[d] = size.win.dilation[d];
        s->pad[d] = size.win.pad[d];
        s->pad_end[d] = size.win.pad_end[d];
    }
    return OT_OK;
}

const char *ot_pool_declines(const ot_prep *p, const ot_fact *x)
{
    ot_pool_size s;
    ot_tensor t = { .dtype = x->dtype, .rank = x->rank };
    memcpy(t.dim, x->dim, sizeof(t.dim));
    if (x->dtype != OT_FLOAT)
        return "only for float32";
    if (x->rank > 5 && !is_global(p->node))
        return "more than 3 spatial dimensions";
    for (int d = 0; d < x->rank; d++)
        if (x->dim[d] == 0)
            return "an empty tensor";
    if (is_global(p->node))
        return NULL;
    return ot_pool_read(&s, p->node, &t) == OT_OK ? ot_window_declines(&s.win) : "its attributes";
}

ot_status ot_pool_grad_rule(ot_infer *c)
{
    ot_fact y = { .rank = -1 };
    OT_TRY(ot_rank_between(c, 0, 2, OT_MAX_RANK));
    OT_TRY(ot_rank_between(c, 1, 2, OT_MAX_RANK));
    OT_TRY(ot_needs_float(c, 0));
    OT_TRY(ot_pool_rule(c, c->x[1], &y));
    if (c->x[0]->rank != y.rank || c->x[0]->dtype != y.dtype)
        return ot_fail(OT_ESHAPE, "dy is not of the output's rank and type");
    for (int d = 0; d < y.rank; d++)
        OT_TRY(ot_dims_agree(&y.dim[d], y.dim[d], c->x[0]->dim[d], "dy and the output"));
    ot_set_shape(&c->y[0], c->x[1]->dtype, c->x[1]->rank, c->x[1]->dim);
    return OT_OK;
}

double ot_pool_divisor(const ot_pool_size *s, const int64_t *o)
{
    const ot_window *w = &s->win;
    double n = 1;
    for (int d = 0; d < w->spatial; d++) {
        int64_t lo = s->count_pad ? -w->pad[d] : 0, hi = w->in[d] + (s->count_pad ? w->pad_end[d] : 0), first;
        n *= (double)ot_taps_between(o[d] * w->stride[d] - w->pad[d], w->dilation[d], w->kernel[d], lo, hi, &first);
    }
    return n;
}

int64_t ot_pool_winner(const ot_pool_size *s, const ot_tensor *x, int64_t plane, const int64_t *o)
{
    const ot_window *w = &s->win;
    const int64_t size = ot_window_size(w, w->in);
    const ot_inside in = ot_window_inside(w, o);
    int64_t winner = -1, tap;
    double best = -INFINITY;
    for (int64_t k = 0; k < in.taps; k++) {
        int64_t at = ot_inside_place(w, o, &in, k, &tap);
        double v = ot_pool_get(x, plane * size + at);
        if (winner < 0 || v > best || (isnan(v) && !isnan(best))) {
            winner = at;
            best = v;
        }
    }
    return winner;
}
