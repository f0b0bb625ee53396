/* Chain: float32 element-wise nodes in a row, computed block by block, so that what one hands to the next stays in the
 * first-level cache.  The `links` are the nodes; their inputs are places: 0 .. OT_CHAIN_INPUTS - 1 the chain's inputs,
 * OT_CHAIN_INPUTS + i the result of link i.  All results have the chain's dims; the last one is its output. */
#include "run.h"

#include <string.h>

#define BLOCK 512 /* elements; a block of each link's result lies on the stack */

typedef struct source {
    const float *data;
    int64_t inner, count; /* element i is data[i / inner % count] */
} source;

typedef struct chain {
    const ot_run *r;
    const ot_node *const *link;
    ot_elements *run[OT_CHAIN_LINKS];
    int n;
    source in[OT_CHAIN_INPUTS];
} chain;

ot_elements *ot_elements_of(const ot_op *op)
{
    for (const ot_kernel *k = op->cpu; k && k->name; k++)
        if (k->elements)
            return k->elements;
    return NULL;
}

bool ot_chain_takes(int64_t *inner, int64_t *count, int rank, const ot_dim *dim, int rank_y, const ot_dim *dim_y)
{
    int from = 0, to = rank;
    *inner = *count = 1;
    if (rank > rank_y)
        return false;
    dim_y += rank_y - rank;
    while (from < rank && dim[from] == 1)
        from++;
    while (to > from && dim[to - 1] == 1)
        to--;
    for (int i = from; i < to; i++) {
        if (dim[i] != dim_y[i])
            return false;
        *count *= ot_is_symbol(dim[i]) ? 1 : dim[i];
    }
    for (int i = to; i < rank; i++)
        *inner *= ot_is_symbol(dim_y[i]) ? 1 : dim_y[i];
    return true;
}

static const ot_attr *links_of(const ot_node *n)
{
    return ot_attr_find(n, "links");
}

static ot_status infer_link(ot_infer *c, const ot_node *link, ot_fact *made, int at)
{
    const ot_fact *x[OT_CHAIN_INPUTS] = { 0 };
    const ot_tensor *constant[OT_CHAIN_INPUTS] = { 0 };
    if (link->n_in > OT_CHAIN_INPUTS)
        return ot_fail(OT_EMODEL, "link %d has %d inputs", at, link->n_in);
    for (int i = 0; i < link->n_in; i++)
        if (link->in[i] >= OT_CHAIN_INPUTS)
            x[i] = &made[link->in[i] - OT_CHAIN_INPUTS];
        else if (link->in[i] != OT_NONE)
            x[i] = c->x[link->in[i]];
    ot_infer inner = { .graph = c->graph,
                       .arena = c->arena,
                       .node = link,
                       .n_in = link->n_in,
                       .n_out = 1,
                       .x = x,
                       .constant = constant,
                       .y = &made[at] };
    return ot_context(link->op->infer(&inner), "link '%s' (%s)", link->name, link->op->name);
}

static ot_status chain_infer(ot_infer *c)
{
    const ot_attr *links = links_of(c->node);
    ot_fact made[OT_CHAIN_LINKS] = { 0 };
    for (int i = 0; i < links->n; i++)
        OT_TRY(infer_link(c, links->nodes[i], made, i));
    const ot_fact *y = &made[links->n - 1];
    for (int i = 0; i < links->n; i++)
        if (made[i].rank != y->rank || memcmp(made[i].dim, y->dim, (size_t)y->rank * sizeof(*y->dim)) != 0)
            return ot_fail(OT_ESHAPE, "link %d makes another shape than the chain", i);
    ot_set_shape(&c->y[0], OT_FLOAT, y->rank, y->dim);
    return OT_OK;
}

/* What a link sees of an input for elements at .. at + *n - 1; *n becomes smaller where the input begins anew. */
static ot_tensor part_of(const source *s, int64_t at, int64_t *n)
{
    const int64_t row = at / s->inner, left = s->inner > 1 ? s->inner - at % s->inner : s->count - row % s->count;
    const float *data = s->data + row % s->count;
    const bool one = s->inner > 1 || s->count == 1;
    if (s->inner > 1 || s->count > 1)
        *n = left < *n ? left : *n;
    ot_tensor t = { .dtype = OT_FLOAT, .rank = 1, .dim = { one ? 1 : *n } };
    memcpy(&t.data, &data, sizeof(data)); /* only read */
    return t;
}

/* Elements at .. at + n - 1, or as many of them as can be done at once; returns their number. */
static int64_t chain_block(const chain *c, int64_t at, int64_t n)
{
    float room[OT_CHAIN_LINKS][BLOCK];
    ot_tensor seen[OT_CHAIN_INPUTS + OT_CHAIN_LINKS];
    for (int i = 0; i < c->r->n_in; i++)
        seen[i] = part_of(&c->in[i], at, &n);
    for (int i = 0; i < c->r->n_in; i++)
        seen[i].dim[0] = seen[i].dim[0] > n ? n : seen[i].dim[0];
    for (int i = 0; i < c->n; i++) {
        const ot_node *link = c->link[i];
        ot_tensor x[OT_CHAIN_INPUTS], *y = &seen[OT_CHAIN_INPUTS + i];
        for (int k = 0; k < link->n_in; k++)
            x[k] = link->in[k] == OT_NONE ? (ot_tensor){ .dtype = OT_UNDEFINED } : seen[link->in[k]];
        *y = (ot_tensor){ .dtype = OT_FLOAT, .rank = 1, .dim = { n }, .data = room[i] };
        if (i == c->n - 1)
            y->data = (float *)c->r->y[0].data + at;
        ot_run run = { .node = link, .n_in = link->n_in, .n_out = 1, .x = x, .y = y };
        c->run[i](&run, 0, n);
    }
    return n;
}

static void chain_range(void *ctx, int64_t from, int64_t to)
{
    const chain *c = ctx;
    while (from < to)
        from += chain_block(c, from, to - from < BLOCK ? to - from : BLOCK);
}

static ot_status chain_run(const ot_run *r)
{
    const ot_attr *links = links_of(r->node);
    const ot_tensor *y = &r->y[0];
    chain c = { .r = r, .link = links->nodes, .n = links->n };
    for (int i = 0; i < c.n; i++)
        c.run[i] = ot_elements_of(c.link[i]->op);
    for (int i = 0; i < r->n_in; i++) {
        source *s = &c.in[i];
        s->data = r->x[i].data;
        ot_chain_takes(&s->inner, &s->count, r->x[i].rank, r->x[i].dim, y->rank, y->dim);
    }
    ot_for_ranges(r, ot_tensor_count(y), OT_GRAIN, chain_range, &c);
    return OT_OK;
}

static const ot_kernel chain_kernels[] = { { .name = "blocks of 512", .run = chain_run }, { 0 } };

const ot_op ot_op_Chain = { .domain = OT_INTERNAL,
                            .name = "Chain",
                            .since = 1,
                            .until = 1,
                            .min_in = 1,
                            .max_in = OT_CHAIN_INPUTS,
                            .min_out = 1,
                            .max_out = 1,
                            .infer = chain_infer,
                            .cpu = chain_kernels,
                            .in_place = (1u << OT_CHAIN_INPUTS) - 1 };
