/* Graphs that nodes hold (If, Loop, Scan, SequenceMap) as graphs of their own, derived from the facts that hold in
 * every trip through them; the branch of an If whose condition is known stands in the node's place. */
#include "graph/derive_parts.h"
#include "graph/step.h"

#include <string.h>

#define MOST_PASSES 4                 /* to find the dims that trips through a body keep */
#define FOLD_LIMIT  ((size_t)1 << 20) /* of constants in bodies */

static const Onnx__GraphProto *graph_of(const Onnx__NodeProto *n, const char *name)
{
    for (size_t i = 0; i < n->n_attribute; i++)
        if (strcmp(ot_text(n->attribute[i]->name), name) == 0)
            return n->attribute[i]->g;
    return NULL;
}

static ot_status charge(ot_deriver *d, const Onnx__GraphProto *p, size_t prefix, size_t more)
{
    OT_TRY(ot_check_depth(d, "the body of a node"));
    OT_TRY(ot_charge(d, 32 * (p->n_input + p->n_output + p->n_initializer + p->n_sparse_initializer) + more));
    return ot_charge_nodes(d, p->n_node, p->node, prefix);
}

/* ---- A body as a graph ----------------------------------------------------------------------------------------- */

/* What a body starts from: facts of its own inputs, of which `n_carried` from `carried` on take what the outputs from
 * `out` on gave on the trip before. */
typedef struct entry {
    const Onnx__GraphProto *p;
    int n, n_carried, carried, out;
    ot_fact *fact;
    uint32_t *loose; /* by carried input: dims that are known to change */
} entry;

static bool declared_rank_1(const Onnx__ValueInfoProto *v)
{
    const Onnx__TypeProto *t = v->type;
    bool tensor = t && t->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE && t->tensor_type;
    return tensor && t->tensor_type->shape && t->tensor_type->shape->n_dim == 1;
}

/* What the file says of an input of a body is believed where nothing better is known, and must fit otherwise. */
static ot_status take_input(ot_deriver *d, const Onnx__ValueInfoProto *v, ot_fact *f)
{
    const char *name = ot_text(v->name);
    const Onnx__TypeProto *t = v->type;
    if (t && t->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE && t->tensor_type && f->kind == OT_TENSOR) {
        ot_dtype said = (ot_dtype)t->tensor_type->elem_type;
        if (f->dtype == OT_UNDEFINED && (ot_dtype_bits(said) || said == OT_STRING))
            f->dtype = said;
        if (said != OT_UNDEFINED && said != f->dtype)
            return ot_fail(OT_EMODEL, "input '%s' of the body is %s, given %s", name, ot_dtype_name(said),
                           ot_dtype_name(f->dtype));
    }
    return ot_scope_put(d, name, ot_graph_input(d->b.g, name, f));
}

/* What the file says of an output, where it is not known better; a run checks it. */
static void believe(const ot_graph *g, ot_fact *f, const Onnx__TypeProto *t)
{
    bool tensor = t && t->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE && t->tensor_type;
    const Onnx__TensorShapeProto *shape = tensor && f->kind == OT_TENSOR ? t->tensor_type->shape : NULL;
    for (int i = 0; shape && i < f->rank && shape->n_dim == (size_t)f->rank; i++)
        if (ot_is_symbol(f->dim[i]) && g->symbol[f->dim[i] - OT_SYMBOL(0)].op == '?' &&
            shape->dim[i]->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
            shape->dim[i]->dim_value >= 0)
            f->dim[i] = shape->dim[i]->dim_value;
}

static ot_status fill_body(ot_deriver *d, const entry *e)
{
    const Onnx__GraphProto *p = e->p;
    for (int i = 0; i < e->n; i++)
        OT_TRY(take_input(d, p->input[i], &e->fact[i]));
    d->b.g->n_own = e->n;
    OT_TRY(ot_derive_initializers(d, p));
    OT_TRY(ot_derive_nodes(d, p->n_node, p->node));
    OT_TRY(ot_derive_outputs(d, p));
    for (size_t i = 0; i < p->n_output; i++)
        believe(d->b.g, &d->b.g->value[d->b.g->output[i].value].fact, p->output[i]->type);
    OT_TRY(ot_prune(d->b.g));
    return ot_fold(d->b.g, FOLD_LIMIT);
}

/* A body; *capture: the values around it that became inputs. */
static ot_status derive_body(ot_deriver *d, ot_graph **out, const entry *e, ot_val **capture)
{
    ot_scope s = { .caller = d->scope,
                   .open = true,
                   .function = d->scope->function,
                   .attr = d->scope->attr,
                   .depth = d->scope->depth + 1 };
    ot_build saved = d->b;
    OT_TRY(charge(d, e->p, 0, (size_t)d->b.g->n_symbol * sizeof(ot_symbol)));
    OT_TRY(ot_graph_body(&s.graph, d->b.g));
    d->scope = &s;
    d->b = (ot_build){ .g = s.graph, .layer = saved.layer };
    ot_status st = fill_body(d, e);
    d->scope = s.caller;
    d->b = saved;
    *out = s.graph;
    *capture = ot_arena_memdup(&d->b.g->arena, s.capture, (size_t)s.n_capture * sizeof(*s.capture));
    if (st == OT_OK && !*capture)
        st = OT_ENOMEM;
    ot_free(s.capture);
    ot_strmap_release(&s.value);
    ot_strmap_release(&s.output);
    return st;
}

/* ---- What every trip keeps ------------------------------------------------------------------------------------- */

static ot_dim unknown(ot_deriver *d)
{
    return ot_dim_unknown(&(ot_infer){ .graph = d->b.g });
}

/* Widens a fact that one trip changes; *changed: the body is to be derived again. */
static ot_status widen(ot_deriver *d, ot_fact *f, const ot_fact *after, uint32_t *loose, int pass, bool *changed)
{
    if (f->kind == OT_OPTIONAL && after->kind != OT_OPTIONAL) /* an optional may be just what it holds */
        return OT_OK;
    if (f->kind != after->kind || (f->dtype != after->dtype && f->dtype && after->dtype))
        return ot_fail(OT_EMODEL, "a trip through the body makes another type of %s than it was given",
                       ot_dtype_name(f->dtype));
    bool lost = f->rank >= 0 && (f->rank != after->rank || pass == MOST_PASSES - 2);
    for (int i = 0; i < f->rank && !lost; i++)
        if (f->dim[i] != after->dim[i] && !(*loose >> i & 1)) {
            f->dim[i] = unknown(d);
            *loose |= 1u << i;
            *changed = true;
        }
    if (lost) {
        f->rank = -1;
        *changed = true;
    }
    if (!f->element || !after->element || f->element->kind != OT_TENSOR || f->element->rank < 0)
        return OT_OK;
    bool same = f->element->rank == after->element->rank;
    for (int i = 0; i < f->element->rank && same; i++)
        same = f->element->dim[i] == after->element->dim[i];
    if (same)
        return OT_OK;
    ot_fact *e = ot_arena_memdup(&d->b.g->arena, f->element, sizeof(*e));
    if (!e)
        return OT_ENOMEM;
    e->rank = -1;
    f->element = e;
    *changed = true;
    return OT_OK;
}

static ot_status settle(ot_deriver *d, ot_graph **out, entry *e, ot_val **capture)
{
    e->loose = ot_arena_calloc(&d->b.g->arena, (size_t)e->n_carried + 1, sizeof(*e->loose));
    if (!e->loose)
        return OT_ENOMEM;
    if (e->p->n_input != (size_t)e->n)
        return ot_fail(OT_EMODEL, "the body has %zu inputs, %d are given", e->p->n_input, e->n);
    if (e->p->n_output < (size_t)(e->out + e->n_carried))
        return ot_fail(OT_EMODEL, "the body has %zu outputs, at least %d are needed", e->p->n_output,
                       e->out + e->n_carried);
    for (int pass = 0; pass < MOST_PASSES; pass++) {
        bool changed = false;
        OT_TRY(derive_body(d, out, e, capture));
        for (int i = 0; i < e->n_carried; i++) {
            const ot_graph *body = *out;
            const ot_fact *after = &body->value[body->output[e->out + i].value].fact;
            OT_TRY(widen(d, &e->fact[e->carried + i], after, &e->loose[i], pass, &changed));
        }
        if (!changed)
            return OT_OK;
        ot_graph_close(d->b.g->body[--d->b.g->n_body]);
    }
    return ot_fail(OT_EUNSUPPORTED, "the dims of what a body carries cannot be told");
}

static ot_status capture_all(ot_deriver *d, ot_val **in, int *n_in, const ot_graph *body, const ot_val *capture)
{
    int more = ot_body_captures(body);
    ot_val *all = ot_arena_calloc(&d->b.g->arena, (size_t)*n_in + (size_t)more + 1, sizeof(*all));
    if (!all)
        return OT_ENOMEM;
    memcpy(all, *in, (size_t)*n_in * sizeof(*all));
    memcpy(all + *n_in, capture, (size_t)more * sizeof(*all));
    *in = all;
    *n_in += more;
    return OT_OK;
}

/* ---- What each operator gives its body ------------------------------------------------------------------------- */

static ot_status enter(ot_deriver *d, entry *e, const ot_val *in, int from, int n)
{
    for (int i = 0; i < n; i++) {
        if (in[from + i] == OT_NONE)
            return ot_fail(OT_EMODEL, "input %d is missing", from + i);
        ot_fact *f = &e->fact[e->n++];
        *f = d->b.g->value[in[from + i]].fact;
        f->value = NULL; /* other trips have other elements */
        f->n_value = 0;
    }
    return OT_OK;
}

static void drop_dim(ot_fact *f, int at)
{
    if (f->rank <= 0)
        return;
    for (int i = at; i + 1 < f->rank; i++)
        f->dim[i] = f->dim[i + 1];
    f->rank--;
}

/* M, condition, carried values; the body has the trip's number, the condition, carried values. */
static ot_status enter_loop(ot_deriver *d, entry *e, const ot_val *in, int n_in)
{
    static const ot_dim yes[] = { 1 }; /* the condition, whenever a trip starts */
    if (n_in < 2)
        return ot_fail(OT_EMODEL, "a Loop has two inputs and what it carries, not %d", n_in);
    for (int i = 0; i < 2; i++) {
        ot_fact *f = &e->fact[e->n++];
        *f = (ot_fact){ .kind = OT_TENSOR, .dtype = i ? OT_BOOL : OT_INT64 };
        if ((size_t)i < e->p->n_input && declared_rank_1(e->p->input[i])) /* some write them so */
            *f = (ot_fact){ .kind = OT_TENSOR, .dtype = f->dtype, .rank = 1, .dim = { 1 } };
        f->value = i ? yes : NULL;
        f->n_value = i;
    }
    e->carried = 2;
    e->out = 1;
    e->n_carried = n_in - 2;
    return enter(d, e, in, 2, e->n_carried);
}

/* States, then a slice of each scanned input.  Before opset 9 lengths come first, and all has a batch axis before. */
static ot_status enter_scan(ot_deriver *d, entry *e, const ot_attr *attr, int opset, const ot_val *in, int n_in)
{
    const ot_node n = { .attr = attr };
    int first = opset < 9, count;
    int64_t scanned = ot_attr_int(&n, "num_scan_inputs", 0);
    const int64_t *axes = ot_attr_ints(&n, "scan_input_axes", &count);
    if (scanned < 1 || scanned > n_in - first)
        return ot_fail(OT_EMODEL, "num_scan_inputs is %lld, of %d inputs", (long long)scanned, n_in - first);
    e->n_carried = n_in - first - (int)scanned;
    OT_TRY(enter(d, e, in, first, n_in - first));
    for (int i = 0; i < e->n; i++) {
        ot_fact *f = &e->fact[i];
        int axis = 0;
        if (opset < 9)
            drop_dim(f, 0);
        if (i < e->n_carried)
            continue;
        if (f->rank >= 0 && opset >= 9 && axes && i - e->n_carried < count)
            OT_TRY(ot_axis(&axis, axes[i - e->n_carried], f->rank));
        drop_dim(f, axis);
    }
    return OT_OK;
}

/* An item of each sequence; other inputs as they are. */
static ot_status enter_map(ot_deriver *d, entry *e, const ot_val *in, int n_in)
{
    OT_TRY(enter(d, e, in, 0, n_in));
    for (int i = 0; i < e->n; i++)
        if (e->fact[i].kind == OT_SEQUENCE && e->fact[i].element)
            e->fact[i] = *e->fact[i].element;
    return OT_OK;
}

static ot_status derive_one(ot_deriver *d, const ot_op *op, int opset, const ot_attr *all, ot_attr *attr,
                            const Onnx__GraphProto *p, ot_val **in, int *n_in, int n_given)
{
    entry e = { .p = p };
    ot_val *capture = NULL;
    e.fact = ot_arena_calloc(&d->b.g->arena, (size_t)n_given + 3, sizeof(*e.fact));
    if (!e.fact)
        return OT_ENOMEM;
    if (strcmp(op->name, "Loop") == 0)
        OT_TRY(enter_loop(d, &e, *in, n_given));
    else if (strcmp(op->name, "Scan") == 0)
        OT_TRY(enter_scan(d, &e, all, opset, *in, n_given));
    else if (strcmp(op->name, "SequenceMap") == 0)
        OT_TRY(enter_map(d, &e, *in, n_given));
    OT_TRY(settle(d, &attr->graph, &e, &capture));
    return capture_all(d, in, n_in, attr->graph, capture);
}

ot_status ot_derive_bodies(ot_deriver *d, const ot_op *op, int opset, const Onnx__NodeProto *n, ot_attr *attr,
                           ot_val **in, int *n_in)
{
    int n_given = *n_in;
    for (ot_attr *a = attr; a->name; a++) {
        if (a->type != OT_ATTR_GRAPH)
            continue;
        const Onnx__GraphProto *p = graph_of(n, a->name);
        if (!p || !op->flow)
            return ot_fail(OT_EUNSUPPORTED, "attribute '%s' is a graph%s", a->name,
                           p ? ", which the operator does not take" : " by reference");
        OT_TRY(derive_one(d, op, opset, attr, a, p, in, n_in, n_given));
    }
    return OT_OK;
}
