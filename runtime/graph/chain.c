/* Chains: a run of neighbouring element-wise nodes of which only the last one's result is read by others becomes one
 * Chain node, so that what passes between them never leaves the first-level cache.  Neighbours alone: pulled together
 * from afar, their inputs would have to stay alive in between. */
#include "graph/graph.h"

#include <string.h>

typedef struct chainer {
    ot_graph *g;
    const ot_op *op;
    int32_t *reads; /* by value: nodes, outputs and bindings that name it */
    int64_t first, last;
    ot_val in[OT_CHAIN_INPUTS]; /* what the chain reads from outside */
    int n_in;
} chainer;

static bool is_float(const ot_fact *f)
{
    return f->kind == OT_TENSOR && f->dtype == OT_FLOAT && f->rank >= 0;
}

/* Can the node be a link of a chain whose result is y? */
static bool is_link(const ot_graph *g, const ot_node *n, const ot_fact *y)
{
    int64_t inner, count;
    if (n->n_in > OT_CHAIN_INPUTS || n->n_out != 1 || n->out[0] == OT_NONE || !ot_elements_of(n->op) || !is_float(y) ||
        !ot_fact_same(&g->value[n->out[0]].fact, y))
        return false;
    for (int i = 0; i < n->n_in; i++) {
        const ot_fact *x = n->in[i] == OT_NONE ? NULL : &g->value[n->in[i]].fact;
        if (x && (!is_float(x) || !ot_chain_takes(&inner, &count, x->rank, x->dim, y->rank, y->dim)))
            return false;
    }
    return true;
}

/* The place of v among what the links see: inputs of the chain, then the results of links; -1: no room. */
static ot_val seen_as(chainer *c, ot_val v)
{
    for (int64_t i = c->first; i <= c->last; i++)
        if (c->g->node[i]->out[0] == v)
            return OT_CHAIN_INPUTS + (ot_val)(i - c->first);
    for (int i = 0; i < c->n_in; i++)
        if (c->in[i] == v)
            return i;
    if (c->n_in == OT_CHAIN_INPUTS)
        return -1;
    c->in[c->n_in] = v;
    return c->n_in++;
}

/* Looks at all that nodes first .. last read; false where that is too much for a chain. */
static bool gather_inputs(chainer *c)
{
    c->n_in = 0;
    for (int64_t i = c->first; i <= c->last; i++)
        for (int k = 0; k < c->g->node[i]->n_in; k++)
            if (c->g->node[i]->in[k] != OT_NONE && seen_as(c, c->g->node[i]->in[k]) < 0)
                return false;
    return true;
}

/* Do nodes first + 1 .. last alone read what node `first` makes? */
static bool ends_inside(const chainer *c)
{
    const ot_val v = c->g->node[c->first]->out[0];
    int32_t reads = 0;
    for (int64_t i = c->first + 1; i <= c->last; i++)
        for (int k = 0; k < c->g->node[i]->n_in; k++)
            reads += c->g->node[i]->in[k] == v;
    return reads > 0 && reads == c->reads[v];
}

/* Sets first: of the longest chain that ends with `last`. */
static void grow(chainer *c)
{
    const ot_fact *y = &c->g->value[c->g->node[c->last]->out[0]].fact;
    c->first = c->last;
    while (c->first > 0 && c->last - c->first + 1 < OT_CHAIN_LINKS && is_link(c->g, c->g->node[c->first - 1], y)) {
        c->first--;
        if (!ends_inside(c) || !gather_inputs(c)) {
            c->first++;
            return;
        }
    }
}

/* A node as the chain holds it: its inputs are places as seen_as gives them. */
static ot_node *copy_link(chainer *c, const ot_node *n)
{
    ot_node *link = ot_arena_memdup(&c->g->arena, n, sizeof(*n));
    ot_val *in = ot_arena_calloc(&c->g->arena, (size_t)n->n_in + 1, sizeof(*in));
    for (int k = 0; in && k < n->n_in; k++)
        in[k] = n->in[k] == OT_NONE ? OT_NONE : seen_as(c, n->in[k]);
    if (link)
        link->in = in;
    return in ? link : NULL;
}

/* The chain takes the place of its last node, and that one's name and output. */
static ot_status make(chainer *c)
{
    ot_arena *arena = &c->g->arena;
    const int n = (int)(c->last - c->first + 1);
    const ot_node *end = c->g->node[c->last];
    const ot_node **link = ot_arena_calloc(arena, (size_t)n, sizeof(const ot_node *));
    ot_attr *attr = ot_arena_calloc(arena, 2, sizeof(*attr));
    ot_node *made = ot_arena_memdup(arena, end, sizeof(*end));
    gather_inputs(c);
    if (!link || !attr || !made || !(made->in = ot_arena_memdup(arena, c->in, sizeof(c->in))))
        return OT_ENOMEM;
    for (int i = 0; i < n; i++)
        if (!(link[i] = copy_link(c, c->g->node[c->first + i])))
            return OT_ENOMEM;
    *attr = (ot_attr){ .name = "links", .type = OT_ATTR_NODES, .nodes = link, .n = n };
    made->op = c->op;
    made->opset = 1;
    made->attr = attr;
    made->n_in = c->n_in;
    c->g->value[made->out[0]].producer = made;
    c->g->node[c->last] = made;
    memset(c->g->node + c->first, 0, (size_t)(n - 1) * sizeof(*c->g->node));
    return OT_OK;
}

ot_status ot_chain(ot_graph *g)
{
    chainer c = { .g = g };
    OT_TRY(ot_find_op(&c.op, OT_INTERNAL, "Chain", 1));
    c.reads = ot_calloc((size_t)g->n_value + 1, sizeof(*c.reads));
    if (!c.reads)
        return OT_ENOMEM;
    ot_graph_count_reads(g, c.reads);
    ot_status st = OT_OK;
    for (c.last = g->n_node - 1; c.last > 0 && st == OT_OK; c.last = c.first - 1) {
        c.first = c.last;
        const ot_node *n = g->node[c.last];
        if (n->n_out == 1 && n->out[0] != OT_NONE && is_link(g, n, &g->value[n->out[0]].fact))
            grow(&c);
        if (c.first < c.last)
            st = make(&c);
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < g->n_node; i++)
        if (g->node[i])
            g->node[kept++] = g->node[i];
    g->n_node = kept;
    ot_free(c.reads);
    return st;
}
