/* Optionals: a value or none.  Where it is known which while the graph is derived, the optional is gone before it runs.
 */
#include "op.h"

#include <string.h>

/* The Optional that makes v; NULL where none does. */
static const ot_node *made_optional(const ot_build *b, ot_val v)
{
    const ot_node *n = ot_maker_of(b, v);
    return n && strcmp(n->op->name, "Optional") == 0 ? n : NULL;
}

static ot_status optional_infer(ot_infer *c)
{
    const ot_attr *type = ot_attr_find(c->node, "type");
    const ot_fact *held = c->n_in && c->x[0] ? c->x[0] : type && type->type == OT_ATTR_TYPE ? type->fact : NULL;
    if (!held)
        return ot_fail(OT_EMODEL, "neither a value nor a type is given");
    ot_fact *e = ot_arena_memdup(c->arena, held, sizeof(*e));
    if (!e)
        return OT_ENOMEM;
    e->value = NULL;
    e->n_value = 0;
    c->y[0] = (ot_fact){ .kind = OT_OPTIONAL, .rank = -1, .element = e };
    return OT_OK;
}

static ot_status optional_flow(const ot_flow *f)
{
    bool full = f->n_in && f->x[0];
    const ot_attr *type = ot_attr_find(f->node, "type");
    ot_kind holds = full ? f->x[0]->kind : type && type->fact ? type->fact->kind : OT_TENSOR;
    f->y[0] = ot_box_items(f, OT_OPTIONAL, holds, full, f->x);
    return f->y[0] ? OT_OK : OT_ENOMEM;
}

static ot_status has_infer(ot_infer *c)
{
    ot_set_shape(&c->y[0], OT_BOOL, 0, NULL);
    return OT_OK;
}

static void has_normalise(ot_build *b)
{
    ot_val x = ot_x(b, 0);
    const ot_node *made = made_optional(b, x);
    if (x != OT_NONE && !made && ot_fact_of(b, x)->kind == OT_OPTIONAL)
        return;
    bool full = x != OT_NONE && (!made || (made->n_in && made->in[0] != OT_NONE));
    ot_becomes(b, 0, ot_const_scalar(b, OT_BOOL, full));
}

static ot_status has_flow(const ot_flow *f)
{
    const ot_box *x = f->n_in ? f->x[0] : NULL;
    f->y[0] = ot_box_tensor(f, OT_BOOL, 0, NULL);
    if (!f->y[0])
        return OT_ENOMEM;
    *(uint8_t *)f->y[0]->tensor.data = x && (x->kind != OT_OPTIONAL || x->n);
    return OT_OK;
}

static ot_status get_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    c->y[0] = x->kind == OT_OPTIONAL && x->element ? *x->element : *x;
    return OT_OK;
}

static void get_normalise(ot_build *b)
{
    ot_val x = ot_x(b, 0);
    const ot_node *made = made_optional(b, x);
    if (made && made->n_in && made->in[0] != OT_NONE)
        ot_becomes(b, 0, made->in[0]);
    else if (x != OT_NONE && ot_fact_of(b, x)->kind != OT_OPTIONAL)
        ot_becomes(b, 0, x);
}

static ot_status get_flow(const ot_flow *f)
{
    ot_box *x = f->x[0];
    if (x->kind == OT_OPTIONAL && !x->n)
        return ot_fail(OT_EMODEL, "the optional holds nothing");
    f->y[0] = ot_box_share(x->kind == OT_OPTIONAL ? x->item[0] : x);
    return OT_OK;
}

#define OPTIONAL(id, least, rewrite, rule, running)                                                                    \
    const ot_op ot_op_##id = { .domain = "",                                                                           \
                               .name = #id,                                                                            \
                               .since = 15,                                                                            \
                               .until = OT_LATEST,                                                                     \
                               .min_in = least,                                                                        \
                               .max_in = 1,                                                                            \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .normalise = rewrite,                                                                   \
                               .infer = rule,                                                                          \
                               .flow = running };

OPTIONAL(Optional, 0, NULL, optional_infer, optional_flow)
OPTIONAL(OptionalHasElement, 0, has_normalise, has_infer, has_flow)
OPTIONAL(OptionalGetElement, 1, get_normalise, get_infer, get_flow)
