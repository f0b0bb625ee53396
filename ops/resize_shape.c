/* The shape rule of Resize: from scales or sizes that are known, or over symbols. */
#include "resize_taps.h"

#include <math.h>
#include <string.h>

/* Input i as a tensor where its elements are known, in *out; `room` holds those of a value.  NULL in *out and *known
 * where absent or empty. */
static ot_status known_input(const ot_infer *c, int i, const ot_tensor **out, ot_tensor *view, int64_t *room,
                             bool *known)
{
    *out = NULL;
    if (i >= c->n_in || !c->x[i])
        return OT_OK;
    OT_TRY(ot_rank_between(c, i, 1, 1));
    const ot_fact *f = c->x[i];
    if (f->dim[0] == 0)
        return OT_OK;
    *known = false;
    if (c->constant[i]) {
        *out = c->constant[i];
        *known = true;
    } else if (f->value && f->n_value <= OT_MAX_RANK) {
        *view = (ot_tensor){ .dtype = OT_INT64, .rank = 1, .dim = { f->n_value }, .data = room };
        *known = true;
        for (int k = 0; k < f->n_value; k++) {
            *known &= !ot_is_symbol(f->value[k]);
            room[k] = f->value[k];
        }
        *out = view;
    }
    return OT_OK;
}

/* Dims over symbols: scales that are whole or one over a whole number, and sizes that are symbols. */
static void open_dims(ot_infer *c, const ot_resize *h, const ot_resize_target *t, const ot_fact *sizes, ot_dim *dim)
{
    for (int k = 0; k < h->n_axes; k++) {
        const int d = h->axis[k];
        if (sizes) {
            dim[d] = h->policy == 0 && sizes->value && k < sizes->n_value ? sizes->value[k] : ot_dim_unknown(c);
            continue;
        }
        const double s = t->scales ? ot_tensor_get(t->scales, k) : 0, inverse = s > 0 ? 1 / s : 0;
        if (s >= 1 && s < 0x1p30 && s == floor(s))
            dim[d] = ot_dim_mul(c, dim[d], (ot_dim)s);
        else if (inverse > 1 && inverse < 0x1p30 && log2(inverse) == floor(log2(inverse))) /* exact in float */
            dim[d] = ot_dim_div(c, dim[d], (ot_dim)inverse);
        else
            dim[d] = ot_dim_unknown(c);
    }
}

static ot_status check_types(const ot_infer *c, const ot_resize *h)
{
    const ot_dtype t = c->x[0]->dtype;
    if (ot_dtype_size(t) == 0)
        return ot_fail(OT_ESHAPE, "input 0 is %s", ot_dtype_name(t));
    if (h->mode != OT_RESIZE_NEAREST && !ot_dtype_is_int(t))
        OT_TRY(ot_needs_float(c, 0));
    for (int i = 1; i < 3 && i < c->n_in; i++)
        if (c->x[i])
            OT_TRY(ot_needs_float(c, i));
    if (c->n_in > 3 && c->x[3] && c->x[3]->dtype != OT_INT64)
        return ot_fail(OT_ESHAPE, "sizes are %s", ot_dtype_name(c->x[3]->dtype));
    return OT_OK;
}

ot_status ot_resize_rule(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    ot_resize h;
    ot_resize_target t = { 0 };
    ot_tensor view[3];
    int64_t room[3][OT_MAX_RANK];
    ot_dim dim[OT_MAX_RANK];
    bool known = true, numbers = true;
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    OT_TRY(ot_resize_read(&h, c->node, x->rank));
    OT_TRY(check_types(c, &h));
    bool roi_known = true; /* the output's dims do not depend on it */
    OT_TRY(known_input(c, 1, &t.roi, &view[0], room[0], &roi_known));
    OT_TRY(known_input(c, 2, &t.scales, &view[1], room[1], &known));
    OT_TRY(known_input(c, 3, &t.sizes, &view[2], room[2], &known));
    const ot_fact *scales = c->n_in > 2 && c->x[2] && c->x[2]->dim[0] != 0 ? c->x[2] : NULL;
    const ot_fact *sizes = c->n_in > 3 && c->x[3] && c->x[3]->dim[0] != 0 ? c->x[3] : NULL;
    if (!scales && !sizes)
        return ot_fail(OT_EMODEL, "neither scales nor sizes are given");
    if (scales && sizes && !ot_is_symbol(scales->dim[0]) && !ot_is_symbol(sizes->dim[0]))
        return ot_fail(OT_EMODEL, "both scales and sizes are given");
    if (h.crops && roi_known && (!t.roi || ot_tensor_count(t.roi) != 2 * h.n_axes))
        return ot_fail(OT_ESHAPE, "roi has %lld elements, wanted are %d",
                       (long long)(t.roi ? ot_tensor_count(t.roi) : 0), 2 * h.n_axes);
    memcpy(dim, x->dim, sizeof(dim));
    for (int k = 0; k < h.n_axes; k++)
        numbers &= !ot_is_symbol(dim[h.axis[k]]);
    if (known && numbers) {
        int64_t in[OT_MAX_RANK], out[OT_MAX_RANK];
        for (int d = 0; d < x->rank; d++)
            in[d] = ot_is_symbol(dim[d]) ? 1 : dim[d];
        OT_TRY(ot_resize_dims(&h, &t, x->rank, in, out));
        for (int k = 0; k < h.n_axes; k++)
            dim[h.axis[k]] = out[h.axis[k]];
    } else {
        const ot_fact *list = sizes ? sizes : scales;
        if (!ot_is_symbol(list->dim[0]) && list->dim[0] != h.n_axes)
            return ot_fail(OT_ESHAPE, "%lld %s for %d axes", (long long)list->dim[0], sizes ? "sizes" : "scales",
                           h.n_axes);
        if (t.sizes && known)
            for (int k = 0; k < h.n_axes; k++)
                if (ot_tensor_get_int(t.sizes, k) < 0)
                    return ot_fail(OT_ESHAPE, "size %d is %lld", k, (long long)ot_tensor_get_int(t.sizes, k));
        open_dims(c, &h, &t, sizes, dim);
    }
    ot_set_shape(&c->y[0], x->dtype, x->rank, dim);
    return OT_OK;
}
