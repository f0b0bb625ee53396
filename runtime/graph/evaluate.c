/* One node computed at once, outside of any plan: for constants, and for data that shapes depend on. */
#include "graph/step.h"

#include <string.h>

ot_status ot_copy_strings(ot_arena *arena, ot_tensor *t)
{
    ot_str *s = t->data;
    for (int64_t i = 0, n = ot_tensor_count(t); i < n; i++) {
        char *copy = ot_arena_calloc(arena, s[i].n + 1, 1);
        if (!copy)
            return OT_ENOMEM;
        if (s[i].n)
            memcpy(copy, s[i].bytes, s[i].n);
        s[i].bytes = copy;
    }
    return OT_OK;
}

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

ot_status ot_evaluate_node(ot_arena *arena, ot_arena *text, const ot_node *n, const ot_fact *const *x,
                           const ot_fact *const *y, const ot_tensor *const *constant, ot_tensor *const *result,
                           ot_threads *threads)
{
    ot_step s;
    ot_status st = ot_step_prepare(&s, arena, n, x, y, constant, NULL, NULL, ot_threads_count(threads));
    if (st == OT_OK)
        st = run(&s, constant, result, threads);
    for (int i = 0; i < n->n_out && st == OT_OK; i++)
        if (result[i] && result[i]->dtype == OT_STRING)
            st = ot_copy_strings(text, result[i]);
    ot_step_release(&s);
    return st;
}
