/* A SparseTensorProto as a dense tensor: the elements that are not listed are zero, or empty strings. */
#include "model/model.h"
#include "base/tensor.h"

#include <string.h>

#define MOST_BYTES ((size_t)1 << 32) /* of the dense form: a few bytes of a file may ask for any number */

typedef struct coo {
    ot_tensor value, index;
    bool value_owned, index_owned;
} coo;

static void release(coo *c)
{
    if (c->value_owned)
        ot_tensor_release(&c->value);
    if (c->index_owned)
        ot_tensor_release(&c->index);
}

static ot_status read_lists(coo *c, const ot_model *m, const Onnx__SparseTensorProto *s)
{
    if (!s->values || !s->indices)
        return ot_fail(OT_EMODEL, "it has no %s", s->values ? "indices" : "values");
    OT_TRY(ot_model_tensor(m, s->values, &c->value, &c->value_owned));
    OT_TRY(ot_model_tensor(m, s->indices, &c->index, &c->index_owned));
    if (c->value.rank != 1)
        return ot_fail(OT_EMODEL, "the values have dims %s, not one", OT_DIMS(c->value.rank, c->value.dim));
    if (c->index.dtype != OT_INT64)
        return ot_fail(OT_EMODEL, "the indices are %s, not int64", ot_dtype_name(c->index.dtype));
    bool flat = c->index.rank == 1, tuples = c->index.rank == 2 && c->index.dim[1] == (int64_t)s->n_dims;
    if ((!flat && !tuples) || c->index.dim[0] != c->value.dim[0])
        return ot_fail(OT_EMODEL, "%lld values of %zu dims have indices of dims %s", (long long)c->value.dim[0],
                       s->n_dims, OT_DIMS(c->index.rank, c->index.dim));
    return OT_OK;
}

/* The place of value i in the dense tensor, from a flat index or a tuple. */
static ot_status place_of(int64_t *out, const coo *c, const ot_tensor *dense, int64_t i)
{
    const int64_t *index = c->index.data;
    int64_t total = ot_tensor_count(dense);
    if (c->index.rank == 1) {
        *out = index[i];
        return *out >= 0 && *out < total ? OT_OK
                                         : ot_fail(OT_EMODEL, "index %lld is %lld, of %lld elements", (long long)i,
                                                   (long long)*out, (long long)total);
    }
    *out = 0;
    for (int d = 0; d < dense->rank; d++) {
        int64_t at = index[i * dense->rank + d];
        if (at < 0 || at >= dense->dim[d])
            return ot_fail(OT_EMODEL, "index %lld of axis %d is %lld, outside of %s", (long long)i, d, (long long)at,
                           OT_DIMS(dense->rank, dense->dim));
        *out = *out * dense->dim[d] + at;
    }
    return OT_OK;
}

static ot_status put(ot_tensor *dense, int64_t to, const ot_tensor *value, int64_t from)
{
    size_t size = ot_dtype_size(dense->dtype);
    if (dense->dtype == OT_STRING) {
        const ot_str *s = (const ot_str *)value->data + from;
        char *copy = ot_malloc(s->n + 1, 1);
        if (!copy)
            return OT_ENOMEM;
        memcpy(copy, s->bytes, s->n);
        copy[s->n] = 0;
        ((ot_str *)dense->data)[to] = (ot_str){ copy, s->n };
    } else if (size) {
        memcpy((char *)dense->data + (size_t)to * size, (const char *)value->data + (size_t)from * size, size);
    } else {
        int bits = ot_dtype_bits(dense->dtype), each = 8 / bits;
        unsigned v = ((const uint8_t *)value->data)[from / each] >> from % each * bits & ((1u << bits) - 1);
        ((uint8_t *)dense->data)[to / each] |= (uint8_t)(v << to % each * bits);
    }
    return OT_OK;
}

static ot_status scatter(ot_tensor *dense, const coo *c)
{
    int64_t before = -1;
    for (int64_t i = 0; i < c->value.dim[0]; i++) {
        int64_t at;
        OT_TRY(place_of(&at, c, dense, i));
        if (at <= before)
            return ot_fail(OT_EMODEL, "index %lld does not come after the one before", (long long)i);
        OT_TRY(put(dense, at, &c->value, i));
        before = at;
    }
    return OT_OK;
}

static ot_status make_dense(ot_tensor *out, const coo *c, const Onnx__SparseTensorProto *s)
{
    size_t bytes;
    if (s->n_dims < 1 || s->n_dims > OT_MAX_RANK)
        return ot_fail(OT_EMODEL, "rank %zu is not in 1..%d", s->n_dims, OT_MAX_RANK);
    OT_TRY(ot_bytes(&bytes, c->value.dtype, (int)s->n_dims, s->dims) == OT_OK ? OT_OK : ot_context(OT_EMODEL, "dims"));
    if (bytes > MOST_BYTES)
        return ot_fail(OT_EUNSUPPORTED, "%zu bytes when made dense, at most %zu are taken", bytes, MOST_BYTES);
    OT_TRY(ot_tensor_init(out, c->value.dtype, (int)s->n_dims, s->dims));
    ot_status st = scatter(out, c);
    if (st != OT_OK)
        ot_tensor_release(out);
    return st;
}

ot_status ot_model_sparse(const ot_model *m, const Onnx__SparseTensorProto *s, ot_tensor *out)
{
    coo c = { .value_owned = false };
    *out = (ot_tensor){ 0 };
    ot_status st = read_lists(&c, m, s);
    if (st == OT_OK)
        st = make_dense(out, &c, s);
    release(&c);
    if (st == OT_OK)
        return OT_OK;
    *out = (ot_tensor){ 0 };
    return ot_context(st, "sparse tensor '%s'", s->values ? ot_text(s->values->name) : "");
}
