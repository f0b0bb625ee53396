/* StringConcat: x followed by y, broadcast.
 * StringSplit: the pieces of each element of X along a new last dim, padded by empty strings, and how many each has.
 * With a delimiter that is any run of bytes between it; without one, runs of white space separate, and those at the
 * start and the end do not count.  After `maxsplit` cuts the rest is one piece.  Pieces are views into the strings of
 * X. */
#include "known.h"
#include "run.h"

#include <string.h>

/* ---- StringConcat ---------------------------------------------------------------------------------------------- */

static ot_status needs_strings(const ot_infer *c, int i)
{
    if (c->x[i]->dtype != OT_STRING)
        return ot_fail(OT_ESHAPE, "input %d is %s, wanted is string", i, ot_dtype_name(c->x[i]->dtype));
    return OT_OK;
}

static ot_status concat_infer(ot_infer *c)
{
    OT_TRY(needs_strings(c, 0));
    OT_TRY(needs_strings(c, 1));
    if (ot_open_rank(c, -1)) {
        c->y[0].dtype = OT_STRING;
        return OT_OK;
    }
    return ot_broadcast_shape(c);
}

static ot_status concat_run(const ot_run *r)
{
    const ot_tensor *y = &r->y[0];
    int64_t sa[OT_MAX_RANK], sb[OT_MAX_RANK], index[OT_MAX_RANK] = { 0 }, a = 0, b = 0;
    ot_broadcast_strides(sa, &r->x[0], y);
    ot_broadcast_strides(sb, &r->x[1], y);
    for (int64_t i = 0, n = ot_tensor_count(y); i < n; i++) {
        const ot_str *p = (const ot_str *)r->x[0].data + a, *q = (const ot_str *)r->x[1].data + b;
        char *text = ot_arena_calloc(r->text, p->n + q->n + 1, 1);
        if (!text)
            return OT_ENOMEM;
        if (p->n)
            memcpy(text, p->bytes, p->n);
        if (q->n)
            memcpy(text + p->n, q->bytes, q->n);
        ((ot_str *)y->data)[i] = (ot_str){ text, p->n + q->n };
        for (int d = y->rank - 1; d >= 0; d--) {
            a += sa[d];
            b += sb[d];
            if (++index[d] < y->dim[d])
                break;
            a -= sa[d] * index[d];
            b -= sb[d] * index[d];
            index[d] = 0;
        }
    }
    return OT_OK;
}

static const ot_kernel concat_kernels[] = { { .name = "loop", .run = concat_run }, { 0 } };

const ot_op ot_op_StringConcat = { .domain = "",
                                   .name = "StringConcat",
                                   .since = 20,
                                   .until = OT_LATEST,
                                   .min_in = 2,
                                   .max_in = 2,
                                   .min_out = 1,
                                   .max_out = 1,
                                   .infer = concat_infer,
                                   .grad = ot_grad_none,
                                   .cpu = concat_kernels };

/* ---- StringSplit ----------------------------------------------------------------------------------------------- */

/* Bytes of the white space that s begins with, as UTF-8; 0: none. */
static size_t space_at(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    if (n > 0 && (u[0] == ' ' || (u[0] >= 0x09 && u[0] <= 0x0d) || (u[0] >= 0x1c && u[0] <= 0x1f)))
        return 1;
    if (n > 1 && u[0] == 0xc2 && (u[1] == 0x85 || u[1] == 0xa0))
        return 2;
    if (n < 3)
        return 0;
    const unsigned code = (unsigned)u[0] << 16 | (unsigned)u[1] << 8 | u[2];
    const bool space = code == 0xe19a80 || (code >= 0xe28080 && code <= 0xe2808a) || code == 0xe280a8 ||
                       code == 0xe280a9 || code == 0xe280af || code == 0xe2819f || code == 0xe38080;
    return space ? 3 : 0;
}

typedef struct cutting {
    const char *delimiter; /* "": white space */
    size_t length;
    int64_t most; /* cuts; < 0: any number */
} cutting;

static cutting cutting_of(const ot_node *n)
{
    cutting c = { .delimiter = ot_attr_text(n, "delimiter", ""), .most = ot_attr_int(n, "maxsplit", -1) };
    c.length = strlen(c.delimiter);
    return c;
}

static size_t skip_spaces(const char *s, size_t n)
{
    size_t at = 0, step;
    while ((step = space_at(s + at, n - at)) > 0)
        at += step;
    return at;
}

/* Where the piece at the start of s ends. */
static size_t piece_end(const cutting *c, const char *s, size_t n)
{
    for (size_t at = 0; at < n; at++)
        if (c->length ? n - at >= c->length && memcmp(s + at, c->delimiter, c->length) == 0
                      : space_at(s + at, n - at) > 0)
            return at;
    return n;
}

/* The number of pieces of s; the first `room` of them into out. */
static int64_t cut(const cutting *c, ot_str s, ot_str *out, int64_t room)
{
    int64_t pieces = 0;
    const char *at = s.n ? s.bytes : "";
    size_t left = s.n;
    for (bool more = true; more; pieces++) {
        if (!c->length) {
            const size_t spaces = skip_spaces(at, left);
            at += spaces;
            left -= spaces;
            if (left == 0)
                break;
        }
        const size_t end = pieces == c->most ? left : piece_end(c, at, left);
        more = end < left;
        if (pieces < room)
            out[pieces] = (ot_str){ at, end };
        at += more ? end + c->length : end;
        left -= more ? end + c->length : end;
    }
    return pieces;
}

static ot_status split_infer(ot_infer *c)
{
    OT_TRY(needs_strings(c, 0));
    const ot_fact *x = c->x[0];
    const ot_tensor *data = c->constant[0];
    const cutting how = cutting_of(c->node);
    if (x->rank == OT_MAX_RANK)
        return ot_fail(OT_ESHAPE, "X has rank %d already", x->rank);
    ot_dim dim[OT_MAX_RANK], most = 0;
    if (x->rank >= 0) {
        memcpy(dim, x->dim, sizeof(dim));
        for (int64_t i = 0, n = data ? ot_tensor_count(data) : 0; i < n; i++) {
            const int64_t pieces = cut(&how, ((const ot_str *)data->data)[i], NULL, 0);
            most = pieces > most ? pieces : most;
        }
        dim[x->rank] = data ? most : ot_dim_unknown(c);
    }
    ot_set_shape(&c->y[0], OT_STRING, x->rank < 0 ? -1 : x->rank + 1, dim);
    if (c->n_out > 1)
        ot_set_shape(&c->y[1], OT_INT64, x->rank, x->dim);
    return OT_OK;
}

static ot_status split_run(const ot_run *r)
{
    const cutting how = cutting_of(r->node);
    const int64_t most = r->y[0].dim[r->y[0].rank - 1];
    for (int64_t i = 0, n = ot_tensor_count(&r->x[0]); i < n; i++) {
        ot_str *to = (ot_str *)r->y[0].data + i * most;
        for (int64_t k = 0; k < most; k++)
            to[k] = (ot_str){ "", 0 };
        const int64_t pieces = cut(&how, ((const ot_str *)r->x[0].data)[i], to, most);
        if (pieces > most)
            return ot_fail(OT_ESHAPE, "%lld pieces, planned are %lld", (long long)pieces, (long long)most);
        if (ot_has_y(r, 1))
            ((int64_t *)r->y[1].data)[i] = pieces;
    }
    return OT_OK;
}

static const ot_kernel split_kernels[] = { { .name = "loop", .run = split_run }, { 0 } };

const ot_op ot_op_StringSplit = { .domain = "",
                                  .name = "StringSplit",
                                  .since = 20,
                                  .until = OT_LATEST,
                                  .min_in = 1,
                                  .max_in = 1,
                                  .min_out = 2,
                                  .max_out = 2,
                                  .infer = split_infer,
                                  .grad = ot_grad_none,
                                  .cpu = split_kernels };
