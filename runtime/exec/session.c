#include "exec/executor.h"
#include "exec/explain.h"
#include "exec/split.h"
#include "graph/derive.h"

#include <string.h>

struct ot_session {
    const ot_model *m;
    bool rested; /* the file is let go of since weights were packed */
    ot_executor *e;
    ot_split *split; /* NULL: batches run whole */
    int64_t parts;   /* of the last run or prepare */
    ot_item *item;   /* the outputs of a run in parts */
    ot_store *store;
    ot_threads *threads;
    ot_workspace workspace;
};

static ot_status choose_outputs(ot_graph *g, const ot_session_options *o)
{
    if (o->n_values <= 0)
        return OT_OK;
    g->n_output = 0;
    for (int64_t i = 0; i < o->n_values; i++) {
        ot_val v = ot_graph_find(g, o->values[i]);
        if (v == OT_NONE)
            return ot_fail(OT_EARG, "the graph has no value named '%s'", o->values[i]);
        OT_TRY(ot_graph_output(g, o->values[i], v));
    }
    return OT_OK;
}

/* The passes of inference: derive, outputs pinned, dead code, constants, fusion. */
static ot_status compile(ot_graph **out, const ot_model *m, const ot_session_options *o)
{
    ot_derive_opts d = { .free_batch = !o->keep_batch, .given = o->given, .n_given = o->n_given };
    ot_graph *g;
    OT_TRY(ot_derive(&g, m, &d));
    ot_status st = choose_outputs(g, o);
    if (st == OT_OK)
        st = ot_prune(g);
    if (st == OT_OK)
        st = ot_fold(g, OT_FOLD_LIMIT);
    if (st == OT_OK && !o->no_fusion)
        st = ot_graph_finish(g);
    if (st == OT_OK)
        *out = g;
    else
        ot_graph_close(g);
    return st;
}

ot_status ot_session_create(ot_session **out, const ot_model *m, const ot_session_options *opts)
{
    static const ot_session_options defaults = OT_SESSION_INIT;
    ot_graph *g = NULL;
    if (!opts)
        opts = &defaults;
    *out = NULL;
    ot_session *s = ot_calloc(1, sizeof(*s));
    if (!s)
        return OT_ENOMEM;
    s->m = m;
    ot_status st = ot_threads_create(&s->threads, opts->threads);
    if (st == OT_OK)
        st = ot_store_create(&s->store);
    if (st == OT_OK)
        st = compile(&g, m, opts);
    if (st == OT_OK) {
        ot_executor_opts eo = { s->store, s->threads, &s->workspace, opts->memory, opts->timed, opts->trips };
        st = ot_executor_create(&s->e, g, &eo);
    }
    if (st == OT_OK && !opts->keep_batch && !opts->no_fusion)
        st = ot_split_create(&s->split, s->e, opts->memory);
    if (st == OT_OK) {
        s->item = ot_calloc((size_t)ot_session_output_count(s) + 1, sizeof(*s->item));
        st = s->item ? OT_OK : OT_ENOMEM;
    }
    if (st == OT_OK) {
        ot_model_rest(m); /* what was folded is a copy */
        *out = s;
    } else {
        ot_session_close(s);
    }
    return st;
}

void ot_session_close(ot_session *s)
{
    if (!s)
        return;
    ot_split_close(s->split);
    ot_free(s->item);
    ot_executor_close(s->e);
    ot_store_close(s->store);
    ot_threads_close(s->threads);
    ot_workspace_release(&s->workspace);
    ot_free(s);
}

int64_t ot_session_input_count(const ot_session *s)
{
    return ot_executor_graph(s->e)->n_input;
}

int64_t ot_session_output_count(const ot_session *s)
{
    return ot_executor_graph(s->e)->n_output;
}

const char *ot_session_input_name(const ot_session *s, int64_t i)
{
    const ot_graph *g = ot_executor_graph(s->e);
    return i >= 0 && i < g->n_input ? g->value[g->input[i]].name : NULL;
}

const char *ot_session_output_name(const ot_session *s, int64_t i)
{
    const ot_graph *g = ot_executor_graph(s->e);
    return i >= 0 && i < g->n_output ? g->output[i].name : NULL;
}

ot_status ot_session_input(const ot_session *s, int64_t i, ot_tensor *out)
{
    const ot_graph *g = ot_executor_graph(s->e);
    *out = (ot_tensor){ 0 };
    if (i < 0 || i >= g->n_input)
        return ot_fail(OT_EARG, "input %lld of %lld", (long long)i, (long long)g->n_input);
    const ot_fact *f = &g->value[g->input[i]].fact;
    out->dtype = f->dtype;
    out->rank = f->rank;
    for (int d = 0; d < f->rank; d++)
        out->dim[d] = ot_is_symbol(f->dim[d]) ? -1 : f->dim[d];
    return OT_OK;
}

static ot_status check_count(const ot_session *s, int64_t n)
{
    int64_t want = ot_session_input_count(s);
    return n == want ? OT_OK : ot_fail(OT_EARG, "%lld inputs, the model has %lld", (long long)n, (long long)want);
}

/* How the batch is cut; 1: whole. */
static ot_status count_parts(ot_session *s, const ot_tensor *inputs, int64_t n)
{
    OT_TRY(check_count(s, n));
    s->parts = 1;
    return s->split ? ot_split_prepare(s->split, inputs, &s->parts) : OT_OK;
}

ot_status ot_session_prepare(ot_session *s, const ot_tensor *inputs, int64_t n)
{
    OT_TRY(count_parts(s, inputs, n));
    return s->parts > 1 ? OT_OK : ot_executor_prepare(s->e, inputs);
}

/* After the first run kernels have their weights in forms of their own. */
static void rest_once(ot_session *s)
{
    if (!s->rested)
        ot_model_rest(s->m);
    s->rested = true;
}

ot_status ot_session_run(ot_session *s, const ot_tensor *inputs, int64_t n)
{
    OT_TRY(count_parts(s, inputs, n));
    OT_TRY(s->parts == 1 ? ot_executor_run(s->e, inputs) : ot_split_run(s->split, inputs));
    rest_once(s);
    if (s->parts == 1)
        return OT_OK;
    for (int64_t i = 0; i < ot_session_output_count(s); i++)
        s->item[i] = (ot_item){ .kind = OT_TENSOR, .tensor = ot_split_output(s->split, i) };
    return OT_OK;
}

ot_kind ot_session_input_kind(const ot_session *s, int64_t i)
{
    const ot_graph *g = ot_executor_graph(s->e);
    return i >= 0 && i < g->n_input ? g->value[g->input[i]].fact.kind : OT_TENSOR;
}

ot_kind ot_session_output_kind(const ot_session *s, int64_t i)
{
    const ot_graph *g = ot_executor_graph(s->e);
    return i >= 0 && i < g->n_output ? g->value[g->output[i].value].fact.kind : OT_TENSOR;
}

ot_status ot_session_run_items(ot_session *s, const ot_item *const *inputs, int64_t n)
{
    OT_TRY(check_count(s, n));
    s->parts = 1;
    return ot_executor_run_items(s->e, inputs);
}

const ot_item *ot_session_output_item(const ot_session *s, int64_t i)
{
    if (i < 0 || i >= ot_session_output_count(s))
        return NULL;
    return s->parts > 1 ? &s->item[i] : ot_executor_output_item(s->e, i);
}

const ot_tensor *ot_session_output(const ot_session *s, int64_t i)
{
    if (i < 0 || i >= ot_session_output_count(s))
        return NULL;
    return s->parts > 1 ? ot_split_output(s->split, i) : ot_executor_output(s->e, i);
}

ot_status ot_session_memory(const ot_session *s, ot_memory *out)
{
    OT_TRY(ot_executor_memory(s->e, out));
    if (s->parts > 1)
        out->activations += ot_split_bytes(s->split);
    return OT_OK;
}

ot_status ot_session_step(const ot_session *s, int64_t i, ot_step_info *out)
{
    double parts = s->split ? ot_split_share(s->split) : 1;
    OT_TRY(ot_explain_step(out, s->e, i));
    out->parts = parts;
    out->seconds *= parts;
    out->macs *= parts;
    return OT_OK;
}

ot_status ot_session_explain(char **out, const ot_session *s)
{
    return ot_explain(out, s->e);
}

void ot_text_free(char *text)
{
    ot_free(text);
}
