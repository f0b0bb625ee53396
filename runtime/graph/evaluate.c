/* One node computed at once, outside of any plan: for constants, and for data that shapes depend on. */
#include "graph/step.h"

static ot_status run(ot_step *s, const ot_tensor *const *constant, ot_tensor *const *result, ot_threads *threads)
{
    void *scratch = ot_malloc(s->scratch + 1, 1);
    if (!scratch)
        return OT_ENOMEM;
    for (int i = 0; i < s->node->n_in; i++)
        s->x[i].data = constant[i] ? constant[i]->data : NULL;
    for (int i = 0; i < s->node->n_out; i++)
        s->y[i].data = result[i] ? result[i]->data : NULL;
    ot_status st = ot_step_run(s, scratch, threads);
    ot_free(scratch);
    return st;
}

ot_status ot_evaluate_node(ot_arena *arena, const ot_node *n, const ot_fact *const *x, const ot_fact *const *y,
                           const ot_tensor *const *constant, ot_tensor *const *result, ot_threads *threads)
{
    ot_step s;
    ot_status st = ot_step_prepare(&s, arena, n, x, y, constant, NULL, NULL, ot_threads_count(threads));
    if (st == OT_OK)
        st = run(&s, constant, result, threads);
    ot_step_release(&s);
    return st;
}
