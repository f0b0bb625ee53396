#include "exec/explain.h"
#include "base/text.h"

static void put_values(ot_text_buf *t, const ot_plan *p, int n, const ot_val *v)
{
    for (int i = 0; i < n; i++) {
        char text[160];
        if (v[i] == OT_NONE)
            ot_text_put(t, "%s-", i ? " " : "");
        else
            ot_text_put(t, "%s%s", i ? " " : "", ot_fact_text(p->graph, p->fact[v[i]], text, sizeof(text)));
    }
}

static void put_place(ot_text_buf *t, const ot_plan *p, ot_val v)
{
    static const char *const names[] = { "nowhere", "input", "weight", "arena" };
    ot_where w = v == OT_NONE ? (ot_where){ OT_NOWHERE, 0 } : p->where[v];
    if (w.place == OT_IN_ARENA)
        ot_text_put(t, " at %lld", (long long)w.at);
    else
        ot_text_put(t, " in %s", names[w.place]);
}

ot_status ot_explain(char **out, const ot_executor *e)
{
    const ot_plan *p = ot_executor_plan(e);
    ot_text_buf t = { 0 };
    *out = NULL;
    if (!p)
        return ot_fail(OT_EARG, "nothing was planned yet");
    for (int64_t i = 0; i < p->n_step; i++) {
        const ot_step *s = &p->step[i];
        ot_text_put(&t, "%lld %s (%s): ", (long long)i, s->node->name, s->node->op->name);
        put_values(&t, p, s->node->n_in, s->node->in);
        ot_text_put(&t, " -> ");
        put_values(&t, p, s->node->n_out, s->node->out);
        ot_text_put(&t, "; cpu, %s", s->kernel->name);
        put_place(&t, p, s->node->n_out ? s->node->out[0] : OT_NONE);
        if (s->declined)
            ot_text_put(&t, "; %s: %s", s->node->op->cpu[0].name, s->declined);
        ot_text_put(&t, "\n");
    }
    return ot_text_take(out, &t);
}

ot_status ot_explain_step(ot_step_info *out, const ot_executor *e, int64_t i)
{
    const ot_plan *p = ot_executor_plan(e);
    int64_t n = p ? p->n_step : 0;
    *out = (ot_step_info){ 0 };
    if (i < 0 || i >= n)
        return ot_fail(OT_EARG, "step %lld of %lld", (long long)i, (long long)n);
    const ot_step *s = &p->step[i];
    const ot_op *op = s->node->op;
    *out = (ot_step_info){ .node = s->node->name,
                           .op = op->name,
                           .kernel = s->kernel->name,
                           .output = { 1, 1, 1, 1 },
                           .seconds = s->seconds,
                           .macs = op->macs ? op->macs(s->node, s->x, s->y) : 0,
                           .parts = 1 };
    const ot_tensor *y = s->node->n_out ? &s->y[0] : NULL;
    for (int d = 0; y && d < 4 && d < y->rank; d++)
        out->output[3 - d] = y->dim[y->rank - 1 - d];
    return OT_OK;
}
