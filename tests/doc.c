#define _DEFAULT_SOURCE
#include "doc.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "base/tensor.h"
#include "exec/executor.h"
#include "graph/derive.h"
#include "harness.h"
#include "model/edit.h"
#include "reshape_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- From tables to a document ---------------------------------------------------------------------------------- */

static int words(char *room, size_t n, const char *text, const char **list, int most)
{
    int count = 0;
    snprintf(room, n, "%s", text ? text : "");
    for (char *rest = room, *s; count < most && (s = strtok_r(rest, " ", &rest));)
        list[count++] = strcmp(s, "_") == 0 ? "" : s;
    return count;
}

static void add_attr(ot_model *m, Onnx__NodeProto *p, const char *text)
{
    char name[32];
    int64_t ints[8];
    int n = 0;
    const char *value = strchr(text, '=') + 1;
    snprintf(name, sizeof(name), "%.*s", (int)(value - text - 1), text);
    if (*value == '[') { /* one tensor-like list of floats: the scales of old Upsamples */
        Onnx__AttributeProto *a = ot_append(&p->base, "attribute");
        CHECK(a != NULL);
        CHECK_OK(ot_set_string(&a->name, name));
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS;
        a->floats = ot_malloc(8, sizeof(*a->floats));
        for (const char *s = value; *s && *s != ']' && n < 8; s = strpbrk(s + 1, ",]"))
            a->floats[n++] = strtof(s + 1, NULL);
        a->n_floats = (size_t)n;
        return;
    }
    bool number = strchr("-.0123456789", *value) != NULL;
    for (const char *s = value; number && s && *s && n < 8; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL)
        ints[n++] = strtoll(s, NULL, 10);
    if (!number)
        CHECK_OK(ot_node_set_string(p, name, value));
    else if (strchr(value, '.'))
        CHECK_OK(ot_node_set_float(p, name, strtof(value, NULL)));
    else if (strchr(value, ','))
        CHECK_OK(ot_node_set_ints(p, name, n, ints));
    else
        CHECK_OK(ot_node_set_int(p, name, ints[0]));
    (void)m;
}

static const char *last_output(const doc *d, char *room, size_t size)
{
    const char *list[8];
    const doc_node *n = d->nodes;
    while (n[1].op)
        n++;
    int count = words(room, size, n->out, list, 8);
    return list[count - 1];
}

static void add_nodes(ot_model *m, Onnx__GraphProto *g, const doc_node *nodes);

static void add_branch(ot_model *m, Onnx__NodeProto *p, const char *name, const doc *d, const char *input)
{
    char room[64];
    if (!d)
        return;
    Onnx__AttributeProto *a = ot_append(&p->base, "attribute");
    CHECK(a != NULL);
    CHECK_OK(ot_set_string(&a->name, name));
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
    a->g = ot_new_message(&onnx__graph_proto__descriptor);
    CHECK_OK(ot_set_string(&a->g->name, name));
    if (input)
        CHECK_OK(ot_set_string(&((Onnx__ValueInfoProto *)ot_append(&a->g->base, "input"))->name, input));
    add_nodes(m, a->g, d->nodes);
    Onnx__ValueInfoProto *out = ot_append(&a->g->base, "output");
    CHECK_OK(ot_set_string(&out->name, last_output(d, room, sizeof(room))));
}

static void add_nodes(ot_model *m, Onnx__GraphProto *g, const doc_node *nodes)
{
    for (const doc_node *n = nodes; n->op; n++) {
        char in[256], out[128], attrs[256];
        const char *in_list[16], *out_list[8], *attr_list[8];
        int n_in = words(in, sizeof(in), n->in, in_list, 16), n_out = words(out, sizeof(out), n->out, out_list, 8);
        Onnx__NodeProto *p = ot_append_node(g, n->op, out_list[0], n_in, in_list, n_out, out_list);
        if (!CHECK(p != NULL))
            return;
        for (int i = 0, count = words(attrs, sizeof(attrs), n->attrs, attr_list, 8); i < count; i++)
            add_attr(m, p, attr_list[i]);
        if (strcmp(n->op, "FlexAttention") == 0) {
            CHECK_OK(ot_set_string(&p->domain, "ai.onnx.preview"));
            CHECK_OK(ot_model_set_opset(m, "ai.onnx.preview", 1));
            add_branch(m, p, "score_mod", n->then, "v");
            add_branch(m, p, "prob_mod", n->otherwise, "v");
        } else if (n->then) {
            add_branch(m, p, "then_branch", n->then, NULL);
            add_branch(m, p, "else_branch", n->otherwise, NULL);
        }
    }
}

static void add_input(ot_model *m, const char *name, int rank, const ot_doc_dim *dim)
{
    Onnx__ValueInfoProto *v = ot_append(&m->proto->graph->base, "input");
    CHECK_OK(ot_set_string(&v->name, name));
    CHECK_OK(ot_set_value_type(v, OT_FLOAT, rank, dim));
}

void doc_draw(double *out, int64_t n, const char *name)
{
    uint64_t key = 7;
    for (const char *s = name; *s; s++)
        key = key * 131 + (uint64_t)*s;
    for (int64_t i = 0; i < n; i++)
        out[i] = (double)(float)ot_rng_normal(key, (uint64_t)i);
}

static bool is_drawn(const doc_tensor *t)
{
    return t->dtype == OT_FLOAT && !t->values;
}

static void add_tensor(ot_model *m, const doc_tensor *t, bool open)
{
    ot_doc_dim dim[4];
    ot_tensor *data = NULL;
    for (int i = 0; i < t->rank; i++)
        dim[i] = (ot_doc_dim){ t->dim[i], NULL };
    if (open && is_drawn(t)) {
        add_input(m, t->name, t->rank, dim);
        return;
    }
    if (!CHECK_OK(ot_tensor_create(&data, t->dtype, t->rank, t->dim)))
        return;
    int64_t n = ot_tensor_count(data);
    double *v = malloc(((size_t)n + 1) * sizeof(*v));
    if (CHECK(v != NULL)) {
        if (!t->values)
            doc_draw(v, n, t->name);
        for (int64_t i = 0; i < n; i++)
            ot_tensor_set(data, i, t->values ? t->values[i] : v[i]);
        CHECK_OK(ot_model_add_initializer(m, t->name, data));
    }
    free(v);
    ot_tensor_free(data);
}

ot_model *doc_model(const doc *d, bool open_weights)
{
    ot_model *m = NULL;
    ot_doc_dim dim[8] = { { 0, NULL } };
    char room[64];
    int rank = 0;
    if (!CHECK_OK(ot_model_empty(&m, d->opset)))
        return NULL;
    m->proto->ir_version = d->ir ? d->ir : 8;
    snprintf(room, sizeof(room), "%s", d->x);
    for (char *rest = room, *s; rank < 8 && (s = strtok_r(rest, ",", &rest)); rank++)
        dim[rank] = strspn(s, "0123456789") ? (ot_doc_dim){ strtoll(s, NULL, 10), NULL } : (ot_doc_dim){ -1, s };
    add_input(m, "x", rank, dim);
    for (const doc_tensor *t = d->tensors; t && t->name; t++)
        add_tensor(m, t, open_weights);
    add_nodes(m, m->proto->graph, d->nodes);
    CHECK(ot_append_output(m->proto->graph, last_output(d, room, sizeof(room)), OT_FLOAT, -1, NULL) != NULL);
    return m;
}

/* ---- Running ----------------------------------------------------------------------------------------------------- */

static ot_tensor *draw(const char *name, ot_dtype dtype, int rank, const int64_t *dim)
{
    ot_tensor *t = NULL;
    if (!CHECK_OK(ot_tensor_create(&t, dtype, rank, dim)))
        return NULL;
    int64_t n = ot_tensor_count(t);
    double *v = malloc(((size_t)n + 1) * sizeof(*v));
    if (CHECK(v != NULL))
        doc_draw(v, n, name);
    for (int64_t i = 0; v && i < n; i++)
        ot_tensor_set(t, i, v[i]);
    free(v);
    return t;
}

ot_tensor *doc_run(const doc *d, int rank, const int64_t *dim)
{
    ot_model *m = doc_model(d, false);
    ot_tensor *x = draw("x", OT_FLOAT, rank, dim), *y = NULL;
    for (int no_fusion = 0; m && x && no_fusion < 2; no_fusion++) {
        ot_session_options o = OT_SESSION_INIT;
        ot_session *s = NULL;
        o.no_fusion = no_fusion;
        if (CHECK_OK(ot_session_create(&s, m, &o)) && CHECK_OK(ot_session_run(s, x, 1))) {
            const ot_tensor *t = ot_session_output(s, 0);
            if (!y && CHECK_OK(ot_tensor_create(&y, t->dtype, t->rank, t->dim)))
                memcpy(y->data, t->data, ot_tensor_bytes(t));
            for (int64_t i = 0; y && i < ot_tensor_count(y); i++)
                if (!CHECK(test_close(ot_tensor_get(y, i), ot_tensor_get(t, i), 1e-5, 1e-5)))
                    break;
        }
        ot_session_close(s);
    }
    ot_tensor_free(x);
    ot_model_close(m);
    return y;
}

void doc_compare(const doc *d, const double *want, int rank, const int64_t *dim, int want_rank, const int64_t *want_dim)
{
    ot_tensor *y = doc_run(d, rank, dim);
    if (!y)
        return;
    bool same = y->rank == want_rank;
    for (int i = 0; same && i < want_rank; i++)
        same = y->dim[i] == want_dim[i];
    CHECK(same);
    for (int64_t i = 0; same && i < ot_tensor_count(y); i++)
        if (!CHECK(test_close(want[i], ot_tensor_get(y, i), 1e-5, 1e-5))) {
            printf("    element %lld: %g, not %g\n", (long long)i, ot_tensor_get(y, i), want[i]);
            break;
        }
    ot_tensor_free(y);
}

/* ---- Gradients --------------------------------------------------------------------------------------------------- */

#define MOST_INPUTS 12

/* loss = sum of the output times weights that no symmetry of it hides; with its gradients as outputs. */
static ot_status loss_graph(ot_graph **g, const ot_model *m)
{
    ot_val grad[MOST_INPUTS], wrt[MOST_INPUTS];
    OT_TRY(ot_derive(g, m, &(ot_derive_opts){ .for_gradient = true }));
    ot_build b = { .g = *g, .prefix = "loss", .layer = -1 };
    ot_val y = (*g)->output[0].value;
    ot_val curve = OT_EMIT(&b, "Sin", OT_EMIT(&b, "Add", y, ot_const_scalar(&b, OT_DOUBLE, .3)));
    ot_val loss = OT_EMIT_WITH(&b, "ReduceSum", OT_ATTRS(OT_INT("keepdims", 0)), curve);
    OT_TRY(b.st);
    (*g)->n_output = 0;
    OT_TRY(ot_graph_output(*g, "loss", loss));
    for (int64_t i = 0; i < (*g)->n_input; i++)
        wrt[i] = (*g)->input[i];
    OT_TRY(ot_differentiate(*g, loss, (*g)->n_input, wrt, grad));
    for (int64_t i = 0; i < (*g)->n_input; i++)
        OT_TRY(grad[i] == OT_NONE ? ot_fail(OT_ENOGRAD, "no gradient reached input %d", (int)i)
                                  : ot_graph_output(*g, "grad", grad[i]));
    return ot_prune(*g);
}

static double loss_at(ot_executor *e, ot_tensor *in, double *at, double v)
{
    double was = *at;
    *at = v;
    CHECK_OK(ot_executor_run(e, in));
    *at = was;
    return ot_tensor_get(ot_executor_output(e, 0), 0);
}

static void compare_gradient(ot_executor *e, ot_tensor *in, int i, const ot_tensor *grad, const char *name)
{
    int64_t n = ot_tensor_count(&in[i]), step = n > 24 ? n / 24 : 1;
    for (int64_t k = 0; k < n; k += step) {
        double *at = (double *)in[i].data + k, h = 1e-5;
        double want = (loss_at(e, in, at, *at + h) - loss_at(e, in, at, *at - h)) / (2 * h);
        double got = ot_tensor_get(grad, k);
        if (!CHECK(test_close(want, got, 1e-6, 1e-5))) {
            printf("    gradient of %s[%lld]: %.9g, differences say %.9g\n", name, (long long)k, got, want);
            return;
        }
    }
}

void doc_check_gradients(const doc *d, int rank, const int64_t *dim)
{
    ot_model *m = doc_model(d, true);
    ot_graph *g = NULL;
    ot_executor *e = NULL;
    ot_store *store = NULL;
    ot_threads *threads = NULL;
    ot_workspace work = { 0 };
    ot_tensor *owned[MOST_INPUTS] = { NULL }, *grad[MOST_INPUTS] = { NULL }, in[MOST_INPUTS];
    const char *name[MOST_INPUTS];
    if (!m || !CHECK_OK(ot_store_create(&store)) || !CHECK_OK(ot_threads_create(&threads, 1)) ||
        !CHECK_OK(ot_model_to_double(m)) || !CHECK_OK(loss_graph(&g, m)) || !CHECK(g->n_input <= MOST_INPUTS))
        goto done;
    int n = (int)g->n_input;
    for (int i = 0; i < n; i++) {
        const ot_value *v = &g->value[g->input[i]];
        name[i] = v->name;
        owned[i] = draw(v->name, OT_DOUBLE, i ? v->fact.rank : rank, i ? v->fact.dim : dim);
        if (!owned[i])
            goto done;
        in[i] = *owned[i];
    }
    ot_executor_opts o = { .store = store, .threads = threads, .workspace = &work };
    ot_status st = ot_executor_create(&e, g, &o);
    g = NULL;
    if (!CHECK_OK(st) || !CHECK_OK(ot_executor_run(e, in)))
        goto done;
    for (int i = 0; i < n; i++) {
        const ot_tensor *t = ot_executor_output(e, 1 + i);
        if (CHECK_OK(ot_tensor_create(&grad[i], t->dtype, t->rank, t->dim)))
            memcpy(grad[i]->data, t->data, ot_tensor_bytes(t));
    }
    for (int i = 0; i < n; i++)
        compare_gradient(e, in, i, grad[i], name[i]);
done:
    for (int i = 0; i < MOST_INPUTS; i++) {
        ot_tensor_free(owned[i]);
        ot_tensor_free(grad[i]);
    }
    ot_executor_close(e);
    ot_workspace_release(&work);
    ot_threads_close(threads);
    ot_store_close(store);
    ot_graph_close(g);
    ot_model_close(m);
}
