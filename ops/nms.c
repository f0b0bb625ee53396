/* NonMaxSuppression: in each picture and class, boxes by falling score (the lower index first among equals) that score
 * above score_threshold and overlap none that is chosen already by more than iou_threshold, at most
 * max_output_boxes_per_class.  The output, [chosen, 3], lists (picture, class, box); its length follows from the data,
 * so the shape rule runs the suppression too. */
#include "run.h"

#include <math.h>
#include <string.h>

typedef struct nms {
    const ot_tensor *boxes, *scores;
    int64_t pictures, classes, n;
    int64_t most;
    float overlap, threshold;
    bool has_threshold, centred;
    float *score;   /* of the boxes of one class */
    float *side;    /* of the boxes of one picture: y1, x1, y2, x2 in rising order */
    int64_t *order; /* of one class: a heap, then those chosen */
} nms;

/* Work space of one class; false: out of range. */
static bool room_for(int64_t n, size_t *bytes)
{
    return n < INT64_MAX / 64 && ot_mul(bytes, (size_t)n, 5 * sizeof(float) + 2 * sizeof(int64_t));
}

static void lay_out(nms *s, void *room)
{
    s->order = room;
    s->score = (float *)(void *)(s->order + 2 * s->n);
    s->side = s->score + s->n;
}

/* Limits from the scalars that are there. */
static nms read_nms(const ot_node *node, const ot_tensor *const x[5])
{
    nms s = { .boxes = x[0],
              .scores = x[1],
              .pictures = x[0]->dim[0],
              .classes = x[1]->dim[1],
              .n = x[0]->dim[1],
              .centred = ot_attr_int(node, "center_point_box", 0) != 0 };
    s.most = x[2] && ot_tensor_count(x[2]) > 0 ? ot_tensor_get_int(x[2], 0) : 0;
    s.overlap = x[3] && ot_tensor_count(x[3]) > 0 ? (float)ot_tensor_get(x[3], 0) : 0;
    s.has_threshold = x[4] && ot_tensor_count(x[4]) > 0;
    s.threshold = s.has_threshold ? (float)ot_tensor_get(x[4], 0) : 0;
    return s;
}

static void read_boxes(nms *s, int64_t picture)
{
    for (int64_t i = 0; i < s->n; i++) {
        float v[4], *to = s->side + i * 4;
        for (int k = 0; k < 4; k++)
            v[k] = (float)ot_tensor_get(s->boxes, (picture * s->n + i) * 4 + k);
        for (int k = 0; k < 2; k++) {
            /* x_centre, y_centre, width, height; or two corners as y, x */
            const float a = s->centred ? v[1 - k] - v[3 - k] / 2 : v[k];
            const float b = s->centred ? v[1 - k] + v[3 - k] / 2 : v[k + 2];
            to[k] = s->centred || a < b ? a : b;
            to[k + 2] = s->centred || a < b ? b : a;
        }
    }
}

static bool overlaps(const nms *s, int64_t i, int64_t j)
{
    const float *a = s->side + i * 4, *b = s->side + j * 4;
    float side[2];
    for (int k = 0; k < 2; k++) {
        const float lo = a[k] > b[k] ? a[k] : b[k], hi = a[k + 2] < b[k + 2] ? a[k + 2] : b[k + 2];
        if (!(hi > lo))
            return false;
        side[k] = hi - lo;
    }
    const float both = side[0] * side[1];
    const float first = (a[2] - a[0]) * (a[3] - a[1]), second = (b[2] - b[0]) * (b[3] - b[1]);
    const float either = first + second - both;
    return both > 0 && first > 0 && second > 0 && either > 0 && both / either > s->overlap;
}

/* Does box a come before box b? */
static bool before(const nms *s, int64_t a, int64_t b)
{
    return s->score[a] > s->score[b] || (s->score[a] == s->score[b] && a < b);
}

static void sift_down(const nms *s, int64_t *heap, int64_t n, int64_t i)
{
    for (;;) {
        int64_t top = i;
        for (int64_t k = 2 * i + 1; k <= 2 * i + 2 && k < n; k++)
            if (before(s, heap[k], heap[top]))
                top = k;
        if (top == i)
            return;
        const int64_t swap = heap[i];
        heap[i] = heap[top];
        heap[top] = swap;
        i = top;
    }
}

/* The boxes of one class that are chosen, in order->[n ..]; gives their number. */
static int64_t choose(nms *s, int64_t picture, int64_t class)
{
    int64_t *heap = s->order, *chosen = s->order + s->n, n = 0, found = 0;
    for (int64_t i = 0; i < s->n; i++) {
        s->score[i] = (float)ot_tensor_get(s->scores, (picture * s->classes + class) * s->n + i);
        if (!s->has_threshold || s->score[i] > s->threshold)
            heap[n++] = i;
    }
    for (int64_t i = n / 2 - 1; i >= 0; i--)
        sift_down(s, heap, n, i);
    while (n > 0 && found < s->most) {
        const int64_t best = heap[0];
        bool free = true;
        heap[0] = heap[--n];
        sift_down(s, heap, n, 0);
        for (int64_t k = 0; k < found && free; k++)
            free = !overlaps(s, best, chosen[k]);
        if (free)
            chosen[found++] = best;
    }
    return found;
}

/* All that is chosen, into `out` where there is room for `limit` rows; gives the number. */
static int64_t suppress(nms *s, int64_t *out, int64_t limit)
{
    int64_t rows = 0;
    for (int64_t p = 0; p < s->pictures && s->most > 0; p++) {
        read_boxes(s, p);
        for (int64_t c = 0; c < s->classes; c++) {
            const int64_t found = choose(s, p, c);
            for (int64_t k = 0; k < found; k++, rows++)
                if (rows < limit) {
                    out[rows * 3] = p;
                    out[rows * 3 + 1] = c;
                    out[rows * 3 + 2] = s->order[s->n + k];
                }
        }
    }
    return rows;
}

static ot_status check_inputs(const ot_infer *c)
{
    ot_dim d;
    OT_TRY(ot_rank_between(c, 0, 3, 3));
    OT_TRY(ot_rank_between(c, 1, 3, 3));
    OT_TRY(ot_dims_agree(&d, c->x[0]->dim[0], c->x[1]->dim[0], "pictures of boxes and scores"));
    OT_TRY(ot_dims_agree(&d, c->x[0]->dim[1], c->x[1]->dim[2], "the numbers of boxes and of scores"));
    OT_TRY(ot_dims_agree(&d, c->x[0]->dim[2], 4, "numbers of a box"));
    for (int i = 0; i < c->n_in; i++) {
        if (!c->x[i])
            continue;
        if (i > 1)
            OT_TRY(ot_rank_between(c, i, 0, 1));
        if (i == 2 && c->x[i]->dtype != OT_INT64)
            return ot_fail(OT_ESHAPE, "input 2 is %s, wanted is int64", ot_dtype_name(c->x[i]->dtype));
        if (i != 2)
            OT_TRY(ot_needs_float(c, i));
    }
    return OT_OK;
}

static ot_status nms_infer(ot_infer *c)
{
    const ot_tensor *x[5] = { NULL };
    ot_dim dim[2] = { 0, 3 };
    bool known = true;
    OT_TRY(check_inputs(c));
    for (int i = 0; i < c->n_in; i++) {
        x[i] = c->x[i] ? c->constant[i] : NULL;
        known &= !c->x[i] || x[i];
    }
    if (!known) {
        dim[0] = ot_dim_unknown(c);
    } else if (c->n_in > 2 && c->x[2]) {
        nms s = read_nms(c->node, x);
        size_t bytes;
        if (!room_for(s.n, &bytes))
            return ot_fail(OT_ENOMEM, "%lld boxes", (long long)s.n);
        void *room = ot_malloc(bytes + 1, 1);
        if (!room)
            return OT_ENOMEM;
        lay_out(&s, room);
        dim[0] = suppress(&s, NULL, 0);
        ot_free(room);
    }
    ot_set_shape(&c->y[0], OT_INT64, 2, dim);
    return OT_OK;
}

static ot_status nms_prepare(ot_prep *p)
{
    return room_for(p->x[0]->dim[1], &p->scratch) ? OT_OK
                                                  : ot_fail(OT_ENOMEM, "%lld boxes", (long long)p->x[0]->dim[1]);
}

static ot_status nms_run(const ot_run *r)
{
    const ot_tensor *x[5];
    for (int i = 0; i < 5; i++)
        x[i] = ot_has_x(r, i) ? &r->x[i] : NULL;
    nms s = read_nms(r->node, x);
    lay_out(&s, r->scratch);
    const int64_t rows = suppress(&s, r->y[0].data, r->y[0].dim[0]);
    if (rows != r->y[0].dim[0])
        return ot_fail(OT_EDATA, "%lld boxes are chosen, there is room for %lld", (long long)rows,
                       (long long)r->y[0].dim[0]);
    return OT_OK;
}

static const ot_kernel nms_kernels[] = { { .name = "heap", .prepare = nms_prepare, .run = nms_run }, { 0 } };

const ot_op ot_op_NonMaxSuppression = { .domain = "",
                                        .name = "NonMaxSuppression",
                                        .since = 10,
                                        .until = OT_LATEST,
                                        .min_in = 2,
                                        .max_in = 5,
                                        .min_out = 1,
                                        .max_out = 1,
                                        .infer = nms_infer,
                                        .grad = ot_grad_none,
                                        .cpu = nms_kernels };
