/* Shape and Size: the dims of x, and their product; known when a plan is made, so they rarely run.  Constant,
 * ConstantOfShape: tensors from attributes and shapes.  ZerosLike: zeros of x's dims and type.  No gradients but
 * zero. */
#include "axes.h"
#include "run.h"

#include <string.h>

/* ---- Shape, Size ---------------------------------------------------------------------------------------------------
 */

static int64_t clamp(int64_t v, int rank)
{
    v = v < 0 ? v + rank : v;
    return v < 0 ? 0 : v > rank ? rank : v;
}

static void shape_range(const ot_node *n, int rank, int *from, int *to)
{
    *from = (int)clamp(ot_attr_int(n, "start", 0), rank);
    *to = (int)clamp(ot_attr_int(n, "end", rank), rank);
    *to = *to < *from ? *from : *to;
}

static ot_status shape_infer(ot_infer *c)
{
    int from, to;
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    shape_range(c->node, c->x[0]->rank, &from, &to);
    ot_set_shape(&c->y[0], OT_INT64, 1, (const ot_dim[]){ to - from });
    ot_dim *v = ot_value_alloc(c, to - from);
    for (int i = from; v && i < to; i++)
        v[i - from] = c->x[0]->dim[i];
    c->y[0].value = v;
    c->y[0].n_value = v ? to - from : 0;
    return OT_OK;
}

static ot_status shape_run(const ot_run *r)
{
    int from, to;
    shape_range(r->node, r->x[0].rank, &from, &to);
    for (int i = from; i < to; i++)
        ((int64_t *)r->y[0].data)[i - from] = r->x[0].dim[i];
    return OT_OK;
}

static ot_status size_infer(ot_infer *c)
{
    OT_TRY(ot_rank_between(c, 0, 0, OT_MAX_RANK));
    ot_set_shape(&c->y[0], OT_INT64, 0, NULL);
    ot_dim *v = ot_value_alloc(c, 1);
    if (v)
        *v = ot_dims_product(c, c->x[0]->dim, 0, c->x[0]->rank);
    c->y[0].value = v;
    c->y[0].n_value = v ? 1 : 0;
    return OT_OK;
}

static ot_status size_run(const ot_run *r)
{
    *(int64_t *)r->y[0].data = ot_tensor_count(&r->x[0]);
    return OT_OK;
}

/* ---- Constant ------------------------------------------------------------------------------------------------------
 */

/* The tensor that the one attribute says; views what the attribute holds. */
static ot_status literal_of(ot_tensor *t, int64_t *room, const ot_node *n)
{
    const ot_attr *a = n->attr;
    union {
        const void *in;
        void *out;
    } data = { .in = room };
    *t = (ot_tensor){ 0 };
    if (!a || !a->name || a[1].name)
        return ot_fail(OT_EMODEL, "a Constant has one attribute");
    float f = (float)a->f;
    switch (a->type) {
    case OT_ATTR_TENSOR:
        if (!a->tensor)
            break;
        *t = *a->tensor;
        return OT_OK;
    case OT_ATTR_INT:
        *room = a->i;
        t->dtype = OT_INT64;
        break;
    case OT_ATTR_FLOAT:
        memcpy(room, &f, sizeof(f));
        t->dtype = OT_FLOAT;
        break;
    case OT_ATTR_INTS:
        data.in = a->ints;
        *t = (ot_tensor){ .dtype = OT_INT64, .rank = 1, .dim = { a->n } };
        break;
    case OT_ATTR_FLOATS:
        data.in = a->floats;
        *t = (ot_tensor){ .dtype = OT_FLOAT, .rank = 1, .dim = { a->n } };
        break;
    case OT_ATTR_STRING: /* no ot_str to view: constant_run makes them */
        t->dtype = OT_STRING;
        break;
    case OT_ATTR_STRINGS:
        *t = (ot_tensor){ .dtype = OT_STRING, .rank = 1, .dim = { a->n } };
        break;
    default:
        break;
    }
    if (t->dtype == OT_UNDEFINED)
        return ot_fail(OT_EUNSUPPORTED, "a Constant of attribute '%s' is not known", a->name);
    t->data = data.out;
    return OT_OK;
}

static ot_status constant_infer(ot_infer *c)
{
    ot_tensor t;
    int64_t room;
    OT_TRY(literal_of(&t, &room, c->node));
    ot_set_shape(&c->y[0], t.dtype, t.rank, t.dim);
    int64_t n = ot_tensor_count(&t);
    ot_dim *v = t.dtype == OT_INT64 && n <= OT_MAX_VALUE ? ot_value_alloc(c, (int)n) : NULL;
    for (int64_t i = 0; v && i < n; i++)
        v[i] = ot_known_element(ot_tensor_get_int(&t, i));
    c->y[0].value = v;
    c->y[0].n_value = v ? (int)n : 0;
    return OT_OK;
}

static ot_status constant_run(const ot_run *r)
{
    ot_tensor t;
    int64_t room;
    OT_TRY(literal_of(&t, &room, r->node));
    const ot_attr *a = r->node->attr;
    ot_str *y = r->y[0].data;
    if (a->type == OT_ATTR_STRING)
        *y = (ot_str){ a->s, strlen(a->s) };
    for (int i = 0; a->type == OT_ATTR_STRINGS && i < a->n; i++)
        y[i] = (ot_str){ a->strings[i], strlen(a->strings[i]) };
    if (a->type != OT_ATTR_STRING && a->type != OT_ATTR_STRINGS && ot_tensor_bytes(&t))
        memcpy(r->y[0].data, t.data, ot_tensor_bytes(&t));
    return OT_OK;
}

/* ---- ConstantOfShape, ZerosLike -------------------------------------------------------------------------------------
 */

static ot_status of_shape_infer(ot_infer *c)
{
    ot_dim dim[OT_MAX_RANK];
    int rank;
    const ot_attr *a = ot_attr_find(c->node, "value");
    if (a && (a->type != OT_ATTR_TENSOR || !a->tensor || ot_tensor_count(a->tensor) != 1))
        return ot_fail(OT_EMODEL, "the value is not a tensor of one element");
    OT_TRY(ot_rank_between(c, 0, 1, 1));
    OT_TRY(ot_known_ints(c, 0, OT_MAX_RANK, dim, &rank));
    c->y[0].dtype = a ? a->tensor->dtype : OT_FLOAT;
    if (rank < 0 && ot_is_symbol(c->x[0]->dim[0]))
        return OT_OK;
    if (rank < 0) {
        if (c->x[0]->dim[0] > OT_MAX_RANK)
            return ot_fail(OT_ESHAPE, "a shape of %lld dims", (long long)c->x[0]->dim[0]);
        rank = (int)c->x[0]->dim[0];
        for (int i = 0; i < rank; i++)
            dim[i] = ot_dim_unknown(c);
    }
    for (int i = 0; i < rank; i++)
        if (dim[i] < 0 && !ot_is_symbol(dim[i]))
            return ot_fail(OT_ESHAPE, "dimension %d of the shape is %lld", i, (long long)dim[i]);
    ot_set_shape(&c->y[0], c->y[0].dtype, rank, dim);
    if (rank == 1 && !ot_is_symbol(dim[0]) && dim[0] <= OT_MAX_VALUE && c->y[0].dtype == OT_INT64) {
        ot_dim *v = ot_value_alloc(c, (int)dim[0]);
        for (int i = 0; v && i < dim[0]; i++)
            v[i] = ot_known_element(ot_tensor_get_int(a->tensor, 0));
        c->y[0].value = v;
        c->y[0].n_value = v ? (int)dim[0] : 0;
    }
    return OT_OK;
}

static ot_status of_shape_run(const ot_run *r)
{
    const ot_attr *a = ot_attr_find(r->node, "value");
    size_t size = ot_dtype_size(r->y[0].dtype), bytes = ot_tensor_bytes(&r->y[0]);
    char *y = r->y[0].data;
    memset(y, 0, bytes);
    if (!a || !bytes)
        return OT_OK;
    if (size == 0) { /* packed */
        for (int64_t i = 0, n = ot_tensor_count(&r->y[0]); i < n; i++)
            ot_tensor_set_packed(&r->y[0], i, ot_tensor_get_packed(a->tensor, 0));
        return OT_OK;
    }
    memcpy(y, a->tensor->data, size);
    for (size_t done = size; done < bytes; done *= 2)
        memcpy(y + done, y, done < bytes - done ? done : bytes - done);
    return OT_OK;
}

static ot_status zeros_run(const ot_run *r)
{
    memset(r->y[0].data, 0, ot_tensor_bytes(&r->y[0]));
    return OT_OK;
}

/* ---- Registration --------------------------------------------------------------------------------------------------
 */

static const ot_kernel shape_kernels[] = { { .name = "dims", .run = shape_run }, { 0 } };
static const ot_kernel size_kernels[] = { { .name = "dims", .run = size_run }, { 0 } };
static const ot_kernel constant_kernels[] = { { .name = "copy", .run = constant_run }, { 0 } };
static const ot_kernel of_shape_kernels[] = { { .name = "fill", .run = of_shape_run }, { 0 } };
static const ot_kernel zeros_kernels[] = { { .name = "fill", .run = zeros_run }, { 0 } };

#define MAKES(id, of_domain, first, last, inputs, rule, kernels, of_shape)                                             \
    const ot_op ot_op_##id = { .domain = of_domain,                                                                    \
                               .name = #id,                                                                            \
                               .since = first,                                                                         \
                               .until = last,                                                                          \
                               .min_in = inputs,                                                                       \
                               .max_in = inputs,                                                                       \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .infer = rule,                                                                          \
                               .grad = ot_grad_none,                                                                   \
                               .cpu = kernels,                                                                         \
                               .shape_only = of_shape };

MAKES(Constant, "", 1, OT_LATEST, 0, constant_infer, constant_kernels, 0)
MAKES(ConstantOfShape, "", 9, OT_LATEST, 1, of_shape_infer, of_shape_kernels, 1)
MAKES(Shape, "", 1, OT_LATEST, 1, shape_infer, shape_kernels, 1)
MAKES(Size, "", 1, OT_LATEST, 1, size_infer, size_kernels, 1)
MAKES(ZerosLike, OT_INTERNAL, 1, 1, 1, ot_same_shape, zeros_kernels, 1)
