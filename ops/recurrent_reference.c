/* RNN, GRU and LSTM in double: naive loops, one sequence after the other.  Backward walks a sequence forward, keeping a
 * slot for each step, and then back. */
#include "recurrent.h"

#include <math.h>
#include <string.h>

/* One direction; gradients are NULL where they are not wanted. */
typedef struct walk {
    const ot_run *r;
    const ot_recurrence *q;
    int d;
    const double *w, *rec, *bias, *p; /* bias and p may be NULL */
    double *dw, *drec, *dbias, *dp;
} walk;

/* What is kept of a step, from one block of scratch: gates before (not clipped) and after their activation; of GRU what
 * enters the product with r, of LSTM the new C; the states before. */
typedef struct slot {
    double *pre, *gate, *extra, *h, *c;
} slot;

static int64_t slot_size(const ot_recurrence *q)
{
    return (2 * q->gates + 3) * q->h;
}

static slot slot_at(const ot_recurrence *q, double *base, int64_t k)
{
    double *at = base + k * slot_size(q);
    const int64_t all = q->gates * q->h;
    return (slot){ at, at + all, at + 2 * all, at + 2 * all + q->h, at + 2 * all + 2 * q->h };
}

static double dot(int64_t n, const double *a, const double *b)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += a[k] * b[k];
    return sum;
}

static double wb(const walk *v, int64_t row)
{
    return v->bias ? v->bias[row] : 0;
}

static double rb(const walk *v, int64_t row)
{
    return v->bias ? v->bias[v->q->gates * v->q->h + row] : 0;
}

static const ot_activation *act_of(const walk *v, int k)
{
    return &v->q->act[v->d][k];
}

static void activate(const walk *v, slot *s, int64_t row, int act, double pre)
{
    const double clip = v->q->clip;
    s->pre[row] = pre;
    s->gate[row] = ot_squash_of(act_of(v, act), clip > 0 ? fmin(clip, fmax(-clip, pre)) : pre);
}

static double slope(const walk *v, const slot *s, int64_t row, int act)
{
    const double pre = s->pre[row];
    return v->q->clip > 0 && fabs(pre) > v->q->clip ? 0 : ot_squash_slope(act_of(v, act), pre);
}

static double plain_sum(const walk *v, const slot *s, const double *x, int64_t row)
{
    const int64_t i = v->q->i, h = v->q->h;
    return dot(i, v->w + row * i, x) + dot(h, v->rec + row * h, s->h) + wb(v, row) + rb(v, row);
}

static void gru_step(const walk *v, slot *s, const double *x, double *h)
{
    const int64_t n = v->q->h;
    for (int64_t row = 0; row < 2 * n; row++)
        activate(v, s, row, 0, plain_sum(v, s, x, row));
    for (int64_t j = 0; j < n; j++) {
        const int64_t row = 2 * n + j;
        const double *rec = v->rec + row * n, *reset = s->gate + n, in = dot(v->q->i, v->w + row * v->q->i, x);
        double sum = rb(v, row);
        for (int64_t m = 0; m < n; m++)
            sum += rec[m] * (v->q->linear_before_reset ? 1 : reset[m]) * s->h[m];
        s->extra[j] = sum;
        activate(v, s, row, 1, in + wb(v, row) + (v->q->linear_before_reset ? reset[j] : 1) * sum);
    }
    for (int64_t j = 0; j < n; j++)
        h[j] = (1 - s->gate[j]) * s->gate[2 * n + j] + s->gate[j] * s->h[j];
}

static void lstm_step(const walk *v, slot *s, const double *x, double *h, double *c)
{
    const int64_t n = v->q->h;
    const double *p = v->p;
    for (int64_t j = 0; j < n; j++) {
        activate(v, s, j, 0, plain_sum(v, s, x, j) + (p ? p[j] * s->c[j] : 0));
        activate(v, s, 2 * n + j, 0, plain_sum(v, s, x, 2 * n + j) + (p ? p[2 * n + j] * s->c[j] : 0));
        activate(v, s, 3 * n + j, 1, plain_sum(v, s, x, 3 * n + j));
        if (v->q->coupled)
            s->gate[2 * n + j] = 1 - s->gate[j];
        c[j] = s->extra[j] = s->gate[2 * n + j] * s->c[j] + s->gate[j] * s->gate[3 * n + j];
        activate(v, s, n + j, 0, plain_sum(v, s, x, n + j) + (p ? p[n + j] * c[j] : 0));
        h[j] = s->gate[n + j] * ot_squash_of(act_of(v, 2), c[j]);
    }
}

static void step(const walk *v, slot *s, const double *x, double *h, double *c)
{
    memcpy(s->h, h, (size_t)v->q->h * sizeof(*h));
    memcpy(s->c, c, (size_t)v->q->h * sizeof(*c));
    if (v->q->cell == CELL_LSTM)
        lstm_step(v, s, x, h, c);
    else if (v->q->cell == CELL_GRU)
        gru_step(v, s, x, h);
    else
        for (int64_t j = 0; j < v->q->h; j++) {
            activate(v, s, j, 0, plain_sum(v, s, x, j));
            h[j] = s->gate[j];
        }
}

static walk walk_of(const ot_run *r, const ot_recurrence *q, int d)
{
    const int64_t all = q->gates * q->h;
    walk v = { .r = r, .q = q, .d = d };
    v.w = (const double *)r->x[IN_W].data + d * all * q->i;
    v.rec = (const double *)r->x[IN_R].data + d * all * q->h;
    v.bias = ot_data_in(r, IN_B);
    v.bias = v.bias ? v.bias + d * 2 * all : NULL;
    v.p = ot_data_in(r, IN_P);
    v.p = v.p ? v.p + d * 3 * q->h : NULL;
    return v;
}

/* The state before the first step. */
static void begin(const walk *v, int input, int64_t b, double *state)
{
    const double *from = ot_data_in(v->r, input);
    for (int64_t j = 0; j < v->q->h; j++)
        state[j] = from ? from[ot_state_at(v->q, v->d, b) + j] : 0;
}

static int64_t time_of(const walk *v, int64_t length, int64_t k)
{
    return ot_goes_back(v->q, v->d) ? length - 1 - k : k;
}

static const double *x_at(const walk *v, int64_t t, int64_t b)
{
    return (const double *)v->r->x[IN_X].data + ot_row_at(v->q, t, b) * v->q->i;
}

/* ---- Forward --------------------------------------------------------------------------------------------------- */

static ot_status prepare(ot_prep *p, bool all_steps)
{
    ot_recurrence *q = p->state = ot_calloc(1, sizeof(*q));
    size_t slots;
    if (!q)
        return OT_ENOMEM;
    OT_TRY(ot_recurrence_of(q, p));
    if (!ot_mul(&slots, (size_t)(all_steps ? q->s + 2 : 2), (size_t)slot_size(q) * sizeof(double)))
        return ot_fail(OT_ENOMEM, "%lld steps of %lld", (long long)q->s, (long long)q->h);
    p->scratch = slots;
    return OT_OK;
}

ot_status ot_recurrent_prepare(ot_prep *p)
{
    return prepare(p, false);
}

static void put_state(const walk *v, int output, int64_t b, const double *state, bool none)
{
    double *to = ot_data_out(v->r, output);
    for (int64_t j = 0; to && j < v->q->h; j++)
        to[ot_state_at(v->q, v->d, b) + j] = none ? 0 : state[j];
}

static void forward(const walk *v, int64_t b)
{
    const ot_recurrence *q = v->q;
    const int64_t length = ot_length_of(q, v->r, b);
    slot s = slot_at(q, v->r->scratch, 0);
    double *h = slot_at(q, v->r->scratch, 1).pre, *c = h + q->h, *y = ot_data_out(v->r, OUT_Y);
    begin(v, IN_H, b, h);
    begin(v, IN_C, b, c);
    for (int64_t k = 0; k < q->s; k++) {
        const int64_t t = k < length ? time_of(v, length, k) : k;
        if (k < length)
            step(v, &s, x_at(v, t, b), h, c);
        for (int64_t j = 0; y && j < q->h; j++)
            y[ot_y_at(q, t, v->d, b) + j] = k < length ? h[j] : 0;
    }
    put_state(v, OUT_H, b, h, length == 0);
    put_state(v, OUT_C, b, c, length == 0);
}

ot_status ot_recurrent_reference(const ot_run *r)
{
    const ot_recurrence *q = r->state;
    OT_TRY(ot_check_lengths(q, r));
    for (int d = 0; d < q->directions; d++) {
        const walk v = walk_of(r, q, d);
        for (int64_t b = 0; b < q->b; b++)
            forward(&v, b);
    }
    return OT_OK;
}

/* ---- Backward -------------------------------------------------------------------------------------------------- */

ot_status ot_recurrent_grad_prepare(ot_prep *p)
{
    return prepare(p, true);
}

/* Adds d, the gradient of a gate's sum through the states, times what the sum was over: to R, and to the state. */
static void back_product(const walk *v, int64_t row, double d, const double *state, double *dstate)
{
    const int64_t n = v->q->h;
    for (int64_t m = 0; m < n; m++) {
        dstate[m] += d * v->rec[row * n + m];
        if (v->drec)
            v->drec[row * n + m] += d * state[m];
    }
    if (v->dbias)
        v->dbias[v->q->gates * n + row] += d;
}

/* The same for a gate's sum through the input. */
static void back_input(const walk *v, int64_t row, double d, const double *x, double *dx)
{
    const int64_t n = v->q->i;
    for (int64_t m = 0; m < n; m++) {
        if (dx)
            dx[m] += d * v->w[row * n + m];
        if (v->dw)
            v->dw[row * n + m] += d * x[m];
    }
    if (v->dbias)
        v->dbias[row] += d;
}

/* dh is the gradient of the state after the step; becomes that of the state before.  d: room for gates, then states. */
static void gru_back(const walk *v, const slot *s, double *d, double *dh)
{
    const int64_t n = v->q->h;
    const bool late = v->q->linear_before_reset;
    const double *z = s->gate, *r = z + n, *g = r + n;
    double *dz = d, *dr = dz + n, *dg = dr + n, *before = dg + n, *reset = before + n, *dreset = reset + n;
    for (int64_t j = 0; j < n; j++) {
        dz[j] = dh[j] * (s->h[j] - g[j]) * slope(v, s, j, 0);
        dg[j] = dh[j] * (1 - z[j]) * slope(v, s, 2 * n + j, 1);
        before[j] = dh[j] * z[j];
        reset[j] = r[j] * s->h[j];
        dreset[j] = 0;
    }
    for (int64_t j = 0; j < n; j++)
        back_product(v, 2 * n + j, late ? dg[j] * r[j] : dg[j], late ? s->h : reset, late ? before : dreset);
    for (int64_t j = 0; j < n; j++) {
        dr[j] = (late ? dg[j] * s->extra[j] : dreset[j] * s->h[j]) * slope(v, s, n + j, 0);
        before[j] += dreset[j] * r[j];
    }
    for (int64_t row = 0; row < 2 * n; row++)
        back_product(v, row, d[row], s->h, before);
    memcpy(dh, before, (size_t)n * sizeof(*dh));
}

static void lstm_back(const walk *v, const slot *s, double *d, double *dh, double *dc)
{
    const int64_t n = v->q->h;
    const bool coupled = v->q->coupled;
    const double *i = s->gate, *o = i + n, *f = o + n, *g = f + n, *c = s->extra;
    for (int64_t j = 0; j < n; j++) {
        double *di = d + j, *dout = di + n, *df = dout + n, *dg = df + n;
        *dout = dh[j] * ot_squash_of(act_of(v, 2), c[j]) * slope(v, s, n + j, 0);
        const double dnew =
            dc[j] + dh[j] * o[j] * ot_squash_slope(act_of(v, 2), c[j]) + (v->p ? *dout * v->p[n + j] : 0);
        *di = dnew * (coupled ? g[j] - s->c[j] : g[j]) * slope(v, s, j, 0);
        *df = coupled ? 0 : dnew * s->c[j] * slope(v, s, 2 * n + j, 0);
        *dg = dnew * i[j] * slope(v, s, 3 * n + j, 1);
        dc[j] = dnew * f[j] + (v->p ? *di * v->p[j] + *df * v->p[2 * n + j] : 0);
        if (v->dp) {
            v->dp[j] += *di * s->c[j];
            v->dp[n + j] += *dout * c[j];
            v->dp[2 * n + j] += *df * s->c[j];
        }
        dh[j] = 0;
    }
    for (int64_t row = 0; row < 4 * n; row++)
        back_product(v, row, d[row], s->h, dh);
}

static void rnn_back(const walk *v, const slot *s, double *d, double *dh)
{
    for (int64_t j = 0; j < v->q->h; j++) {
        d[j] = dh[j] * slope(v, s, j, 0);
        dh[j] = 0;
    }
    for (int64_t j = 0; j < v->q->h; j++)
        back_product(v, j, d[j], s->h, dh);
}

static void backward(const walk *v, int64_t b)
{
    const ot_recurrence *q = v->q;
    const int64_t length = ot_length_of(q, v->r, b), rows = q->gates * q->h;
    double *base = v->r->scratch, *h = slot_at(q, base, q->s).pre, *c = h + q->h;
    double *d = slot_at(q, base, q->s + 1).pre, *dx = ot_data_out(v->r, OUT_DX);
    const double *dy = ot_data_in(v->r, IN_DY);
    begin(v, IN_H, b, h);
    begin(v, IN_C, b, c);
    for (int64_t k = 0; k < length; k++) {
        slot s = slot_at(q, base, k);
        step(v, &s, x_at(v, time_of(v, length, k), b), h, c);
    }
    double *dh = h, *dc = c; /* the states are not read any more */
    begin(v, IN_DYH, b, dh);
    begin(v, IN_DYC, b, dc);
    for (int64_t k = length - 1; k >= 0; k--) {
        const slot s = slot_at(q, base, k);
        const int64_t t = time_of(v, length, k);
        for (int64_t j = 0; dy && j < q->h; j++)
            dh[j] += dy[ot_y_at(q, t, v->d, b) + j];
        if (q->cell == CELL_LSTM)
            lstm_back(v, &s, d, dh, dc);
        else if (q->cell == CELL_GRU)
            gru_back(v, &s, d, dh);
        else
            rnn_back(v, &s, d, dh);
        for (int64_t row = 0; row < rows; row++)
            back_input(v, row, d[row], x_at(v, t, b), dx ? dx + ot_row_at(q, t, b) * q->i : NULL);
    }
    put_state(v, OUT_DH, b, dh, length == 0);
    put_state(v, OUT_DC, b, dc, length == 0);
}

ot_status ot_recurrent_grad_reference(const ot_run *r)
{
    const ot_recurrence *q = r->state;
    const int64_t rows = q->gates * q->h;
    OT_TRY(ot_check_lengths(q, r));
    for (int i = 0; i < r->n_out; i++)
        if (ot_data_out(r, i))
            memset(r->y[i].data, 0, ot_tensor_bytes(&r->y[i]));
    for (int d = 0; d < q->directions; d++) {
        walk v = walk_of(r, q, d);
        v.dw = ot_data_out(r, OUT_DW);
        v.dw = v.dw ? v.dw + d * rows * q->i : NULL;
        v.drec = ot_data_out(r, OUT_DR);
        v.drec = v.drec ? v.drec + d * rows * q->h : NULL;
        v.dbias = ot_data_out(r, OUT_DB);
        v.dbias = v.dbias ? v.dbias + d * 2 * rows : NULL;
        v.dp = ot_data_out(r, OUT_DP);
        v.dp = v.dp ? v.dp + d * 3 * q->h : NULL;
        for (int64_t b = 0; b < q->b; b++)
            backward(&v, b);
    }
    return OT_OK;
}
