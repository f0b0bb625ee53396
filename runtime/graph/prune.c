/* Dead code: what no output and no binding needs goes.  Freezing is nothing but this. */
#include "graph/graph.h"

ot_status ot_prune(ot_graph *g)
{
    bool *used = ot_calloc((size_t)g->n_value + 1, sizeof(bool));
    bool *keep = ot_calloc((size_t)g->n_node + 1, sizeof(bool));
    if (!used || !keep) {
        ot_free(used);
        ot_free(keep);
        return OT_ENOMEM;
    }
    for (int64_t i = 0; i < g->n_output; i++)
        used[g->output[i].value] = true;
    for (int64_t i = 0; i < g->n_binding; i++)
        used[g->binding[i].value] = true;
    if (g->guard != OT_NONE)
        used[g->guard] = true;
    for (int64_t i = g->n_node - 1; i >= 0; i--) {
        const ot_node *n = g->node[i];
        for (int k = 0; k < n->n_out; k++)
            keep[i] |= n->out[k] != OT_NONE && used[n->out[k]];
        for (int k = 0; k < n->n_in && keep[i]; k++)
            if (n->in[k] != OT_NONE)
                used[n->in[k]] = true;
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < g->n_node; i++)
        if (keep[i])
            g->node[kept++] = g->node[i];
    g->n_node = kept;
    ot_free(used);
    ot_free(keep);
    return OT_OK;
}
