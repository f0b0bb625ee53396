/* RNN, GRU and LSTM in float32: X W' of all steps is one product; R is packed once; each step is a product with it, and
 * one pass over the gates and states of every batch index. */
#include "recurrent_fast.h"
#include "kernels/rows.h"

#include <stdio.h>
#include <string.h>

#define WORTH_THREADS ((int64_t)1 << 19) /* multiply-adds; waking the threads costs as much as some of these */

/* ---- Places ---------------------------------------------------------------------------------------------------- */

static size_t place(size_t *end, size_t floats)
{
    const size_t at = *end;
    *end += (floats + 15) / 16 * 16;
    return at;
}

/* Floats of R of one direction, packed.  GRU's first two gates and its last are products of their own. */
static size_t packed_size(const ot_recurrence *q)
{
    size_t bytes = q->cell == CELL_GRU ? ot_gemm_packed_size(2 * q->h, q->h) + ot_gemm_packed_size(q->h, q->h)
                                       : ot_gemm_packed_size(q->gates * q->h, q->h);
    return (bytes / sizeof(float) + 15) / 16 * 16;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t product_work(const ot_recurrence *q, bool backward, int threads)
{
    const int64_t rows = q->s * q->b, all = q->gates * q->h;
    size_t n = backward ? ot_gemm_workspace(rows, q->i, all, threads) : ot_gemm_workspace(rows, all, q->i, threads);
    if (backward) {
        n = most(n, ot_gemm_workspace(all, q->i, rows, threads));
        n = most(n, ot_gemm_workspace(all, q->h, rows, threads));
        n = most(n, ot_gemm_workspace(2 * q->h, q->h, rows, threads));
        n = most(n, ot_gemm_workspace(q->h, q->h, rows, threads));
    }
    return n / sizeof(float) + 1;
}

/* Floats of R as a direction packs it.  Backward, GRU's last gate is apart where r comes before the product. */
static size_t packed_room(const ot_recurrence *q, bool backward)
{
    if (!backward)
        return packed_size(q);
    return (ot_gemm_packed_size(q->h, (q->gates - 1) * q->h) + ot_gemm_packed_size(q->h, q->h)) / sizeof(float) + 16;
}

ot_kept ot_kept_of(const ot_recurrence *q, int d, void *data)
{
    const int64_t rows = q->s * q->b, all = q->gates * q->h, planes = q->gates + (q->cell == CELL_RNN ? 1 : 2);
    if (!data)
        return (ot_kept){ 0 };
    float *gates = (float *)data + d * rows * planes * q->h, *before = gates + rows * all;
    return (ot_kept){ gates, before, q->cell == CELL_RNN ? NULL : before + rows * q->h };
}

ot_status ot_fast_prepare(ot_prep *p, bool backward)
{
    ot_fast_state *s = p->state = ot_calloc(1, sizeof(*s));
    ot_status st = OT_OK;
    char form[64];
    if (!s)
        return OT_ENOMEM;
    ot_recurrence *q = &s->q;
    ot_fast_places *at = &s->at;
    OT_TRY(ot_recurrence_of(q, p));
    const size_t rows = (size_t)q->s * (size_t)q->b, h = (size_t)q->h, all = h * (size_t)q->gates, b = (size_t)q->b;
    size_t floats;
    if (!ot_mul(&floats, most(rows, b), 32 * sizeof(float)) || !ot_mul(&floats, floats, h + 1))
        return ot_fail(OT_ENOMEM, "%lld steps of %lld sequences with states of %lld", (long long)q->s, (long long)q->b,
                       (long long)q->h);
    const size_t packed = packed_room(q, backward);
    const bool keeps = !backward && p->n_out > OUT_KEPT && p->y[OUT_KEPT];
    snprintf(form, sizeof(form), "recurrent %s%s", q->cell == CELL_GRU ? "GRU " : "", ot_kernels_isa());
    if (!backward)
        s->packed = ot_prep_packed(p, IN_R, form, packed * (size_t)q->directions * sizeof(float), &st);
    at->gates = place(&at->end, keeps ? 0 : rows * all);
    at->bias = place(&at->end, all);
    at->h = place(&at->end, b * h);
    at->c = place(&at->end, b * h);
    at->rec = place(&at->end, b * all);
    at->reset = place(&at->end, b * h);
    at->packed = place(&at->end, s->packed ? 0 : packed);
    at->late = place(&at->end, backward && q->linear_before_reset ? rows * h : 0);
    at->work = place(&at->end, product_work(q, backward, p->threads));
    p->scratch = at->end * sizeof(float);
    return st;
}

ot_status ot_recurrent_fast_prepare(ot_prep *p)
{
    return ot_fast_prepare(p, false);
}

/* ---- A direction ----------------------------------------------------------------------------------------------- */

static void pack_direction(const ot_recurrence *q, const float *rec, float *to, const ot_kernel_pool *pool)
{
    const int64_t h = q->h, first = q->cell == CELL_GRU ? 2 * h : q->gates * h;
    ot_gemm_pack(first, h, rec, 1, h, to, pool);
    if (q->cell == CELL_GRU)
        ot_gemm_pack(h, h, rec + 2 * h * h, 1, h, to + ot_gemm_packed_size(2 * h, h) / sizeof(float), pool);
}

static const float *packed_of(ot_fast *f)
{
    const ot_fast_state *s = f->r->state;
    const ot_recurrence *q = f->q;
    const int64_t each = q->gates * q->h * q->h;
    const float *rec = f->r->x[IN_R].data;
    if (!s->packed) {
        pack_direction(q, rec + f->d * each, ot_fast_at(f, f->at->packed), &f->pool);
        return ot_fast_at(f, f->at->packed);
    }
    float *to = s->packed->data;
    const size_t size = packed_size(q);
    if (s->packed->version != f->r->version[IN_R]) {
        for (int d = 0; d < q->directions; d++)
            pack_direction(q, rec + d * each, to + (size_t)d * size, &f->pool);
        s->packed->version = f->r->version[IN_R];
    }
    return to + (size_t)f->d * size;
}

/* Wb + Rb, where they are added together. */
static const float *set_bias(ot_fast *f)
{
    const ot_recurrence *q = f->q;
    float *bias = ot_fast_at(f, f->at->bias);
    const int64_t all = q->gates * q->h;
    const float *b = ot_data_in(f->r, IN_B);
    memset(bias, 0, (size_t)all * sizeof(float));
    if (!b)
        return bias;
    b += f->d * 2 * all;
    const bool late = q->cell == CELL_GRU && q->linear_before_reset;
    ot_row_add(late ? 2 * q->h : all, b, b + all, bias);
    if (late) {
        memcpy(bias + 2 * q->h, b + 2 * q->h, (size_t)q->h * sizeof(float));
        f->late_bias = b + all + 2 * q->h;
    }
    return bias;
}

static void set_state(ot_fast *f, int input, float *state)
{
    const float *from = ot_data_in(f->r, input);
    const int64_t h = f->q->h;
    for (int64_t b = 0; b < f->q->b; b++)
        if (from)
            memcpy(state + b * h, from + ot_state_at(f->q, f->d, b), (size_t)h * sizeof(float));
        else
            memset(state + b * h, 0, (size_t)h * sizeof(float));
}

void ot_fast_open(ot_fast *f, const ot_run *r, int d)
{
    const ot_fast_state *s = r->state;
    *f = (ot_fast){ .r = r, .q = &s->q, .at = &s->at, .pool = ot_pool_of(r), .d = d };
    f->gates = ot_fast_at(f, s->at.gates);
    f->h = ot_fast_at(f, s->at.h);
    f->c = ot_fast_at(f, s->at.c);
    f->rec = ot_fast_at(f, s->at.rec);
    f->reset = ot_fast_at(f, s->at.reset);
    f->work = ot_fast_at(f, s->at.work);
    f->p = ot_data_in(r, IN_P);
    f->p = f->p ? f->p + d * 3 * s->q.h : NULL;
}

/* ---- A step ---------------------------------------------------------------------------------------------------- */

static void activate(const ot_fast *f, int act, int64_t n, float *x)
{
    const ot_activation *a = &f->q->act[f->d][act];
    if (f->q->clip > 0)
        ot_row_clip(n, (float)-f->q->clip, (float)f->q->clip, x, x);
    if (a->kind == SQUASH_SIGMOID)
        ot_row_sigmoid(n, x, x);
    else if (a->kind == SQUASH_TANH)
        ot_row_tanh(n, x, x);
    else if (a->kind == SQUASH_RELU)
        ot_row_relu(n, x, x);
    else
        for (int64_t j = 0; j < n; j++)
            x[j] = (float)ot_squash_of(a, (double)x[j]);
}

static void add_product(int64_t n, const float *a, const float *b, float *y)
{
    for (int64_t j = 0; j < n; j++)
        y[j] += a[j] * b[j];
}

/* h(C) is no gate: it is not clipped. */
static void output_state(const ot_fast *f, int64_t n, const float *c, float *y)
{
    const ot_activation *a = &f->q->act[f->d][2];
    if (a->kind == SQUASH_TANH)
        ot_row_tanh(n, c, y);
    else
        for (int64_t j = 0; j < n; j++)
            y[j] = (float)ot_squash_of(a, (double)c[j]);
}

static void lstm_cell(const ot_fast *f, float *g, float *h, float *c, float *room)
{
    const int64_t n = f->q->h;
    float *i = g, *o = i + n, *forget = o + n, *in = forget + n;
    if (f->p) {
        add_product(n, f->p, c, i);
        add_product(n, f->p + 2 * n, c, forget);
        activate(f, 0, n, i);
        activate(f, 0, n, forget);
    } else {
        activate(f, 0, 3 * n, i);
    }
    activate(f, 1, n, in);
    if (f->q->coupled)
        ot_row_scale(n, -1, 1, i, forget);
    for (int64_t j = 0; j < n; j++)
        c[j] = forget[j] * c[j] + i[j] * in[j];
    if (f->p) {
        add_product(n, f->p + n, c, o);
        activate(f, 0, n, o);
    }
    output_state(f, n, c, room);
    ot_row_mul(n, o, room, h);
}

/* GRU's z and r, and r H where the product with Rh comes after it. */
static void gru_first(void *ctx, int64_t from, int64_t to)
{
    const ot_fast *f = ctx;
    const int64_t n = f->q->h;
    for (int64_t b = from, t; b < to; b++) {
        const int64_t row = ot_fast_row(f, b, &t);
        float *reset = f->reset + b * n;
        memset(reset, 0, (size_t)n * sizeof(float));
        if (row < 0)
            continue;
        float *g = f->gates + row * 3 * n;
        ot_row_add(2 * n, g, f->rec + b * 3 * n, g);
        activate(f, 0, 2 * n, g);
        ot_row_mul(n, g + n, f->h + b * n, reset);
        if (f->kept.extra && !f->q->linear_before_reset)
            memcpy(f->kept.extra + row * n, reset, (size_t)n * sizeof(float));
    }
}

static void gru_cell(const ot_fast *f, int64_t row, float *g, float *rec, float *h)
{
    const int64_t n = f->q->h;
    float *last = g + 2 * n;
    rec += 2 * n;
    if (!f->q->linear_before_reset) {
        ot_row_add(n, last, rec, last);
    } else {
        if (f->late_bias)
            ot_row_add(n, rec, f->late_bias, rec);
        if (f->kept.extra)
            memcpy(f->kept.extra + row * n, rec, (size_t)n * sizeof(float));
        add_product(n, g + n, rec, last);
    }
    activate(f, 1, n, last);
    for (int64_t j = 0; j < n; j++)
        h[j] = last[j] + g[j] * (h[j] - last[j]);
}

static void advance(void *ctx, int64_t from, int64_t to)
{
    const ot_fast *f = ctx;
    const ot_recurrence *q = f->q;
    const int64_t n = q->h, all = q->gates * n;
    float *y = ot_data_out(f->r, OUT_Y);
    for (int64_t b = from, t; b < to; b++) {
        const int64_t row = ot_fast_row(f, b, &t);
        float *h = f->h + b * n, *c = f->c + b * n, *rec = f->rec + b * all;
        if (row < 0)
            continue;
        float *g = f->gates + row * all;
        if (f->kept.before) {
            memcpy(f->kept.before + row * n, h, (size_t)n * sizeof(float));
            if (q->cell == CELL_LSTM)
                memcpy(f->kept.extra + row * n, c, (size_t)n * sizeof(float));
        }
        if (q->cell == CELL_GRU) {
            gru_cell(f, row, g, rec, h);
        } else {
            ot_row_add(all, g, rec, g);
            if (q->cell == CELL_LSTM) {
                lstm_cell(f, g, h, c, f->reset + b * n);
            } else {
                activate(f, 0, n, g);
                memcpy(h, g, (size_t)n * sizeof(float));
            }
        }
        if (y)
            memcpy(y + ot_y_at(q, t, f->d, b), h, (size_t)n * sizeof(float));
    }
}

void ot_fast_product(const ot_fast *f, int64_t n, int64_t k, const float *a, int64_t lda, const float *packed, float *c,
                     int64_t ldc)
{
    const ot_gemm_args g = {
        .m = f->q->b, .n = n, .k = k, .a = a, .a_row = lda, .a_col = 1, .c = c, .ldc = ldc, .alpha = 1
    };
    ot_gemm_by_packed(&g, packed, g.m * n * k < WORTH_THREADS ? NULL : &f->pool);
}

/* All steps of the direction: gates are activated, h and c the last states. */
static void forward(ot_fast *f)
{
    const ot_recurrence *q = f->q;
    const int64_t h = q->h, all = q->gates * h, rows = q->s * q->b;
    const ot_gemm_args in = { .m = rows,
                              .n = all,
                              .k = q->i,
                              .a = f->r->x[IN_X].data,
                              .a_row = q->i,
                              .a_col = 1,
                              .b = (const float *)f->r->x[IN_W].data + f->d * all * q->i,
                              .b_row = 1,
                              .b_col = q->i,
                              .c = f->gates,
                              .ldc = all,
                              .alpha = 1,
                              .epi = { .bias_col = set_bias(f) } };
    if (rows == 0 || h == 0)
        return;
    ot_gemm(&in, f->work, &f->pool);
    const bool gru = q->cell == CELL_GRU;
    const float *last = f->packed + ot_gemm_packed_size(2 * h, h) / sizeof(float);
    for (f->k = 0; f->k < q->s; f->k++) {
        ot_fast_product(f, gru ? 2 * h : all, h, f->h, h, f->packed, f->rec, all);
        if (gru) {
            ot_fast_batch(f, gru_first);
            ot_fast_product(f, h, h, q->linear_before_reset ? f->h : f->reset, h, last, f->rec + 2 * h, all);
        }
        ot_fast_batch(f, advance);
    }
}

static void put_states(const ot_fast *f, int output, const float *state)
{
    float *to = ot_data_out(f->r, output);
    const size_t bytes = (size_t)f->q->h * sizeof(float);
    for (int64_t b = 0; to && b < f->q->b; b++)
        if (ot_length_of(f->q, f->r, b) > 0)
            memcpy(to + ot_state_at(f->q, f->d, b), state + b * f->q->h, bytes);
        else
            memset(to + ot_state_at(f->q, f->d, b), 0, bytes);
}

ot_status ot_recurrent_fast(const ot_run *r)
{
    const ot_fast_state *s = r->state;
    OT_TRY(ot_check_lengths(&s->q, r));
    for (int i = OUT_Y; i <= OUT_KEPT; i += OUT_KEPT - OUT_Y)
        if (ot_has_x(r, IN_LENS) && ot_data_out(r, i))
            memset(r->y[i].data, 0, ot_tensor_bytes(&r->y[i]));
    for (int d = 0; d < s->q.directions; d++) {
        ot_fast f;
        ot_fast_open(&f, r, d);
        f.kept = ot_kept_of(&s->q, d, ot_data_out(r, OUT_KEPT));
        f.gates = f.kept.gates ? f.kept.gates : f.gates;
        f.packed = packed_of(&f);
        set_state(&f, IN_H, f.h);
        set_state(&f, IN_C, f.c);
        forward(&f);
        put_states(&f, OUT_H, f.h);
        put_states(&f, OUT_C, f.c);
    }
    return OT_OK;
}
