/* RotaryEmbedding: pairs of elements (the two halves of what is rotated, or neighbours if interleaved) turned by the
 * angle of their step: (c x1 - s x2, s x1 + c x2).  X is [batch, heads, steps, size] or [batch, steps, heads * size];
 * only the first rotary_embedding_dim elements of a head turn, all if it is 0.  The caches hold a row for each
 * position, taken by position_ids [batch, steps], or are [batch, steps, pairs] already.
 *
 * CausalConvWithState: a depthwise convolution along the last dim that sees k - 1 steps before each: of past_state, or
 * zeros; then x sigmoid(x) with activation silu.  present_state are the last k - 1 steps.
 *
 * Both are composites. */
#include "run.h"

#include <string.h>

#define INTS(b, ...)                                                                                                   \
    ot_const_ints(b, (int)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)),                                \
                  (const int64_t[]){ __VA_ARGS__ })

/* Elements from, from + step .. below `to` along the last axis. */
static ot_val part(ot_build *b, ot_val v, int64_t from, int64_t to, int64_t step)
{
    return OT_EMIT(b, "Slice", v, INTS(b, from), INTS(b, to), INTS(b, -1), INTS(b, step));
}

static ot_val last_joined(ot_build *b, ot_val a, ot_val c)
{
    return OT_EMIT_WITH(b, "Concat", OT_ATTRS(OT_INT("axis", -1)), a, c);
}

/* v turned; c and s broadcast to its pairs. */
static ot_val turned(ot_build *b, ot_val v, ot_val c, ot_val s, bool interleaved)
{
    ot_val x[2];
    if (interleaved) {
        x[0] = part(b, v, 0, INT64_MAX, 2);
        x[1] = part(b, v, 1, INT64_MAX, 2);
    } else {
        ot_emit_outputs(b, "Split", OT_ATTRS(OT_INT("axis", -1), OT_INT("num_outputs", 2)), 1, &v, 2, x);
    }
    ot_val real = OT_EMIT(b, "Sub", OT_EMIT(b, "Mul", c, x[0]), OT_EMIT(b, "Mul", s, x[1]));
    ot_val imaginary = OT_EMIT(b, "Add", OT_EMIT(b, "Mul", s, x[0]), OT_EMIT(b, "Mul", c, x[1]));
    if (!interleaved)
        return last_joined(b, real, imaginary);
    real = OT_EMIT(b, "Unsqueeze", real, INTS(b, -1));
    imaginary = OT_EMIT(b, "Unsqueeze", imaginary, INTS(b, -1));
    return OT_EMIT(b, "ReshapeLike", last_joined(b, real, imaginary), v);
}

static ot_status check(const ot_build *b, int64_t heads, int64_t turning)
{
    const ot_fact *x = ot_fact_of(b, ot_x(b, 0)), *c = ot_fact_of(b, ot_x(b, 1)), *s = ot_fact_of(b, ot_x(b, 2));
    const bool placed = ot_x(b, 3) != OT_NONE;
    if (x->rank != 3 && x->rank != 4)
        return ot_fail(OT_ESHAPE, "X must have a known rank of 3 or 4");
    if (x->rank == 3 && (heads < 1 || (!ot_is_symbol(x->dim[2]) && x->dim[2] % heads != 0)))
        return ot_fail(OT_ESHAPE, "num_heads is %lld, X is %s", (long long)heads, OT_DIMS(x->rank, x->dim));
    if (c->rank != (placed ? 2 : 3) || s->rank != c->rank)
        return ot_fail(OT_ESHAPE, "cos_cache has rank %d, sin_cache %d, wanted is %d", c->rank, s->rank,
                       placed ? 2 : 3);
    ot_dim size = x->rank == 4 ? x->dim[3] : ot_is_symbol(x->dim[2]) ? x->dim[2] : x->dim[2] / heads;
    if (turning < 0 || turning % 2 != 0 || (!ot_is_symbol(size) && (turning > size || (turning == 0 && size % 2 != 0))))
        return ot_fail(OT_ESHAPE, "rotary_embedding_dim is %lld", (long long)turning);
    size = turning ? turning : size;
    for (int i = 1; i <= 2; i++) {
        const ot_dim pairs = ot_fact_of(b, ot_x(b, i))->dim[c->rank - 1];
        if (!ot_is_symbol(pairs) && !ot_is_symbol(size) && 2 * pairs != size)
            return ot_fail(OT_ESHAPE, "the caches have %lld pairs for %lld elements", (long long)pairs,
                           (long long)size);
    }
    return OT_OK;
}

static void rotary_compose(ot_build *b)
{
    const ot_node *n = ot_the_node(b);
    const int64_t heads = ot_attr_int(n, "num_heads", 0), turning = ot_attr_int(n, "rotary_embedding_dim", 0);
    const ot_status st = check(b, heads, turning);
    if (st != OT_OK) {
        ot_build_fail(b, st);
        return;
    }
    ot_val x = ot_x(b, 0), cache[2];
    const bool flat = ot_fact_of(b, x)->rank == 3;
    if (flat) {
        const ot_dim all = ot_fact_of(b, x)->dim[2];
        x = OT_EMIT(b, "Reshape", x, INTS(b, 0, 0, heads, ot_is_symbol(all) ? -1 : all / heads));
    }
    for (int i = 0; i < 2; i++) {
        cache[i] = ot_x(b, i + 1);
        if (ot_x(b, 3) != OT_NONE)
            cache[i] = OT_EMIT(b, "Gather", cache[i], ot_x(b, 3));
        cache[i] = OT_EMIT(b, "Unsqueeze", cache[i], INTS(b, flat ? 2 : 1));
    }
    const ot_val turn = turning ? part(b, x, 0, turning, 1) : x;
    ot_val y = turned(b, turn, cache[0], cache[1], ot_attr_int(n, "interleaved", 0) != 0);
    if (turning)
        y = last_joined(b, y, part(b, x, turning, INT64_MAX, 1));
    ot_becomes(b, 0, flat ? OT_EMIT(b, "ReshapeLike", y, ot_x(b, 0)) : y);
}

const ot_op ot_op_RotaryEmbedding = { .domain = "",
                                      .name = "RotaryEmbedding",
                                      .since = 23,
                                      .until = OT_LATEST,
                                      .min_in = 3,
                                      .max_in = 4,
                                      .min_out = 1,
                                      .max_out = 1,
                                      .compose = rotary_compose };

/* ---- CausalConvWithState --------------------------------------------------------------------------------------- */

static void causal_compose(ot_build *b)
{
    const char *act = ot_attr_text(ot_the_node(b), "activation", "none");
    const bool silu = strcmp(act, "silu") == 0 || strcmp(act, "swish") == 0;
    const ot_fact *x = ot_fact_of(b, ot_x(b, 0)), *w = ot_fact_of(b, ot_x(b, 1));
    if (!silu && strcmp(act, "none") != 0)
        ot_build_fail(b, ot_fail(OT_EMODEL, "activation is '%.40s'", act));
    else if (x->rank != 3 || w->rank != 3)
        ot_build_fail(b, ot_fail(OT_ESHAPE, "input and weight must have a known rank of 3"));
    else if (ot_is_symbol(w->dim[0]) || ot_is_symbol(w->dim[2]) || w->dim[0] < 1 || w->dim[2] < 1)
        ot_build_fail(b, ot_fail(OT_ESHAPE, "weight is %s, wanted are numbers", OT_DIMS(w->rank, w->dim)));
    else {
        const int64_t channels = w->dim[0], before = w->dim[2] - 1;
        ot_val past = ot_x(b, 3);
        ot_val all = past != OT_NONE ? last_joined(b, past, ot_x(b, 0))
                                     : OT_EMIT(b, "Pad", ot_x(b, 0), INTS(b, 0, 0, before, 0, 0, 0));
        const ot_val in[] = { all, ot_x(b, 1), ot_x(b, 2) };
        ot_val y = ot_emit(b, "Conv", OT_ATTRS(OT_INT("group", channels)), 3, in);
        ot_becomes(b, 0, silu ? OT_EMIT(b, "Swish", y) : y);
        if (ot_the_node(b)->n_out > 1)
            ot_becomes(b, 1, part(b, all, before ? -before : INT64_MAX, INT64_MAX, 1));
    }
}

const ot_op ot_op_CausalConvWithState = { .domain = "",
                                          .name = "CausalConvWithState",
                                          .since = 27,
                                          .until = OT_LATEST,
                                          .min_in = 2,
                                          .max_in = 4,
                                          .min_out = 1,
                                          .max_out = 2,
                                          .compose = causal_compose };
