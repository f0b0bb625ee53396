/* One head of LinearAttention in the type REAL; included once for each type, with FN(x) naming its functions.  No
 * guard. */

/* Where the rows of a head are: of step t, in a tensor of `width` elements a step, `each` of them a head. */
static REAL *FN(row)(const ot_tensor *x, const ot_linear *l, int64_t b, int64_t t, int64_t head, int64_t each)
{
    return (REAL *)x->data + (b * l->t + t) * x->dim[2] + head * each;
}

/* The decay of each row of the state, as a factor. */
static REAL FN(factor)(const ot_run *r, const ot_linear *l, int64_t b, int64_t t, int64_t head, int64_t d)
{
    const bool one = l->decays == l->heads; /* for the head */
    const REAL *g = FN(row)(&r->x[LA_DECAY], l, b, t, head, one ? 1 : l->dk);
    return EXP(g[one ? 0 : d]);
}

static REAL *FN(beta_at)(const ot_tensor *x, const ot_linear *l, int64_t b, int64_t t, int64_t head)
{
    return FN(row)(x, l, b, t, l->betas == 1 ? 0 : head, 1);
}

/* u[dv] = what is written at the row of k: v, or beta (v - S' k), with the state decayed already; r gets S' k. */
static void FN(written)(const ot_run *r, const ot_linear *l, int64_t b, int64_t t, int64_t head, const REAL *s, REAL *u,
                        REAL *seen)
{
    const REAL *k = FN(row)(&r->x[LA_K], l, b, t, head, l->dk), *v = FN(row)(&r->x[LA_V], l, b, t, head, l->dv);
    for (int64_t m = 0; m < l->dv; m++) {
        u[m] = v[m];
        seen[m] = 0;
    }
    if (!l->delta)
        return;
    const REAL beta = *FN(beta_at)(&r->x[LA_BETA], l, b, t, head);
    for (int64_t d = 0; d < l->dk; d++)
        for (int64_t m = 0; m < l->dv; m++)
            seen[m] += k[d] * s[d * l->dv + m];
    for (int64_t m = 0; m < l->dv; m++)
        u[m] = beta * (v[m] - seen[m]);
}

static void FN(decay)(const ot_run *r, const ot_linear *l, int64_t b, int64_t t, int64_t head, const REAL *from,
                      REAL *s)
{
    for (int64_t d = 0; d < l->dk; d++) {
        const REAL f = l->decays ? FN(factor)(r, l, b, t, head, d) : 1;
        for (int64_t m = 0; m < l->dv; m++)
            s[d * l->dv + m] = l->decays ? f * from[d * l->dv + m] : from[d * l->dv + m];
    }
}

/* The state after step t from the one before; they may be the same memory.  room: 2 dv elements. */
static void FN(step)(const ot_run *r, const ot_linear *l, int64_t b, int64_t t, int64_t head, const REAL *from, REAL *s,
                     REAL *room)
{
    const REAL *k = FN(row)(&r->x[LA_K], l, b, t, head, l->dk);
    FN(decay)(r, l, b, t, head, from, s);
    FN(written)(r, l, b, t, head, s, room, room + l->dv);
    for (int64_t d = 0; d < l->dk; d++)
        for (int64_t m = 0; m < l->dv; m++)
            s[d * l->dv + m] += k[d] * room[m];
}

static void FN(begin)(const ot_run *r, const ot_linear *l, int64_t b, int64_t head, REAL *s)
{
    const int64_t size = l->dk * l->dv;
    const REAL *past = ot_has_x(r, LA_PAST) ? (const REAL *)r->x[LA_PAST].data + (b * l->heads + head) * size : NULL;
    for (int64_t i = 0; i < size; i++)
        s[i] = past ? past[i] : 0;
}

static void FN(head)(const ot_run *r, const ot_linear *l, int64_t index, REAL *work)
{
    const int64_t b = index / l->heads, head = index % l->heads, size = l->dk * l->dv;
    REAL *s = work, *room = s + size;
    FN(begin)(r, l, b, head, s);
    for (int64_t t = 0; t < l->t; t++) {
        FN(step)(r, l, b, t, head, s, s, room);
        for (int64_t h = head * l->group; h < (head + 1) * l->group; h++) {
            const REAL *q = FN(row)(&r->x[LA_Q], l, b, t, h, l->dk);
            REAL *y = FN(row)(&r->y[0], l, b, t, h, l->dv);
            for (int64_t m = 0; m < l->dv; m++)
                y[m] = 0;
            for (int64_t d = 0; d < l->dk; d++)
                for (int64_t m = 0; m < l->dv; m++)
                    y[m] += (REAL)l->scale * q[d] * s[d * l->dv + m];
        }
    }
    REAL *present = (REAL *)r->y[1].data + index * size;
    for (int64_t i = 0; i < size; i++)
        present[i] = s[i];
}

/* ---- Backward -------------------------------------------------------------------------------------------------- */

static REAL FN(dot)(int64_t n, const REAL *a, const REAL *b)
{
    REAL sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Through what is read: ds += scale q dy', dq = scale S dy. */
static void FN(back_read)(const ot_run *r, const ot_linear *l, int64_t b, int64_t t, int64_t head, const REAL *s,
                          REAL *ds)
{
    for (int64_t h = head * l->group; h < (head + 1) * l->group && ot_has_x(r, LA_DY); h++) {
        const REAL *q = FN(row)(&r->x[LA_Q], l, b, t, h, l->dk), *dy = FN(row)(&r->x[LA_DY], l, b, t, h, l->dv);
        for (int64_t d = 0; d < l->dk; d++)
            for (int64_t m = 0; m < l->dv; m++)
                ds[d * l->dv + m] += (REAL)l->scale * q[d] * dy[m];
    }
    for (int64_t h = head * l->group; h < (head + 1) * l->group && ot_tensor_count(&r->y[LA_DQ]); h++) {
        REAL *dq = FN(row)(&r->y[LA_DQ], l, b, t, h, l->dk);
        for (int64_t d = 0; d < l->dk; d++)
            dq[d] = ot_has_x(r, LA_DY)
                        ? (REAL)l->scale * FN(dot)(l->dv, s + d * l->dv, FN(row)(&r->x[LA_DY], l, b, t, h, l->dv))
                        : 0;
    }
}

/* Through what is written and the decay: ds of the state after the step becomes that of the state before.  before is
 * decayed already; dbeta[t] gets this head's part. */
static void FN(back_step)(const ot_run *r, const ot_linear *l, int64_t b, int64_t t, int64_t head, const REAL *before,
                          REAL *ds, REAL *dbeta, REAL *room)
{
    const REAL *k = FN(row)(&r->x[LA_K], l, b, t, head, l->dk), *v = FN(row)(&r->x[LA_V], l, b, t, head, l->dv);
    REAL *u = room, *seen = u + l->dv, *du = seen + l->dv, *dk = du + l->dv, beta = 1;
    FN(written)(r, l, b, t, head, before, u, seen);
    for (int64_t m = 0; m < l->dv; m++)
        du[m] = 0;
    for (int64_t d = 0; d < l->dk; d++) {
        dk[d] = FN(dot)(l->dv, ds + d * l->dv, u);
        for (int64_t m = 0; m < l->dv; m++)
            du[m] += k[d] * ds[d * l->dv + m];
    }
    if (l->delta) {
        beta = *FN(beta_at)(&r->x[LA_BETA], l, b, t, head);
        dbeta[t] = FN(dot)(l->dv, du, v) - FN(dot)(l->dv, du, seen);
        for (int64_t d = 0; d < l->dk; d++) {
            dk[d] -= beta * FN(dot)(l->dv, before + d * l->dv, du);
            for (int64_t m = 0; m < l->dv; m++)
                ds[d * l->dv + m] -= k[d] * beta * du[m];
        }
    }
    if (ot_tensor_count(&r->y[LA_DK]))
        memcpy(FN(row)(&r->y[LA_DK], l, b, t, head, l->dk), dk, (size_t)l->dk * sizeof(REAL));
    for (int64_t m = 0; m < l->dv && ot_tensor_count(&r->y[LA_DV]); m++)
        FN(row)(&r->y[LA_DV], l, b, t, head, l->dv)[m] = beta * du[m];
    const bool one = l->decays == l->heads;
    REAL *dg = ot_tensor_count(&r->y[LA_DDECAY]) ? FN(row)(&r->y[LA_DDECAY], l, b, t, head, one ? 1 : l->dk) : NULL;
    for (int64_t d = 0; d < l->dk && l->decays; d++) {
        const REAL f = FN(factor)(r, l, b, t, head, d), sum = FN(dot)(l->dv, ds + d * l->dv, before + d * l->dv);
        if (dg)
            dg[one ? 0 : d] = (one && d > 0 ? dg[0] : 0) + sum;
        for (int64_t m = 0; m < l->dv; m++)
            ds[d * l->dv + m] *= f;
    }
}

/* dbeta: [T], of this head. */
static void FN(head_back)(const ot_run *r, const ot_linear *l, int64_t index, REAL *work, REAL *dbeta)
{
    const int64_t b = index / l->heads, head = index % l->heads, size = l->dk * l->dv;
    REAL *kept = work, *stretch = kept + l->stretches * size, *ds = stretch + (l->stretch + 1) * size;
    REAL *before = ds + size, *room = before + size;
    const REAL *last = ot_has_x(r, LA_DSTATE) ? (const REAL *)r->x[LA_DSTATE].data + index * size : NULL;
    FN(begin)(r, l, b, head, kept);
    for (int64_t t = 0; t < (l->stretches - 1) * l->stretch; t++) { /* before as a running state */
        const int64_t part = t / l->stretch;
        FN(step)(r, l, b, t, head, t % l->stretch ? before : kept + part * size, before, room);
        if ((t + 1) % l->stretch == 0)
            memcpy(kept + (part + 1) * size, before, (size_t)size * sizeof(REAL));
    }
    for (int64_t i = 0; i < size; i++)
        ds[i] = last ? last[i] : 0;
    for (int64_t part = l->stretches - 1; part >= 0; part--) {
        const int64_t from = part * l->stretch, to = from + l->stretch < l->t ? from + l->stretch : l->t;
        memcpy(stretch, kept + part * size, (size_t)size * sizeof(REAL));
        for (int64_t t = from; t < to; t++)
            FN(step)(r, l, b, t, head, stretch + (t - from) * size, stretch + (t - from + 1) * size, room);
        for (int64_t t = to - 1; t >= from; t--) {
            FN(back_read)(r, l, b, t, head, stretch + (t - from + 1) * size, ds);
            FN(decay)(r, l, b, t, head, stretch + (t - from) * size, before);
            FN(back_step)(r, l, b, t, head, before, ds, dbeta, room);
        }
    }
    if (ot_tensor_count(&r->y[LA_DPAST]))
        memcpy((REAL *)r->y[LA_DPAST].data + index * size, ds, (size_t)size * sizeof(REAL));
}
