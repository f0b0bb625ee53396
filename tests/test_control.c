#define _POSIX_C_SOURCE 200809L /* strtok_r */
/* If, Loop, Scan, SequenceMap, sequences and optionals: what runs by data, what is settled when the graph is derived,
 * what is refused. */
#include "base/alloc.h"
#include "graph/derive.h"
#include "harness.h"
#include "model/edit.h"
#include "op_table.h"

#include <stdio.h>
#include <string.h>

/* ---- Small documents ----------------------------------------------------------------------------------------- */

/* Words, separated by spaces; "-" is an empty one. */
static void put_words(size_t *n, char ***list, const char *words)
{
    char text[256], *rest = text;
    snprintf(text, sizeof(text), "%s", words);
    for (char *w; (w = strtok_r(rest, " ", &rest)) != NULL;)
        CHECK_OK(ot_append_string(n, list, strcmp(w, "-") == 0 ? "" : w));
}

static Onnx__NodeProto *node(Onnx__GraphProto *g, const char *op, const char *in, const char *out)
{
    Onnx__NodeProto *n = ot_append(&g->base, "node");
    CHECK_OK(ot_set_string(&n->op_type, op));
    CHECK_OK(ot_set_string(&n->name, op));
    put_words(&n->n_input, &n->input, in);
    put_words(&n->n_output, &n->output, out);
    return n;
}

static Onnx__NodeProto *with_int(Onnx__NodeProto *n, const char *name, int64_t v)
{
    CHECK_OK(ot_node_set_int(n, name, v));
    return n;
}

/* A graph that the node holds. */
static Onnx__GraphProto *body(Onnx__NodeProto *n, const char *name, const char *in, const char *out)
{
    Onnx__AttributeProto *a = ot_append(&n->base, "attribute");
    char text[256], *rest = text;
    CHECK_OK(ot_set_string(&a->name, name));
    a->has_type = 1;
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
    a->g = ot_new_message(&onnx__graph_proto__descriptor);
    CHECK_OK(ot_set_string(&a->g->name, name));
    snprintf(text, sizeof(text), "%s", in);
    for (char *w; (w = strtok_r(rest, " ", &rest)) != NULL;)
        CHECK_OK(ot_set_string(&((Onnx__ValueInfoProto *)ot_append(&a->g->base, "input"))->name, w));
    snprintf(text, sizeof(text), "%s", out);
    rest = text;
    for (char *w; (w = strtok_r(rest, " ", &rest)) != NULL;)
        CHECK_OK(ot_set_string(&((Onnx__ValueInfoProto *)ot_append(&a->g->base, "output"))->name, w));
    return a->g;
}

static void input(ot_model *m, const char *name, ot_dtype dtype, int rank, const ot_doc_dim *dim)
{
    Onnx__ValueInfoProto *x = ot_append(&m->proto->graph->base, "input");
    CHECK_OK(ot_set_string(&x->name, name));
    CHECK_OK(ot_set_value_type(x, dtype, rank, dim));
}

static void output(ot_model *m, const char *name)
{
    CHECK_OK(ot_set_string(&((Onnx__ValueInfoProto *)ot_append(&m->proto->graph->base, "output"))->name, name));
}

static void ints(ot_model *m, const char *name, int rank, int64_t n, const int64_t *v)
{
    ot_tensor *t = NULL;
    CHECK_OK(ot_tensor_create(&t, OT_INT64, rank, &n));
    memcpy(t->data, v, (size_t)(rank ? n : 1) * sizeof(*v));
    CHECK_OK(ot_model_add_initializer(m, name, t));
    ot_tensor_free(t);
}

static void number(ot_model *m, const char *name, int64_t v)
{
    ints(m, name, 0, 1, &v);
}

/* x float[N,2], n int64, go bool. */
static ot_model *document(void)
{
    ot_model *m = NULL;
    if (!CHECK_OK(ot_model_empty(&m, 17)))
        return NULL;
    input(m, "x", OT_FLOAT, 2, (ot_doc_dim[]){ { -1, "N" }, { 2, NULL } });
    input(m, "n", OT_INT64, 0, NULL);
    input(m, "go", OT_BOOL, 0, NULL);
    return m;
}

/* What a run is given: rows of 1, 2, 3, ... */
typedef struct given {
    float x[8];
    int64_t n;
    uint8_t go;
    ot_tensor t[3];
} given;

static const ot_tensor *give(given *g, int64_t rows, int64_t n, bool go)
{
    for (int i = 0; i < 8; i++)
        g->x[i] = (float)(i + 1);
    g->n = n;
    g->go = go;
    g->t[0] = (ot_tensor){ .dtype = OT_FLOAT, .rank = 2, .dim = { rows, 2 }, .data = g->x };
    g->t[1] = (ot_tensor){ .dtype = OT_INT64, .data = &g->n };
    g->t[2] = (ot_tensor){ .dtype = OT_BOOL, .data = &g->go };
    return g->t;
}

static ot_session *open_session(ot_model *m, size_t memory, int64_t trips)
{
    ot_session *s = NULL;
    ot_session_options o = OT_SESSION_INIT;
    o.threads = 1;
    o.memory = memory;
    o.trips = trips;
    CHECK_OK(ot_session_create(&s, m, &o));
    return s;
}

/* Output i of a run has these dims and elements. */
static void gives(ot_session *s, const ot_tensor *in, int64_t i, int rank, const int64_t *dim, const double *want)
{
    if (!s || !CHECK_OK(ot_session_run(s, in, 3)))
        return;
    const ot_tensor *y = ot_session_output(s, i);
    bool same = y->rank == rank;
    for (int d = 0; d < rank && same; d++)
        same = y->dim[d] == dim[d];
    if (!CHECK(same))
        return;
    for (int64_t k = 0; k < ot_tensor_count(y); k++)
        if (!CHECK(test_close(want[k], ot_tensor_get(y, k), 1e-6, 1e-6)))
            printf("    element %lld is %g, not %g\n", (long long)k, ot_tensor_get(y, k), want[k]);
}

#define DIMS(...)                                                                                                      \
    (int)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (const int64_t[])                               \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define WANT(...)                                                                                                      \
    (const double[])                                                                                                   \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

static void refuse(ot_model *m, const char *words)
{
    ot_session *s = NULL;
    bool failed = ot_session_create(&s, m, NULL) != OT_OK;
    if (!CHECK(failed && strstr(ot_last_error(), words) && !strchr(ot_last_error(), '\n')))
        printf("    '%s', wanted '%s'\n", ot_last_error(), words);
    ot_session_close(s);
    ot_model_close(m);
}

/* ---- If ------------------------------------------------------------------------------------------------------ */

/* y = go ? Neg(x) : Concat(x, x) */
static ot_model *if_model(void)
{
    ot_model *m = document();
    Onnx__NodeProto *n = node(m->proto->graph, "If", "go", "y");
    node(body(n, "then_branch", "", "a"), "Neg", "x", "a");
    with_int(node(body(n, "else_branch", "", "b"), "Concat", "x x", "b"), "axis", 0);
    output(m, "y");
    return m;
}

static void if_at_run_time(void)
{
    given g;
    ot_model *m = if_model();
    ot_session *s = open_session(m, 0, 0);
    gives(s, give(&g, 1, 0, true), 0, DIMS(1, 2), WANT(-1, -2));
    gives(s, give(&g, 1, 0, false), 0, DIMS(2, 2), WANT(1, 2, 1, 2));
    gives(s, give(&g, 2, 0, true), 0, DIMS(2, 2), WANT(-1, -2, -3, -4));
    ot_session_close(s);
    ot_graph *graph = NULL;
    char text[64];
    if (CHECK_OK(ot_derive(&graph, m, &(ot_derive_opts){ 0 })))
        CHECK(strcmp(ot_fact_text(graph, &graph->value[graph->output[0].value].fact, text, 64), "float[?,2]") == 0);
    ot_graph_close(graph);
    ot_model_close(m);
    op_table_note("", "If", 17, false);
}

/* A loop in a loop; the inner one holds an If that reads values of all graphs around it.
 * for i < n: for k < 2: acc += go ? x : i  (i as a float) */
static void nested(void)
{
    given g;
    ot_model *m = document();
    const int64_t two = 2;
    ints(m, "two", 0, 1, &two);
    Onnx__NodeProto *outer = node(m->proto->graph, "Loop", "n - x", "y");
    Onnx__GraphProto *o = body(outer, "body", "i c acc", "c2 acc2");
    node(o, "Identity", "c", "c2");
    with_int(node(o, "Cast", "i", "f"), "to", OT_FLOAT);
    Onnx__GraphProto *in = body(node(o, "Loop", "two - acc", "acc2"), "body", "k d part", "d2 part2");
    node(in, "Identity", "d", "d2");
    Onnx__NodeProto *n = node(in, "If", "go", "more");
    node(body(n, "then_branch", "", "t"), "Identity", "x", "t");
    node(body(n, "else_branch", "", "e"), "Identity", "f", "e");
    node(in, "Add", "part more", "part2");
    output(m, "y");
    ot_session *s = open_session(m, 0, 0);
    gives(s, give(&g, 1, 3, true), 0, DIMS(1, 2), WANT(7, 14));
    gives(s, give(&g, 1, 3, false), 0, DIMS(1, 2), WANT(7, 8));
    gives(s, give(&g, 1, 0, false), 0, DIMS(1, 2), WANT(1, 2));
    ot_session_close(s);
    ot_model_close(m);
}

/* ---- Loop ---------------------------------------------------------------------------------------------------- */

/* Each trip puts x under what there is and gives the trip's number: y grows, t counts. */
static ot_model *growing(void)
{
    ot_model *m = document();
    Onnx__GraphProto *b = body(node(m->proto->graph, "Loop", "n go x", "y t"), "body", "i c a", "c2 a2 i2");
    with_int(node(b, "Concat", "a x", "a2"), "axis", 0);
    node(b, "Identity", "c", "c2");
    node(b, "Identity", "i", "i2");
    output(m, "y");
    output(m, "t");
    return m;
}

static void loops(void)
{
    given g;
    ot_model *m = growing();
    ot_session *s = open_session(m, 0, 0);
    gives(s, give(&g, 1, 2, true), 0, DIMS(3, 2), WANT(1, 2, 1, 2, 1, 2));
    gives(s, g.t, 1, DIMS(2), WANT(0, 1));
    gives(s, give(&g, 1, 0, true), 0, DIMS(1, 2), WANT(1, 2));
    gives(s, g.t, 1, DIMS(0), NULL);
    gives(s, give(&g, 1, 5, false), 1, DIMS(0), NULL);
    gives(s, give(&g, 1, -3, true), 1, DIMS(0), NULL);
    ot_session_close(s);
    ot_model_close(m);
    op_table_note("", "Loop", 17, false);
}

static void caps(void)
{
    given g;
    ot_model *m = document();
    Onnx__GraphProto *b = body(node(m->proto->graph, "Loop", "- go x", "y"), "body", "i c a", "c2 a2");
    node(b, "Identity", "c", "c2");
    node(b, "Neg", "a", "a2");
    output(m, "y");
    ot_session *s = open_session(m, 0, 1000);
    CHECK_FAILS(ot_session_run(s, give(&g, 1, 0, true), 3), OT_EUNSUPPORTED, "more than 1000 trips");
    gives(s, give(&g, 1, 0, false), 0, DIMS(1, 2), WANT(1, 2));
    ot_session_close(s);
    ot_model_close(m);
    m = growing();
    s = open_session(m, 4096, 0);
    CHECK_FAILS(ot_session_run(s, give(&g, 1, 1000, true), 3), OT_ENOMEM, "the cap is");
    gives(s, give(&g, 1, 1, true), 0, DIMS(2, 2), WANT(1, 2, 1, 2));
    ot_session_close(s);
    ot_model_close(m);
}

/* ---- Scan ---------------------------------------------------------------------------------------------------- */

/* Running sums of the rows of x, from below, and the rows doubled, side by side along axis 1 and in turn. */
static void scans(void)
{
    given g;
    ot_model *m = document();
    const float zero[2] = { 0, 0 };
    union {
        const float *in;
        void *out;
    } data = { .in = zero };
    ot_tensor start = { .dtype = OT_FLOAT, .rank = 1, .dim = { 2 }, .data = data.out };
    CHECK_OK(ot_model_add_initializer(m, "start", &start));
    Onnx__NodeProto *n = with_int(node(m->proto->graph, "Scan", "start x", "end sums twice"), "num_scan_inputs", 1);
    CHECK_OK(ot_node_set_ints(n, "scan_input_directions", 1, (const int64_t[]){ 1 }));
    CHECK_OK(ot_node_set_ints(n, "scan_output_axes", 2, (const int64_t[]){ -1, 0 }));
    CHECK_OK(ot_node_set_ints(n, "scan_output_directions", 2, (const int64_t[]){ 0, 1 }));
    Onnx__GraphProto *b = body(n, "body", "s r", "s2 s3 d");
    node(b, "Add", "s r", "s2");
    node(b, "Identity", "s2", "s3");
    node(b, "Add", "r r", "d");
    output(m, "end");
    output(m, "sums");
    output(m, "twice");
    ot_session *s = open_session(m, 0, 0);
    gives(s, give(&g, 3, 0, true), 0, DIMS(2), WANT(9, 12));
    gives(s, g.t, 1, DIMS(2, 3), WANT(5, 8, 9, 6, 10, 12));
    gives(s, g.t, 2, DIMS(3, 2), WANT(2, 4, 6, 8, 10, 12));
    gives(s, give(&g, 0, 0, true), 1, DIMS(2, 0), NULL);
    ot_session_close(s);
    ot_model_close(m);
    op_table_note("", "Scan", 17, false);
}

/* ---- Sequences ----------------------------------------------------------------------------------------------- */

/* What is listed and taken at known places leaves no list behind, and so has gradients. */
static void lists_that_go(void)
{
    given g;
    ot_graph *graph = NULL;
    ot_model *m = document();
    Onnx__GraphProto *p = m->proto->graph;
    number(m, "zero", 0);
    number(m, "last", -1);
    node(p, "Neg", "x", "a");
    node(p, "SequenceConstruct", "x a", "s");
    node(p, "SequenceInsert", "s a zero", "s2");
    node(p, "SequenceErase", "s2 last", "s3");
    with_int(node(p, "ConcatFromSequence", "s3", "y"), "axis", 1);
    node(p, "SequenceLength", "s3", "len");
    node(p, "SequenceAt", "s3 last", "z");
    with_int(node(p, "SplitToSequence", "y", "parts"), "axis", 1);
    node(p, "SequenceAt", "parts zero", "w");
    for (int i = 0; i < 4; i++)
        output(m, (const char *const[]){ "y", "len", "z", "w" }[i]);
    ot_session *s = open_session(m, 0, 0);
    gives(s, give(&g, 1, 0, true), 0, DIMS(1, 4), WANT(-1, -2, 1, 2));
    gives(s, g.t, 1, 0, NULL, WANT(2));
    gives(s, g.t, 2, DIMS(1, 2), WANT(1, 2));
    gives(s, g.t, 3, DIMS(1, 1), WANT(-1));
    ot_session_close(s);
    if (CHECK_OK(ot_derive(&graph, m, &(ot_derive_opts){ 0 })) && CHECK_OK(ot_prune(graph)))
        CHECK(!ot_graph_walks(graph));
    ot_graph_close(graph);
    ot_model_close(m);
}

/* The same operators at places that only data tell. */
static void lists_that_stay(void)
{
    given g;
    ot_model *m = document();
    Onnx__GraphProto *p = m->proto->graph;
    with_int(node(p, "SequenceEmpty", "", "s"), "dtype", OT_FLOAT);
    Onnx__GraphProto *b = body(node(p, "Loop", "n - s", "list"), "body", "i c l", "c2 l2");
    node(b, "Identity", "c", "c2");
    with_int(node(b, "Cast", "i", "f"), "to", OT_FLOAT);
    node(b, "Add", "x f", "xf");
    node(b, "SequenceInsert", "l xf", "l2");
    output(m, "list");
    ot_session *s = open_session(m, 0, 0);
    CHECK(ot_session_output_kind(s, 0) == OT_SEQUENCE && ot_session_output_kind(s, 9) == OT_TENSOR);
    if (CHECK_OK(ot_session_run(s, give(&g, 1, 3, true), 3))) {
        const ot_item *y = ot_session_output_item(s, 0);
        CHECK(y->kind == OT_SEQUENCE && y->n == 3 && ot_tensor_get(y->item[2].tensor, 1) == 4);
    }
    ot_session_close(s);
    node(p, "Identity", "list", "same");
    Onnx__GraphProto *each = body(node(p, "SequenceMap", "same x", "mapped"), "body", "item whole", "sum");
    node(each, "Add", "item whole", "sum");
    with_int(node(p, "ConcatFromSequence", "mapped", "y"), "axis", 0);
    node(p, "SequenceLength", "mapped", "len");
    node(p, "SequenceAt", "mapped n", "at");
    output(m, "y");
    output(m, "len");
    s = open_session(m, 0, 0);
    gives(s, give(&g, 1, 2, true), 1, DIMS(2, 2), WANT(2, 4, 3, 5));
    gives(s, g.t, 2, 0, NULL, WANT(2));
    CHECK_FAILS(ot_session_run(s, give(&g, 1, 0, true), 3), OT_EMODEL, "nothing to put together");
    ot_session_close(s);
    output(m, "at");
    s = open_session(m, 0, 0);
    CHECK_FAILS(ot_session_run(s, give(&g, 1, 2, true), 3), OT_ESHAPE, "place 2 in a sequence of 2");
    ot_session_close(s);
    ot_model_close(m);
    static const char *const lists[] = { "ConcatFromSequence", "SequenceAt",    "SequenceConstruct",
                                         "SequenceEmpty",      "SequenceErase", "SequenceInsert",
                                         "SequenceLength",     "SequenceMap",   "SplitToSequence" };
    for (int i = 0; i < 9; i++)
        op_table_note("", lists[i], 17, false);
}

/* ---- Optionals ------------------------------------------------------------------------------------------------ */

static void optionals(void)
{
    given g;
    ot_model *m = document();
    Onnx__GraphProto *p = m->proto->graph;
    node(p, "Optional", "x", "o");
    node(p, "OptionalHasElement", "o", "has");
    node(p, "OptionalGetElement", "o", "y");
    output(m, "y");
    output(m, "has");
    ot_session *s = open_session(m, 0, 0);
    ot_graph *graph = NULL;
    gives(s, give(&g, 1, 0, true), 0, DIMS(1, 2), WANT(1, 2));
    gives(s, g.t, 1, 0, NULL, WANT(1));
    ot_session_close(s);
    if (CHECK_OK(ot_derive(&graph, m, &(ot_derive_opts){ 0 })) && CHECK_OK(ot_prune(graph)))
        CHECK(!ot_graph_walks(graph));
    ot_graph_close(graph);
    output(m, "o");
    s = open_session(m, 0, 0);
    if (CHECK_OK(ot_session_run(s, give(&g, 1, 0, true), 3))) {
        const ot_item *o = ot_session_output_item(s, 2);
        CHECK(o->kind == OT_OPTIONAL && o->n == 1 && ot_tensor_get(o->item[0].tensor, 1) == 2);
    }
    ot_session_close(s);
    ot_model_close(m);
    op_table_note("", "Optional", 17, false);
    op_table_note("", "OptionalHasElement", 17, false);
    op_table_note("", "OptionalGetElement", 17, false);
}

/* ---- Refusals -------------------------------------------------------------------------------------------------- */

static ot_model *loop_of(const char *in, const char *out, const char *body_in, const char *body_out)
{
    ot_model *m = document();
    Onnx__GraphProto *b = body(node(m->proto->graph, "Loop", in, out), "body", body_in, body_out);
    node(b, "Identity", "c", "c2");
    node(b, "Identity", "a", "a2");
    output(m, "y");
    return m;
}

static void refusals(void)
{
    refuse(loop_of("n go x", "y", "i c", "c2 a2"), "the body has 2 inputs, 3 are given");
    refuse(loop_of("n go x", "y", "i c a", "c2"), "the body has 1 outputs, at least 2");
    refuse(loop_of("n go x", "y z w", "i c a", "c2 a2"), "3 outputs, the body gives 1");
    refuse(loop_of("n go x", "y", "i c a", "a2 c2"), "another type");
    refuse(loop_of("x go x", "y", "i c a", "c2 a2"), "the trip count is no int64");
    refuse(loop_of("n x x", "y", "i c a", "c2 a2"), "the condition is no bool");
    refuse(loop_of("n go x", "y", "i c a", "c2 gone"), "'gone' is made by no node");
    ot_model *m = document();
    node(m->proto->graph, "SequenceConstruct", "x", "s");
    node(m->proto->graph, "Neg", "s", "y");
    output(m, "y");
    refuse(m, "input 0 is a sequence");
    m = document();
    node(m->proto->graph, "SequenceConstruct", "x n", "y");
    output(m, "y");
    refuse(m, "a value is of float and of int64");
    m = document();
    node(body(node(m->proto->graph, "If", "go", "y"), "then_branch", "", "a"), "Neg", "x", "a");
    output(m, "y");
    refuse(m, "else");
}

/* A run whose memory gives out anywhere fails in one line and leaves nothing behind. */
static void memory_gives_out(void)
{
    given g;
    ot_model *m = growing();
    ot_status st = OT_ENOMEM;
    for (int64_t n = 0; st != OT_OK && n < 5000; n++) {
        int64_t before = ot_live_blocks();
        ot_session *s = NULL;
        ot_fail_alloc_after(n);
        ot_session_options o = OT_SESSION_INIT;
        o.threads = 1;
        st = ot_session_create(&s, m, &o);
        if (st == OT_OK)
            st = ot_session_run(s, give(&g, 1, 2, true), 3);
        ot_fail_alloc_after(-1);
        ot_session_close(s);
        if (!CHECK((st == OT_OK || st == OT_ENOMEM) && ot_live_blocks() == before)) {
            printf("    allocation %lld: %s\n", (long long)n, ot_last_error());
            break;
        }
    }
    CHECK(st == OT_OK);
    ot_model_close(m);
}

const ot_test control_tests[] = { { "if at run time", if_at_run_time },
                                  { "nested", nested },
                                  { "loops", loops },
                                  { "caps", caps },
                                  { "scans", scans },
                                  { "lists that go", lists_that_go },
                                  { "lists that stay", lists_that_stay },
                                  { "optionals", optionals },
                                  { "refusals", refusals },
                                  { "memory gives out", memory_gives_out },
                                  { 0 } };
