#include "scatter.h"

#include <string.h>

/* ---- Places --------------------------------------------------------------------------------------------------------
 */

static void dense(int64_t *stride, int rank, const int64_t *dim)
{
    int64_t step = 1;
    for (int i = rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= dim[i];
    }
}

static ot_status outside(int64_t i, int axis, int64_t size)
{
    return ot_fail(OT_ESHAPE, "index %lld is outside of axis %d, which is %lld", (long long)i, axis, (long long)size);
}

/* Of int32 or int64 indices. */
static inline int64_t index_at(const ot_tensor *t, int64_t i)
{
    return t->dtype == OT_INT64 ? ((const int64_t *)t->data)[i] : ((const int32_t *)t->data)[i];
}

ot_status ot_pick_elements(ot_picks *p, const ot_tensor *whole, const ot_tensor *indices, int axis)
{
    *p = (ot_picks){ .outer = 1, .inner = 1, .indices = indices, .kind = OT_PICK_ELEMENTS, .axis = axis };
    p->rank = indices->rank;
    memcpy(p->dim, indices->dim, sizeof(p->dim));
    dense(p->stride, whole->rank, whole->dim);
    p->size[0] = whole->dim[axis];
    p->n = indices->dim[axis];
    for (int d = 0; d < axis; d++)
        p->outer *= indices->dim[d];
    for (int d = axis + 1; d < indices->rank; d++)
        p->inner *= indices->dim[d];
    int64_t n = ot_tensor_count(indices), size = p->size[0];
    bool bad = false;
    for (int64_t k = 0; k < n; k++) {
        int64_t i = index_at(indices, k);
        bad |= i < -size || i >= size;
    }
    for (int64_t k = 0; k < n && bad; k++) {
        int64_t i = index_at(indices, k);
        if (i < -size || i >= size)
            return outside(i, axis, size);
    }
    return OT_OK;
}

ot_status ot_pick_tuples(ot_picks *p, const ot_tensor *whole, const ot_tensor *indices, int batch_dims)
{
    int last = indices->rank - 1;
    int64_t stride[OT_MAX_RANK];
    *p = (ot_picks){ .outer = 1, .n = 1, .indices = indices, .kind = OT_PICK_TUPLES, .tuple = (int)indices->dim[last] };
    dense(stride, whole->rank, whole->dim);
    for (int d = 0; d < batch_dims; d++)
        p->outer *= whole->dim[d];
    for (int d = batch_dims; d < last; d++)
        p->n *= indices->dim[d];
    p->outer_stride = batch_dims > 0 ? stride[batch_dims - 1] : 0;
    for (int t = 0; t < p->tuple; t++) {
        p->stride[t] = stride[batch_dims + t];
        p->size[t] = whole->dim[batch_dims + t];
    }
    p->inner = 1;
    for (int d = batch_dims + p->tuple; d < whole->rank; d++)
        p->inner *= whole->dim[d];
    for (int64_t k = 0, n = ot_tensor_count(indices); k < n; k += p->tuple)
        for (int t = 0; t < p->tuple; t++) {
            int64_t i = index_at(indices, k + t);
            if (i < -p->size[t] || i >= p->size[t])
                return outside(i, batch_dims + t, p->size[t]);
        }
    return OT_OK;
}

ot_status ot_pick_cache(ot_picks *p, const ot_tensor *whole, const ot_tensor *indices, int axis, int64_t n, bool wraps)
{
    *p = (ot_picks){ .outer = 1, .n = n, .inner = 1, .indices = indices, .kind = OT_PICK_CACHE, .wraps = wraps };
    p->per_batch = 1;
    p->size[0] = whole->dim[axis];
    for (int d = 0; d < axis; d++)
        p->outer *= whole->dim[d];
    for (int d = 1; d < axis; d++)
        p->per_batch *= whole->dim[d];
    for (int d = axis + 1; d < whole->rank; d++)
        p->inner *= whole->dim[d];
    p->stride[0] = p->inner;
    p->outer_stride = p->size[0] * p->inner;
    for (int64_t k = 0, m = indices ? whole->dim[0] : 0; k < m; k++) {
        int64_t i = ot_tensor_get_int(indices, k);
        if (i < 0 || (!wraps && i > p->size[0] - n))
            return ot_fail(OT_ESHAPE, "%lld elements written at %lld of axis %d, which is %lld", (long long)n,
                           (long long)i, axis, (long long)p->size[0]);
    }
    return OT_OK;
}

int64_t ot_pick_blocks(const ot_picks *p)
{
    return p->n ? p->outer * ((p->inner + OT_PICK_COLUMNS - 1) / OT_PICK_COLUMNS) : 0;
}

int64_t ot_pick_grain(const ot_picks *p)
{
    int64_t each = p->n * (p->inner < OT_PICK_COLUMNS ? p->inner : OT_PICK_COLUMNS);
    return each > 0 && each < OT_GRAIN ? OT_GRAIN / each : 1;
}

void ot_pick_begin(ot_pick_block *b, const ot_picks *p, int64_t block)
{
    int64_t blocks = (p->inner + OT_PICK_COLUMNS - 1) / OT_PICK_COLUMNS, c0 = block % blocks * OT_PICK_COLUMNS;
    b->p = p;
    b->o = block / blocks;
    b->c0 = c0;
    b->width = p->inner - c0 < OT_PICK_COLUMNS ? p->inner - c0 : OT_PICK_COLUMNS;
    for (int64_t c = 0; c < b->width && p->kind == OT_PICK_ELEMENTS; c++) {
        int64_t at = 0, i = c0 + c;
        for (int d = p->rank - 1; d > p->axis; d--) {
            at += i % p->dim[d] * p->stride[d];
            i /= p->dim[d];
        }
        i = b->o;
        for (int d = p->axis - 1; d >= 0; d--) {
            at += i % p->dim[d] * p->stride[d];
            i /= p->dim[d];
        }
        b->base[c] = at;
    }
}

int64_t ot_pick_row(const ot_pick_block *b, int64_t j)
{
    const ot_picks *p = b->p;
    int64_t at = b->o * p->outer_stride + b->c0;
    if (p->kind == OT_PICK_CACHE) {
        int64_t from = p->indices ? ot_tensor_get_int(p->indices, b->o / p->per_batch) : 0;
        return at + (p->wraps ? (from % p->size[0] + j) % p->size[0] : from + j) * p->stride[0];
    }
    for (int t = 0; t < p->tuple; t++) {
        int64_t i = index_at(p->indices, (b->o * p->n + j) * p->tuple + t);
        at += (i < 0 ? i + p->size[t] : i) * p->stride[t];
    }
    return at;
}

int64_t ot_pick_next(ot_pick_block *b, int64_t *j)
{
    const ot_picks *p = b->p;
    bool lines = p->inner == 1; /* then elements that follow each other are those of j, as many as there is room for */
    int64_t first = (b->o * p->n + *j) * p->inner + b->c0, left = p->n - *j;
    int64_t n = !lines ? b->width : left < OT_PICK_COLUMNS ? left : OT_PICK_COLUMNS;
    if (p->kind == OT_PICK_ELEMENTS) {
        int64_t step = p->stride[p->axis], size = p->size[0];
        for (int64_t c = 0; c < n; c++) {
            int64_t i = index_at(p->indices, first + c);
            b->at[c] = b->base[lines ? 0 : c] + (i < 0 ? i + size : i) * step;
        }
    } else if (lines) {
        for (int64_t c = 0; c < n; c++)
            b->at[c] = ot_pick_row(b, *j + c);
    } else {
        int64_t at = ot_pick_row(b, *j);
        for (int64_t c = 0; c < n; c++)
            b->at[c] = at + c;
    }
    *j += lines ? n : 1;
    return n;
}

/* ---- Scatter and gather --------------------------------------------------------------------------------------------
 */

typedef struct moving {
    const ot_picks *p;
    const ot_tensor *from, *to;
    ot_combining how;
} moving;

/* Over the elements of a block: `to` at b.at[c], `from` at k + c. */
#define EACH(BODY)                                                                                                     \
    for (int64_t j = 0; j < p->n;) {                                                                                   \
        int64_t k = (b->o * p->n + j) * p->inner + b->c0, n = ot_pick_next(b, &j);                                     \
        for (int64_t c = 0; c < n; c++) {                                                                              \
            BODY;                                                                                                      \
        }                                                                                                              \
    }                                                                                                                  \
    break

/* The same where the places of a row lie together: `to` at `at` + c. */
#define ROWS(BODY)                                                                                                     \
    {                                                                                                                  \
        for (int64_t j = 0; j < p->n; j++) {                                                                           \
            int64_t k = (b->o * p->n + j) * p->inner + b->c0, at = ot_pick_row(b, j);                                  \
            for (int64_t c = 0; c < b->width; c++)                                                                     \
                BODY;                                                                                                  \
        }                                                                                                              \
        break;                                                                                                         \
    }

#define COPIES(SIZE) EACH(memcpy(to + b->at[c] * SIZE, from + (k + c) * SIZE, SIZE))

static void put_bits(uint8_t *to, int64_t at, const uint8_t *from, int64_t k, int bits)
{
    int per = 8 / bits, shift = (int)(at % per) * bits;
    unsigned mask = (1u << bits) - 1, v = from[k / per] >> (int)(k % per) * bits & mask;
    to[at / per] = (uint8_t)((to[at / per] & ~(mask << shift)) | v << shift);
}

static void put_block(const moving *m, const ot_picks *p, ot_pick_block *b)
{
    char *to = m->to->data;
    const char *from = m->from->data;
    int bits = ot_dtype_bits(m->to->dtype);
    switch (ot_dtype_size(m->to->dtype)) {
    case 0:
        EACH(put_bits((uint8_t *)to, b->at[c], (const uint8_t *)from, k + c, bits));
    case 1:
        COPIES(1);
    case 2:
        COPIES(2);
    case 4:
        COPIES(4);
    case 8:
        COPIES(8);
    default:
        COPIES(16);
    }
}

/* v op u; NaN stays NaN in minima and maxima. */
#define COMBINE(T)                                                                                                     \
    static void combine_##T(const moving *m, const ot_picks *p, ot_pick_block *b)                                      \
    {                                                                                                                  \
        T *to = m->to->data;                                                                                           \
        const T *from = m->from->data;                                                                                 \
        switch (m->how) {                                                                                              \
        case OT_PLUS:                                                                                                  \
            if (p->kind != OT_PICK_ELEMENTS && p->inner > 1)                                                           \
                ROWS(to[at + c] += from[k + c])                                                                        \
            EACH(to[b->at[c]] += from[k + c]);                                                                         \
        case OT_TIMES:                                                                                                 \
            EACH(to[b->at[c]] *= from[k + c]);                                                                         \
        case OT_LEAST:                                                                                                 \
            EACH(T *v = &to[b->at[c]]; T u = from[k + c]; *v = u < *v || u != u ? u : *v);                             \
        case OT_MOST:                                                                                                  \
            EACH(T *v = &to[b->at[c]]; T u = from[k + c]; *v = u > *v || u != u ? u : *v);                             \
        default:                                                                                                       \
            break;                                                                                                     \
        }                                                                                                              \
    }
COMBINE(float)
COMBINE(double)

static int64_t of_ints(ot_dtype t, ot_combining how, int64_t v, int64_t u)
{
    uint64_t a = (uint64_t)v, b = (uint64_t)u;
    bool less = t == OT_UINT64 ? b < a : u < v;
    if (t == OT_BOOL)
        return how == OT_PLUS || how == OT_MOST ? v | u : v & u;
    switch (how) {
    case OT_PLUS:
        return (int64_t)(a + b);
    case OT_TIMES:
        return (int64_t)(a * b);
    case OT_LEAST:
        return less ? u : v;
    default:
        return less ? v : u;
    }
}

static void combine_ints(const moving *m, const ot_picks *p, ot_pick_block *b)
{
    ot_tensor to = *m->to;
    switch (m->how) {
    default:
        EACH(ot_tensor_set_int(
            &to, b->at[c],
            of_ints(to.dtype, m->how, ot_tensor_get_int(&to, b->at[c]), ot_tensor_get_int(m->from, k + c))));
    }
}

#define COMPLEX(T, name)                                                                                               \
    static void name(const moving *m, const ot_picks *p, ot_pick_block *b)                                             \
    {                                                                                                                  \
        switch (m->how) {                                                                                              \
        default:                                                                                                       \
            EACH(T *v = (T *)m->to->data + 2 * b->at[c]; const T *u = (const T *)m->from->data + 2 * (k + c);          \
                 T re = m->how == OT_PLUS ? v[0] + u[0] : v[0] * u[0] - v[1] * u[1];                                   \
                 v[1] = m->how == OT_PLUS ? v[1] + u[1] : v[0] * u[1] + v[1] * u[0]; v[0] = re);                       \
        }                                                                                                              \
    }
COMPLEX(float, combine_complex64)
COMPLEX(double, combine_complex128)

/* Rows that lie together are copied whole. */
static void put_rows(const moving *m, const ot_picks *p, ot_pick_block *b)
{
    int64_t size = (int64_t)ot_dtype_size(m->to->dtype);
    for (int64_t j = 0; j < p->n; j++)
        memcpy((char *)m->to->data + ot_pick_row(b, j) * size,
               (const char *)m->from->data + ((b->o * p->n + j) * p->inner + b->c0) * size, (size_t)(b->width * size));
}

static void scatter_range(void *ctx, int64_t first, int64_t end)
{
    const moving *m = ctx;
    ot_dtype t = m->to->dtype;
    for (int64_t i = first; i < end; i++) {
        ot_pick_block b;
        ot_pick_begin(&b, m->p, i);
        if (m->how == OT_PUT && m->p->kind != OT_PICK_ELEMENTS && m->p->inner > 1 && ot_dtype_size(t))
            put_rows(m, m->p, &b);
        else if (m->how == OT_PUT)
            put_block(m, m->p, &b);
        else if (t == OT_FLOAT)
            combine_float(m, m->p, &b);
        else if (t == OT_DOUBLE)
            combine_double(m, m->p, &b);
        else if (t == OT_COMPLEX64)
            combine_complex64(m, m->p, &b);
        else if (t == OT_COMPLEX128)
            combine_complex128(m, m->p, &b);
        else
            combine_ints(m, m->p, &b);
    }
}

static void for_blocks(const ot_run *r, const ot_picks *p, ot_range_fn *fn, moving *m)
{
    int64_t n = ot_pick_blocks(p);
    if (r && ot_dtype_size(m->to->dtype))
        ot_for_ranges(r, n, ot_pick_grain(p), fn, m);
    else
        fn(m, 0, n); /* packed elements share bytes: one thread */
}

void ot_scatter(const ot_run *r, const ot_picks *p, const ot_tensor *from, const ot_tensor *to, ot_combining how)
{
    moving m = { p, from, to, how };
    for_blocks(r, p, scatter_range, &m);
}

#define FETCHES(SIZE) EACH(memcpy(to + (k + c) * SIZE, from + b->at[c] * SIZE, SIZE))

static void fetch_block(const moving *m, const ot_picks *p, ot_pick_block *b)
{
    char *to = m->to->data;
    const char *from = m->from->data;
    switch (ot_dtype_size(m->to->dtype)) {
    case 1:
        FETCHES(1);
    case 2:
        FETCHES(2);
    case 4:
        FETCHES(4);
    case 8:
        FETCHES(8);
    default:
        FETCHES(16);
    }
}

/* Rows that lie together are copied whole. */
static void fetch_rows(const moving *m, const ot_picks *p, ot_pick_block *b)
{
    int64_t size = (int64_t)ot_dtype_size(m->to->dtype);
    for (int64_t j = 0; j < p->n; j++)
        memcpy((char *)m->to->data + ((b->o * p->n + j) * p->inner + b->c0) * size,
               (const char *)m->from->data + ot_pick_row(b, j) * size, (size_t)(b->width * size));
}

static void gather_range(void *ctx, int64_t first, int64_t end)
{
    const moving *m = ctx;
    for (int64_t i = first; i < end; i++) {
        ot_pick_block b;
        ot_pick_begin(&b, m->p, i);
        if (m->p->kind == OT_PICK_ELEMENTS || m->p->inner == 1)
            fetch_block(m, m->p, &b);
        else
            fetch_rows(m, m->p, &b);
    }
}

void ot_gather_picks(const ot_run *r, const ot_picks *p, const ot_tensor *whole, const ot_tensor *y)
{
    moving m = { p, whole, y, OT_PUT };
    for_blocks(r, p, gather_range, &m);
}
