/* Sequences: lists of tensors.  Where a list is made and taken apart at places that are known, the nodes are rewritten
 * to what they come to, so that the list is not there when the graph runs; gradients go through only there. */
#include "boxes.h"

#include <string.h>

#define MOST_REWRITTEN 64 /* items of lists that are rewritten with one more or less */

/* ---- What is known of lists while the graph is derived ---------------------------------------------------------- */

/* The node that lists the items of v one by one; NULL where none does. */
static const ot_node *list_of(const ot_build *b, ot_val v)
{
    const ot_node *n = ot_maker_of(b, v);
    bool lists = n && (strcmp(n->op->name, "SequenceConstruct") == 0 || strcmp(n->op->name, "SequenceEmpty") == 0);
    return lists ? n : NULL;
}

/* Place i of the node in a list of n, `n` itself allowed at the end; false where it is not known or out of range. */
static bool place_of(int64_t *out, const ot_build *b, int i, int64_t n, bool at_end, int64_t otherwise)
{
    const ot_fact *f = ot_x(b, i) == OT_NONE ? NULL : ot_fact_of(b, ot_x(b, i));
    *out = otherwise;
    if (f && (f->n_value != 1 || ot_is_symbol(f->value[0])))
        return false;
    if (f)
        *out = f->value[0] < 0 ? f->value[0] + n : f->value[0];
    return *out >= 0 && *out < n + at_end;
}

static ot_val list_with(ot_build *b, const ot_node *list, int64_t at, ot_val more, bool erase)
{
    ot_val in[MOST_REWRITTEN + 1];
    int n = 0;
    for (int i = 0; i <= list->n_in; i++) {
        if (i == at && !erase)
            in[n++] = more;
        if (i < list->n_in && !(i == at && erase))
            in[n++] = list->in[i];
    }
    return n ? ot_emit(b, "SequenceConstruct", NULL, n, in) : OT_NONE;
}

/* ---- Facts ------------------------------------------------------------------------------------------------------- */

static ot_status sequence_of(ot_infer *c, int i, const ot_fact *element)
{
    ot_fact *e = ot_arena_calloc(c->arena, 1, sizeof(*e));
    if (!e)
        return OT_ENOMEM;
    *e = *element;
    e->value = NULL;
    e->n_value = 0;
    c->y[i] = (ot_fact){ .kind = OT_SEQUENCE, .rank = -1, .element = e };
    return OT_OK;
}

static ot_status needs_sequence(const ot_infer *c, int i)
{
    const ot_fact *x = c->x[i];
    if (x && x->kind == OT_SEQUENCE && x->element && x->element->kind == OT_TENSOR)
        return OT_OK;
    return ot_fail(OT_EMODEL, "input %d is no sequence of tensors", i);
}

static ot_status needs_tensor(const ot_infer *c, int i)
{
    const ot_fact *x = c->x[i];
    return x && x->kind == OT_TENSOR ? OT_OK : ot_fail(OT_EMODEL, "input %d is no tensor", i);
}

static ot_status needs_place(const ot_infer *c, int i)
{
    const ot_fact *x = i < c->n_in ? c->x[i] : NULL;
    if (!x)
        return OT_OK;
    OT_TRY(needs_tensor(c, i));
    return x->dtype == OT_INT32 || x->dtype == OT_INT64
               ? OT_OK
               : ot_fail(OT_EMODEL, "input %d is %s, wanted is int32 or int64", i, ot_dtype_name(x->dtype));
}

/* ---- Running ------------------------------------------------------------------------------------------------------
 */

static ot_status flow_sequence(ot_box **out, const ot_flow *f, int i)
{
    *out = i < f->n_in ? f->x[i] : NULL;
    return *out && (*out)->kind == OT_SEQUENCE ? OT_OK : ot_fail(OT_EMODEL, "input %d is no sequence", i);
}

static ot_status flow_place(int64_t *out, const ot_flow *f, int i, int64_t n, bool at_end, int64_t otherwise)
{
    OT_TRY(ot_flow_scalar(out, f, i, otherwise));
    int64_t at = *out < 0 ? *out + n : *out;
    if (at < 0 || at >= n + at_end)
        return ot_fail(OT_ESHAPE, "place %lld in a sequence of %lld", (long long)*out, (long long)n);
    *out = at;
    return OT_OK;
}

static ot_status give_list(const ot_flow *f, int i, const ot_box_list *l)
{
    f->y[i] = ot_box_items(f, OT_SEQUENCE, OT_TENSOR, l->n, l->box);
    return f->y[i] ? OT_OK : OT_ENOMEM;
}

/* ---- SequenceConstruct, SequenceEmpty ------------------------------------------------------------------------------
 */

static ot_status construct_infer(ot_infer *c)
{
    OT_TRY(needs_tensor(c, 0));
    ot_fact e = *c->x[0];
    for (int i = 1; i < c->n_in; i++) {
        OT_TRY(needs_tensor(c, i));
        OT_TRY(ot_fact_merge(c, &e, &e, c->x[i]));
    }
    return sequence_of(c, 0, &e);
}

static ot_status construct_flow(const ot_flow *f)
{
    f->y[0] = ot_box_items(f, OT_SEQUENCE, OT_TENSOR, f->n_in, f->x);
    return f->y[0] ? OT_OK : OT_ENOMEM;
}

static ot_status empty_infer(ot_infer *c)
{
    ot_fact e = { .kind = OT_TENSOR, .rank = -1, .dtype = (ot_dtype)ot_attr_int(c->node, "dtype", OT_FLOAT) };
    if (!ot_dtype_bits(e.dtype) && e.dtype != OT_STRING)
        return ot_fail(OT_EMODEL, "dtype is %d", (int)e.dtype);
    return sequence_of(c, 0, &e);
}

/* ---- SequenceInsert, SequenceErase ---------------------------------------------------------------------------------
 */

static ot_status insert_infer(ot_infer *c)
{
    ot_fact e;
    OT_TRY(needs_sequence(c, 0));
    OT_TRY(needs_tensor(c, 1));
    OT_TRY(needs_place(c, 2));
    OT_TRY(ot_fact_merge(c, &e, c->x[0]->element, c->x[1]));
    return sequence_of(c, 0, &e);
}

static void insert_normalise(ot_build *b)
{
    const ot_node *list = list_of(b, ot_x(b, 0));
    int64_t at;
    if (!list || list->n_in >= MOST_REWRITTEN || !place_of(&at, b, 2, list->n_in, true, list->n_in))
        return;
    /* what SequenceEmpty says of the type is not in the new list, so it must be the same */
    const ot_fact *held = ot_fact_of(b, ot_x(b, 0))->element, *x = ot_fact_of(b, ot_x(b, 1));
    if (held && x->kind == OT_TENSOR && held->dtype == x->dtype)
        ot_becomes(b, 0, list_with(b, list, at, ot_x(b, 1), false));
}

static ot_status change_flow(const ot_flow *f, bool erase)
{
    ot_box *s;
    int64_t at;
    OT_TRY(flow_sequence(&s, f, 0));
    OT_TRY(flow_place(&at, f, erase ? 1 : 2, s->n, !erase, erase ? s->n - 1 : s->n));
    ot_box **item = ot_calloc((size_t)s->n + 2, sizeof(*item));
    if (!item)
        return OT_ENOMEM;
    memcpy(item, s->item, (size_t)at * sizeof(*item));
    if (!erase)
        item[at] = f->x[1];
    memcpy(item + at + !erase, s->item + at + erase, (size_t)(s->n - at - erase) * sizeof(*item));
    f->y[0] = ot_box_items(f, OT_SEQUENCE, OT_TENSOR, erase ? s->n - 1 : s->n + 1, item);
    ot_free(item);
    return f->y[0] ? OT_OK : OT_ENOMEM;
}

static ot_status insert_flow(const ot_flow *f)
{
    const ot_tensor *t = NULL;
    OT_TRY(ot_flow_tensor(&t, f, 1));
    return change_flow(f, false);
}

static ot_status erase_infer(ot_infer *c)
{
    OT_TRY(needs_sequence(c, 0));
    OT_TRY(needs_place(c, 1));
    return sequence_of(c, 0, c->x[0]->element);
}

static void erase_normalise(ot_build *b)
{
    const ot_node *list = list_of(b, ot_x(b, 0));
    int64_t at;
    if (list && list->n_in > 1 && list->n_in <= MOST_REWRITTEN &&
        place_of(&at, b, 1, list->n_in, false, list->n_in - 1))
        ot_becomes(b, 0, list_with(b, list, at, OT_NONE, true));
}

static ot_status erase_flow(const ot_flow *f)
{
    return change_flow(f, true);
}

/* ---- SplitToSequence -----------------------------------------------------------------------------------------------
 */

/* Pieces of an axis of `length`; sizes NULL: all of `each`, but the last that may be smaller. */
typedef struct pieces {
    int64_t n, each, length;
    const ot_tensor *sizes;
    bool keep;
} pieces;

static ot_status pieces_of(pieces *p, const ot_node *n, const ot_tensor *split, int64_t length)
{
    *p = (pieces){ .each = 1, .length = length, .keep = split || ot_attr_int(n, "keepdims", 1) != 0 };
    if (split && split->rank == 1) {
        int64_t sum = 0;
        p->sizes = split;
        p->n = split->dim[0];
        for (int64_t i = 0; i < p->n; i++) {
            int64_t size = ot_tensor_get_int(split, i);
            if (size < 0 || size > length - sum)
                return ot_fail(OT_ESHAPE, "piece %lld of %lld elements, %lld of %lld are left", (long long)i,
                               (long long)size, (long long)(length - sum), (long long)length);
            sum += size;
        }
        return sum == length ? OT_OK
                             : ot_fail(OT_ESHAPE, "the pieces have %lld elements, the axis has %lld", (long long)sum,
                                       (long long)length);
    }
    if (split && (split->rank != 0 || (p->each = ot_tensor_get_int(split, 0)) < 1))
        return ot_fail(OT_ESHAPE, "split must be a positive number or a list of sizes");
    p->n = length / p->each + (length % p->each != 0);
    return OT_OK;
}

static int64_t piece_size(const pieces *p, int64_t i)
{
    if (p->sizes)
        return ot_tensor_get_int(p->sizes, i);
    return p->length - i * p->each < p->each ? p->length - i * p->each : p->each;
}

static ot_status split_infer(ot_infer *c)
{
    int axis;
    OT_TRY(needs_tensor(c, 0));
    OT_TRY(needs_place(c, 1));
    ot_fact e = *c->x[0];
    const ot_fact *split = c->n_in > 1 ? c->x[1] : NULL;
    if (e.rank < 0)
        return sequence_of(c, 0, &e);
    OT_TRY(ot_axis(&axis, ot_attr_int(c->node, "axis", 0), e.rank));
    if (!split && !ot_attr_int(c->node, "keepdims", 1)) {
        memmove(&e.dim[axis], &e.dim[axis + 1], (size_t)(e.rank - 1 - axis) * sizeof(*e.dim));
        e.rank--;
        return sequence_of(c, 0, &e);
    }
    ot_dim size = split && split->n_value > 0 ? split->value[0] : split ? ot_dim_unknown(c) : 1, length = e.dim[axis];
    for (int i = 1; split && i < split->n_value; i++)
        if (split->value[i] != size)
            size = ot_dim_unknown(c);
    bool even = !split || split->rank == 1 || size == 1 ||
                (split->rank == 0 && !ot_is_symbol(length) && !ot_is_symbol(size) && size > 0 && length % size == 0);
    e.dim[axis] = even && (ot_is_symbol(size) || size >= 0) ? size : ot_dim_unknown(c);
    return sequence_of(c, 0, &e);
}

static ot_status split_flow(const ot_flow *f)
{
    const ot_tensor *x, *split = NULL;
    pieces p;
    int axis;
    OT_TRY(ot_flow_tensor(&x, f, 0));
    if (f->n_in > 1 && f->x[1])
        OT_TRY(ot_flow_tensor(&split, f, 1));
    OT_TRY(ot_axis(&axis, ot_attr_int(f->node, "axis", 0), x->rank));
    OT_TRY(pieces_of(&p, f->node, split, x->dim[axis]));
    ot_box_list list = { 0 };
    ot_status st = OT_OK;
    for (int64_t i = 0, at = 0; i < p.n && st == OT_OK; i++) {
        ot_box *b;
        int64_t size = piece_size(&p, i);
        st = ot_cut(&b, f, x, axis, at, size, p.keep);
        ot_status added = b ? ot_list_add(&list, b) : OT_ENOMEM;
        st = st == OT_OK ? added : st;
        at += size;
    }
    if (st == OT_OK)
        st = give_list(f, 0, &list);
    ot_list_drop(&list);
    return st;
}

/* The pieces of the SplitToSequence that makes v, where all is known. */
static const ot_node *split_of(pieces *p, int *axis, const ot_build *b, ot_val v)
{
    const ot_node *n = ot_maker_of(b, v);
    if (!n || strcmp(n->op->name, "SplitToSequence") != 0)
        return NULL;
    const ot_fact *x = ot_fact_of(b, n->in[0]);
    const ot_tensor *split = n->n_in > 1 ? ot_constant_of(b, n->in[1]) : NULL;
    if (x->rank < 1 || (n->n_in > 1 && n->in[1] != OT_NONE && !split) ||
        ot_axis(axis, ot_attr_int(n, "axis", 0), x->rank) != OT_OK || ot_is_symbol(x->dim[*axis]))
        return NULL;
    return pieces_of(p, n, split, x->dim[*axis]) == OT_OK ? n : NULL;
}

/* ---- SequenceAt, SequenceLength -------------------------------------------------------------------------------------
 */

static ot_status at_infer(ot_infer *c)
{
    OT_TRY(needs_sequence(c, 0));
    OT_TRY(needs_place(c, 1));
    c->y[0] = *c->x[0]->element;
    return OT_OK;
}

static void at_normalise(ot_build *b)
{
    const ot_node *list = list_of(b, ot_x(b, 0));
    pieces p;
    int axis;
    int64_t at, from = 0;
    if (list && place_of(&at, b, 1, list->n_in, false, 0)) {
        ot_becomes(b, 0, list->in[at]);
        return;
    }
    const ot_node *split = list ? NULL : split_of(&p, &axis, b, ot_x(b, 0));
    if (!split || !place_of(&at, b, 1, p.n, false, 0))
        return;
    for (int64_t i = 0; i < at && p.sizes; i++)
        from += piece_size(&p, i);
    if (!p.sizes)
        from = at * p.each;
    ot_val axes = ot_const_ints(b, 1, (const int64_t[]){ axis });
    ot_val y = OT_EMIT(b, "Slice", split->in[0], ot_const_ints(b, 1, &from),
                       ot_const_ints(b, 1, (const int64_t[]){ from + piece_size(&p, at) }), axes);
    ot_becomes(b, 0, p.keep ? y : OT_EMIT(b, "Squeeze", y, axes));
}

static ot_status at_flow(const ot_flow *f)
{
    ot_box *s;
    int64_t at;
    OT_TRY(flow_sequence(&s, f, 0));
    OT_TRY(flow_place(&at, f, 1, s->n, false, 0));
    f->y[0] = ot_box_share(s->item[at]);
    return OT_OK;
}

static ot_status length_infer(ot_infer *c)
{
    if (c->x[0]->kind != OT_SEQUENCE)
        return ot_fail(OT_EMODEL, "input 0 is no sequence");
    ot_set_shape(&c->y[0], OT_INT64, 0, NULL);
    return OT_OK;
}

static void length_normalise(ot_build *b)
{
    const ot_node *list = list_of(b, ot_x(b, 0));
    pieces p;
    int axis;
    if (list)
        ot_becomes(b, 0, ot_const_scalar(b, OT_INT64, list->n_in));
    else if (split_of(&p, &axis, b, ot_x(b, 0)))
        ot_becomes(b, 0, ot_const_scalar(b, OT_INT64, (double)p.n));
}

static ot_status length_flow(const ot_flow *f)
{
    ot_box *s;
    OT_TRY(flow_sequence(&s, f, 0));
    f->y[0] = ot_box_tensor(f, OT_INT64, 0, NULL);
    if (!f->y[0])
        return OT_ENOMEM;
    *(int64_t *)f->y[0]->tensor.data = s->n;
    return OT_OK;
}

/* ---- ConcatFromSequence ---------------------------------------------------------------------------------------------
 */

static ot_status concat_infer(ot_infer *c)
{
    int axis, fresh = ot_attr_int(c->node, "new_axis", 0) != 0;
    OT_TRY(needs_sequence(c, 0));
    ot_fact y = *c->x[0]->element;
    const ot_attr *a = ot_attr_find(c->node, "axis");
    if (!a)
        return ot_fail(OT_EMODEL, "the attribute axis is missing");
    if (y.rank >= 0) {
        if (y.rank + fresh > OT_MAX_RANK)
            return ot_fail(OT_EUNSUPPORTED, "rank %d, at most %d is taken", y.rank + fresh, OT_MAX_RANK);
        OT_TRY(ot_axis(&axis, a->i, y.rank + fresh));
        for (int i = y.rank; i > axis && fresh; i--)
            y.dim[i] = y.dim[i - 1];
        y.rank += fresh;
        y.dim[axis] = ot_dim_unknown(c);
    }
    c->y[0] = y;
    return OT_OK;
}

static void concat_normalise(ot_build *b)
{
    const ot_node *list = list_of(b, ot_x(b, 0));
    int64_t axis = ot_attr_int(ot_the_node(b), "axis", 0);
    ot_val in[MOST_REWRITTEN];
    if (!list || list->n_in < 1 || list->n_in > MOST_REWRITTEN)
        return;
    bool fresh = ot_attr_int(ot_the_node(b), "new_axis", 0) != 0;
    int n = list->n_in; /* what is emitted may move nothing of the list, nodes stay where they are */
    for (int i = 0; i < n; i++)
        in[i] = fresh ? OT_EMIT(b, "Unsqueeze", list->in[i], ot_const_ints(b, 1, &axis)) : list->in[i];
    ot_becomes(b, 0, ot_emit(b, "Concat", OT_ATTRS(OT_INT("axis", axis)), n, in));
}

static ot_status concat_flow(const ot_flow *f)
{
    ot_box *s;
    OT_TRY(flow_sequence(&s, f, 0));
    return ot_join(&f->y[0], f, s->n, s->item, ot_attr_int(f->node, "axis", 0),
                   ot_attr_int(f->node, "new_axis", 0) != 0, false);
}

/* ---- Registration ---------------------------------------------------------------------------------------------------
 */

#define LIST(id, least, most, rewrite, rule, running)                                                                  \
    const ot_op ot_op_##id = { .domain = "",                                                                           \
                               .name = #id,                                                                            \
                               .since = 11,                                                                            \
                               .until = OT_LATEST,                                                                     \
                               .min_in = least,                                                                        \
                               .max_in = most,                                                                         \
                               .min_out = 1,                                                                           \
                               .max_out = 1,                                                                           \
                               .normalise = rewrite,                                                                   \
                               .infer = rule,                                                                          \
                               .flow = running };

LIST(SequenceConstruct, 1, OT_MANY, NULL, construct_infer, construct_flow)
LIST(SequenceEmpty, 0, 0, NULL, empty_infer, construct_flow)
LIST(SequenceInsert, 2, 3, insert_normalise, insert_infer, insert_flow)
LIST(SequenceErase, 1, 2, erase_normalise, erase_infer, erase_flow)
LIST(SequenceAt, 2, 2, at_normalise, at_infer, at_flow)
LIST(SequenceLength, 1, 1, length_normalise, length_infer, length_flow)
LIST(SplitToSequence, 1, 2, NULL, split_infer, split_flow)
LIST(ConcatFromSequence, 1, 1, concat_normalise, concat_infer, concat_flow)
