/* Gradients of RNN, GRU and LSTM in float32, from what forward kept of all rows: back, a product with R for each step;
 * then what is summed over all rows, the gradients of W, R, B and X, in one product each. */
#include "recurrent_fast.h"
#include "kernels/rows.h"

#include <string.h>

const char *ot_recurrence_declines(const ot_recurrence *q)
{
    const int each = q->cell == CELL_RNN ? 1 : q->cell == CELL_GRU ? 2 : 3;
    if (q->clip > 0)
        return "clip is for the reference";
    for (int i = 0; i < each * q->directions; i++) {
        const ot_squash kind = q->act[i / each][i % each].kind;
        if (kind != SQUASH_SIGMOID && kind != SQUASH_TANH && kind != SQUASH_RELU)
            return "only for Sigmoid, Tanh and Relu";
    }
    return NULL;
}

const char *ot_recurrent_grad_declines(const ot_prep *p)
{
    const char *why = ot_float32_only(p);
    return why ? why : p->n_in <= IN_KEPT || !p->x[IN_KEPT] ? "forward kept nothing" : NULL;
}

ot_status ot_recurrent_grad_fast_prepare(ot_prep *p)
{
    return ot_fast_prepare(p, true);
}

/* d times the slope of the activation where it gave y. */
static void slope(const ot_fast *f, int act, int64_t n, const float *y, float *d)
{
    switch (f->q->act[f->d][act].kind) {
    case SQUASH_SIGMOID:
        for (int64_t j = 0; j < n; j++)
            d[j] *= y[j] * (1 - y[j]);
        break;
    case SQUASH_TANH:
        for (int64_t j = 0; j < n; j++)
            d[j] *= 1 - y[j] * y[j];
        break;
    default:
        ot_row_relu_grad(n, y, d, d);
        break;
    }
}

static void add_product(int64_t n, const float *a, const float *b, float *y)
{
    for (int64_t j = 0; j < n; j++)
        y[j] += a[j] * b[j];
}

/* y = h(c). */
static void output_state(const ot_fast *f, int64_t n, const float *c, float *y)
{
    const ot_squash kind = f->q->act[f->d][2].kind;
    if (kind == SQUASH_TANH)
        ot_row_tanh(n, c, y);
    else if (kind == SQUASH_SIGMOID)
        ot_row_sigmoid(n, c, y);
    else
        ot_row_relu(n, c, y);
}

typedef struct back {
    ot_fast f;
    float *dh, *dc; /* [B][H], where forward had the states */
    float *dp;      /* [3 H] or NULL */
    float *late;    /* [rows][H], of GRU with linear_before_reset */
} back;

/* ---- A row ----------------------------------------------------------------------------------------------------- */

/* From the gates g the gradients of their sums, to `rec`; dc goes on to the step before.  c is room for a row. */
static void lstm_row(const back *k, int64_t row, const float *g, float *rec, const float *dh, float *dc, float *c)
{
    const ot_fast *f = &k->f;
    const int64_t n = f->q->h;
    const float *before = f->kept.extra + row * n, *p = f->p;
    float *i = rec, *o = i + n, *forget = o + n, *in = forget + n, *out = in;
    const float *gi = g, *go = gi + n, *gf = go + n, *gc = gf + n;
    for (int64_t j = 0; j < n; j++)
        c[j] = gf[j] * before[j] + gi[j] * gc[j];
    output_state(f, n, c, out);
    ot_row_mul(n, dh, go, i); /* through H = o h(C) */
    slope(f, 2, n, out, i);
    ot_row_add(n, dc, i, dc);
    ot_row_mul(n, dh, out, o);
    slope(f, 0, n, go, o);
    if (p)
        add_product(n, o, p + n, dc);
    for (int64_t j = 0; j < n; j++) { /* through C = f C + i c */
        i[j] = dc[j] * (f->q->coupled ? gc[j] - before[j] : gc[j]);
        forget[j] = f->q->coupled ? 0 : dc[j] * before[j];
        in[j] = dc[j] * gi[j];
        dc[j] *= gf[j];
    }
    slope(f, 0, n, gi, i);
    if (!f->q->coupled)
        slope(f, 0, n, gf, forget);
    slope(f, 1, n, gc, in);
    if (p) {
        add_product(n, i, p, dc);
        add_product(n, forget, p + 2 * n, dc);
    }
    if (k->dp) {
        add_product(n, i, before, k->dp);
        add_product(n, o, c, k->dp + n);
        add_product(n, forget, before, k->dp + 2 * n);
    }
}

/* To d the gradients of the sums, to rec of what is multiplied by R; dh keeps what goes straight to the state before.
 * r waits for the product where that is with r H. */
static void gru_row(const back *k, int64_t row, const float *g, float *d, float *rec, float *dh)
{
    const ot_fast *f = &k->f;
    const int64_t n = f->q->h;
    const size_t bytes = (size_t)n * sizeof(float);
    const float *before = f->kept.before + row * n, *extra = f->kept.extra + row * n;
    const float *gz = g, *gr = gz + n, *gh = gr + n;
    float *z = d, *r = z + n, *in = r + n;
    for (int64_t j = 0; j < n; j++) {
        z[j] = dh[j] * (before[j] - gh[j]);
        in[j] = dh[j] * (1 - gz[j]);
        dh[j] *= gz[j];
    }
    slope(f, 0, n, gz, z);
    slope(f, 1, n, gh, in);
    memcpy(rec, z, bytes);
    if (!f->q->linear_before_reset) {
        memcpy(rec + 2 * n, in, bytes);
        return;
    }
    float *late = k->late + row * n;
    ot_row_mul(n, in, extra, r);
    slope(f, 0, n, gr, r);
    ot_row_mul(n, in, gr, late);
    memcpy(rec + n, r, bytes);
    memcpy(rec + 2 * n, late, bytes);
}

/* GRU without linear_before_reset: reset holds the gradient of r H. */
static void gru_reset(void *ctx, int64_t from, int64_t to)
{
    const back *k = ctx;
    const ot_fast *f = &k->f;
    const int64_t n = f->q->h;
    for (int64_t b = from, t; b < to; b++) {
        const int64_t row = ot_fast_row(f, b, &t);
        if (row < 0)
            continue;
        float *r = f->rec + b * 3 * n + n, *dh = k->dh + b * n;
        const float *before = f->kept.before + row * n, *d = f->reset + b * n, *gr = f->kept.gates + row * 3 * n + n;
        for (int64_t j = 0; j < n; j++) {
            r[j] = d[j] * before[j];
            dh[j] += d[j] * gr[j];
        }
        slope(f, 0, n, gr, r);
        memcpy(f->gates + row * 3 * n + n, r, (size_t)n * sizeof(float));
    }
}

static void back_rows(void *ctx, int64_t from, int64_t to)
{
    const back *k = ctx;
    const ot_fast *f = &k->f;
    const ot_recurrence *q = f->q;
    const int64_t n = q->h, all = q->gates * n;
    const float *dy = ot_data_in(f->r, IN_DY);
    for (int64_t b = from, t; b < to; b++) {
        const int64_t row = ot_fast_row(f, b, &t);
        float *rec = f->rec + b * all, *dh = k->dh + b * n;
        if (row < 0) {
            memset(rec, 0, (size_t)all * sizeof(float));
            continue;
        }
        const float *g = f->kept.gates + row * all;
        float *d = f->gates + row * all;
        if (dy)
            ot_row_add(n, dh, dy + ot_y_at(q, t, f->d, b), dh);
        if (q->cell == CELL_GRU) {
            gru_row(k, row, g, d, rec, dh);
            continue;
        }
        if (q->cell == CELL_LSTM) {
            lstm_row(k, row, g, rec, dh, k->dc + b * n, f->reset + b * n);
        } else {
            memcpy(rec, dh, (size_t)n * sizeof(float));
            slope(f, 0, n, g, rec);
        }
        memcpy(d, rec, (size_t)all * sizeof(float));
        memset(dh, 0, (size_t)n * sizeof(float));
    }
}

static void add_reset(void *ctx, int64_t from, int64_t to)
{
    const back *k = ctx;
    const int64_t n = k->f.q->h; /* rows of ended sequences are zeros */
    ot_row_add((to - from) * n, k->dh + from * n, k->f.reset + from * n, k->dh + from * n);
}

/* ---- All rows -------------------------------------------------------------------------------------------------- */

/* to[n][cols] = d' of what, both with a row each; d has `stride` between rows. */
static void sum_products(const ot_fast *f, const float *d, int64_t n, int64_t stride, const float *what, int64_t cols,
                         float *to)
{
    const ot_gemm_args g = { .m = n,
                             .n = cols,
                             .k = f->q->s * f->q->b,
                             .a = d,
                             .a_row = 1,
                             .a_col = stride,
                             .b = what,
                             .b_row = cols,
                             .b_col = 1,
                             .c = to,
                             .ldc = cols,
                             .alpha = 1 };
    if (n > 0 && cols > 0)
        ot_gemm(&g, f->work, &f->pool);
}

static void sum_rows(const ot_fast *f, const float *d, int64_t n, int64_t stride, float *to)
{
    memset(to, 0, (size_t)n * sizeof(float));
    for (int64_t row = 0; row < f->q->s * f->q->b; row++)
        ot_row_add(n, to, d + row * stride, to);
}

static void finish(const back *k)
{
    const ot_fast *f = &k->f;
    const ot_recurrence *q = f->q;
    const int64_t h = q->h, all = q->gates * h, rows = q->s * q->b;
    const bool gru = q->cell == CELL_GRU, late = gru && q->linear_before_reset;
    float *dx = ot_data_out(f->r, OUT_DX), *dw = ot_data_out(f->r, OUT_DW), *dr = ot_data_out(f->r, OUT_DR);
    float *db = ot_data_out(f->r, OUT_DB);
    const float *last = late ? k->late : f->gates + 2 * h; /* GRU's gradients of H Rh' or (r H) Rh' */
    if (dx && rows > 0) {
        const ot_gemm_args g = { .m = rows,
                                 .n = q->i,
                                 .k = all,
                                 .a = f->gates,
                                 .a_row = all,
                                 .a_col = 1,
                                 .b = (const float *)f->r->x[IN_W].data + f->d * all * q->i,
                                 .b_row = q->i,
                                 .b_col = 1,
                                 .c = dx,
                                 .ldc = q->i,
                                 .alpha = 1,
                                 .beta = f->d };
        ot_gemm(&g, f->work, &f->pool);
    }
    if (dw)
        sum_products(f, f->gates, all, all, f->r->x[IN_X].data, q->i, dw + f->d * all * q->i);
    if (dr) {
        dr += f->d * all * h;
        sum_products(f, f->gates, gru ? 2 * h : all, all, f->kept.before, h, dr);
        if (gru)
            sum_products(f, last, h, late ? h : all, late ? f->kept.before : f->kept.extra, h, dr + 2 * h * h);
    }
    if (db) {
        db += f->d * 2 * all;
        sum_rows(f, f->gates, all, all, db);
        memcpy(db + all, db, (size_t)all * sizeof(float));
        if (late)
            sum_rows(f, last, h, h, db + all + 2 * h);
    }
}

/* ---- A direction ----------------------------------------------------------------------------------------------- */

/* Rows behind the ends of sequences have no part in the sums. */
static void clear_rows(const back *k)
{
    const ot_fast *f = &k->f;
    const ot_recurrence *q = f->q;
    const int64_t all = q->gates * q->h;
    for (int64_t b = 0; b < q->b; b++)
        for (int64_t t = ot_length_of(q, f->r, b); t < q->s; t++) {
            const int64_t row = ot_row_at(q, t, b);
            memset(f->gates + row * all, 0, (size_t)all * sizeof(float));
            if (k->late)
                memset(k->late + row * q->h, 0, (size_t)q->h * sizeof(float));
        }
}

/* From or to a gradient of states; those of sequences without steps are 0. */
static void states(const ot_fast *f, const float *from, float *to, bool in)
{
    const int64_t h = f->q->h;
    const size_t bytes = (size_t)h * sizeof(float);
    for (int64_t b = 0; b < f->q->b; b++) {
        const int64_t at = ot_state_at(f->q, f->d, b);
        float *dst = to + (in ? b * h : at);
        if (from && ot_length_of(f->q, f->r, b) > 0)
            memcpy(dst, from + (in ? at : b * h), bytes);
        else
            memset(dst, 0, bytes);
    }
}

static void pack_back(ot_fast *f)
{
    const int64_t h = f->q->h, rows = (f->q->gates - 1) * h;
    const float *rec = (const float *)f->r->x[IN_R].data + f->d * f->q->gates * h * h;
    float *to = ot_fast_at(f, f->at->packed);
    f->packed = to;
    if (f->q->cell == CELL_GRU && !f->q->linear_before_reset) {
        ot_gemm_pack(h, rows, rec, h, 1, to, &f->pool);
        ot_gemm_pack(h, h, rec + rows * h, h, 1, to + ot_gemm_packed_size(h, rows) / sizeof(float), &f->pool);
    } else {
        ot_gemm_pack(h, rows + h, rec, h, 1, to, &f->pool);
    }
}

static void back_steps(back *k)
{
    ot_fast *f = &k->f;
    const ot_recurrence *q = f->q;
    const int64_t h = q->h, all = q->gates * h, first = (q->gates - 1) * h;
    const bool early = q->cell == CELL_GRU && !q->linear_before_reset;
    for (f->k = q->s - 1; f->k >= 0; f->k--) {
        if (k->dp) /* sums over the batch */
            back_rows(k, 0, q->b);
        else
            ot_fast_batch(f, back_rows);
        if (early) {
            ot_fast_product(f, h, h, f->rec + first, all, f->packed + ot_gemm_packed_size(h, first) / sizeof(float),
                            f->reset, h);
            ot_fast_batch(f, gru_reset);
        }
        ot_fast_product(f, h, early ? first : all, f->rec, all, f->packed, f->reset, h);
        ot_fast_batch(f, add_reset);
    }
}

ot_status ot_recurrent_grad_fast(const ot_run *r)
{
    const ot_fast_state *s = r->state;
    const ot_recurrence *q = &s->q;
    OT_TRY(ot_check_lengths(q, r));
    for (int d = 0; d < q->directions; d++) {
        back k = { 0 };
        ot_fast_open(&k.f, r, d);
        k.f.kept = ot_kept_of(q, d, r->x[IN_KEPT].data);
        k.late = q->cell == CELL_GRU && q->linear_before_reset ? ot_fast_at(&k.f, k.f.at->late) : NULL;
        clear_rows(&k);
        k.dh = k.f.h;
        k.dc = k.f.c;
        states(&k.f, ot_data_in(r, IN_DYH), k.dh, true);
        states(&k.f, ot_data_in(r, IN_DYC), k.dc, true);
        k.dp = ot_data_out(r, OUT_DP);
        k.dp = k.dp ? k.dp + d * 3 * q->h : NULL;
        if (k.dp)
            memset(k.dp, 0, (size_t)(3 * q->h) * sizeof(float));
        pack_back(&k.f);
        if (q->b > 0 && q->h > 0)
            back_steps(&k);
        finish(&k);
        if (ot_data_out(r, OUT_DH))
            states(&k.f, k.dh, ot_data_out(r, OUT_DH), false);
        if (ot_data_out(r, OUT_DC))
            states(&k.f, k.dc, ot_data_out(r, OUT_DC), false);
    }
    return OT_OK;
}
