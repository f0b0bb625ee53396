/* GradNorm: all gradients -> (norm, scale): the Euclidean norm over all of their elements, and the factor that brings
 * it down to `clip` (0: never): min(1, clip / (norm + 1e-6)), as PyTorch's clip_grad_norm_; NaN where the norm is not
 * finite, which makes every step leave its parameter alone.  Sums are in double in a fixed order. */
#include "loss.h"
#include "kernels/rows.h"

#include <math.h>

#define BLOCK ((int64_t)65536)

static ot_status norm_infer(ot_infer *c)
{
    for (int i = 0; i < c->n_in; i++) {
        OT_TRY(ot_rank_between(c, i, 0, OT_MAX_RANK));
        OT_TRY(ot_needs_float(c, i));
    }
    if (ot_attr_float(c->node, "clip", 0) < 0)
        return ot_fail(OT_EARG, "gradients cannot be clipped to %g", ot_attr_float(c->node, "clip", 0));
    ot_dtype t = c->x[0]->dtype == OT_DOUBLE ? OT_DOUBLE : OT_FLOAT;
    for (int i = 0; i < c->n_out; i++)
        ot_set_shape(&c->y[i], t, 0, NULL);
    return OT_OK;
}

static const char *norm_declines(const ot_prep *p)
{
    for (int i = 0; i < p->n_in; i++)
        if (p->x[i]->dtype != OT_FLOAT && p->x[i]->dtype != OT_DOUBLE)
            return "only for float32 and double";
    return NULL;
}

static ot_status norm_prepare(ot_prep *p)
{
    int64_t most = 0;
    for (int i = 0; i < p->n_in; i++) {
        int64_t n = 0;
        ot_count(&n, p->x[i]->rank, p->x[i]->dim);
        most = n > most ? n : most;
    }
    p->scratch = (size_t)(most / BLOCK + 1) * sizeof(double);
    return OT_OK;
}

typedef struct job {
    const ot_tensor *g;
    double *sum; /* of each block */
} job;

static void squares(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    double sum = 0;
    if (j->g->dtype == OT_FLOAT) {
        const float *g = (const float *)j->g->data + from;
        sum = ot_row_dot(to - from, g, g);
    } else {
        const double *g = j->g->data;
        for (int64_t i = from; i < to; i++)
            sum += g[i] * g[i];
    }
    j->sum[from / BLOCK] = sum;
}

static ot_status norm_run(const ot_run *r)
{
    const double clip = ot_attr_float(r->node, "clip", 0);
    double sum = 0;
    for (int i = 0; i < r->n_in; i++) {
        const int64_t n = ot_tensor_count(&r->x[i]);
        job j = { &r->x[i], r->scratch };
        ot_for_ranges(r, n, BLOCK, squares, &j);
        for (int64_t k = 0; k * BLOCK < n; k++)
            sum += j.sum[k];
    }
    const double norm = sqrt(sum);
    double scale = clip > 0 && clip < norm + 1e-6 ? clip / (norm + 1e-6) : 1;
    if (!isfinite(norm))
        scale = NAN;
    ot_put_real(&r->y[0], 0, norm);
    if (ot_has_y(r, 1))
        ot_put_real(&r->y[1], 0, scale);
    return OT_OK;
}

static const ot_kernel norm_kernels[] = {
    { .name = "blocks", .declines = norm_declines, .prepare = norm_prepare, .run = norm_run },
    { .name = "reference", .prepare = norm_prepare, .run = norm_run, .in_double = true },
    { 0 },
};

const ot_op ot_op_GradNorm = { .domain = OT_INTERNAL,
                               .name = "GradNorm",
                               .since = 1,
                               .until = 1,
                               .min_in = 1,
                               .max_in = OT_MANY,
                               .min_out = 1,
                               .max_out = 2,
                               .infer = norm_infer,
                               .cpu = norm_kernels };
