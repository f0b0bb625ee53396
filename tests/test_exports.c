/* Node patterns as PyTorch's exporters write them over opsets 9 to 21.  Each is a small document over a free batch (and
 * size), run against loops that say the same. */
#include "doc.h"
#include "harness.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST 4096

static double x[MOST], want[MOST];

/* What the document says of a value over symbols. */
static void check_shape(const doc *d, const char *value, const char *text)
{
    ot_model *m = doc_model(d, false);
    ot_layers *l = NULL;
    if (m && CHECK_OK(ot_layers_open(&l, m, NULL, NULL, 0)) && !CHECK(strcmp(ot_layers_value(l, value), text) == 0))
        printf("    '%s' is %s, not %s\n", value, ot_layers_value(l, value), text);
    ot_layers_close(l);
    ot_model_close(m);
}

/* ---- Shapes computed from shapes -------------------------------------------------------------------------------- */

/* view(n, c, -1) of an opset-11 export, then a mean over what was height and width. */
static void flattened(void)
{
    static const doc_node nodes[] = { NODE("Shape", "x", "s0", ""),
                                      NODE("Gather", "s0 zero", "n", "axis=0"),
                                      NODE("Shape", "x", "s1", ""),
                                      NODE("Gather", "s1 one", "c", "axis=0"),
                                      NODE("Unsqueeze", "n", "n1", "axes=0,"),
                                      NODE("Unsqueeze", "c", "c1", "axes=0,"),
                                      NODE("Concat", "n1 c1 open", "to", "axis=0"),
                                      NODE("Reshape", "x to", "flat", ""),
                                      NODE("Softmax", "flat", "p", "axis=2"),
                                      NODE("Mul", "p flat", "weighed", ""),
                                      NODE("ReduceMean", "weighed", "y", "axes=-1, keepdims=0"),
                                      { 0 } };
    const doc_tensor tensors[] = {
        DOC_SCALAR("zero", OT_INT64, 0), DOC_SCALAR("one", OT_INT64, 1), DOC_INTS("open", -1), { 0 }
    };
    const doc d = { 11, 0, "N,3,H,W", nodes, tensors };
    for (int64_t n = 1; n < 4; n++) {
        int64_t h = n + 1, w = 5 - n;
        doc_draw(x, n * 3 * h * w, "x");
        for (int64_t i = 0; i < n * 3; i++) {
            double sum = 0, top = 0;
            for (int64_t k = 0; k < h * w; k++) {
                sum += exp(x[i * h * w + k]);
                top += exp(x[i * h * w + k]) * x[i * h * w + k];
            }
            want[i] = top / sum / (double)(h * w);
        }
        doc_compare(&d, want, DOC_DIMS(n, 3, h, w), DOC_DIMS(n, 3));
    }
    check_shape(&d, "y", "float[N,3]");
    doc_check_gradients(&d, DOC_DIMS(2, 3, 2, 3));
}

/* Rolls by (-1, -1), cuts into windows of 2x2, joins them again and rolls back: what a Swin block does around its
 * attention, opset 13.  The windows are scaled by a weight for each place in them. */
static void windows(void)
{
    static const doc_node nodes[] = { NODE("Shape", "x", "s", ""),
                                      NODE("Gather", "s i0", "n", ""),
                                      NODE("Gather", "s i1", "h", ""),
                                      NODE("Gather", "s i2", "w", ""),
                                      NODE("Slice", "x v1 most v1", "low", ""),
                                      NODE("Slice", "x v0 v1 v1", "high", ""),
                                      NODE("Concat", "low high", "r1", "axis=1"),
                                      NODE("Slice", "r1 v1 most v2", "left", ""),
                                      NODE("Slice", "r1 v0 v1 v2", "right", ""),
                                      NODE("Concat", "left right", "r2", "axis=2"),
                                      NODE("Div", "h two", "h2", ""),
                                      NODE("Div", "w two", "w2", ""),
                                      NODE("Unsqueeze", "n v0", "un", ""),
                                      NODE("Unsqueeze", "h2 v0", "uh2", ""),
                                      NODE("Unsqueeze", "w2 v0", "uw2", ""),
                                      NODE("Unsqueeze", "h v0", "uh", ""),
                                      NODE("Unsqueeze", "w v0", "uw", ""),
                                      NODE("Concat", "un uh2 v2 uw2 v2 v3", "cut", "axis=0"),
                                      NODE("Reshape", "r2 cut", "cuts", ""),
                                      NODE("Transpose", "cuts", "t", "perm=0,1,3,2,4,5"),
                                      NODE("Reshape", "t each", "win", ""),
                                      NODE("Mul", "win place", "scaled", ""),
                                      NODE("Concat", "un uh2 uw2 v2 v2 v3", "join", "axis=0"),
                                      NODE("Reshape", "scaled join", "joins", ""),
                                      NODE("Transpose", "joins", "t2", "perm=0,1,3,2,4,5"),
                                      NODE("Concat", "un uh uw v3", "back", "axis=0"),
                                      NODE("Reshape", "t2 back", "r3", ""),
                                      NODE("Slice", "r3 last most v2", "first", ""),
                                      NODE("Slice", "r3 v0 last v2", "rest", ""),
                                      NODE("Concat", "first rest", "r4", "axis=2"),
                                      NODE("Slice", "r4 last most v1", "first1", ""),
                                      NODE("Slice", "r4 v0 last v1", "rest1", ""),
                                      NODE("Concat", "first1 rest1", "y", "axis=1"),
                                      { 0 } };
    const doc_tensor tensors[] = { DOC_SCALAR("i0", OT_INT64, 0),
                                   DOC_SCALAR("i1", OT_INT64, 1),
                                   DOC_SCALAR("i2", OT_INT64, 2),
                                   DOC_SCALAR("two", OT_INT64, 2),
                                   DOC_INTS("v0", 0),
                                   DOC_INTS("v1", 1),
                                   DOC_INTS("v2", 2),
                                   DOC_INTS("v3", 3),
                                   DOC_INTS("last", -1),
                                   DOC_INTS("most", 9223372036854774784.),
                                   DOC_INTS("each", -1, 4, 3),
                                   DOC_FLOATS("place", 4, 1),
                                   { 0 } };
    const doc d = { 13, 0, "N,H,W,3", nodes, tensors };
    double place[4];
    doc_draw(place, 4, "place");
    for (int64_t n = 1; n < 3; n++) {
        int64_t h = 2 * n, w = 6 - h;
        doc_draw(x, n * h * w * 3, "x");
        for (int64_t i = 0; i < n * h * w * 3; i++) {
            int64_t row = (i / 3 / w % h + h - 1) % h, column = (i / 3 % w + w - 1) % w; /* where the roll put it */
            want[i] = x[i] * place[row % 2 * 2 + column % 2];
        }
        doc_compare(&d, want, DOC_DIMS(n, h, w, 3), DOC_DIMS(n, h, w, 3));
    }
    check_shape(&d, "r3", "float[N,H,W,3]");
    doc_check_gradients(&d, DOC_DIMS(1, 4, 2, 3));
}

/* ---- Attention over a class token ------------------------------------------------------------------------------- */

#define C 4 /* channels */

/* Softmax(q k^T / sqrt(C)) v of t tokens, the first one's row. */
static void attend(double *y, const double *token, int64_t t, const double *q, const double *k, const double *v)
{
    double query[C], p[64], sum = 0;
    for (int j = 0; j < C; j++) {
        query[j] = y[j] = 0;
        for (int i = 0; i < C; i++)
            query[j] += token[i] * q[i * C + j];
    }
    for (int64_t a = 0; a < t; a++) {
        double dot = 0;
        for (int j = 0; j < C; j++)
            for (int i = 0; i < C; i++)
                dot += query[j] * token[a * C + i] * k[i * C + j];
        sum += p[a] = exp(dot / sqrt(C));
    }
    for (int64_t a = 0; a < t; a++)
        for (int j = 0; j < C; j++)
            for (int i = 0; i < C; i++)
                y[j] += p[a] / sum * token[a * C + i] * v[i * C + j];
}

static void want_attention(int64_t n, int64_t hw)
{
    double tokens[64 * C], first[C], q[C * C], k[C * C], v[C * C];
    doc_draw(x, n * C * hw, "x");
    doc_draw(first, C, "token");
    doc_draw(q, C * C, "wq");
    doc_draw(k, C * C, "wk");
    doc_draw(v, C * C, "wv");
    for (int64_t s = 0; s < n; s++) {
        for (int i = 0; i < C; i++) {
            tokens[i] = first[i];
            for (int64_t a = 0; a < hw; a++)
                tokens[(a + 1) * C + i] = x[(s * C + i) * hw + a];
        }
        attend(want + s * C, tokens, hw + 1, q, k, v);
    }
}

#define ATTENTION                                                                                                      \
    NODE("MatMul", "tokens wq", "q", ""), NODE("MatMul", "tokens wk", "k", ""), NODE("MatMul", "tokens wv", "v", ""),  \
        NODE("Transpose", "k", "kt", "perm=0,2,1"), NODE("Sqrt", "scale", "root", ""),                                 \
        NODE("Mul", "q root", "qs", ""), NODE("Mul", "kt root", "ks", ""), NODE("MatMul", "qs ks", "a", ""),           \
        NODE("Softmax", "a", "p", "axis=-1"), NODE("MatMul", "p v", "o", ""), NODE("Gather", "o zero", "y", "axis=1")
#define ATTENTION_WEIGHTS                                                                                              \
    DOC_FLOATS("wq", C, C), DOC_FLOATS("wk", C, C), DOC_FLOATS("wv", C, C), DOC_SCALAR("scale", OT_FLOAT, .5),         \
        DOC_SCALAR("zero", OT_INT64, 0)

/* token.expand(n, -1, -1) as the exporter over TorchScript writes it: -1 means 1, found by Equal and Where. */
static void class_token(void)
{
    static const doc_node nodes[] = { NODE("Shape", "x", "s", ""),
                                      NODE("Slice", "s v0 v2", "nc", ""),
                                      NODE("Concat", "nc open", "to", "axis=0"),
                                      NODE("Reshape", "x to", "flat", ""),
                                      NODE("Transpose", "flat", "patches", "perm=0,2,1"),
                                      NODE("Shape", "patches", "s2", ""),
                                      NODE("Gather", "s2 zero", "n", "axis=0"),
                                      NODE("Unsqueeze", "n v0", "un", ""),
                                      NODE("Concat", "un open open", "wish", "axis=0"),
                                      NODE("Shape", "wish", "three", ""),
                                      NODE("ConstantOfShape", "three", "nought", ""),
                                      NODE("Cast", "nought", "nought64", "to=7"),
                                      NODE("Add", "nought64 v1", "ones", ""),
                                      NODE("Mul", "ones open", "minus", ""),
                                      NODE("Equal", "wish minus", "same", ""),
                                      NODE("Where", "same ones wish", "size", ""),
                                      NODE("Expand", "token size", "first", ""),
                                      NODE("Concat", "first patches", "tokens", "axis=1"),
                                      ATTENTION,
                                      { 0 } };
    const doc_tensor tensors[] = { DOC_FLOATS("token", 1, 1, C),
                                   DOC_INTS("v0", 0),
                                   DOC_INTS("v1", 1),
                                   DOC_INTS("v2", 2),
                                   DOC_INTS("open", -1),
                                   ATTENTION_WEIGHTS,
                                   { 0 } };
    const doc d = { 14, 0, "N,4,H,W", nodes, tensors };
    for (int64_t n = 1; n < 4; n++) {
        want_attention(n, 2 * n);
        doc_compare(&d, want, DOC_DIMS(n, C, 2, n), DOC_DIMS(n, C));
    }
    check_shape(&d, "y", "float[N,4]");
    doc_check_gradients(&d, DOC_DIMS(2, C, 2, 2));
}

/* An export for a batch of 1: the token was expanded, and the batch is written into the targets, with allowzero as
 * torch.export's exporter sets it.  Any batch is taken all the same. */
static void batch_of_one(void)
{
    static const doc_node nodes[] = { NODE("Reshape", "x to", "flat", "allowzero=1"),
                                      NODE("Transpose", "flat", "patches", "perm=0,2,1"),
                                      NODE("Concat", "token patches", "tokens0", "axis=1"),
                                      NODE("Reshape", "tokens0 heads", "split", ""),
                                      NODE("Reshape", "split whole", "tokens", "allowzero=1"),
                                      ATTENTION,
                                      { 0 } };
    const doc_tensor tensors[] = { DOC_FLOATS("token", 1, 1, C), DOC_INTS("to", 1, C, 6), DOC_INTS("heads", -1, 2),
                                   DOC_INTS("whole", 1, 7, C),   ATTENTION_WEIGHTS,       { 0 } };
    const doc d = { 18, 0, "1,4,2,3", nodes, tensors };
    for (int64_t n = 1; n < 4; n++) {
        want_attention(n, 6);
        doc_compare(&d, want, DOC_DIMS(n, C, 2, 3), DOC_DIMS(n, C));
    }
    doc_check_gradients(&d, DOC_DIMS(1, C, 2, 3));
}

/* Where the first sample's elements are picked out of a flat vector, a free batch would lose the others. */
static void batch_inside(void)
{
    static const doc_node nodes[] = { NODE("Reshape", "x open", "flat", ""),
                                      NODE("Gather", "flat at", "y", ""),
                                      { 0 } };
    const doc_tensor tensors[] = {
        DOC_INTS("open", -1),
        { .name = "at", .dtype = OT_INT64, .rank = 2, .dim = { 1, 2 }, .values = (const double[]){ 1, 0 } },
        { 0 }
    };
    const doc d = { 18, 0, "1,2", nodes, tensors };
    float data[4] = { 1, 2, 3, 4 };
    ot_tensor in = { .dtype = OT_FLOAT, .rank = 2, .dim = { 2, 2 }, .data = data };
    ot_model *m = doc_model(&d, false);
    ot_session *s = NULL;
    if (m && CHECK_OK(ot_session_create(&s, m, NULL))) {
        CHECK_FAILS(ot_session_run(s, &in, 1), OT_ESHAPE, "dimension 0 is 1, given [2,2]");
        in.dim[0] = 1;
        CHECK_OK(ot_session_run(s, &in, 1));
    }
    ot_session_close(s);
    ot_model_close(m);
}

/* ---- Blocks ------------------------------------------------------------------------------------------------------ */

static double hard_sigmoid(double v)
{
    return fmin(fmax(v / 6 + .5, 0), 1);
}

/* Squeeze-excite with hardsigmoid, then hardswish as opset 9 has it: Add, Clip, Mul, Div. */
static void squeeze_excite(void)
{
    static const doc_node nodes[] = { NODE("GlobalAveragePool", "x", "g", ""),
                                      NODE("Conv", "g w1 b1", "c1", "kernel_shape=1,1"),
                                      NODE("Relu", "c1", "r", ""),
                                      NODE("Conv", "r w2 b2", "c2", "kernel_shape=1,1"),
                                      NODE("HardSigmoid", "c2", "gate", "alpha=0.1666666716 beta=0.5"),
                                      NODE("Mul", "gate x", "e", ""),
                                      NODE("Add", "e three", "e3", ""),
                                      NODE("Clip", "e3", "clip", "min=0. max=6."),
                                      NODE("Mul", "e clip", "m", ""),
                                      NODE("Div", "m six", "y", ""),
                                      { 0 } };
    const doc_tensor tensors[] = { DOC_FLOATS("w1", 2, 4, 1, 1),
                                   DOC_FLOATS("b1", 2),
                                   DOC_FLOATS("w2", 4, 2, 1, 1),
                                   DOC_FLOATS("b2", 4),
                                   DOC_SCALAR("three", OT_FLOAT, 3),
                                   DOC_SCALAR("six", OT_FLOAT, 6),
                                   { 0 } };
    const doc d = { 9, 0, "N,4,H,W", nodes, tensors };
    double w1[8], b1[2], w2[8], b2[4];
    doc_draw(w1, 8, "w1");
    doc_draw(b1, 2, "b1");
    doc_draw(w2, 8, "w2");
    doc_draw(b2, 4, "b2");
    for (int64_t n = 1; n < 3; n++) {
        int64_t hw = 2 * (n + 1);
        doc_draw(x, n * 4 * hw, "x");
        for (int64_t s = 0; s < n; s++) {
            double mean[4] = { 0 }, inner[2];
            for (int64_t i = 0; i < 4 * hw; i++)
                mean[i / hw] += x[s * 4 * hw + i] / (double)hw;
            for (int o = 0; o < 2; o++) {
                inner[o] = b1[o];
                for (int i = 0; i < 4; i++)
                    inner[o] += w1[o * 4 + i] * mean[i];
                inner[o] = fmax(inner[o], 0);
            }
            for (int64_t i = 0; i < 4 * hw; i++) {
                int64_t c = i / hw;
                double e = x[s * 4 * hw + i] * hard_sigmoid(b2[c] + w2[c * 2] * inner[0] + w2[c * 2 + 1] * inner[1]);
                want[s * 4 * hw + i] = e * hard_sigmoid(e);
            }
        }
        doc_compare(&d, want, DOC_DIMS(n, 4, 2, n + 1), DOC_DIMS(n, 4, 2, n + 1));
    }
    check_shape(&d, "y", "float[N,4,H,W]");
    doc_check_gradients(&d, DOC_DIMS(2, 4, 2, 3));
}

/* LayerNorm, GELU and layer scale over channels last, spelt out as before opset 17 and 20. */
static void channels_last(void)
{
    static const doc_node nodes[] = { NODE("Transpose", "x", "t", "perm=0,2,3,1"),
                                      NODE("ReduceMean", "t", "mean", "axes=-1,"),
                                      NODE("Sub", "t mean", "off", ""),
                                      NODE("Cast", "off", "off2", "to=1"),
                                      NODE("Pow", "off two", "sq", ""),
                                      NODE("ReduceMean", "sq", "var", "axes=-1,"),
                                      NODE("Add", "var eps", "ve", ""),
                                      NODE("Sqrt", "ve", "std", ""),
                                      NODE("Div", "off std", "norm", ""),
                                      NODE("Mul", "norm scale", "ns", ""),
                                      NODE("Add", "ns shift", "ln", ""),
                                      NODE("Div", "ln root2", "l2", ""),
                                      NODE("Erf", "l2", "erf", ""),
                                      NODE("Add", "erf one", "e1", ""),
                                      NODE("Mul", "ln e1", "le", ""),
                                      NODE("Mul", "le half", "gelu", ""),
                                      NODE("Transpose", "gelu", "back", "perm=0,3,1,2"),
                                      NODE("Mul", "gamma back", "scaled", ""),
                                      NODE("Add", "x scaled", "y", ""),
                                      { 0 } };
    const doc_tensor tensors[] = { DOC_SCALAR("two", OT_FLOAT, 2),
                                   DOC_SCALAR("eps", OT_FLOAT, 1e-6),
                                   DOC_SCALAR("root2", OT_FLOAT, 1.4142135381698608),
                                   DOC_SCALAR("one", OT_FLOAT, 1),
                                   DOC_SCALAR("half", OT_FLOAT, .5),
                                   DOC_FLOATS("scale", 5),
                                   DOC_FLOATS("shift", 5),
                                   DOC_FLOATS("gamma", 5, 1, 1),
                                   { 0 } };
    const doc d = { 13, 0, "N,5,H,W", nodes, tensors };
    double scale[5], shift[5], gamma[5];
    doc_draw(scale, 5, "scale");
    doc_draw(shift, 5, "shift");
    doc_draw(gamma, 5, "gamma");
    for (int64_t n = 1; n < 3; n++) {
        int64_t hw = 2 * n;
        doc_draw(x, n * 5 * hw, "x");
        for (int64_t p = 0; p < n * hw; p++) {
            const double *at = x + p / hw * 5 * hw + p % hw;
            double *to = want + (at - x), mean = 0, var = 0;
            for (int c = 0; c < 5; c++)
                mean += at[c * hw] / 5;
            for (int c = 0; c < 5; c++)
                var += (at[c * hw] - mean) * (at[c * hw] - mean) / 5;
            for (int c = 0; c < 5; c++) {
                double v = (at[c * hw] - mean) / sqrt(var + 1e-6) * scale[c] + shift[c];
                to[c * hw] = at[c * hw] + gamma[c] * .5 * v * (1 + erf(v / sqrt(2)));
            }
        }
        doc_compare(&d, want, DOC_DIMS(n, 5, 2, n), DOC_DIMS(n, 5, 2, n));
    }
    doc_check_gradients(&d, DOC_DIMS(2, 5, 2, 2));
}

/* Channel shuffle of two groups, and halves by Split, as opset 9 writes them for a free batch. */
static void shuffle(void)
{
    static const doc_node nodes[] = { NODE("Split", "x", "a b", "axis=1 split=2,2"),
                                      NODE("Relu", "b", "rb", ""),
                                      NODE("Concat", "a rb", "cat", "axis=1"),
                                      NODE("Shape", "cat", "s", ""),
                                      NODE("Gather", "s zero", "n", "axis=0"),
                                      NODE("Gather", "s two", "h", "axis=0"),
                                      NODE("Unsqueeze", "n", "un", "axes=0,"),
                                      NODE("Unsqueeze", "h", "uh", "axes=0,"),
                                      NODE("Concat", "un v2 v2 uh v3", "to", "axis=0"),
                                      NODE("Reshape", "cat to", "groups", ""),
                                      NODE("Transpose", "groups", "t", "perm=0,2,1,3,4"),
                                      NODE("Concat", "un v4 uh v3", "back", "axis=0"),
                                      NODE("Reshape", "t back", "y", ""),
                                      { 0 } };
    const doc_tensor tensors[] = { DOC_SCALAR("zero", OT_INT64, 0),
                                   DOC_SCALAR("two", OT_INT64, 2),
                                   DOC_INTS("v2", 2),
                                   DOC_INTS("v3", 3),
                                   DOC_INTS("v4", 4),
                                   { 0 } };
    const doc d = { 9, 0, "N,4,H,3", nodes, tensors };
    for (int64_t n = 1; n < 3; n++) {
        int64_t hw = 3 * (n + 1);
        doc_draw(x, n * 4 * hw, "x");
        for (int64_t i = 0; i < n * 4 * hw; i++) {
            int64_t c = i / hw % 4, from = c % 2 * 2 + c / 2;
            double v = x[(i / hw / 4 * 4 + from) * hw + i % hw];
            want[i] = from > 1 ? fmax(v, 0) : v;
        }
        doc_compare(&d, want, DOC_DIMS(n, 4, n + 1, 3), DOC_DIMS(n, 4, n + 1, 3));
    }
    check_shape(&d, "y", "float[N,4,H,3]");
    doc_check_gradients(&d, DOC_DIMS(2, 4, 2, 3));
}

/* squeeze(-1) of a dimension that the exporter did not know: an If that the shapes decide. */
static void squeeze_if(void)
{
    static const doc_node then_nodes[] = { NODE("Squeeze", "sum", "squeezed", "axes=-1,"), { 0 } };
    static const doc_node else_nodes[] = { NODE("Identity", "sum", "kept", ""), { 0 } };
    static const doc then = { .nodes = then_nodes }, otherwise = { .nodes = else_nodes };
    static const doc_node nodes[] = { NODE("ReduceSum", "x", "sum", "axes=2, keepdims=1"),
                                      NODE("Shape", "sum", "s", ""),
                                      NODE("Gather", "s last", "n", "axis=0"),
                                      NODE("Equal", "n one", "single", ""),
                                      { "If", "single", "z", NULL, &then, &otherwise },
                                      NODE("Neg", "z", "y", ""),
                                      { 0 } };
    const doc_tensor tensors[] = { DOC_SCALAR("last", OT_INT64, -1), DOC_SCALAR("one", OT_INT64, 1), { 0 } };
    doc d = { 11, 0, "N,2,W", nodes, tensors };
    doc_draw(x, 12, "x");
    for (int i = 0; i < 4; i++)
        want[i] = -(x[3 * i] + x[3 * i + 1] + x[3 * i + 2]);
    doc_compare(&d, want, DOC_DIMS(2, 2, 3), DOC_DIMS(2, 2));
    check_shape(&d, "y", "float[N,2]");
    doc_check_gradients(&d, DOC_DIMS(2, 2, 3));
    static const doc_node open[] = { NODE("Shape", "x", "s", ""),
                                     NODE("Gather", "s last", "n", "axis=0"),
                                     NODE("Equal", "n one", "single", ""),
                                     NODE("Relu", "x", "sum", ""),
                                     { "If", "single", "y", NULL, &then, &otherwise },
                                     { 0 } };
    d.nodes = open; /* W is known only when the model runs, and then decides */
    for (int i = 0; i < 12; i++)
        want[i] = fmax(x[i], 0);
    doc_compare(&d, want, DOC_DIMS(2, 2, 3), DOC_DIMS(2, 2, 3));
    doc_compare(&d, want, DOC_DIMS(2, 2, 1), DOC_DIMS(2, 2));
}

const ot_test exports_tests[] = {
    { "flattened", flattened },         { "windows", windows },
    { "class token", class_token },     { "batch of one", batch_of_one },
    { "batch inside", batch_inside },   { "squeeze-excite", squeeze_excite },
    { "channels last", channels_last }, { "shuffle", shuffle },
    { "squeeze by if", squeeze_if },    { 0 },
};
