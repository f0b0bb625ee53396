/* STFT: the transforms of frames of a signal [batch, length, 1 or 2], each times a window: y is [batch, frames,
 * elements, 2], the first n / 2 + 1 elements of each with onesided.  Inputs are the signal, frame_step, the window
 * (ones where absent) and frame_length (where absent, the window's or else the signal's length). StftGrad: (dy, signal,
 * frame_step, window, frame_length) -> dsignal, dwindow. */
#include "axes.h"
#include "fft.h"
#include "run.h"

#include <string.h>

/* The rule; the signal is input `at`, frame_step the next. */
static ot_status stft_rule(ot_infer *c, int at, ot_dim dim[4])
{
    ot_dim step = 0, n = 0;
    int n_step, n_length;
    OT_TRY(ot_rank_between(c, at, 3, 3));
    OT_TRY(ot_needs_float(c, at));
    const ot_fact *x = c->x[at], *window = at + 2 < c->n_in ? c->x[at + 2] : NULL;
    if (!ot_is_symbol(x->dim[2]) && x->dim[2] != 1 && x->dim[2] != 2)
        return ot_fail(OT_ESHAPE, "the last dimension is %lld, wanted is 1 (real) or 2 (complex)",
                       (long long)x->dim[2]);
    OT_TRY(ot_rank_between(c, at + 1, 0, 1));
    OT_TRY(ot_known_ints(c, at + 1, 1, &step, &n_step));
    OT_TRY(ot_known_ints(c, at + 3, 1, &n, &n_length));
    if (n_step == 0 || (n_length == 0 && at + 3 < c->n_in && c->x[at + 3]))
        return ot_fail(OT_ESHAPE, "frame_step or frame_length is empty");
    if (n_length < 0)
        n = ot_dim_unknown(c);
    if (window) {
        OT_TRY(ot_rank_between(c, at + 2, 1, 1));
        if (window->dtype != x->dtype)
            return ot_fail(OT_ESHAPE, "the window is %s", ot_dtype_name(window->dtype));
        if (n_length == 0)
            n = window->dim[0];
        OT_TRY(ot_dims_agree(&n, n, window->dim[0], "frame_length and the length of the window"));
    } else if (n_length == 0) {
        n = x->dim[1];
    }
    if (n_step > 0 && !ot_is_symbol(step) && step < 1)
        return ot_fail(OT_ESHAPE, "frame_step is %lld", (long long)step);
    if (!ot_is_symbol(n) && (n < 1 || n > OT_MOST_FFT || (!ot_is_symbol(x->dim[1]) && n > x->dim[1])))
        return ot_fail(OT_ESHAPE, "frames of %lld in a signal of %lld", (long long)n, (long long)x->dim[1]);
    const bool open = n_step < 0 || ot_is_symbol(step);
    dim[0] = x->dim[0];
    dim[1] = open ? ot_dim_unknown(c) : ot_dim_add(c, ot_dim_div(c, ot_dim_sub(c, x->dim[1], n), step), 1);
    dim[2] = ot_attr_int(c->node, "onesided", 1) ? ot_dim_add(c, ot_dim_div(c, n, 2), 1) : n;
    dim[3] = 2;
    return OT_OK;
}

static ot_status stft_infer(ot_infer *c)
{
    ot_dim dim[4];
    OT_TRY(stft_rule(c, 0, dim));
    ot_set_shape(&c->y[0], c->x[0]->dtype, 4, dim);
    return OT_OK;
}

static ot_status grad_infer(ot_infer *c)
{
    ot_dim dim[4];
    OT_TRY(ot_rank_between(c, 0, 4, 4));
    OT_TRY(stft_rule(c, 1, dim));
    for (int d = 0; d < 4; d++)
        OT_TRY(ot_dims_agree(&dim[d], dim[d], c->x[0]->dim[d], "dy and the output"));
    ot_set_shape(&c->y[0], c->x[1]->dtype, 3, c->x[1]->dim);
    if (c->n_out > 1)
        ot_set_shape(&c->y[1], c->x[3]->dtype, 1, c->x[3]->dim);
    return OT_OK;
}

/* ---- Kernels --------------------------------------------------------------------------------------------------- */

typedef struct stft {
    const double *signal, *window; /* window: NULL for ones */
    int64_t n, step, length, frames, bins;
    int parts;
    ot_fft fft;
    double *line;
} stft;

/* Scratch for frames of at most the signal's length. */
static ot_status prepare(ot_prep *p, int at)
{
    const int64_t n = p->x[at]->dim[1] > 1 ? p->x[at]->dim[1] : 1;
    if (n > OT_MOST_FFT)
        return ot_fail(OT_ENOMEM, "a signal of %lld", (long long)n);
    p->scratch = ot_fft_room(2 * n + 1) + (size_t)(2 * n) * sizeof(double);
    return OT_OK;
}

static ot_status stft_prepare(ot_prep *p)
{
    return prepare(p, 0);
}

static ot_status grad_prepare(ot_prep *p)
{
    return prepare(p, 1);
}

static ot_status read_stft(stft *s, const ot_run *r, int at, const ot_tensor *y)
{
    const ot_tensor *x = &r->x[at];
    *s = (stft){ .signal = x->data,
                 .window = ot_has_x(r, at + 2) ? r->x[at + 2].data : NULL,
                 .step = ot_tensor_get_int(&r->x[at + 1], 0),
                 .length = x->dim[1],
                 .frames = y->dim[1],
                 .bins = y->dim[2],
                 .parts = (int)x->dim[2] };
    s->n = ot_has_x(r, at + 3) ? ot_tensor_get_int(&r->x[at + 3], 0) : s->window ? r->x[at + 2].dim[0] : s->length;
    if (s->step < 1 || s->n < 1 || s->n > s->length || s->frames != (s->length - s->n) / s->step + 1 ||
        s->bins > s->n || (s->window && r->x[at + 2].dim[0] != s->n))
        return ot_fail(OT_ESHAPE, "%lld frames of %lld, %lld apart, in a signal of %lld", (long long)s->frames,
                       (long long)s->n, (long long)s->step, (long long)s->length);
    ot_fft_open(&s->fft, s->n, r->scratch);
    s->line = (double *)(void *)((char *)r->scratch + ot_fft_room(s->n));
    return OT_OK;
}

static ot_status stft_run(const ot_run *r)
{
    stft s;
    if (ot_tensor_count(&r->y[0]) == 0)
        return OT_OK;
    OT_TRY(read_stft(&s, r, 0, &r->y[0]));
    for (int64_t i = 0; i < r->y[0].dim[0] * s.frames; i++) {
        const double *x = s.signal + (i / s.frames * s.length + i % s.frames * s.step) * s.parts;
        for (int64_t k = 0; k < s.n; k++) {
            const double w = s.window ? s.window[k] : 1;
            s.line[2 * k] = w * x[k * s.parts];
            s.line[2 * k + 1] = s.parts == 2 ? w * x[k * 2 + 1] : 0;
        }
        ot_fft_run(&s.fft, s.line, false);
        memcpy((double *)r->y[0].data + i * s.bins * 2, s.line, (size_t)(s.bins * 2) * sizeof(double));
    }
    return OT_OK;
}

static ot_status grad_run(const ot_run *r)
{
    stft s;
    double *dwindow = ot_has_y(r, 1) ? r->y[1].data : NULL;
    for (int i = 0; i < r->n_out; i++)
        if (ot_has_y(r, i))
            memset(r->y[i].data, 0, ot_tensor_bytes(&r->y[i]));
    if (ot_tensor_count(&r->x[0]) == 0)
        return OT_OK;
    OT_TRY(read_stft(&s, r, 1, &r->x[0]));
    for (int64_t i = 0; i < r->x[0].dim[0] * s.frames; i++) {
        const int64_t at = (i / s.frames * s.length + i % s.frames * s.step) * s.parts;
        double *dx = (double *)r->y[0].data + at;
        memset(s.line, 0, (size_t)(s.n * 2) * sizeof(double));
        memcpy(s.line, (const double *)r->x[0].data + i * s.bins * 2, (size_t)(s.bins * 2) * sizeof(double));
        ot_fft_run(&s.fft, s.line, true);
        for (int64_t k = 0; k < s.n; k++)
            for (int part = 0; part < s.parts; part++) {
                dx[k * s.parts + part] += (s.window ? s.window[k] : 1) * s.line[2 * k + part];
                if (dwindow)
                    dwindow[k] += s.signal[at + k * s.parts + part] * s.line[2 * k + part];
            }
    }
    return OT_OK;
}

static void stft_differentiate(ot_build *b)
{
    const int n_out = ot_wants(b, 2) ? 2 : 1;
    ot_val d[2] = { 0 };
    ot_emit_outputs(b, "StftGrad", ot_the_node(b)->attr, 5,
                    (const ot_val[]){ ot_dy(b, 0), ot_x(b, 0), ot_x(b, 1), ot_x(b, 2), ot_x(b, 3) }, n_out, d);
    ot_give(b, 0, d[0]);
    if (n_out > 1)
        ot_give(b, 2, d[1]);
}

static const ot_kernel stft_kernels[] = {
    { .name = "fft", .prepare = stft_prepare, .run = stft_run, .in_double = true },
    { 0 },
};
static const ot_kernel grad_kernels[] = {
    { .name = "fft", .prepare = grad_prepare, .run = grad_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_STFT = { .domain = "",
                           .name = "STFT",
                           .since = 17,
                           .until = OT_LATEST,
                           .min_in = 2,
                           .max_in = 4,
                           .min_out = 1,
                           .max_out = 1,
                           .infer = stft_infer,
                           .grad = stft_differentiate,
                           .cpu = stft_kernels };

const ot_op ot_op_StftGrad = { .domain = OT_INTERNAL,
                               .name = "StftGrad",
                               .since = 1,
                               .until = 1,
                               .min_in = 3,
                               .max_in = 5,
                               .min_out = 1,
                               .max_out = 2,
                               .infer = grad_infer,
                               .cpu = grad_kernels };
