/* RegexFullMatch: which elements of X the pattern matches from their first byte to their last. */
#include "regex.h"
#include "run.h"

static ot_status pattern_of(const char **out, const ot_node *n)
{
    *out = ot_attr_text(n, "pattern", NULL);
    return *out ? OT_OK : ot_fail(OT_EMODEL, "the attribute pattern is missing");
}

static ot_status match_infer(ot_infer *c)
{
    const char *pattern;
    ot_regex *r = NULL;
    if (c->x[0]->dtype != OT_STRING)
        return ot_fail(OT_ESHAPE, "input 0 is %s, wanted is string", ot_dtype_name(c->x[0]->dtype));
    OT_TRY(pattern_of(&pattern, c->node));
    OT_TRY(ot_regex_create(&r, pattern));
    ot_regex_close(r);
    ot_set_shape(&c->y[0], OT_BOOL, c->x[0]->rank, c->x[0]->dim);
    return OT_OK;
}

static ot_status match_prepare(ot_prep *p)
{
    const char *pattern;
    ot_regex *r = NULL;
    OT_TRY(pattern_of(&pattern, p->node));
    OT_TRY(ot_regex_create(&r, pattern));
    p->state = r;
    p->scratch = ot_regex_room(r);
    return OT_OK;
}

static ot_status match_run(const ot_run *r)
{
    const ot_str *x = r->x[0].data;
    bool *y = r->y[0].data;
    for (int64_t i = 0, n = ot_tensor_count(&r->x[0]); i < n; i++)
        y[i] = ot_regex_matches(r->state, x[i].bytes, x[i].n, r->scratch);
    return OT_OK;
}

static void match_release(void *state)
{
    ot_regex_close(state);
}

static const ot_kernel match_kernels[] = {
    { .name = "loop", .prepare = match_prepare, .run = match_run, .release = match_release },
    { 0 },
};

const ot_op ot_op_RegexFullMatch = { .domain = "",
                                     .name = "RegexFullMatch",
                                     .since = 20,
                                     .until = OT_LATEST,
                                     .min_in = 1,
                                     .max_in = 1,
                                     .min_out = 1,
                                     .max_out = 1,
                                     .infer = match_infer,
                                     .grad = ot_grad_none,
                                     .cpu = match_kernels };
