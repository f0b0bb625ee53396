/* StringNormalizer: the elements of X (of C or 1 x C) that are no stop words, in lower or upper case; one empty string
 * where none is left.  `locale` is not looked at, so that a model gives the same everywhere: letters are mapped one to
 * one, as Unicode's simple mappings say, and without is_case_sensitive elements are compared in lower case.  Bytes that
 * are no UTF-8 stay as they are. */
#include "run.h"
#include "utf8.h"

#include <string.h>

typedef struct case_range {
    int32_t first, last, step, move;
} case_range;

#include "case_table.inc"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

enum { NONE, LOWER, UPPER };

typedef struct normalizer {
    const ot_attr *stop;
    int action;
    bool exact; /* stop words */
} normalizer;

/* ---- Case ------------------------------------------------------------------------------------------------------ */

static int32_t mapped(int32_t c, int action)
{
    const case_range *table = action == LOWER ? to_lower : to_upper;
    int lo = 0, hi = action == LOWER ? COUNT(to_lower) : COUNT(to_upper);
    if (action == NONE)
        return c;
    if (c < 128)
        return action == LOWER ? c + (c >= 'A' && c <= 'Z' ? 32 : 0) : c - (c >= 'a' && c <= 'z' ? 32 : 0);
    while (lo < hi) {
        const int mid = (lo + hi) / 2;
        if (c > table[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    const case_range *r = &table[lo];
    const bool inside = lo < (action == LOWER ? COUNT(to_lower) : COUNT(to_upper)) && c >= r->first;
    return inside && (c - r->first) % r->step == 0 ? c + r->move : c;
}

/* Writes c, as ot_utf8_decode gives it; returns the bytes. */
static size_t encode(char *to, int32_t c)
{
    const size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (length == 1) {
        *to = (char)(unsigned char)(c < 0 ? -1 - c : c);
        return 1;
    }
    for (size_t i = length - 1; i > 0; i--, c >>= 6)
        to[i] = (char)(unsigned char)(0x80 | (c & 0x3f));
    to[0] = (char)(unsigned char)((0xf00 >> length & 0xff) | c);
    return length;
}

/* s in another case; a letter of two bytes may become one of three. */
static ot_status in_case(ot_str *out, ot_str s, int action, ot_arena *arena)
{
    char *to = ot_arena_calloc(arena, 2 * s.n + 4, 1);
    size_t length = 0, n;
    if (!to)
        return OT_ENOMEM;
    for (size_t at = 0; at < s.n; at += n) {
        const int32_t c = ot_utf8_decode((const unsigned char *)s.bytes + at, s.n - at, &n);
        length += encode(to + length, c < 0 ? c : mapped(c, action));
    }
    *out = (ot_str){ to, length };
    return OT_OK;
}

/* Equal, or equal in lower case. */
static bool equal(ot_str a, ot_str b, bool exact)
{
    size_t i = 0, k = 0, n, m;
    if (exact)
        return a.n == b.n && (a.n == 0 || memcmp(a.bytes, b.bytes, a.n) == 0);
    while (i < a.n && k < b.n) {
        const int32_t c = ot_utf8_decode((const unsigned char *)a.bytes + i, a.n - i, &n);
        const int32_t d = ot_utf8_decode((const unsigned char *)b.bytes + k, b.n - k, &m);
        if ((c < 0 ? c : mapped(c, LOWER)) != (d < 0 ? d : mapped(d, LOWER)))
            return false;
        i += n;
        k += m;
    }
    return i == a.n && k == b.n;
}

/* ---- The operator ---------------------------------------------------------------------------------------------- */

static ot_status read_node(normalizer *z, const ot_node *n)
{
    static const char *const actions[] = { "NONE", "LOWER", "UPPER" };
    const char *action = ot_attr_text(n, "case_change_action", "NONE");
    const ot_attr *stop = ot_attr_find(n, "stopwords");
    *z = (normalizer){ .stop = stop && stop->type == OT_ATTR_STRINGS ? stop : NULL,
                       .exact = ot_attr_int(n, "is_case_sensitive", 0) != 0 };
    for (z->action = NONE; z->action <= UPPER; z->action++)
        if (strcmp(action, actions[z->action]) == 0)
            return OT_OK;
    return ot_fail(OT_EMODEL, "case_change_action is '%s'", action);
}

static bool stays(const normalizer *z, ot_str s)
{
    for (int i = 0; z->stop && i < z->stop->n; i++)
        if (equal(s, (ot_str){ z->stop->strings[i], strlen(z->stop->strings[i]) }, z->exact))
            return false;
    return true;
}

static int64_t count_left(const normalizer *z, const ot_tensor *x)
{
    int64_t left = 0;
    for (int64_t i = 0, n = ot_tensor_count(x); i < n; i++)
        left += stays(z, ((const ot_str *)x->data)[i]);
    return left ? left : 1;
}

static ot_status normalizer_infer(ot_infer *c)
{
    const ot_fact *x = c->x[0];
    normalizer z;
    ot_dim dim[2] = { 1, 1 };
    if (x->dtype != OT_STRING)
        return ot_fail(OT_ESHAPE, "input 0 is %s, wanted is string", ot_dtype_name(x->dtype));
    OT_TRY(read_node(&z, c->node));
    OT_TRY(ot_rank_between(c, 0, 1, 2));
    if (x->rank == 2 && x->dim[0] != 1 && !ot_is_symbol(x->dim[0]))
        return ot_fail(OT_ESHAPE, "X has %lld rows, wanted is one", (long long)x->dim[0]);
    ot_dim *last = &dim[x->rank - 1];
    if (c->constant[0])
        *last = count_left(&z, c->constant[0]);
    else
        *last = z.stop && z.stop->n ? ot_dim_unknown(c) : x->dim[x->rank - 1] == 0 ? 1 : x->dim[x->rank - 1];
    if (!c->constant[0] && ot_is_symbol(*last))
        *last = ot_dim_unknown(c); /* of nothing one empty string is made */
    ot_set_shape(&c->y[0], OT_STRING, x->rank, dim);
    return OT_OK;
}

static ot_status normalizer_run(const ot_run *r)
{
    const ot_tensor *x = &r->x[0];
    ot_str *y = r->y[0].data;
    normalizer z;
    int64_t n = 0;
    OT_TRY(read_node(&z, r->node));
    if (count_left(&z, x) != ot_tensor_count(&r->y[0]))
        return ot_fail(OT_ESHAPE, "%lld strings are left, planned are %lld", (long long)count_left(&z, x),
                       (long long)ot_tensor_count(&r->y[0]));
    y[0] = (ot_str){ "", 0 };
    for (int64_t i = 0, count = ot_tensor_count(x); i < count; i++) {
        const ot_str s = ((const ot_str *)x->data)[i];
        if (!stays(&z, s))
            continue;
        if (z.action == NONE)
            y[n++] = s;
        else
            OT_TRY(in_case(&y[n++], s, z.action, r->text));
    }
    return OT_OK;
}

static const ot_kernel normalizer_kernels[] = { { .name = "loop", .run = normalizer_run }, { 0 } };

const ot_op ot_op_StringNormalizer = { .domain = "",
                                       .name = "StringNormalizer",
                                       .since = 10,
                                       .until = OT_LATEST,
                                       .min_in = 1,
                                       .max_in = 1,
                                       .min_out = 1,
                                       .max_out = 1,
                                       .infer = normalizer_infer,
                                       .grad = ot_grad_none,
                                       .cpu = normalizer_kernels };
