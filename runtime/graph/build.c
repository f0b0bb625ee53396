/* Building: nodes are made with their facts, so that a graph is typed and shaped at every moment. */
#include "graph/graph.h"

#include <string.h>

const ot_attr *ot_attr_find(const ot_node *n, const char *name)
{
    for (const ot_attr *a = n->attr; a && a->name; a++)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

int64_t ot_attr_int(const ot_node *n, const char *name, int64_t otherwise)
{
    const ot_attr *a = ot_attr_find(n, name);
    return a && a->type == OT_ATTR_INT ? a->i : otherwise;
}

double ot_attr_float(const ot_node *n, const char *name, double otherwise)
{
    const ot_attr *a = ot_attr_find(n, name);
    return a && a->type == OT_ATTR_FLOAT ? a->f : otherwise;
}

const char *ot_attr_text(const ot_node *n, const char *name, const char *otherwise)
{
    const ot_attr *a = ot_attr_find(n, name);
    return a && a->type == OT_ATTR_STRING ? a->s : otherwise;
}

const int64_t *ot_attr_ints(const ot_node *n, const char *name, int *count)
{
    const ot_attr *a = ot_attr_find(n, name);
    bool there = a && a->type == OT_ATTR_INTS;
    *count = there ? a->n : 0;
    return there ? a->ints : NULL;
}

ot_dim *ot_value_alloc(ot_infer *c, int n)
{
    return ot_arena_calloc(c->arena, (size_t)n + 1, sizeof(ot_dim));
}

#define MAX_SPAN ((int64_t)1 << 44)

ot_status ot_check_span(int rank, const ot_dim *dim)
{
    int64_t span = 1;
    for (int i = 0; i < rank; i++)
        if (dim[i] > 0 && (__builtin_mul_overflow(span, dim[i], &span) || span > MAX_SPAN))
            return ot_fail(OT_ENOMEM, "the dims %s have a product over 2^44", OT_DIMS(rank, dim));
    return OT_OK;
}

/* Elements that do not fill the dims are no value. */
static void check_value(ot_fact *y)
{
    int64_t n;
    if (y->value && (y->rank < 0 || (ot_count(&n, y->rank, y->dim) && n != y->n_value)))
        y->value = NULL;
    if (!y->value)
        y->n_value = 0;
}

static void forget(const ot_node *n, ot_fact *y)
{
    for (int i = 0; i < n->n_out; i++)
        y[i] = (ot_fact){ .kind = OT_TENSOR, .rank = -1 };
}

/* Rules and kernels rely on it that values are tensors, but for those of operators that flow. */
static ot_status check_kinds(const ot_node *n, const ot_fact *const *x)
{
    static const char *const kinds[] = { "a tensor", "a sequence", "an optional", "a map" };
    for (int i = 0; i < n->n_in && !n->op->flow; i++)
        if (x[i] && x[i]->kind != OT_TENSOR)
            return ot_fail(OT_EMODEL, "input %d is %s, not a tensor", i, kinds[x[i]->kind]);
    return OT_OK;
}

static bool is_vague(const ot_fact *x)
{
    return x && (x->rank < 0 || x->dtype == OT_UNDEFINED);
}

ot_status ot_infer_node(ot_graph *g, ot_arena *arena, const ot_node *n, const ot_fact *const *fact_of_value,
                        const ot_tensor *const *known, ot_fact *y)
{
    const ot_fact **x = ot_arena_calloc(arena, (size_t)n->n_in + 1, sizeof(*x));
    const ot_tensor **constant = ot_arena_calloc(arena, (size_t)n->n_in + 1, sizeof(*constant));
    if (!x || !constant)
        return OT_ENOMEM;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] == OT_NONE)
            continue;
        const ot_value *v = &g->value[n->in[i]];
        x[i] = fact_of_value ? fact_of_value[n->in[i]] : &v->fact;
        constant[i] = v->origin == OT_FROM_CONSTANT ? v->tensor : known ? known[n->in[i]] : NULL;
    }
    return ot_infer_inputs(g, arena, n, x, constant, y);
}

ot_status ot_infer_inputs(ot_graph *g, ot_arena *arena, const ot_node *n, const ot_fact *const *x,
                          const ot_tensor *const *constant, ot_fact *y)
{
    bool vague = false;
    for (int i = 0; i < n->n_in; i++)
        vague |= is_vague(x[i]);
    forget(n, y);
    ot_infer c = {
        .graph = g, .arena = arena, .node = n, .n_in = n->n_in, .n_out = n->n_out, .x = x, .constant = constant, .y = y
    };
    for (int i = 0; i < n->op->min_in; i++)
        if (!x[i])
            return ot_context(ot_fail(OT_EMODEL, "input %d is missing", i), "node '%s' (%s-%d)", n->name, n->op->name,
                              n->opset);
    ot_status st = check_kinds(n, x);
    if (st == OT_OK)
        st = n->op->infer(&c);
    else
        vague = false;
    if (st != OT_OK && st != OT_ENOMEM && vague && !n->op->flow) { /* an element type that the rule told stands */
        for (int i = 0; i < n->n_out; i++)
            y[i] = (ot_fact){ .kind = OT_TENSOR, .rank = -1, .dtype = y[i].dtype };
        return OT_OK;
    }
    for (int i = 0; i < n->n_out && st == OT_OK; i++)
        for (int d = 0; d < y[i].rank && st == OT_OK; d++)
            if (y[i].dim[d] < 0 && !ot_is_symbol(y[i].dim[d]))
                st = ot_fail(OT_ESHAPE, "output %d would have a dimension of %lld", i, (long long)y[i].dim[d]);
    for (int i = 0; i < n->n_out && st == OT_OK; i++) {
        check_value(&y[i]);
        st = ot_check_span(y[i].rank, y[i].dim);
    }
    return st == OT_OK ? st : ot_context(st, "node '%s' (%s-%d)", n->name, n->op->name, n->opset);
}

static ot_status check_arity(const ot_op *op, int n_in, int n_out)
{
    if (n_in < op->min_in || n_in > op->max_in)
        return ot_fail(OT_EMODEL, "%d inputs; takes %d to %d", n_in, op->min_in, op->max_in);
    if (n_out < op->min_out || n_out > op->max_out)
        return ot_fail(OT_EMODEL, "%d outputs; gives %d to %d", n_out, op->min_out, op->max_out);
    return OT_OK;
}

/* Strings and lists of a caller may be on its stack: a node keeps copies. */
static const ot_attr *copy_attrs(ot_arena *arena, const ot_attr *attr)
{
    int n = 0;
    while (attr && attr[n].name)
        n++;
    ot_attr *copy = ot_arena_calloc(arena, (size_t)n + 1, sizeof(*copy));
    for (int i = 0; copy && i < n; i++) {
        copy[i] = attr[i];
        copy[i].name = ot_arena_strdup(arena, attr[i].name);
        if (attr[i].s)
            copy[i].s = ot_arena_strdup(arena, attr[i].s);
        if (attr[i].ints)
            copy[i].ints = ot_arena_memdup(arena, attr[i].ints, (size_t)attr[i].n * sizeof(int64_t));
        if (attr[i].floats)
            copy[i].floats = ot_arena_memdup(arena, attr[i].floats, (size_t)attr[i].n * sizeof(float));
        if (!copy[i].name)
            return NULL;
    }
    return copy;
}

ot_status ot_add_node(ot_build *b, const ot_op *op, int opset, const char *name, const ot_attr *attr, int n_in,
                      const ot_val *in, int n_out, ot_val *out, const char *const *out_names)
{
    ot_graph *g = b->g;
    ot_node *n = ot_arena_calloc(&g->arena, 1, sizeof(*n));
    ot_fact *y = ot_arena_calloc(&g->arena, (size_t)n_out + 1, sizeof(*y));
    if (!n || !y)
        return OT_ENOMEM;
    *n = (ot_node){ .op = op, .opset = opset, .layer = b->layer, .n_in = n_in, .n_out = n_out };
    n->name = ot_arena_strdup(&g->arena, name);
    n->attr = copy_attrs(&g->arena, attr);
    n->in = ot_arena_memdup(&g->arena, in, (size_t)n_in * sizeof(*in));
    n->out = ot_arena_calloc(&g->arena, (size_t)n_out + 1, sizeof(*n->out));
    if (!n->name || !n->attr || !n->in || !n->out)
        return OT_ENOMEM;
    ot_status st = check_arity(op, n_in, n_out);
    if (st != OT_OK)
        return ot_context(st, "node '%s' (%s-%d)", name, op->name, opset);
    OT_TRY(ot_infer_node(g, &g->arena, n, NULL, NULL, y));
    for (int i = 0; i < n_out; i++) {
        const char *given = out_names ? out_names[i] : NULL;
        if (given && !*given && i >= op->min_out) {
            n->out[i] = OT_NONE;
        } else { /* a kernel writes what its operator must give, named or not */
            const char *made =
                given && *given ? given : ot_arena_printf(&g->arena, n_out > 1 ? "%s:%d" : "%s", name, i);
            n->out[i] = made ? ot_graph_value(g, made, OT_FROM_NODE, &y[i]) : OT_NONE;
            if (n->out[i] == OT_NONE)
                return OT_ENOMEM;
            g->value[n->out[i]].producer = n;
        }
        if (out)
            out[i] = n->out[i];
    }
    OT_TRY(ot_grow(&g->node, g->n_node, &g->cap_node, sizeof(*g->node)));
    g->node[g->n_node++] = n;
    return OT_OK;
}

void ot_build_fail(ot_build *b, ot_status st)
{
    if (b->st == OT_OK)
        b->st = st;
}

void ot_emit_outputs(ot_build *b, const char *name, const ot_attr *attrs, int n_in, const ot_val *in, int n_out,
                     ot_val *out)
{
    for (int i = 0; i < n_out; i++)
        out[i] = OT_NONE;
    if (b->st != OT_OK)
        return;
    const ot_op *op;
    ot_status st = ot_find_op(&op, "", name, OT_LATEST);
    if (st != OT_OK)
        st = ot_find_op(&op, OT_INTERNAL, name, 1);
    if (st == OT_OK) {
        while (n_in > op->min_in && in[n_in - 1] == OT_NONE)
            n_in--;
        const char *full = ot_arena_printf(&b->g->arena, "%s/%s.%lld", b->prefix, name, (long long)b->made++);
        st = full ? ot_add_node(b, op, op->domain[0] ? 1 : OT_LATEST, full, attrs, n_in, in, n_out, out, NULL)
                  : OT_ENOMEM;
    }
    ot_build_fail(b, st);
}

bool ot_emit_body(ot_build *b, const char *name, int n_in, const ot_val *in, int n_out, ot_val *out)
{
    for (int i = 0; i < n_out; i++)
        out[i] = OT_NONE;
    if (b->st != OT_OK || !ot_attr_find(b->node, name))
        return false;
    ot_build_fail(b, b->inline_body ? b->inline_body(b->inline_ctx, name, n_in, in, n_out, out)
                                    : ot_fail(OT_EUNSUPPORTED, "attribute '%s' is a graph", name));
    for (int i = 0; i < n_out && b->st != OT_OK; i++)
        out[i] = OT_NONE;
    return true;
}

ot_val ot_emit(ot_build *b, const char *op, const ot_attr *attrs, int n_in, const ot_val *in)
{
    ot_val out;
    ot_emit_outputs(b, op, attrs, n_in, in, 1, &out);
    return out;
}

ot_val ot_const_tensor(ot_build *b, const ot_tensor *t)
{
    if (b->st != OT_OK)
        return OT_NONE;
    ot_tensor copy = *t;
    copy.data = ot_arena_memdup(&b->g->arena, t->data, ot_tensor_bytes(t));
    const char *name = ot_arena_printf(&b->g->arena, "%s/const.%lld", b->prefix, (long long)b->made++);
    ot_val v = copy.data && name ? ot_graph_tensor(b->g, name, OT_FROM_CONSTANT, &copy) : OT_NONE;
    if (v == OT_NONE)
        ot_build_fail(b, OT_ENOMEM);
    return v;
}

ot_val ot_const_scalar(ot_build *b, ot_dtype dtype, double value)
{
    double room[2] = { 0, 0 };
    ot_tensor t = { .dtype = dtype, .rank = 0, .data = room };
    ot_tensor_set(&t, 0, value);
    return ot_const_tensor(b, &t);
}

ot_val ot_const_ints(ot_build *b, int n, const int64_t *v)
{
    ot_tensor t = { .dtype = OT_INT64, .rank = 1, .dim = { n } };
    union {
        const void *in;
        void *out;
    } data = { .in = v }; /* only read: ot_const_tensor copies */
    t.data = data.out;
    return ot_const_tensor(b, &t);
}

const ot_node *ot_the_node(const ot_build *b)
{
    return b->node;
}

const ot_fact *ot_fact_of(const ot_build *b, ot_val v)
{
    static const ot_fact nothing = { .kind = OT_TENSOR, .rank = -1 }; /* after an error; never relied on */
    return v == OT_NONE ? &nothing : &b->g->value[v].fact;
}

ot_val ot_x(const ot_build *b, int i)
{
    return i < b->node->n_in ? b->node->in[i] : OT_NONE;
}

ot_val ot_y(const ot_build *b, int i)
{
    return i < b->node->n_out ? b->node->out[i] : OT_NONE;
}

const ot_node *ot_maker_of(const ot_build *b, ot_val v)
{
    return v == OT_NONE ? NULL : b->g->value[v].producer;
}

const ot_tensor *ot_constant_of(const ot_build *b, ot_val v)
{
    return v == OT_NONE || b->g->value[v].origin != OT_FROM_CONSTANT ? NULL : b->g->value[v].tensor;
}

void ot_becomes(ot_build *b, int i, ot_val v)
{
    if (b->becomes && i < b->node->n_out)
        b->becomes[i] = v;
}
