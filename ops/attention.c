/* Attention: Y = softmax(cap(Q K' scale) + bias) V for each batch index and head; a group of heads of Q shares a head
 * of K and V.  Q, K and V are [batch, heads, steps, size], or [batch, steps, heads * size] with the numbers of heads as
 * attributes.  past_key and past_value come before K and V.  The bias is -inf where a key is not to be seen: by
 * attn_mask, by is_causal, by the windows, or for being padding (nonpad_kv_seqlen); a float attn_mask is added.  A row
 * that sees no key gives zeros.
 *
 * The operator is a composite.  Heads that share K and V are rows of one product, so K and V are not repeated. */
#include "attention.h"
#include "run.h"

#include <math.h>

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_PAST_K, IN_PAST_V, IN_NONPAD };
enum { MODE_PRODUCT, MODE_CAPPED, MODE_BIASED, MODE_SOFTMAX };

#define INTS(b, ...)                                                                                                   \
    ot_const_ints(b, (int)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)),                                \
                  (const int64_t[]){ __VA_ARGS__ })

static int rank_of(const ot_build *b, ot_val v)
{
    return ot_fact_of(b, v)->rank;
}

/* Dims from .. to-1 of v as a vector. */
static ot_val dims(ot_build *b, ot_val v, int from, int to)
{
    return OT_EMIT_WITH(b, "Shape", OT_ATTRS(OT_INT("start", from), OT_INT("end", to)), v);
}

static ot_val join(ot_build *b, int n, const ot_val *part)
{
    return ot_emit(b, "Concat", OT_ATTRS(OT_INT("axis", 0)), n, part);
}
#define JOIN(b, ...)                                                                                                   \
    join(b, (int)(sizeof((const ot_val[]){ __VA_ARGS__ }) / sizeof(ot_val)), (const ot_val[]){ __VA_ARGS__ })

static ot_val transposed(ot_build *b, ot_val v, const int64_t perm[4])
{
    return OT_EMIT_WITH(b, "Transpose", OT_ATTRS(OT_INTS("perm", perm, 4)), v);
}

ot_val ot_as_type(ot_build *b, ot_val v, ot_dtype to)
{
    return ot_fact_of(b, v)->dtype == to ? v : OT_EMIT_WITH(b, "Cast", OT_ATTRS(OT_INT("to", to)), v);
}

static const int64_t swap_middle[] = { 0, 2, 1, 3 }, swap_last[] = { 0, 1, 3, 2 };

/* ---- Shapes in and out ----------------------------------------------------------------------------------------- */

/* [batch, steps, heads * size] as [batch, heads, steps, size]. */
static ot_val with_heads(ot_build *b, ot_val v, int64_t heads)
{
    const ot_dim all = ot_fact_of(b, v)->dim[2];
    if (!ot_is_symbol(all) && all % heads != 0)
        ot_build_fail(b, ot_fail(OT_ESHAPE, "%lld elements for %lld heads", (long long)all, (long long)heads));
    const ot_val split = OT_EMIT(b, "Reshape", v, INTS(b, 0, 0, heads, ot_is_symbol(all) ? -1 : all / heads));
    return transposed(b, split, swap_middle);
}

/* [batch, heads, steps, size] as [batch, steps, heads * size]. */
static ot_val without_heads(ot_build *b, ot_val v)
{
    const ot_val t = transposed(b, v, swap_middle);
    const ot_fact *f = ot_fact_of(b, t);
    const bool known = f->rank == 4 && !ot_is_symbol(f->dim[2]) && !ot_is_symbol(f->dim[3]);
    return OT_EMIT(b, "Reshape", t, INTS(b, 0, 0, known ? f->dim[2] * f->dim[3] : -1));
}

static ot_status check(const ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const int64_t q = ot_attr_int(n, "q_num_heads", 0), kv = ot_attr_int(n, "kv_num_heads", 0);
    const int rank = rank_of(b, ot_x(b, IN_Q)), mode = (int)ot_attr_int(n, "qk_matmul_output_mode", 0);
    for (int i = IN_Q; i <= IN_V; i++)
        if (ot_x(b, i) == OT_NONE || rank_of(b, ot_x(b, i)) != rank || (rank != 3 && rank != 4))
            return ot_fail(OT_ESHAPE, "Q, K and V must be there with a known rank of 3 or 4");
    if (rank == 3 && (q < 1 || kv < 1))
        return ot_fail(OT_EMODEL, "q_num_heads is %lld, kv_num_heads %lld", (long long)q, (long long)kv);
    for (int i = IN_PAST_K; i <= IN_PAST_V; i++)
        if (ot_x(b, i) != OT_NONE && rank_of(b, ot_x(b, i)) != 4)
            return ot_fail(OT_ESHAPE, "past_key and past_value must have a known rank of 4");
    if ((ot_x(b, IN_PAST_K) == OT_NONE) != (ot_x(b, IN_PAST_V) == OT_NONE))
        return ot_fail(OT_EMODEL, "past_key and past_value come together");
    if (ot_x(b, IN_PAST_K) != OT_NONE && ot_x(b, IN_NONPAD) != OT_NONE)
        return ot_fail(OT_EMODEL, "nonpad_kv_seqlen does not go with past_key");
    if (ot_x(b, IN_MASK) != OT_NONE && (rank_of(b, ot_x(b, IN_MASK)) < 1 || rank_of(b, ot_x(b, IN_MASK)) > 4))
        return ot_fail(OT_ESHAPE, "attn_mask must have a known rank of 1 to 4");
    if (mode < MODE_PRODUCT || mode > MODE_SOFTMAX)
        return ot_fail(OT_EMODEL, "qk_matmul_output_mode is %d", mode);
    return OT_OK;
}

/* ---- The bias -------------------------------------------------------------------------------------------------- */

static ot_val minus_inf(ot_build *b, ot_val allowed, ot_dtype t)
{
    return OT_EMIT(b, "Where", allowed, ot_const_scalar(b, t, 0), ot_const_scalar(b, t, -INFINITY));
}

/* attn_mask as a bias of the type of Q.  Keys that it says nothing of, at the end, are not to be seen. */
static ot_val mask_bias(ot_build *b, ot_val mask, ot_val k, ot_dtype t)
{
    const int rank = rank_of(b, mask);
    mask = ot_fact_of(b, mask)->dtype == OT_BOOL ? minus_inf(b, mask, t) : ot_as_type(b, mask, t);
    const ot_dim have = ot_fact_of(b, mask)->dim[rank - 1], want = ot_fact_of(b, k)->dim[2];
    if (have == want)
        return mask;
    ot_val lacking = OT_EMIT(b, "Sub", dims(b, k, 2, 3), dims(b, mask, rank - 1, rank));
    lacking = OT_EMIT(b, "Max", lacking, INTS(b, 0));
    static const int64_t none[8] = { 0 };
    const ot_val pads = JOIN(b, ot_const_ints(b, 2 * rank - 1, none), lacking);
    return OT_EMIT(b, "Pad", mask, pads, ot_const_scalar(b, t, -INFINITY));
}

/* 0 .. n-1, n a vector of one. */
static ot_val count(ot_build *b, ot_val n)
{
    const ot_val zero = ot_const_scalar(b, OT_INT64, 0), one = ot_const_scalar(b, OT_INT64, 1);
    return OT_EMIT(b, "Range", zero, OT_EMIT(b, "Squeeze", n, INTS(b, 0)), one);
}

static ot_val both(ot_build *b, ot_val a, ot_val c)
{
    return a == OT_NONE ? c : OT_EMIT(b, "And", a, c);
}

/* Which keys a query may see by is_causal, the windows and nonpad_kv_seqlen; OT_NONE: all. */
static ot_val allowed_keys(ot_build *b, ot_val q, ot_val k)
{
    const ot_node *n = ot_the_node(b);
    const bool causal = ot_attr_int(n, "is_causal", 0) != 0;
    const int64_t left = ot_attr_int(n, "left_window_size", -1), right = ot_attr_int(n, "right_window_size", -1);
    ot_val allowed = OT_NONE, nonpad = ot_x(b, IN_NONPAD);
    if (left < -1 || right < -1)
        ot_build_fail(b, ot_fail(OT_EMODEL, "windows of %lld and %lld", (long long)left, (long long)right));
    if (!causal && left < 0 && right < 0 && nonpad == OT_NONE)
        return OT_NONE;
    const ot_val steps = dims(b, q, 2, 3), key = count(b, dims(b, k, 2, 3));
    if (nonpad != OT_NONE)
        nonpad = OT_EMIT(b, "Unsqueeze", nonpad, INTS(b, 1, 2, 3));
    if (causal || left >= 0 || right >= 0) {
        ot_val at = OT_EMIT(b, "Unsqueeze", count(b, steps), INTS(b, 1)); /* the place of a query among the keys */
        if (ot_x(b, IN_PAST_K) != OT_NONE)
            at = OT_EMIT(b, "Add", at, dims(b, ot_x(b, IN_PAST_K), 2, 3));
        else if (nonpad != OT_NONE)
            at = OT_EMIT(b, "Add", at, OT_EMIT(b, "Sub", nonpad, steps));
        if (causal)
            allowed = OT_EMIT(b, "LessOrEqual", key, at);
        if (left >= 0)
            allowed = both(b, allowed, OT_EMIT(b, "GreaterOrEqual", key, OT_EMIT(b, "Sub", at, INTS(b, left))));
        if (right >= 0)
            allowed = both(b, allowed, OT_EMIT(b, "LessOrEqual", key, OT_EMIT(b, "Add", at, INTS(b, right))));
    }
    return nonpad == OT_NONE ? allowed : both(b, allowed, OT_EMIT(b, "Less", key, nonpad));
}

static ot_val bias_of(ot_build *b, ot_val q, ot_val k)
{
    const ot_dtype t = ot_fact_of(b, q)->dtype;
    const ot_val allowed = allowed_keys(b, q, k);
    ot_val bias = ot_x(b, IN_MASK) == OT_NONE ? OT_NONE : mask_bias(b, ot_x(b, IN_MASK), k, t);
    if (allowed == OT_NONE)
        return bias;
    const ot_val hidden = minus_inf(b, allowed, t);
    return bias == OT_NONE ? hidden : OT_EMIT(b, "Add", bias, hidden);
}

/* ---- The operator ---------------------------------------------------------------------------------------------- */

/* Heads of a (and dims behind, as they are there) as rows of the heads of k: [batch, kv heads, .., last of a]. */
static ot_val in_groups(ot_build *b, ot_val a, ot_val k)
{
    const ot_dim *d = ot_fact_of(b, a)->dim, *e = ot_fact_of(b, k)->dim;
    if (d[1] == e[1])
        return a;
    if (!ot_is_symbol(d[1]) && !ot_is_symbol(e[1]) && (e[1] == 0 || d[1] % e[1] != 0)) {
        ot_build_fail(b, ot_fail(OT_ESHAPE, "%lld heads of Q for %lld of K", (long long)d[1], (long long)e[1]));
        return a;
    }
    const bool known = !ot_is_symbol(d[1]) && !ot_is_symbol(e[1]) && !ot_is_symbol(d[2]);
    const ot_val rows = INTS(b, known ? d[1] / e[1] * d[2] : -1);
    return OT_EMIT(b, "Reshape", a, JOIN(b, dims(b, a, 0, 1), dims(b, k, 1, 2), rows, dims(b, a, 3, 4)));
}

/* Back to the heads of q; the last dimension stays. */
static ot_val from_groups(ot_build *b, ot_val a, ot_val q, ot_val k)
{
    if (ot_fact_of(b, q)->dim[1] == ot_fact_of(b, k)->dim[1])
        return a;
    return OT_EMIT(b, "Reshape", a, JOIN(b, dims(b, q, 0, 3), dims(b, a, 3, 4)));
}

static ot_val scaled(ot_build *b, ot_val q, ot_val v)
{
    const ot_attr *scale = ot_attr_find(ot_the_node(b), "scale");
    const ot_dtype t = ot_fact_of(b, v)->dtype;
    const ot_dim size = ot_fact_of(b, q)->dim[3];
    if (scale || !ot_is_symbol(size)) {
        const double s = scale ? scale->f : size ? 1 / sqrt((double)size) : 1;
        return OT_EMIT(b, "Mul", v, ot_const_scalar(b, t, sqrt(s)));
    }
    const ot_val root = OT_EMIT(b, "Sqrt", ot_as_type(b, dims(b, q, 3, 4), OT_DOUBLE));
    return OT_EMIT(b, "Mul", v, ot_as_type(b, OT_EMIT(b, "Sqrt", OT_EMIT(b, "Reciprocal", root)), t));
}

ot_val ot_attention_scores(ot_build *b, ot_val q, ot_val k)
{
    const ot_val turned = transposed(b, scaled(b, q, k), swap_last);
    return from_groups(b, OT_EMIT(b, "MatMul", in_groups(b, scaled(b, q, q), k), turned), q, k);
}

ot_val ot_attention_sums(ot_build *b, ot_val weights, ot_val q, ot_val v)
{
    const ot_val w = in_groups(b, ot_as_type(b, weights, ot_fact_of(b, v)->dtype), v);
    return from_groups(b, OT_EMIT(b, "MatMul", w, v), q, v);
}

/* softmax(scores + bias), with zeros where no key is seen: there nothing is hidden in between, so that no NaN comes up.
 */
static ot_val weights_of(ot_build *b, ot_val scores, ot_val bias)
{
    const ot_dtype t = ot_fact_of(b, scores)->dtype;
    const ot_dtype precision = (ot_dtype)ot_attr_int(ot_the_node(b), "softmax_precision", t);
    const ot_attr *keep = OT_ATTRS(OT_INT("keepdims", 1));
    ot_val blind = OT_NONE;
    if (bias != OT_NONE) {
        const ot_val zero = ot_const_scalar(b, t, 0), most = OT_EMIT_WITH(b, "ReduceMax", keep, bias, INTS(b, -1));
        blind = OT_EMIT(b, "Equal", most, ot_const_scalar(b, t, -INFINITY));
        scores = OT_EMIT(b, "Add", scores, OT_EMIT(b, "Where", blind, zero, bias));
    }
    ot_val p = OT_EMIT_WITH(b, "Softmax", OT_ATTRS(OT_INT("axis", -1)), ot_as_type(b, scores, precision));
    p = ot_as_type(b, p, t);
    return blind == OT_NONE ? p : OT_EMIT(b, "Where", blind, ot_const_scalar(b, t, 0), p);
}

static void compose(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const ot_status st = check(b);
    if (st != OT_OK) {
        ot_build_fail(b, st);
        return;
    }
    const bool flat = rank_of(b, ot_x(b, IN_Q)) == 3;
    const int64_t mode = ot_attr_int(n, "qk_matmul_output_mode", 0), kv_heads = ot_attr_int(n, "kv_num_heads", 0);
    const double cap = ot_attr_float(n, "softcap", 0);
    ot_val q = ot_x(b, IN_Q), k = ot_x(b, IN_K), v = ot_x(b, IN_V);
    const ot_dtype t = ot_fact_of(b, q)->dtype;
    if (flat) {
        q = with_heads(b, q, ot_attr_int(n, "q_num_heads", 0));
        k = with_heads(b, k, kv_heads);
        v = with_heads(b, v, kv_heads);
    }
    if (ot_x(b, IN_PAST_K) != OT_NONE) {
        k = OT_EMIT_WITH(b, "Concat", OT_ATTRS(OT_INT("axis", 2)), ot_x(b, IN_PAST_K), k);
        v = OT_EMIT_WITH(b, "Concat", OT_ATTRS(OT_INT("axis", 2)), ot_x(b, IN_PAST_V), v);
    }
    ot_val scores = ot_attention_scores(b, q, k), shown = scores;
    if (cap > 0) {
        const ot_val by = ot_const_scalar(b, t, cap);
        scores = OT_EMIT(b, "Mul", OT_EMIT(b, "Tanh", OT_EMIT(b, "Div", scores, by)), by);
    }
    const ot_val bias = bias_of(b, q, k), weights = weights_of(b, scores, bias);
    if (mode == MODE_CAPPED || mode == MODE_BIASED)
        shown = scores;
    if (mode == MODE_BIASED && bias != OT_NONE && n->n_out > 3)
        shown = OT_EMIT(b, "Add", scores, bias);
    if (mode == MODE_SOFTMAX)
        shown = weights;
    const ot_val y = ot_as_type(b, ot_attention_sums(b, weights, q, v), t);
    const ot_val out[] = { flat ? without_heads(b, y) : y, k, v, shown };
    ot_becomes(b, 0, out[0]);
    for (int i = 1; i < n->n_out; i++)
        ot_becomes(b, i, OT_EMIT(b, "Identity", out[i]));
}

const ot_op ot_op_Attention = { .domain = "",
                                .name = "Attention",
                                .since = 23,
                                .until = OT_LATEST,
                                .min_in = 3,
                                .max_in = 7,
                                .min_out = 1,
                                .max_out = 4,
                                .compose = compose };

/* ---- SwiGLU ---------------------------------------------------------------------------------------------------- */

/* SwiGLU: y = a sigmoid(alpha a) b. */
static void swiglu_compose(ot_build *b)
{
    const ot_fact *x = ot_fact_of(b, ot_x(b, 0)), *y = ot_fact_of(b, ot_x(b, 1));
    for (int d = 0; d < x->rank || d < y->rank; d++)
        if (x->rank >= 0 && y->rank >= 0 &&
            (x->rank != y->rank || (!ot_is_symbol(x->dim[d]) && !ot_is_symbol(y->dim[d]) && x->dim[d] != y->dim[d]))) {
            ot_build_fail(b,
                          ot_fail(OT_ESHAPE, "A is %s, B is %s", OT_DIMS(x->rank, x->dim), OT_DIMS(y->rank, y->dim)));
            return;
        }
    const double alpha = ot_attr_float(ot_the_node(b), "alpha", 1);
    const ot_val gate = OT_EMIT_WITH(b, "Swish", OT_ATTRS(OT_REAL("alpha", alpha)), ot_x(b, 0));
    ot_becomes(b, 0, OT_EMIT(b, "Mul", gate, ot_x(b, 1)));
}

const ot_op ot_op_SwiGLU = { .domain = "",
                             .name = "SwiGLU",
                             .since = 28,
                             .until = OT_LATEST,
                             .min_in = 2,
                             .max_in = 2,
                             .min_out = 1,
                             .max_out = 1,
                             .compose = swiglu_compose };
