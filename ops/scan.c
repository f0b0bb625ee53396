/* Scan: a body over the slices of some inputs, with states that it hands on.  Before opset 9 everything has a batch
 * axis, and each row of the batch its own length.  No gradient. */
#include "boxes.h"

#include <string.h>

typedef struct scan {
    const ot_flow *f;
    ot_graph *body;
    bool old;    /* before opset 9 */
    int first;   /* the node's input that is the first state */
    int states;  /* inputs and outputs */
    int scanned; /* inputs */
    int stacked; /* outputs */
    ot_box **in, **out;
    ot_box_list *list; /* by stacked output */
} scan;

/* Entry i of a list, 0 where there is none. */
static int64_t entry(const ot_node *n, const char *name, int i)
{
    int count;
    const int64_t *v = ot_attr_ints(n, name, &count);
    return v && i < count ? v[i] : 0;
}

static bool goes_back(const ot_node *n, bool old, bool output, int i)
{
    return entry(n,
                 old      ? "directions"
                 : output ? "scan_output_directions"
                          : "scan_input_directions",
                 i) == 1 &&
           !(old && output);
}

static ot_status layout_of(scan *s, const ot_node *n)
{
    s->body = ot_body(n, "body");
    s->old = n->opset < 9;
    s->first = s->old;
    s->scanned = (int)ot_attr_int(n, "num_scan_inputs", 0);
    if (!s->body)
        return ot_fail(OT_EMODEL, "a Scan has a body");
    s->states = ot_body_own(s->body) - s->scanned;
    s->stacked = ot_body_outputs(s->body) - s->states;
    if (s->states < 0 || s->stacked < 0 || n->n_out > s->states + s->stacked)
        return ot_fail(OT_EMODEL, "%d outputs; the body has %d states and gives %d", n->n_out, s->states,
                       ot_body_outputs(s->body));
    return OT_OK;
}

/* ---- The shape rule ---------------------------------------------------------------------------------------------- */

static void insert_dim(ot_fact *y, int at, ot_dim d)
{
    if (y->rank < 0)
        return;
    for (int i = y->rank++; i > at; i--)
        y->dim[i] = y->dim[i - 1];
    y->dim[at] = d;
}

/* The length of the axis that is scanned, and of the batch. */
static ot_status lengths_of(ot_infer *c, const scan *s, ot_dim *length, ot_dim *batch)
{
    *length = *batch = ot_dim_unknown(c);
    for (int i = 0; i < s->states + s->scanned; i++) {
        const ot_fact *x = c->x[s->first + i];
        int axis = 1, k = i - s->states;
        if (x->kind != OT_TENSOR)
            return ot_fail(OT_EMODEL, "input %d is not a tensor", s->first + i);
        if (x->rank < 0)
            continue;
        if (s->old && x->rank < (k < 0 ? 1 : 2))
            return ot_fail(OT_ESHAPE, "input %d has rank %d", s->first + i, x->rank);
        if (s->old)
            OT_TRY(ot_dims_agree(batch, *batch, x->dim[0], "the batch"));
        if (k < 0)
            continue;
        if (!s->old)
            OT_TRY(ot_axis(&axis, entry(c->node, "scan_input_axes", k), x->rank));
        OT_TRY(ot_dims_agree(length, *length, x->dim[axis], "the length that is scanned"));
    }
    return OT_OK;
}

static ot_status scan_infer(ot_infer *c)
{
    scan s = { 0 };
    ot_dim length, batch;
    OT_TRY(layout_of(&s, c->node));
    OT_TRY(lengths_of(c, &s, &length, &batch));
    for (int i = 0; i < c->n_out; i++) {
        ot_fact *y = &c->y[i];
        OT_TRY(i < s.states ? ot_body_input(c, y, s.body, i) : ot_body_output(c, y, s.body, i));
        if (y->kind != OT_TENSOR || y->rank + 2 > OT_MAX_RANK)
            return ot_fail(OT_EUNSUPPORTED, "what the body gives as output %d cannot be stacked", i);
        int axis = 0;
        if (i >= s.states && y->rank >= 0 && !s.old)
            OT_TRY(ot_axis(&axis, entry(c->node, "scan_output_axes", i - s.states), y->rank + 1));
        if (i >= s.states)
            insert_dim(y, axis, length);
        if (s.old)
            insert_dim(y, 0, batch);
    }
    return OT_OK;
}

/* ---- Running ----------------------------------------------------------------------------------------------------- */

/* One trip: slices at t of x (by scanned input), states from `in` to `in`. */
static ot_status trip(scan *s, ot_box *const *x, const int *axis, int64_t t)
{
    OT_TRY(ot_flow_trip(s->f));
    for (int k = 0; k < s->scanned; k++) {
        const ot_tensor *all = &x[k]->tensor;
        int64_t at = goes_back(s->f->node, s->old, false, k) ? all->dim[axis[k]] - 1 - t : t;
        ot_box_drop(s->in[s->states + k]);
        s->in[s->states + k] = NULL;
        OT_TRY(ot_cut(&s->in[s->states + k], s->f, all, axis[k], at, 1, false));
    }
    OT_TRY(ot_flow_call(s->f, s->body, s->in, s->out));
    ot_status st = OT_OK;
    for (int i = 0; i < s->states; i++) {
        ot_box_drop(s->in[i]);
        s->in[i] = s->out[i];
    }
    for (int i = 0; i < s->stacked; i++) {
        ot_status added = ot_list_add(&s->list[i], s->out[s->states + i]);
        st = st == OT_OK ? added : st;
    }
    return st;
}

/* A stack without a trip; what is not known of the dims is 0. */
static ot_status nothing(ot_box **out, const scan *s, int i, int64_t axis)
{
    const ot_fact *f = ot_body_gives(s->body, s->states + i);
    int64_t dim[OT_MAX_RANK] = { 0 };
    int at = 0, rank = f->rank < 0 ? 1 : f->rank + 1;
    OT_TRY(ot_axis(&at, axis, rank));
    for (int d = 0, k = 0; d < rank; d++)
        dim[d] = d == at ? 0 : ot_is_symbol(f->dim[k++]) ? 0 : f->dim[k - 1];
    if (f->dtype == OT_UNDEFINED)
        return ot_fail(OT_EMODEL, "the type of output %d is not known", s->states + i);
    *out = ot_box_tensor(s->f, f->dtype, rank, dim);
    return *out ? OT_OK : OT_ENOMEM;
}

/* Over one set of states and scanned inputs: states stay in `in`, stacks go to y. */
static ot_status run_once(scan *s, ot_box *const *x, const int *axis, int64_t length, ot_box **y)
{
    for (int64_t t = 0; t < length; t++) {
        ot_status st = trip(s, x, axis, t);
        if (st != OT_OK)
            return ot_context(st, "trip %lld", (long long)t);
    }
    for (int i = 0; i < s->stacked; i++) {
        int64_t to = s->old ? 0 : entry(s->f->node, "scan_output_axes", i);
        bool back = goes_back(s->f->node, s->old, true, i);
        OT_TRY(length ? ot_join(&y[i], s->f, s->list[i].n, s->list[i].box, to, true, back) : nothing(&y[i], s, i, to));
        ot_list_drop(&s->list[i]);
    }
    return OT_OK;
}

static ot_status check_length(const scan *s, int i, int axis, int64_t *length)
{
    const ot_tensor *x = NULL;
    OT_TRY(ot_flow_tensor(&x, s->f, i));
    if (axis >= x->rank)
        return ot_fail(OT_ESHAPE, "input %d has rank %d", i, x->rank);
    if (*length >= 0 && x->dim[axis] != *length)
        return ot_fail(OT_ESHAPE, "input %d has %lld along axis %d, not %lld", i, (long long)x->dim[axis], axis,
                       (long long)*length);
    *length = x->dim[axis];
    return OT_OK;
}

static ot_status run_new(scan *s, int *axis, ot_box **y)
{
    int64_t length = -1;
    for (int k = 0; k < s->scanned; k++) {
        const ot_tensor *x = NULL;
        OT_TRY(ot_flow_tensor(&x, s->f, s->states + k));
        OT_TRY(ot_axis(&axis[k], entry(s->f->node, "scan_input_axes", k), x->rank));
        OT_TRY(check_length(s, s->states + k, axis[k], &length));
    }
    for (int i = 0; i < s->states; i++)
        s->in[i] = ot_box_share(s->f->x[i]);
    OT_TRY(run_once(s, s->f->x + s->states, axis, length, y + s->states));
    for (int i = 0; i < s->states; i++)
        y[i] = ot_box_share(s->in[i]);
    return OT_OK;
}

/* The shorter stacks of a batch are filled up with zeros. */
static ot_status fill_up(const scan *s, ot_box **piece, int64_t length)
{
    const ot_tensor *t = &(*piece)->tensor;
    int64_t dim[OT_MAX_RANK];
    if (t->rank < 1 || t->dim[0] == length)
        return OT_OK;
    memcpy(dim, t->dim, sizeof(dim));
    dim[0] = length - t->dim[0];
    ot_box *pair[] = { *piece, ot_box_tensor(s->f, t->dtype, t->rank, dim) };
    ot_status st = pair[1] ? ot_join(piece, s->f, 2, pair, 0, false, false) : OT_ENOMEM;
    ot_box_drop(pair[0]);
    ot_box_drop(pair[1]);
    return st;
}

/* Row b of every input, its states and stacks to the lists. */
static ot_status run_row(scan *s, int64_t b, int64_t longest, ot_box **x, int *axis, ot_box_list *done)
{
    const ot_tensor *lengths = s->f->x[0] ? &s->f->x[0]->tensor : NULL;
    int64_t length = lengths ? ot_tensor_get_int(lengths, b) : longest;
    int outputs = s->states + s->stacked;
    if (length < 0 || length > longest)
        return ot_fail(OT_ESHAPE, "length %lld of row %lld, the axis has %lld", (long long)length, (long long)b,
                       (long long)longest);
    for (int i = 0; i < s->states + s->scanned; i++) {
        ot_box **to = i < s->states ? &s->in[i] : &x[i - s->states];
        ot_box_drop(*to);
        *to = NULL;
        OT_TRY(ot_cut(to, s->f, &s->f->x[1 + i]->tensor, 0, b, 1, false));
    }
    ot_box **y = ot_calloc((size_t)outputs + 1, sizeof(*y));
    if (!y)
        return OT_ENOMEM;
    /* a row that goes back starts at its own end */
    for (int k = 0; k < s->scanned; k++)
        axis[k] = 0;
    ot_status st = OT_OK;
    for (int k = 0; k < s->scanned && st == OT_OK && length < longest; k++) {
        ot_box *whole = x[k];
        x[k] = NULL;
        st = ot_cut(&x[k], s->f, &whole->tensor, 0, 0, length, true);
        ot_box_drop(whole);
    }
    if (st == OT_OK)
        st = run_once(s, x, axis, length, y + s->states);
    for (int i = 0; i < outputs; i++) {
        if (i < s->states)
            y[i] = ot_box_share(s->in[i]);
        else if (st == OT_OK)
            st = fill_up(s, &y[i], longest);
        ot_status added = y[i] ? ot_list_add(&done[i], y[i]) : OT_OK;
        st = st == OT_OK ? added : st;
    }
    ot_free(y);
    return st;
}

static ot_status run_old(scan *s, int *axis, ot_box **y)
{
    int64_t batch = -1, length = -1;
    int outputs = s->states + s->stacked;
    for (int i = 0; i < s->states + s->scanned; i++) {
        OT_TRY(check_length(s, 1 + i, 0, &batch));
        if (i >= s->states)
            OT_TRY(check_length(s, 1 + i, 1, &length));
    }
    if (s->f->x[0] && (s->f->x[0]->kind != OT_TENSOR || s->f->x[0]->tensor.dtype != OT_INT64 ||
                       ot_tensor_count(&s->f->x[0]->tensor) != batch))
        return ot_fail(OT_ESHAPE, "sequence_lens must be %lld int64", (long long)batch);
    ot_box **x = ot_calloc((size_t)s->scanned + 1, sizeof(*x));
    ot_box_list *done = ot_calloc((size_t)outputs + 1, sizeof(*done));
    ot_status st = x && done ? OT_OK : OT_ENOMEM;
    for (int64_t b = 0; b < batch && st == OT_OK; b++)
        st = run_row(s, b, length, x, axis, done);
    for (int i = 0; i < outputs && st == OT_OK; i++)
        st = ot_join(&y[i], s->f, done[i].n, done[i].box, 0, true, false);
    for (int i = 0; i < s->scanned && x; i++)
        ot_box_drop(x[i]);
    for (int i = 0; i < outputs && done; i++)
        ot_list_drop(&done[i]);
    ot_free(x);
    ot_free(done);
    return st;
}

static ot_status run_scan(scan *s, int *axis, ot_box **y)
{
    const ot_flow *f = s->f;
    int own = s->states + s->scanned;
    for (int i = own; i < own + ot_body_captures(s->body); i++)
        s->in[i] = ot_box_share(f->x[s->first + i]);
    return s->old ? run_old(s, axis, y) : run_new(s, axis, y);
}

static ot_status scan_flow(const ot_flow *f)
{
    scan s = { .f = f };
    OT_TRY(layout_of(&s, f->node));
    int n_in = ot_body_own(s.body) + ot_body_captures(s.body), n_out = ot_body_outputs(s.body);
    s.in = ot_calloc((size_t)n_in + 1, sizeof(*s.in));
    s.out = ot_calloc((size_t)n_out + 1, sizeof(*s.out));
    s.list = ot_calloc((size_t)s.stacked + 1, sizeof(*s.list));
    int *axis = ot_calloc((size_t)s.scanned + 1, sizeof(*axis));
    ot_box **y = ot_calloc((size_t)n_out + 1, sizeof(*y));
    ot_status st = s.in && s.out && s.list && axis && y ? run_scan(&s, axis, y) : OT_ENOMEM;
    for (int i = 0; i < n_in && s.in; i++)
        ot_box_drop(s.in[i]);
    for (int i = 0; i < s.stacked && s.list; i++)
        ot_list_drop(&s.list[i]);
    for (int i = 0; i < n_out && y; i++) {
        if (i < f->n_out)
            f->y[i] = y[i];
        else
            ot_box_drop(y[i]);
    }
    ot_free(s.in);
    ot_free(s.out);
    ot_free(s.list);
    ot_free(axis);
    ot_free(y);
    return st;
}

const ot_op ot_op_Scan = {
    .domain = "",
    .name = "Scan",
    .since = 8,
    .until = OT_LATEST,
    .min_in = 0, /* its first may be absent before opset 9 */
    .max_in = OT_MANY,
    .min_out = 1,
    .max_out = OT_MANY,
    .infer = scan_infer,
    .flow = scan_flow,
};
