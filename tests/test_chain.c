/* Chains of element-wise nodes: which nodes join, and that the result is what it was node by node. */
#include "doc.h"
#include "harness.h"
#include "op_table.h"

#include <stdio.h>
#include <string.h>

#define MOST 100000

static double x[MOST];

/* Runs the document fused, on 1 and on 3 threads, and node by node: the same bits, and so many steps when fused. */
static void check_steps(const doc *d, int64_t steps, int rank, const int64_t *dim)
{
    static float data[MOST];
    ot_model *m = doc_model(d, false);
    ot_session *s[3] = { NULL };
    ot_tensor in = { .dtype = OT_FLOAT, .rank = rank, .data = data };
    ot_memory memory;
    memcpy(in.dim, dim, (size_t)rank * sizeof(*dim));
    const int64_t n = ot_tensor_count(&in);
    doc_draw(x, n, "x");
    for (int64_t i = 0; i < n; i++)
        data[i] = (float)x[i];
    for (int i = 0; i < 3 && m; i++) {
        ot_session_options o = OT_SESSION_INIT;
        o.threads = i == 1 ? 3 : 1;
        o.no_fusion = i == 2;
        if (!CHECK_OK(ot_session_create(&s[i], m, &o)) || !CHECK_OK(ot_session_run(s[i], &in, 1)))
            goto done;
        const ot_tensor *y = ot_session_output(s[i], 0), *first = ot_session_output(s[0], 0);
        CHECK(ot_tensor_count(y) == ot_tensor_count(first) &&
              memcmp(y->data, first->data, ot_tensor_bytes(first)) == 0);
    }
    if (m && CHECK_OK(ot_session_memory(s[0], &memory)) && !CHECK(memory.steps == steps))
        printf("    %lld steps, not %lld\n", (long long)memory.steps, (long long)steps);
done:
    for (int i = 0; i < 3; i++)
        ot_session_close(s[i]);
    ot_model_close(m);
    op_table_note("onnxtune", "Chain", 1, false);
}

/* Gelu as exporters write it, behind a bias; x is read again at the end. */
static void gelu(void)
{
    static const doc_node nodes[] = { NODE("Add", "bias x", "v", ""), NODE("Div", "v root", "a", ""),
                                      NODE("Erf", "a", "b", ""),      NODE("Add", "b one", "c", ""),
                                      NODE("Mul", "v c", "e", ""),    NODE("Mul", "e half", "f", ""),
                                      NODE("Add", "f x", "y", ""),    { 0 } };
    const doc_tensor tensors[] = { DOC_FLOATS("bias", 700),
                                   DOC_SCALAR("root", OT_FLOAT, 1.4142135),
                                   DOC_SCALAR("one", OT_FLOAT, 1),
                                   DOC_SCALAR("half", OT_FLOAT, .5),
                                   { 0 } };
    const doc d = { 17, 0, "N,5,700", nodes, tensors };
    check_steps(&d, 1, DOC_DIMS(3, 5, 700));
    check_steps(&d, 1, DOC_DIMS(1, 5, 700));
}

/* One number a channel, a sample, a row and a column; the whole of it; scalars of every form. */
static void broadcasts(void)
{
    static const doc_node nodes[] = { NODE("Mul", "x channel", "a", ""),
                                      NODE("Sub", "row a", "b", ""),
                                      NODE("Add", "b column", "c", ""),
                                      NODE("Max", "c whole", "e", ""),
                                      NODE("Mul", "single e", "f", ""),
                                      NODE("Clip", "f low high", "y", ""),
                                      { 0 } };
    const doc_tensor tensors[] = { DOC_FLOATS("channel", 6, 1, 1),    DOC_FLOATS("row", 33),
                                   DOC_FLOATS("column", 21, 1),       DOC_FLOATS("whole", 6, 21, 33),
                                   DOC_FLOATS("single", 1, 1),        DOC_SCALAR("low", OT_FLOAT, -.5),
                                   DOC_SCALAR("high", OT_FLOAT, .75), { 0 } };
    const doc d = { 17, 0, "N,6,21,33", nodes, tensors };
    check_steps(&d, 1, DOC_DIMS(4, 6, 21, 33));
    check_steps(&d, 1, DOC_DIMS(1, 6, 21, 33));
}

/* Nodes that are no links: another shape on the way, ones around the middle, a result that others read, other types. */
static void apart(void)
{
    static const doc_node grows[] = { NODE("Relu", "x", "a", ""), NODE("Add", "a wide", "y", ""), { 0 } };
    static const doc_node around[] = { NODE("Relu", "x", "a", ""), NODE("Add", "a frame", "y", ""), { 0 } };
    static const doc_node read[] = { NODE("Relu", "x", "a", ""),
                                     NODE("Neg", "a", "b", ""),
                                     NODE("ReduceMax", "b", "top", "axes=2, keepdims=1"),
                                     NODE("Sub", "b top", "y", ""),
                                     { 0 } };
    static const doc_node types[] = { NODE("Neg", "x", "a", ""),          NODE("Greater", "a zero", "b", ""),
                                      NODE("Where", "b x zero", "c", ""), NODE("Neg", "c", "e", ""),
                                      NODE("Exp", "e", "y", ""),          { 0 } };
    const doc_tensor tensors[] = {
        DOC_FLOATS("wide", 3, 1, 1, 7), DOC_FLOATS("frame", 5, 1, 7), DOC_SCALAR("zero", OT_FLOAT, 0), { 0 }
    };
    const doc g = { 13, 0, "N,5,7", grows, tensors }, f = { 13, 0, "N,5,4,7", around, tensors };
    const doc r = { 13, 0, "N,5,7", read, tensors }, t = { 13, 0, "N,5,7", types, tensors };
    check_steps(&g, 2, DOC_DIMS(2, 5, 7));
    check_steps(&f, 2, DOC_DIMS(2, 5, 4, 7));
    check_steps(&r, 3, DOC_DIMS(2, 5, 7));
    check_steps(&t, 4, DOC_DIMS(2, 5, 7));
}

/* More nodes, and more inputs, than one chain holds. */
static void long_ones(void)
{
    static doc_node nodes[41];
    static char in[40][16], out[40][8];
    static const doc_node inputs[] = { NODE("Add", "x t0", "a", ""), NODE("Mul", "a t1", "b", ""),
                                       NODE("Add", "b t2", "c", ""), NODE("Mul", "c t3", "d", ""),
                                       NODE("Add", "d t4", "e", ""), NODE("Mul", "e t5", "f", ""),
                                       NODE("Add", "f t6", "g", ""), NODE("Mul", "g t7", "h", ""),
                                       NODE("Add", "h t8", "y", ""), { 0 } };
    const doc_tensor tensors[] = {
        DOC_FLOATS("t0", 50), DOC_FLOATS("t1", 50), DOC_FLOATS("t2", 50), DOC_FLOATS("t3", 50), DOC_FLOATS("t4", 50),
        DOC_FLOATS("t5", 50), DOC_FLOATS("t6", 50), DOC_FLOATS("t7", 50), DOC_FLOATS("t8", 50), { 0 }
    };
    for (int i = 0; i < 40; i++) {
        snprintf(in[i], sizeof(in[i]), i ? "v%d" : "x", i - 1);
        snprintf(out[i], sizeof(out[i]), "v%d", i);
        nodes[i] = (doc_node)NODE(i % 2 ? "Tanh" : "Neg", in[i], out[i], "");
    }
    const doc many = { 17, 0, "N,900", nodes, NULL }, wide = { 17, 0, "N,50", inputs, tensors };
    check_steps(&many, 4, DOC_DIMS(7, 900));
    check_steps(&wide, 2, DOC_DIMS(7, 50));
    check_steps(&wide, 2, DOC_DIMS(0, 50));
}

const ot_test chain_tests[] = {
    { "apart", apart }, { "broadcasts", broadcasts }, { "gelu", gelu }, { "long ones", long_ones }, { 0 },
};
