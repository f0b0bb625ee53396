#include "feed.h"
#include "base/tensor.h"

#include <stdlib.h>

#define MAX_COUNT 65536

static int64_t some_size(mutate_rng *r)
{
    return mutate_below(r, 12) ? 1 + mutate_below(r, 4) : mutate_below(r, 20);
}

/* What the session says that it takes, unknown sizes drawn; *runnable: small enough to be given data. */
static ot_status describe_input(ot_tensor *t, bool *runnable, const ot_session *s, int64_t i, mutate_rng *r)
{
    int64_t count;
    ot_status st = ot_session_input(s, i, t);
    if (st != OT_OK)
        return st;
    if (t->rank < 0) {
        t->rank = (int)mutate_below(r, 5);
        for (int d = 0; d < t->rank; d++)
            t->dim[d] = -1;
    }
    for (int d = 0; d < t->rank; d++)
        if (t->dim[d] < 0)
            t->dim[d] = some_size(r);
    *runnable &= ot_count(&count, t->rank, t->dim) && count <= MAX_COUNT;
    return OT_OK;
}

ot_status feed_session(ot_session *s, mutate_rng *r)
{
    int64_t n = ot_session_input_count(s);
    ot_tensor *in = calloc((size_t)n + 1, sizeof(*in)), **made = calloc((size_t)n + 1, sizeof(*made));
    bool runnable = true;
    ot_status st = OT_OK;
    for (int64_t i = 0; i < n && st == OT_OK; i++)
        st = describe_input(&in[i], &runnable, s, i, r);
    for (int64_t i = 0; i < n && st == OT_OK && runnable; i++)
        if ((st = ot_tensor_create(&made[i], in[i].dtype, in[i].rank, in[i].dim)) == OT_OK) {
            mutate_fill(made[i], r);
            in[i].data = made[i]->data;
        }
    if (st == OT_OK)
        st = runnable ? ot_session_run(s, in, n) : ot_session_prepare(s, in, n);
    for (int64_t i = 0; i < ot_session_output_count(s) && st == OT_OK && runnable; i++) {
        const ot_tensor *y = ot_session_output(s, i);
        int64_t count = ot_tensor_count(y);
        if (count > 0 && y->dtype != OT_STRING)
            (void)(ot_tensor_get(y, 0) + ot_tensor_get(y, count - 1));
    }
    for (int64_t i = 0; i < n; i++)
        ot_tensor_free(made[i]);
    free(in);
    free(made);
    return st;
}

ot_status feed_model(const ot_model *m, mutate_rng *r, size_t memory)
{
    ot_session_options o = OT_SESSION_INIT;
    ot_session *s = NULL;
    o.threads = mutate_below(r, 16) ? 1 : 2;
    o.memory = memory;
    o.no_fusion = mutate_below(r, 4) == 0;
    o.keep_batch = mutate_below(r, 4) == 0;
    ot_status st = ot_session_create(&s, m, &o);
    if (st == OT_OK)
        st = feed_session(s, r);
    if (st == OT_OK && mutate_below(r, 4) == 0)
        st = feed_session(s, r);
    ot_session_close(s);
    return st;
}
